"""Container starts in a storm of renames and symbolic links in the root file system: nothing outside is ever touched.

A minute of it in `make test`; `make storm` makes 50,000 starts ($PYRUNC_STORM_STARTS).
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.conftest import Bundle

WANTED = int(os.environ.get("PYRUNC_STORM_STARTS", "0"))  # 0: as many as SECONDS allow
SECONDS = 45
ALLOWED = 0.001  # share of starts that may fail for no other reason than the storm
# What of a container's document names a path inside, one folder for each.
PLACES = ("tmpfs", "bind", "file", "made", "node", "masked", "readonly", "cwd", "options")


@pytest.fixture(scope="module")
def storm(folder: Path) -> Path:
    program = folder / "storm"
    source = Path(__file__).with_name("storm.c")
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    return program


def prepare(box: Box, outside: Path) -> None:
    """The folders and links that the storm exchanges. The links lead out, by `..` and from the host's root, to folders
    with the same content as those inside: whoever follows one on the host finds what was looked for."""
    for number, name in enumerate(PLACES):
        for top in (box.rootfs / "storm" / name, outside / name):
            (top / "inner").mkdir(parents=True)
            (top / "inner/file").write_text("content")
        links = box.rootfs / "links"
        links.mkdir(exist_ok=True)
        way_up = "../" * (len(box.rootfs.parts) + 3)
        (links / name).symlink_to(f"{way_up}{outside}/{name}" if number % 2 else outside / name)
    box.mount("/storm/tmpfs/inner", "tmpfs", "tmpfs", "mode=755")
    box.bind(box.folder, "/storm/bind/inner")
    box.bind(box.folder / "config.json", "/storm/file/inner/file")
    box.mount("/storm/made/new/deep", "tmpfs", "tmpfs")
    box.mount("/storm/options/inner", "tmpfs", "tmpfs", "ro", "nosuid", "tmpcopyup")
    box.linux["devices"] = [{"type": "c", "path": "/storm/node/null", "major": 1, "minor": 3}]
    box.linux["maskedPaths"] += ["/storm/masked/inner", "/storm/masked/inner/file"]
    box.linux["readonlyPaths"] += ["/storm/readonly/inner"]
    box.process["cwd"] = "/storm/cwd/inner"


def seen(outside: Path) -> dict[str, tuple[int, ...]]:
    """Everything outside, with what changes when somebody touches it."""
    found = {}
    for top, _, files in os.walk(outside):
        for path in [top, *(os.path.join(top, name) for name in files)]:
            status = os.lstat(path)
            found[path] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


@pytest.mark.timeout(0 if WANTED else 300)
def test_storm(bundle: Bundle, storm: Path, folder: Path) -> None:
    """No file outside the root file system is touched, and at most one start in a thousand fails."""
    box = bundle("true")
    outside = folder / "outside"
    prepare(box, outside)
    before = seen(outside)
    end = time.monotonic() + SECONDS
    process = subprocess.Popen([storm, box.rootfs, *PLACES], stdout=subprocess.PIPE)
    assert process.stdout is not None
    starts, failed = 0, []
    try:
        assert process.stdout.readline() == b"blowing\n"
        while starts < WANTED if WANTED else time.monotonic() < end:
            result = box.run()
            starts += 1
            if not result.ok:
                failed.append(result.err)
            assert process.poll() is None, "the storm is over"
    finally:
        process.kill()
        process.wait()

    after = seen(outside)
    print(f"{starts} starts, {len(failed)} failed")
    assert {path for path in before | after if before.get(path) != after.get(path)} == set()
    assert starts > 20
    assert len(failed) <= starts * ALLOWED, f"{len(failed)} of {starts}: {failed[:3]}"
