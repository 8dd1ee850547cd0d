"""From an image to a bundle, or to nothing at all."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.image import unpack
from tests.pyrunc.image.images import (
    LAYER,
    LOWER,
    NAMES,
    UPPER,
    Layout,
    config_of,
    refused,
    tree,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def test_a_bundle(layout: Layout, bundle: Path) -> None:
    """rootfs as the layers say, config.json as the image says, and nobody else may look into it."""
    execution = {
        "User": "me",
        "Env": ["A=b"],
        "Entrypoint": ["/bin/run"],
        "Cmd": ["x", "y"],
        "WorkingDir": "/srv",
        "Volumes": {"/data": {}},
        "Labels": {"l": "m"},
        "StopSignal": "SIGINT",
        "ExposedPorts": {"80/tcp": {}},
    }
    layout.image(LOWER, UPPER, name="a", config=config_of(LOWER, UPPER, config=execution))

    unpack(f"oci:{layout.write()}:a", str(bundle))

    document = json.loads((bundle / "config.json").read_text())
    process = document["process"]
    assert sorted(path.name for path in bundle.iterdir()) == ["config.json", "pyrunc.image.json", "rootfs"]
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o700
    assert tree(bundle) == NAMES
    assert (process["user"]["uid"], process["user"]["gid"]) == (5, 6)
    assert process["args"] == ["/bin/run", "x", "y"]
    assert process["cwd"] == "/srv"
    assert "A=b" in process["env"] and any(entry.startswith("PATH=") for entry in process["env"])
    assert process["terminal"] is True
    assert document["root"] == {"path": "rootfs", "readonly": False}
    assert "/data" in [mount["destination"] for mount in document["mounts"]]
    assert document["annotations"]["l"] == "m"
    assert document["annotations"]["org.opencontainers.image.stopSignal"] == "SIGINT"


def test_the_document_can_be_run(layout: Layout, bundle: Path) -> None:
    """It passes the rules of the runtime specification."""
    from pyrunc.specs.rules import problems
    from pyrunc.specs.runtime import decode_spec

    layout.image(LOWER, config=config_of(LOWER, config={"Cmd": ["/bin/sh"]}))
    unpack(f"oci:{layout.write()}", str(bundle))

    assert problems(decode_spec((bundle / "config.json").read_bytes())) == []


def test_root_has_what_package_managers_need_and_others_have_nothing(layout: Layout, bundle: Path) -> None:
    """Capabilities are Docker's; a user other than root holds none at first."""
    layout.image(LOWER, name="root")
    layout.image(LOWER, name="user", config=config_of(LOWER, config={"User": "1000"}))
    layout.write()
    capabilities = {}
    for name in ("root", "user"):
        unpack(f"oci:{layout.path}:{name}", f"{bundle}-{name}")
        document = json.loads(Path(f"{bundle}-{name}", "config.json").read_text())
        capabilities[name] = document["process"]["capabilities"]

    assert {"CAP_CHOWN", "CAP_SETUID", "CAP_DAC_OVERRIDE", "CAP_FOWNER"} <= set(capabilities["root"]["effective"])
    assert "CAP_SYS_ADMIN" not in capabilities["root"]["bounding"]
    assert (capabilities["user"]["effective"], capabilities["user"]["permitted"]) == ([], [])


def test_an_image_without_layers(layout: Layout, bundle: Path) -> None:
    """An empty image is an empty root file system."""
    layout.image()
    unpack(f"oci:{layout.write()}", str(bundle))

    assert tree(bundle) == set()
    assert stat.S_IMODE((bundle / "rootfs").stat().st_mode) == 0o755


def test_an_existing_folder_becomes_the_bundle(layout: Layout, bundle: Path) -> None:
    """What is in it stays, and it is closed to others: it will hold setuid programs."""
    layout.image(LOWER)
    bundle.mkdir(mode=0o755)
    (bundle / "mine").write_text("x")

    unpack(f"oci:{layout.write()}", str(bundle))

    assert sorted(path.name for path in bundle.iterdir()) == ["config.json", "mine", "pyrunc.image.json", "rootfs"]
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o700


