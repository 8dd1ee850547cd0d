"""From the text SOURCE to one image: layouts, archives, names, platforms."""

from __future__ import annotations

import gzip
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from pyrunc import images
from pyrunc.image import unpack
from pyrunc.image.source import open_source
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import (
    LAYER,
    LOWER,
    NAMES,
    UPPER,
    Layout,
    config_of,
    digest,
    docker_archive,
    refused,
    tree,
)
from tests.pyrunc.image.registries import registry
from tests.pyrunc.image.tars import archive, file

# -- sources ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_oci_archives(layout: Layout, bundle: Path, tmp_path: Path, mode: str) -> None:
    """A layout in an archive, gzipped or not, is a layout."""
    layout.image(LOWER, UPPER, name="a")
    unpack(f"oci-archive:{layout.archive(tmp_path / 'image.tar', mode)}:a", str(bundle))

    assert tree(bundle) == NAMES


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_layers_of_an_archive_are_read_at_the_same_time(layout: Layout, tmp_path: Path, mode: str) -> None:
    """Each by a thread of its own, as the layer store does, and none gets a piece of another."""
    layers = [os.urandom(6 << 20) for _ in range(4)]
    layout.image(*layers, blobs=[layout.blob(layer, LAYER) for layer in layers])
    image = open_source(f"oci-archive:{layout.archive(tmp_path / 'image.tar', mode)}", None)
    with closing(image), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda layer: digest(b"".join(layer.pieces())), image.layers))

    assert found == [digest(layer) for layer in layers]


def test_docker_archives_of_old(bundle: Path, tmp_path: Path, root: None) -> None:
    """Layers in folders; one that was saved before is a link to the other folder."""
    members: dict[str, bytes | str] = {"1/layer.tar": LOWER, "2/layer.tar": UPPER, "3/layer.tar": "../2/layer.tar"}
    names = ["1/layer.tar", "2/layer.tar", "3/layer.tar"]
    path = docker_archive(tmp_path / "d.tar", config_of(LOWER, UPPER, UPPER), names, members, ["box:latest", "x/y:1"])

    for number, reference in enumerate(("", ":box", ":docker.io/library/box:latest", ":x/y:1", ":@0")):
        unpack(f"docker-archive:{path}{reference}", str(bundle) + str(number))
        assert tree(Path(str(bundle) + str(number))) == NAMES


def test_docker_archives_of_today(layout: Layout, bundle: Path, tmp_path: Path) -> None:
    """Blobs by digest, layers compressed or not."""
    packed = gzip.compress(UPPER)
    members: dict[str, bytes | str] = {f"blobs/sha256/{digest(data)[7:]}": data for data in (LOWER, packed)}
    path = docker_archive(tmp_path / "d.tar", config_of(LOWER, UPPER), list(members), members)

    unpack(f"docker-archive:{path}", str(bundle))

    assert tree(bundle) == NAMES


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../etc/passwd", "layer.tar", "loop"])
def test_links_of_an_archive_lead_only_to_members(bundle: Path, tmp_path: Path, target: str) -> None:
    """CVE-2025-11395: an archive is looked things up in, never unpacked."""
    path = docker_archive(
        tmp_path / "d.tar", config_of(LOWER), ["layer.tar"], {"layer.tar": target, "loop": "layer.tar"}
    )

    refused(f"docker-archive:{path}", bundle, "ENOENT|too many links")


def test_docker_layers_are_known_by_their_diff_ids(bundle: Path, tmp_path: Path) -> None:
    """There is no digest of the blob, but the configuration knows what it unpacks to."""
    path = docker_archive(tmp_path / "d.tar", config_of(LOWER), ["l"], {"l": UPPER})

    refused(f"docker-archive:{path}", bundle, r"layer sha256:.*: .*not what its digest says \(layers\[0\]\)")


def test_a_docker_config_is_what_its_name_says(bundle: Path, tmp_path: Path) -> None:
    """A configuration that is named by its digest has to have it."""
    path = docker_archive(tmp_path / "d.tar", config_of(LOWER), ["l"], {"l": LOWER})
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"linux"', b'"linus"'))

    refused(f"docker-archive:{path}", bundle, "not what its name says")


@pytest.mark.parametrize(
    ("names", "members", "reference", "reason"),
    [
        (["l", "l"], {"l": LOWER}, "", "2 layers, the config 1"),
        (["missing"], {"l": LOWER}, "", "missing is not in it"),
        (["l"], {"l": LOWER}, ":other", "no image 'other'"),
        (["l"], {"l": LOWER}, ":@1", "no image number 1"),
        (["l"], {"l": LOWER}, ":@x", "no image number x"),
    ],
)
def test_docker_archives_that_do_not_fit(
    bundle: Path, tmp_path: Path, names: list[str], members: dict[str, bytes | str], reference: str, reason: str
) -> None:
    """Layers, names and numbers that do not agree are refused."""
    path = docker_archive(tmp_path / "d.tar", config_of(LOWER), names, members, ["box:latest"])

    refused(f"docker-archive:{path}{reference}", bundle, reason)


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8bno gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"x" * 100])
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_files_that_are_no_archives(bundle: Path, tmp_path: Path, data: bytes, transport: str) -> None:
    """Whatever a file holds, the answer is one sentence."""
    (tmp_path / "file").write_bytes(data)

    refused(f"{transport}:{tmp_path / 'file'}", bundle, "archive|not in it")


def test_an_archive_that_leads_back_to_its_start(bundle: Path, tmp_path: Path) -> None:
    """CVE-2025-8194: a negative size in the outer archive must not be an endless loop."""
    from tests.pyrunc.image.tars import header

    (tmp_path / "file").write_bytes(header(b"a", size=0) + header(b"b", size=-512) + bytes(2048))

    refused(f"oci-archive:{tmp_path / 'file'}", bundle, "damaged|archive|not in it")


