"""A place with Debian's engines, this tree's pyrunc and an image, for the tests of one file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import system
from .engines import Engines, engines_in


@pytest.fixture(scope="session")
def debian(root: None) -> Path:
    try:
        return system.prepare()
    except system.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def engines(debian: Path, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(engines_in(debian, tree, tmp_path_factory.mktemp("engines")))
        except system.Missing as missing:
            pytest.skip(str(missing))
        yield opened
