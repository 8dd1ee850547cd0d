"""buildah, as Debian packages it, with pyrunc in runc's place: of root and of a user."""

from __future__ import annotations

import pytest

from .engines import Engines
from .image import NAME

pytestmark = pytest.mark.timeout(900)  # the first test may have to make the system


@pytest.fixture(scope="module")
def limits(engines: Engines) -> list[str]:
    """buildah raises limits to its defaults, which takes a capability that root in a box has not: it gets ours."""
    said = engines.ends(0, "sh", "-c", "ulimit -Hn; bash -c 'ulimit -Hu'").split()
    files, processes = (value if value != "unlimited" else "1048576" for value in said)
    return [f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={processes}:{processes}"]


@pytest.mark.parametrize("user", [False, True], ids=["root", "user"])
def test_run(engines: Engines, limits: list[str], user: bool) -> None:
    """from, run, commit: what a step wrote is in the image, and its exit code is buildah's."""
    engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive, user=user)
    engines.ends(0, "buildah", "from", "--name=box", *limits, NAME, user=user)
    run = ["buildah", "run", f"--runtime={engines.runtime}", "--isolation=oci", "--network=none", "box", "--"]
    engines.ends(4, *run, "sh", "-c", "exit 4", user=user)
    engines.ends(0, *run, "sh", "-c", "id -u >/who", user=user)
    engines.ends(0, "buildah", "commit", "--quiet", "box", "localhost/built", user=user)
    engines.ends(0, "buildah", "rm", "box", user=user)
    podman = ["podman", "--runtime", engines.runtime]
    engines.prints("^0$", *podman, "run", "--rm", "--network=none", "localhost/built", "cat", "/who", user=user)


@pytest.mark.parametrize("program", ["buildah", "podman"])
def test_build(engines: Engines, limits: list[str], program: str) -> None:
    """The steps of a recipe are containers of the runtime's."""
    engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive)
    recipe = f"FROM {NAME}\\nRUN cat /proc/self/cgroup\\n"
    engines.ends(0, "sh", "-c", f"mkdir -p /tmp/c && printf '{recipe}' >/tmp/c/Dockerfile")
    runtime = ["--runtime", engines.runtime]
    start = ["buildah", "build", *runtime, "--isolation=oci"] if program == "buildah" else ["podman", *runtime, "build"]
    engines.prints("^0::/|pids", *start, "--network=none", "--no-cache", *limits, "/tmp/c")
