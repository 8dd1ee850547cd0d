"""The launcher, compiled once a session in both ways, and root file systems for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pyrunc.sandbox.plan import Operation
from tests.sandbox.native.harness import NEWNS, NEWPID, PROC, Message, Result, Talk, build, container, make_rootfs


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launcher as it is shipped; with PYRUNC_SANITIZE=1, with every access checked."""
    words = ["sanitized"] if os.environ.get("PYRUNC_SANITIZE") else []
    return build(tmp_path_factory.mktemp("launcher") / "launcher", *words)


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launcher with every access checked."""
    return build(tmp_path_factory.mktemp("launcher") / "launcher", "sanitized")


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A fresh root file system, reachable also for users of a user namespace."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which("busybox") is None:
        pytest.skip("needs a static busybox")
    for folder in [tmp_path, *tmp_path.parents][:4]:
        if str(folder) not in ("/", "/tmp"):
            folder.chmod(0o755)
    return make_rootfs(tmp_path / "rootfs")


@pytest.fixture
def run(launcher: Path) -> Callable[..., Result]:
    """Carries a plan out to the end."""

    def run(plan: object, *args: object, **more: object) -> Result:
        return Talk(launcher, plan, *args, **more).end()  # type: ignore[arg-type]

    return run


@pytest.fixture
def refusal(run: Callable[..., Result], rootfs: Path) -> Callable[..., Message]:
    """How the last of these operations of a container fails; it has to be that one."""

    def refusal(
        mounts: Sequence[Operation] = (),
        rootfs_phase: Sequence[Operation] = (),
        late: Sequence[Operation] = (),
        flags: int = NEWNS | NEWPID,
    ) -> Message:
        plan = container(rootfs, ["/bin/true"], [PROC, *mounts] if late else mounts, rootfs_phase, late, flags=flags)
        result = run(plan)
        assert result.failure is not None
        assert plan[result.failure.at] is [*mounts, *rootfs_phase, *late][-1]
        assert result.status == 1
        return result.failure

    return refusal


@pytest.fixture
def mounts(run: Callable[..., Result], rootfs: Path) -> Callable[..., dict[str, tuple[str, str, str]]]:
    """The mounts of a container made with these operations: mount point -> (options, type, super options)."""

    def mounts(
        operations: Sequence[Operation], late: Sequence[Operation] = (), flags: int = NEWNS | NEWPID
    ) -> dict[str, tuple[str, str, str]]:
        result = run(container(rootfs, ["/bin/cat", "/proc/self/mountinfo"], [PROC, *operations], late, flags=flags))
        assert result.failure is None, result.failure
        found = {}
        for line in result.output.splitlines():
            fields = line.split()
            dash = fields.index("-")
            found[fields[4]] = (" ".join(fields[5:dash]), fields[dash + 1], fields[dash + 3])
        return found

    return mounts