@pytest.mark.parametrize("source", ["", "oci", "oci:", "layout", "ftp://busybox", "OCI:/x", ":x"])
def test_sources_that_are_none(bundle: Path, source: str) -> None:
    """Other transports, and none at all, are refused with the forms that there are."""
    refused(source, bundle, "is not the source of an image")


@pytest.mark.parametrize("source", ["oci:/no/where", "oci-archive:/no/where", "docker-archive:/no/where"])
def test_sources_that_are_not_there(bundle: Path, source: str) -> None:
    """A missing file or folder is named."""
    refused(source, bundle, "cannot read the .* /no/where")


def test_archives_with_members_that_are_not_files(layout: Layout, bundle: Path, tmp_path: Path) -> None:
    """Folders, devices and links to elsewhere beside the blobs mean nothing."""
    layout.image(LOWER)
    path = layout.archive(tmp_path / "image.tar")
    with tarfile.open(path, "a") as tar:
        for name, kind in (
            ("dev", tarfile.CHRTYPE),
            ("blobs/sha256/link", tarfile.SYMTYPE),
            ("../up", tarfile.DIRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    unpack(f"oci-archive:{path}", str(bundle))

    assert not (tmp_path / "up").exists()


# -- which image ------------------------------------------------------------------------------------------------------


def test_names(layout: Layout, bundle: Path) -> None:
    """One image needs no name; of several each has one, a number at least."""
    layout.image(LOWER, name="a")
    unpack(f"oci:{layout.write()}", str(bundle) + "1")
    layout.image(UPPER, name="b")
    unpack(f"oci:{layout.write()}:b", str(bundle) + "2")
    unpack(f"oci:{layout.path}:@0", str(bundle) + "3")

    first = NAMES - {"new"} | {"gone"}
    assert [tree(Path(str(bundle) + n)) for n in "123"] == [first, {"new"}, first]


def test_names_with_colons(layout: Layout, bundle: Path) -> None:
    """Only the first two colons of a source part it."""
    layout.image(LOWER, name="docker.io/library/box:latest")
    unpack(f"oci:{layout.write()}:docker.io/library/box:latest", str(bundle))


@pytest.mark.parametrize(
    ("reference", "reason"), [("", "exactly one"), (":c", "no image 'c'"), (":@2", "number 2"), (":same", "ambiguous")]
)
def test_names_that_do_not_choose(layout: Layout, bundle: Path, reference: str, reason: str) -> None:
    """A name that fits none or several is refused, never guessed."""
    layout.image(LOWER, name="same")
    layout.image(UPPER, name="same")

    refused(f"oci:{layout.write()}{reference}", bundle, reason)


def test_the_same_image_twice_is_one(layout: Layout, bundle: Path) -> None:
    """Entries that lead to one digest are not ambiguous."""
    layout.image(LOWER, name="same")
    layout.image(LOWER, name="same")
    unpack(f"oci:{layout.write()}:same", str(bundle))


def of_platform(layout: Layout, layer: bytes, architecture: str, **values: str) -> dict[str, Any]:
    platform = {"os": "linux", "architecture": architecture, **values}
    config = {**config_of(layer), "architecture": architecture, **values}
    return layout.image(layer, config=config, listed=False, platform=platform)


@pytest.mark.parametrize("nested", [True, False])
def test_platforms(layout: Layout, bundle: Path, nested: bool) -> None:
    """Of an index the image for this machine, or for the one asked for."""
    layers = {name: archive(file(name.encode())) for name in ("amd64", "arm64", "s390x")}
    entries = [of_platform(layout, layer, name) for name, layer in layers.items()]
    layout.manifests = [layout.index(layout.index(*entries))] if nested else entries
    layout.write()

    for name in layers:
        unpack(f"oci:{layout.path}", str(bundle) + name, platform=f"linux/{name}")
        assert tree(Path(str(bundle) + name)) == {name}
    unpack(f"oci:{layout.path}", str(bundle))
    assert tree(bundle) == {{"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]}
    refused(f"oci:{layout.path}", bundle.parent / "b", "nothing for linux/riscv64", platform="linux/riscv64")
    refused(f"oci:{layout.path}", bundle.parent / "b", "not a platform", platform="linux/")


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive", "dir", "docker"])
def test_an_image_of_another_platform_is_not_the_one_asked_for(
    layout: Layout, bundle: Path, tmp_path: Path, kind: str
) -> None:
    """The configuration is asked where no index says the platform, whichever way the image comes in."""
    layout.image(LOWER)
    place = f"{kind}:{tmp_path / 'place'}"
    with ExitStack() as stack:
        if kind == "docker":
            place = f"docker://{stack.enter_context(registry(tmp_path / 'registry'))}/box"
        images.copy(f"oci:{layout.write()}", place)

        refused(place, bundle, "is for linux/amd64, not for linux/arm64", platform="linux/arm64")
        with pytest.raises(PyruncError, match="is for linux/amd64, not for linux/arm64"):
            images.copy(place, f"oci:{tmp_path / 'none'}:box", platform="linux/arm64")
        assert not (tmp_path / "none").exists()


def test_indexes_that_never_end(layout: Layout, bundle: Path) -> None:
    """CVE-2026-53493."""
    entry = layout.image(LOWER, listed=False)
    for _ in range(20):
        entry = layout.index(entry)
    layout.manifests = [entry]

    refused(f"oci:{layout.write()}", bundle, "nested more than")
