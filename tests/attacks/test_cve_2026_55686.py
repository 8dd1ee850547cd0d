"""CVE-2026-55686: a working folder behind a link of the image was made, and given away, on the host.

Two guards stop it, each by itself, so neither can be taken out alone to show it: the root is changed before the
folder is made, and the launcher makes it by the path layer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.image_guard import Ground, document, unpacked
from tests.pyrunc.image.tars import archive, file, folder, symlink


def attack(work: Path) -> str:
    ground = Ground(work)
    (work / "link").symlink_to(ground.outside)
    made = ground.outside / "made"
    layer = archive(
        folder(b"bin"), file(b"bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755),
        symlink(bytes(work / "link").lstrip(b"/"), bytes(ground.outside)), symlink(b"bin/true", b"busybox"),
    )  # fmt: skip
    bundle, refused = unpacked(work, layer, WorkingDir=str(made), Cmd=["/bin/true"])
    assert refused == "", refused
    if ground.harm():
        return ground.harm()
    config = document(bundle)
    # By the link, and by the very name that it has on the host: the one is the other where nobody changes the root.
    for number, cwd in enumerate((f"{work}/link/made", str(made))):
        config["process"] |= {"terminal": False, "cwd": cwd}
        (bundle / "config.json").write_text(json.dumps(config))
        name = f"pyrunc-workdir-{os.getpid()}-{number}"
        command = [sys.executable, "-P", "-m", "pyrunc", "--root", str(work / "state")]
        command += ["run", "--bundle", str(bundle), name]
        subprocess.run(command, capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    assert (bundle / "rootfs" / str(made).lstrip("/")).is_dir(), "nothing was tried"
    return "a folder was made on the host" if made.exists() else ""


@pytest.fixture(autouse=True)
def busybox() -> None:
    if not Path("/bin/busybox").exists():
        pytest.skip("needs busybox-static")


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """The working folder is made in the container's root, wherever links seem to lead."""
    assert attack(tmp_path) == ""
