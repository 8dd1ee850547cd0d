"""Fixtures for containers of unprivileged users: two users, a runtime of each, boxes of theirs; nothing may be left.

`some` has subordinate ids and a name, `lone` is a number that no database knows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rootless.users import User, UserBox, install
from tests.system import host
from tests.system.conftest import WORD, busybox, folder, machine, nothing_left, numbers, runtime
from tests.system.runtime import Runtime, default_command

__all__ = ["busybox", "folder", "machine", "nothing_left", "runtime"]

UserBoxes = Callable[..., UserBox]


@pytest.fixture(scope="session")
def users(folder: Path) -> dict[str, User]:
    for program in ("setpriv", "newuidmap", "newgidmap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (packages util-linux and uidmap)")
    if Path("/proc/sys/user/max_user_namespaces").read_text().strip() == "0":
        pytest.skip("user namespaces are off here")
    made = [User("some", 1_999_999_001, folder / "some", True), User("lone", 1_999_999_002, folder / "lone", False)]
    probe = made[0]("unshare", "--user", "true")
    if not probe.ok:
        pytest.skip(f"no user namespaces for unprivileged users: {probe.err.strip()}")
    for name in ("subuid", "subgid"):
        if not Path(f"/etc/{name}").exists():
            pytest.skip(f"there is no /etc/{name} to put another one over")
    install(folder, made)
    return {user.name: user for user in made}


@pytest.fixture
def some(users: dict[str, User]) -> User:
    return users["some"]


@pytest.fixture
def lone(users: dict[str, User]) -> User:
    return users["lone"]


@pytest.fixture(autouse=True)
def tidy(users: dict[str, User], nothing_left: None) -> Iterator[None]:
    """After every test: no state of any user."""
    yield
    for user in users.values():
        left = list((user.home / "state").glob("[!.]*"))  # `.@failures` is for `explain`
        assert left == [], f"state of {user.name} is left"


@pytest.fixture
def boxes(nothing_left: None, folder: Path, busybox: Path) -> Iterator[UserBoxes]:
    """Makes boxes of a user: `boxes(some)`. They are deleted afterwards, by force."""
    made: list[UserBox] = []

    def make(user: User) -> UserBox:
        command = " ".join([*user.argv, default_command()])
        own = Runtime(command, user.home / "state")
        document = user(default_command(), "spec", "--rootless", "--bundle", str(user.home))
        assert document.ok, document
        spec = user.home / "config.json"
        box = UserBox(user, json.loads(spec.read_text()), own, user.home, f"{WORD}-{next(numbers)}", busybox)
        spec.unlink()
        made.append(box)
        return box

    yield make
    for box in reversed(made):
        host.reap()  # a pid namespace does not end before the processes of others in it are reaped
        box.runtime("delete", "--force", box.id)
        shutil.rmtree(box.folder)