def test_acls_of_the_place_do_not_go_on_to_the_image(layout: Layout, bundle: Path) -> None:
    """A default ACL where the bundle is made is no part of the image."""
    layout.image(LOWER)
    acl = b"\x02\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + permission.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, permission, who in (
            (1, 7, 2**32 - 1),
            (2, 7, 1000),
            (4, 5, 2**32 - 1),
            (16, 7, 2**32 - 1),
            (32, 5, 2**32 - 1),
        )
    )
    os.setxattr(bundle.parent, "system.posix_acl_default", acl)

    unpack(f"oci:{layout.write()}", str(bundle))

    paths = [bundle, bundle / "rootfs", *(bundle / "rootfs").rglob("*")]
    assert [os.listxattr(path) for path in paths] == [[]] * len(paths)


@pytest.mark.parametrize("name", ["rootfs", "config.json"])
def test_an_existing_bundle_is_refused(layout: Layout, bundle: Path, name: str) -> None:
    """Even a link that leads nowhere is something that is there."""
    layout.image(LOWER)
    bundle.mkdir()
    (bundle / name).symlink_to("nowhere")

    refused(f"oci:{layout.write()}", bundle, f"already has a {name}")


def test_a_bundle_that_cannot_be_made(layout: Layout, bundle: Path) -> None:
    """The reason is given before anything is unpacked."""
    layout.image(LOWER)
    layout.write()
    (bundle.parent / "file").write_text("x")

    refused(f"oci:{layout.path}", bundle / "in" / "nothing", "ENOENT")
    refused(f"oci:{layout.path}", bundle.parent / "file", "ENOTDIR")


@pytest.mark.parametrize(
    ("media_type", "packer"),
    [
        (LAYER, bytes),
        (LAYER + "+gzip", gzip.compress),
        (LAYER + "+zstd", zstd.compress),
        (LAYER + "+gzip", zstd.compress),
        (LAYER, gzip.compress),
        (LAYER + "+gzip", bytes),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip.compress),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", gzip.compress),
    ],
)
def test_compressions_by_what_they_are(
    layout: Layout, bundle: Path, media_type: str, packer: Callable[[bytes], bytes]
) -> None:
    """Media types lie about compression; the digests tell."""
    layout.image(LOWER, blobs=[layout.blob(packer(LOWER), media_type)])
    unpack(f"oci:{layout.write()}", str(bundle))

    assert tree(bundle) == NAMES - {"new"} | {"gone"}


def test_blobs_by_sha512(layout: Layout, bundle: Path) -> None:
    """The other registered algorithm works as well."""
    layout.image(LOWER, blobs=[layout.blob(LOWER, LAYER, algorithm="sha512")])
    unpack(f"oci:{layout.write()}", str(bundle))


def test_documents_inside_their_descriptor(layout: Layout, bundle: Path) -> None:
    """`data` stands for the blob, when it is what size and digest say."""
    import base64

    entry = layout.image(LOWER)
    blob = layout.path / "blobs" / Path(*entry["digest"].split(":"))
    entry["data"] = base64.b64encode(blob.read_bytes()).decode()
    blob.unlink()
    unpack(f"oci:{layout.write()}", str(bundle))
    entry["data"] = base64.b64encode(b"{}").decode()
    refused(f"oci:{layout.write()}", bundle.parent / "b", "bytes where|not sha256")


def test_the_image_itself_is_only_read(layout: Layout, bundle: Path) -> None:
    """Not a byte and not a time of the layout changes."""
    layout.image(LOWER, UPPER)
    layout.write()
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in layout.path.rglob("*")}
    unpack(f"oci:{layout.path}", str(bundle))

    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in layout.path.rglob("*")} == before


def test_importing_is_light() -> None:
    """The image tool is loaded when it is used, not before."""
    code = "import sys, pyrunc.image; print(*sys.modules)"
    top = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(top)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = done.stdout.split()
    assert "pyrunc.image" in loaded
    assert not {"tarfile", "json", "hashlib", "re", "typing", "pyrunc.image.bundle"} & set(loaded)


def test_the_command(layout: Layout, bundle: Path) -> None:
    """`pyrunc image unpack SOURCE BUNDLE`: quiet and 0, or one record and 1."""
    layout.image(LOWER)
    layout.write()
    top = Path(__file__).resolve().parents[3]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from pyrunc.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, "image", *arguments], cwd=top, capture_output=True, text=True
        )

    good = run("unpack", "--platform", "linux/amd64", f"oci:{layout.path}", str(bundle))
    again = run("unpack", f"oci:{layout.path}", str(bundle))
    wrong = run("unpack", f"oci:{layout.path}")

    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert tree(bundle)
    assert again.returncode == 1 and "already has a rootfs" in again.stderr
    assert wrong.returncode == 1 and "Incorrect Usage" in wrong.stdout + wrong.stderr
