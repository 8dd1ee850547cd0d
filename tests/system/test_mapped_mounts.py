"""Mounts whose ids are mapped, and mounts of containers whose root is an ordinary user of the host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from . import host
from .box import Box
from .conftest import Bundle
from .test_mounts import at, make_source, shared_mount

SHOW = "for file in $(find /data -type f | sort); do stat -c '%n %u:%g' $file; done"


def owned(folder: Path, name: str, uid: int, gid: int) -> None:
    (folder / name).write_text("content\n")
    os.chown(folder / name, uid, gid)


def mapping(inside: int, outside: int, size: int = 1) -> list[dict[str, int]]:
    return [{"containerID": inside, "hostID": outside, "size": size}]


def mapped(box: Box, source: Path, *options: str, uids: list[dict[str, int]], gids: list[dict[str, int]]) -> None:
    box.mount("/data", "bind", source, *options)
    box.config["mounts"][-1] |= {"uidMappings": uids, "gidMappings": gids}


@pytest.fixture
def tree(bundle: Bundle) -> Path:
    """A folder with a file of user 1000, group 1001."""
    source = make_source(bundle(), "tree")
    (source / "file").unlink()
    owned(source, "file", 1000, 1001)
    return source


@pytest.mark.parametrize("options", [["bind"], ["bind", "idmap"]], ids=",".join)
def test_mappings(bundle: Bundle, tree: Path, options: list[str]) -> None:
    """A bind mount with maps of its own shows the owners that they say, whether or not an option asks for it."""
    box = bundle()
    mapped(box, tree, *options, uids=mapping(1000, 2000), gids=mapping(1001, 3000))

    assert box.output_of(SHOW) == "/data/file 2000:3000"


def test_mappings_in_a_user_namespace(bundle: Bundle, tree: Path) -> None:
    """hostID is the host's id, which the container sees as its own number for it."""
    box = bundle()
    box.user_namespace()
    mapped(box, tree, "bind", uids=mapping(1000, 100005), gids=mapping(1001, 100006))

    assert box.output_of(SHOW) == "/data/file 5:6"


def test_what_is_made_has_the_owner_that_the_mapping_says(bundle: Bundle, tree: Path) -> None:
    """The mapping holds in both directions."""
    box = bundle()
    mapped(box, tree, "bind", uids=mapping(500, 0), gids=mapping(600, 0))
    os.chown(tree, 500, 600)
    box.output_of("touch /data/new")
    found = (tree / "new").stat()

    assert (found.st_uid, found.st_gid) == (500, 600)


@pytest.mark.parametrize(("option", "inner"), [("idmap", "65534:65534"), ("ridmap", "7:8")])
def test_the_container_s_own_mapping(bundle: Bundle, option: str, inner: str) -> None:
    """Without mappings the container's are taken; `ridmap` reaches mounts below the source, `idmap` does not."""
    box = bundle()
    box.user_namespace()
    with shared_mount(box.folder / "tree") as source:
        (source / "file").unlink()
        owned(source, "file", 5, 6)
        host.mount("tmpfs", str(source / "deeper"), 0, "tmpfs")
        owned(source / "deeper", "file", 7, 8)
        box.mount("/data", "bind", source, "rbind", option)

        assert box.output_of(SHOW).splitlines() == [f"/data/deeper/file {inner}", "/data/file 5:6"]


@pytest.mark.unlike("crun", "maps by its own user namespace, which it has joined")
def test_mapping_of_a_joined_user_namespace(bundle: Bundle, tree: Path) -> None:
    """The map of a user namespace joined by path is taken as well."""
    first, second = bundle(), bundle()
    first.user_namespace()
    first.up()
    second.user_namespace()
    second.namespace("user", f"/proc/{first.pid}/ns/user")
    del second.linux["uidMappings"], second.linux["gidMappings"]
    second.mount("/data", "bind", tree, "bind", "idmap")

    assert second.output_of(SHOW) == "/data/file 1000:1001"


@pytest.mark.only("pyrunc", "crun")
def test_mappings_in_the_option(bundle: Bundle, tree: Path) -> None:
    """crun's own form; ids after an @ are the container's."""
    box = bundle()
    box.user_namespace()
    box.mount("/data", "bind", tree, "bind", "idmap=uids=1000-100009-1;gids=@1001-4-1")

    assert box.output_of(SHOW) == "/data/file 9:4"


def test_file_system_without_id_mapping(bundle: Bundle) -> None:
    """What the kernel cannot map is refused by name, and nothing is left behind."""
    box = bundle()
    mapped(box, Path("/proc/self/fd"), "bind", uids=mapping(0, 1000), gids=mapping(0, 1000))
    result = box.sh("true").run()

    assert result.status == 1
    assert "map" in result.err


# -- sources in a user namespace ---------------------------------------------------------------------------------------


def closed_source(box: Box) -> Path:
    """A folder that only the host's root reaches."""
    closed = box.folder / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner/file").write_text("reached\n")
    closed.chmod(0o700)
    return closed / "inner"


def test_sources_that_the_container_s_root_cannot_reach(bundle: Bundle) -> None:
    """The launcher's rights open them."""
    box = bundle()
    box.user_namespace()
    source = closed_source(box)
    box.bind(source, "/one")
    box.bind(source / "file", "/two")

    assert box.output_of("cat /one/file /two") == "reached\nreached"


def test_source_on_an_earlier_mount(bundle: Bundle) -> None:
    """The source of a mount may be what an earlier one has put below the root file system, also for mapped mounts."""
    box = bundle()
    box.user_namespace()
    box.bind(closed_source(box), "/mnt/a")
    box.mount("/final", "bind", box.rootfs / "mnt", "rbind")
    box.mount("/mapped", "bind", box.rootfs / "mnt/a", "bind", "idmap")

    assert box.output_of("cat /final/a/file /mapped/file; stat -c %u /mapped/file") == "reached\nreached\n0"


@pytest.mark.unlike("crun", "keeps the source's flags")
def test_locked_flags(bundle: Bundle) -> None:
    """Flags of the host's mount stay in a user namespace, and asking for their end is an error; root of the host may
    end them."""
    with shared_mount(bundle().folder / "tree") as source:
        subprocess.run(["mount", "-o", "remount,bind,nosuid,noexec", source], check=True)
        plain, locked, refused = bundle(), bundle(), bundle()
        plain.bind(source, "/data", "ro")
        for box in (locked, refused):
            box.user_namespace()
        locked.bind(source, "/data", "ro")
        refused.bind(source, "/data", "exec")

        assert {"ro"} == at(plain, "/data").options & {"ro", "nosuid", "noexec"}
        assert {"ro", "nosuid", "noexec"} <= at(locked, "/data").options
        result = refused.sh("true").run()
        assert result.status == 1
        assert "error during container init: error mounting" in result.err
        assert "operation not permitted" in result.err


def test_locked_flags_are_locked_inside(bundle: Bundle) -> None:
    """Root of a user namespace cannot take back what the host has forbidden."""
    with shared_mount(bundle().folder / "tree") as source:
        subprocess.run(["mount", "-o", "remount,bind,ro", source], check=True)
        box = bundle()
        box.user_namespace()
        box.capabilities("CAP_SYS_ADMIN")
        box.bind(source, "/data")
        result = box.sh("mount -o remount,bind,rw none /data; touch /data/new").run()

        assert "Read-only file system" in result.err, result
