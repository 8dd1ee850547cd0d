"""What every folder of tests shares: the source tree, the marks, and the rule that root is asked for by name.

Fixtures of one folder belong into that folder's own conftest.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only(kind, ...): holds for these runtimes alone (pyrunc, runc, crun)")
    config.addinivalue_line("markers", "unlike(kind, reason): this runtime is known to behave otherwise")
    config.addinivalue_line("markers", "gap(kind, reason): should hold and does not yet; a pass is an error")


@pytest.fixture(scope="session")
def tree() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> None:
    """For tests that make namespaces, mounts and cgroups."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
