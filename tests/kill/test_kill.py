"""Killed anywhere: at every system call that a command makes, its process (or all of them at once) gets SIGKILL, and
afterwards `delete --force` takes away all that is there, or the id is free.

`make test` tries some of the points, `-m soak` all. What is a point and who is killed there says points.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ..system import host
from ..system.box import Box, eventually
from ..system.runtime import Result
from .conftest import Clean
from .points import Killer, Point, sweep

pytestmark = pytest.mark.timeout(1800)

Tried = Callable[[int], None]


def steps(some: int) -> pytest.MarkDecorator:
    """Every `some`-th point, and in the soak every one."""
    return pytest.mark.parametrize("step", [some, pytest.param(1, marks=pytest.mark.soak, id="all")])


def status_of(box: Box) -> str:
    """"" for a container that does not exist; the whole result for anything else that is no state."""
    result = box.runtime("state", box.id)
    if result.ok:
        return str(json.loads(result.out)["status"])
    return "" if "container does not exist" in result.err else repr(result)


def runs_or_stops(box: Box) -> bool:
    """An init whose command was killed may live on for a moment: until it notices."""
    return eventually(lambda: box.printed == "up\n" or status_of(box) == "stopped", 2)


def folder_of(box: Box) -> Path:
    return box.runtime.state / box.id


def removed(box: Box, clean: Clean) -> str:
    """What is wrong with the way in which `delete --force` takes the container away."""
    host.reap()
    result = box.delete("--force")
    wrong = "" if result.ok else repr(result)
    return wrong + clean()


def made_again(box: Box, clean: Clean) -> str:
    """What is wrong with the next container of the id: at once where that is free, otherwise after `delete --force`."""
    host.reap()
    if folder_of(box).exists():
        wrong = removed(box, clean)
        if wrong:
            return wrong
    result = box.create()
    if not result.ok:
        return f"not made again: {result}"
    return removed(box, clean)


def creation(killer: Killer, box: Box, clean: Clean, act: Callable[[], Result], step: int) -> int:
    """Kills what makes a container."""
    box.write()

    def killed(point: Point | None) -> Result:
        box.output.unlink(missing_ok=True)
        with killer.over(box.runtime, point):
            return act()

    def check(index: int, result: Result) -> str:
        status = status_of(box)
        if status not in ("", "created", "running", "stopped"):
            return f"{box.id} is {status}"
        if status == "running" and not runs_or_stops(box):
            return f"said to be running, but its program does not {removed(box, clean)}"
        (box.folder / "pid").unlink(missing_ok=True)
        if hidden := list(box.folder.glob(".*")):
            hidden[0].unlink()
            return f"left behind: {hidden}"
        return made_again(box, clean) if index % 2 else removed(box, clean)

    return sweep(killer, step, killed, check)


@steps(13)
def test_create(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`create` killed: what is there can be deleted, and the id used again."""
    pid_file = str(box.folder / "pid")
    tried(creation(killer, box, clean, lambda: box.create("--pid-file", pid_file), step))


