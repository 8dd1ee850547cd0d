"""What is to be remembered of the entries of a layer: a table that stays small in memory however many they are.

Must never be asked for more than a row at a time, and never outlive its layer: what no longer fits is in a temporary
file that has no name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyrunc.specs.errors import Failure

if TYPE_CHECKING:
    import sqlite3

KEPT = 10_000  # rows in memory: some megabytes


class Notes:
    """Values by keys, both bytes."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.file: sqlite3.Connection | None = None

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.rows[key] = value
        if len(self.rows) > KEPT:
            self._move()

    def __contains__(self, key: bytes) -> bool:
        if key in self.rows or self.file is None:
            return key in self.rows
        with _speaking():
            return self.file.execute("SELECT 1 FROM notes WHERE key = ?", (key,)).fetchone() is not None

    def discard(self, key: bytes) -> None:
        self.rows.pop(key, None)
        if self.file:
            with _speaking():
                self.file.execute("DELETE FROM notes WHERE key = ?", (key,))

    def by_value(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values, the greatest value first."""
        if self.file is None:
            yield from sorted(self.rows.items(), key=lambda row: row[1], reverse=True)
            return
        self._move()
        with _speaking():
            yield from self.file.execute("SELECT key, value FROM notes ORDER BY value DESC")

    def close(self) -> None:
        if self.file:
            self.file.close()

    def _move(self) -> None:
        with _speaking():
            if self.file is None:
                self.file = _temporary()
            # In their order, because then most of them go to the same page.
            self.file.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", sorted(self.rows.items()))
        self.rows.clear()


@contextmanager
def _speaking() -> Iterator[None]:
    """A full disk, mostly, in our words."""
    import sqlite3

    try:
        yield
    except sqlite3.Error as error:
        raise Failure("keep notes of a layer in a temporary file", detail=str(error)) from error


def _temporary() -> sqlite3.Connection:
    import sqlite3

    # The empty name: a file that nobody else sees and that goes with the connection. Layers are unpacked by threads,
    # each with notes of its own, which another may be the one to close.
    file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", "cache_size = -2000"):
        file.execute(f"PRAGMA {setting}")
    file.execute("CREATE TABLE notes (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
    return file
