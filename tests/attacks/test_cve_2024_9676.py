"""CVE-2024-9676: a fifo in the place of an image's passwd kept its reader waiting for ever."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pyrunc.image.users import resolve
from pyrunc.specs.errors import Invalid
from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, folder, header

GUARD = (
    (
        "pyrunc/image/users.py",
        "        if not stat.S_ISREG(os.fstat(handle).st_mode):\n",
        "        if stat.S_ISDIR(os.fstat(handle).st_mode):\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(archive(folder(b"etc"), header(b"etc/passwd", b"6")))
    said: list[str] = []
    over = threading.Event()

    def look() -> None:
        """A fifo can be opened for writing at once only while somebody waits at its other end."""
        for _ in range(100):
            try:
                os.close(os.open(ground.root / "etc/passwd", os.O_WRONLY | os.O_NONBLOCK))
                said.append("somebody waits for a fifo")
                return
            except OSError:
                if over.wait(0.02):
                    return

    watcher = threading.Thread(target=look)
    watcher.start()
    root = os.open(ground.root, os.O_PATH)
    try:
        resolve("me", root)
    except Invalid:
        pass
    finally:
        os.close(root)
        over.set()
        watcher.join()
    return "".join(said)


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A passwd that is no regular file is refused before it is opened."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the look at its type the same image gets through."""
    assert "somebody waits for a fifo" in without(GUARD, __name__, tmp_path)
