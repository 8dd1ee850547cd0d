"""Fixtures of the tests that need no container: root folders, records made by hand, processes that sleep."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrunc.record import Record, timestamp
from pyrunc.store import Store, start_time

from .command import Pyrunc

Sleeper = Callable[[], "subprocess.Popen[bytes]"]
Keep = Callable[..., Record]


@pytest.fixture
def pyrunc(tmp_path: Path) -> Pyrunc:
    return Pyrunc(tmp_path)


@pytest.fixture
def store(pyrunc: Pyrunc) -> Store:
    return Store(str(pyrunc.root))


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Starts processes that do nothing, and ends those that a test leaves."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def keep(store: Store) -> Keep:
    """Writes the record of a container as `create` would: `keep("box", process)`, other fields by name."""

    def write(id: str, process: subprocess.Popen[bytes] | None = None, **fields: object) -> Record:
        values: dict[str, object] = {
            "oci_version": "1.3.0",
            "bundle": "/srv/box",
            "rootfs": "/srv/box/rootfs",
            "created": timestamp(),
            "pid": process.pid if process else 0,
            "start": start_time(process.pid) if process else 0,
        }
        record = Record(id=id, **{**values, **fields})  # type: ignore[arg-type]
        folder = store.create(id)
        folder.write_record(record)
        folder.close()
        return record

    return write