@steps(13)
def test_create_with_opener(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """The same with a user namespace: the process that opens the sources of binds ends with the others."""
    box.user_namespace()
    box.bind(box.folder, "/data")
    tried(creation(killer, box, clean, box.create, step))


@steps(17)
def test_run(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`run --detach` killed: either the program runs, or there is nothing but what can be deleted."""
    pid_file = str(box.folder / "pid")
    tried(creation(killer, box, clean, lambda: box.run_detached("--pid-file", pid_file), step))


@steps(13)
def test_create_rootless(user_killer: Killer, user_box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`create` of a user without rights killed: what is there can be deleted, and the id used again."""
    tried(creation(user_killer, user_box, clean, user_box.create, step))


@steps(1)
def test_start(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`start` killed: the container is created and can be started, or runs its program, or has stopped."""

    def act(point: Point | None) -> Result:
        box.output.unlink(missing_ok=True)
        assert box.create().ok
        with killer.over(box.runtime, point, box.pid):
            return box.start()

    def check(index: int, result: Result) -> str:
        host.reap()
        status = status_of(box)
        if status == "created" and index % 2:
            again = box.start()
            if not again.ok:
                return f"not started again: {again} {removed(box, clean)}"
            status = "running"
        if status == "running" and not runs_or_stops(box):
            return f"said to be running, but its program does not {removed(box, clean)}"
        if status not in ("created", "running", "stopped"):
            return f"{box.id} is {status} {removed(box, clean)}"
        return removed(box, clean)

    tried(sweep(killer, step, act, check))


@steps(7)
@pytest.mark.parametrize("detach", [True, False], ids=["detached", "foreground"])
def test_exec(killer: Killer, box: Box, tried: Tried, clean: Clean, step: int, detach: bool) -> None:
    """`exec` killed: the container is unharmed, another `exec` works, and no process is left in it."""
    assert box.run_detached().ok
    box.wait_for("up")
    pid = box.pid
    cgroups = host.cgroup_folders(box.id)
    flags = ["--detach", "--pid-file", str(box.folder / "pid")] if detach else []

    def act(point: Point | None) -> Result:
        with killer.over(box.runtime, point):
            return box.runtime.with_files("exec", *flags, box.id, "true", output=box.output, errors=box.errors)

    def inside() -> set[str]:
        host.reap()
        return {line for folder in cgroups for line in Path(folder, "cgroup.procs").read_text().split()}

    def check(index: int, result: Result) -> str:
        (box.folder / "pid").unlink(missing_ok=True)
        if hidden := list(box.folder.glob(".*")):
            hidden[0].unlink()
            return f"left behind: {hidden}"
        if not eventually(lambda: inside() == {str(pid)}, 3):
            return f"left in the container: {inside()}"
        if host.cgroup_folders(box.id) != cgroups or status_of(box) != "running" or box.pid != pid:
            return f"the container has changed: {status_of(box)}"
        again = box.exec("echo", "fine") if index % 4 == 0 else None
        return f"no other exec: {again}" if again and again.out != "fine\n" else ""

    count = sweep(killer, step, act, check)
    problem = removed(box, clean) if not clean() else ""
    assert not problem
    tried(count)


def deletion(killer: Killer, box: Box, clean: Clean, prepare: Callable[[], object], flags: list[str], step: int) -> int:
    """Kills `delete`; a second one finishes it, unless the first had."""

    def act(point: Point | None) -> Result:
        prepare()
        with killer.over(box.runtime, point):
            return box.delete(*flags)

    def check(index: int, result: Result) -> str:
        host.reap()
        status = status_of(box)
        if status not in ("", "created", "running", "stopped"):
            return f"{box.id} is {status} {removed(box, clean)}"
        if folder_of(box).exists():
            again = box.delete(*flags)
            if not again.ok:
                return f"the second delete fails: {again} {removed(box, clean)}"
        return clean()

    return sweep(killer, step, act, check)


def stopped(box: Box) -> None:
    assert box.create().ok
    assert box.kill("KILL").ok
    box.wait("stopped")
    host.reap()


@steps(1)
@pytest.mark.parametrize("flags", [[], ["--force"]], ids=["plain", "force"])
def test_delete(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int, flags: list[str]) -> None:
    """`delete` of a stopped container killed: a second `delete` finishes it."""
    tried(deletion(killer, box, clean, lambda: stopped(box), flags, step))


@steps(1)
def test_delete_created(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`delete` of a container that lives killed: a second `delete` finishes it."""

    def prepare() -> None:
        assert box.create().ok

    tried(deletion(killer, box, clean, prepare, [], step))


@steps(7)
def test_delete_with_hook(killer: Killer, box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`delete` by Python, which runs poststop hooks, killed: a second `delete` finishes it."""
    box.config["hooks"] = {"poststop": [{"path": "/bin/true"}]}
    tried(deletion(killer, box, clean, lambda: stopped(box), [], step))


@steps(1)
def test_delete_rootless(user_killer: Killer, user_box: Box, clean: Clean, tried: Tried, step: int) -> None:
    """`delete --force` of a user without rights killed: a second one finishes it."""

    def prepare() -> None:
        assert user_box.create().ok

    tried(deletion(user_killer, user_box, clean, prepare, ["--force"], step))
