"""mounts[]: flags, propagation, binds, order, targets that have to be made, and targets that lie."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import host
from .box import Box
from .conftest import Bundle


class Mount:
    """A line of the container's mountinfo."""

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        fields = left.split()
        self.target = fields[4].replace("\\040", " ")
        self.options = set(fields[5].split(","))
        self.tags = {field.split(":")[0] for field in fields[6:]}
        self.type, self.source, data = right.split(" ", 2)
        self.data = set(data.split(","))


def mounts_of(box: Box) -> list[Mount]:
    box.process["args"] = ["cat", "/proc/self/mountinfo"]
    result = box.run()
    assert result.ok, result
    return [Mount(line) for line in result.lines]


def at(box: Box, target: str) -> Mount:
    return [mount for mount in mounts_of(box) if mount.target == target][-1]


def make_source(box: Box, name: str = "source") -> Path:
    source = box.folder / name
    source.mkdir()
    (source / "file").write_text("content\n")
    return source


@contextmanager
def shared_mount(folder: Path) -> Iterator[Path]:
    """A mount of its own that the host shares, with a file in it."""
    folder.mkdir()
    host.mount("tmpfs", str(folder), 0, "tmpfs")
    (folder / "file").write_text("inner\n")
    (folder / "deeper").mkdir()
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--recursive", folder], check=True)


def test_defaults(bundle: Bundle) -> None:
    """The mounts of `spec` are there, each with its type and flags."""
    box = bundle()

    found = {mount.target: mount for mount in mounts_of(box)}

    for mount in box.config["mounts"]:
        if mount["destination"] == "/sys/fs/cgroup":
            continue  # what it is depends on the hierarchies of the host
        flags = {option for option in mount["options"] if option in {"nosuid", "noexec", "nodev", "ro"}}
        assert found[mount["destination"]].type == mount["type"], mount
        assert flags <= found[mount["destination"]].options, mount
    assert "/sys/fs/cgroup" in found


@pytest.mark.parametrize(
    ("options", "there", "absent"),
    [
        (["ro", "nosuid", "nodev", "noexec"], {"ro", "nosuid", "nodev", "noexec"}, set()),
        (["ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec"], {"rw"}, {"nosuid", "nodev", "noexec", "ro"}),
        (["rw", "ro"], {"ro"}, {"rw"}),
        (["noatime"], {"noatime"}, {"relatime"}),
        (["strictatime"], set(), {"noatime", "relatime"}),
        (["relatime", "nodiratime"], {"relatime", "nodiratime"}, {"noatime"}),
        (["defaults"], {"rw"}, {"ro", "nosuid"}),
        (["nosymfollow"], {"nosymfollow"}, set()),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_flags(bundle: Bundle, options: list[str], there: set[str], absent: set[str]) -> None:
    """Flags are set as named, the last word winning; on a tmpfs as on a bind mount."""
    box = bundle()
    if box.runtime.kind == "crun" and ("rw" in options or "nosymfollow" in options):
        pytest.skip("crun: knows no clearing of flags on a bind mount, and no nosymfollow")
    if box.runtime.kind == "runc" and "defaults" in options:
        pytest.skip("runc: hands it to the file system")
    source = make_source(box)
    box.mount("/tmpfs", "tmpfs", "tmpfs", *options)
    box.bind(source, "/bind", *options)

    found = {mount.target: mount for mount in mounts_of(box)}

    for target in ("/tmpfs", "/bind"):
        assert there <= found[target].options, found[target].options
        assert not absent & found[target].options, found[target].options


def test_file_system_options(bundle: Bundle) -> None:
    """What is no flag goes to the file system."""
    box = bundle()
    box.mount("/small", "tmpfs", "mine", "size=64k", "mode=0711", "nr_inodes=10")

    found = at(box, "/small")

    assert found.source == "mine"
    assert {"size=64k", "mode=711", "nr_inodes=10"} <= found.data


def test_bad_option(bundle: Bundle) -> None:
    """An option that neither we nor the file system know is an error that names the target."""
    box = bundle("true")
    box.mount("/small", "tmpfs", "tmpfs", "surprise=1")

    result = box.run()

    assert result.status == 1
    assert "small" in result.err


def test_bad_type(bundle: Bundle) -> None:
    """A file system that does not exist is an error."""
    box = bundle("true")
    box.mount("/small", "surprisefs", "none")

    assert box.run().status == 1


@pytest.mark.unlike("crun", "makes everything private at the end")
@pytest.mark.parametrize(
    "word", ["shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"]
)
def test_propagation(bundle: Bundle, word: str) -> None:
    """Propagation is that of the option, for a new mount and for a bind."""
    box = bundle()
    box.mount("/new", "tmpfs", "tmpfs", word)
    with shared_mount(box.folder / "source") as source:
        box.bind(source, "/bind", word)
        found = {mount.target: mount for mount in mounts_of(box)}

    # The container's mounts are slaves of the host's to begin with; a new tmpfs has no master to be a slave of.
    tags = {"shared": {"shared", "master"}, "unbindable": {"unbindable"}, "private": set[str](), "slave": {"master"}}
    assert found["/bind"].tags == tags[word.removeprefix("r")]
    assert found["/new"].tags == tags[word.removeprefix("r")] - {"master"}


def test_propagation_default(bundle: Bundle) -> None:
    """Without a word on it, no mount of the container propagates back to the host."""
    box = bundle()
    box.bind(make_source(box), "/bind")

    assert all("shared" not in mount.tags for mount in mounts_of(box))


def test_shared_bind_reaches_the_host(bundle: Bundle) -> None:
    """What a container mounts below an rshared bind appears on the host, if the host shares it."""
    box = bundle()
    box.linux["rootfsPropagation"] = "rshared"
    box.capabilities("CAP_SYS_ADMIN")
    with shared_mount(box.folder / "source") as source:
        box.bind(source, "/bind", "rshared")
        box.up("mount -t tmpfs tmpfs /bind/deeper && echo mounted; sleep 1000")
        box.wait_for("mounted")

        assert os.path.ismount(source / "deeper")


def test_bind(bundle: Bundle) -> None:
    """A bind mount shows the folder of the host, and writes reach it."""
    box = bundle()
    source = make_source(box)
    box.bind(source, "/data")

    assert box.output_of("cat /data/file; echo new > /data/new") == "content"
    assert (source / "new").read_text() == "new\n"


def test_bind_relative(bundle: Bundle) -> None:
    """The relative source of a bind mount starts at the bundle."""
    box = bundle()
    make_source(box)
    box.bind("source", "/data")

    assert box.output_of("cat /data/file") == "content"


def test_bind_read_only(bundle: Bundle) -> None:
    """A read-only bind mount cannot be written, and the host's folder still can."""
    box = bundle()
    source = make_source(box)
    box.bind(source, "/data", "ro")

    result = box.sh("touch /data/new").run()

    assert "Read-only file system" in result.err
    (source / "other").touch()


def test_bind_file(bundle: Bundle) -> None:
    """A file is bound on a file, which is made with its folders when it is missing."""
    box = bundle()
    source = make_source(box)
    box.bind(source / "file", "/new/folder/name")
    box.bind(source / "file", "/etc/passwd")

    assert box.output_of("cat /new/folder/name /etc/passwd") == "content\ncontent"
    assert (box.rootfs / "new/folder/name").is_file()


def test_bind_missing(bundle: Bundle) -> None:
    """A bind mount of what is not there is an error that names it."""
    box = bundle("true")
    box.bind("/nowhere/at/all", "/data")

    result = box.run()

    assert result.status == 1
    assert "/nowhere/at/all" in result.err


def test_rbind(bundle: Bundle) -> None:
    """rbind brings the mounts below along, bind does not; `ro` holds for the top alone, `rro` for all."""
    box = bundle()
    source = make_source(box)
    box.mount("/rbind", "none", source, "rbind", "ro")
    box.mount("/bind", "none", source, "bind")
    box.mount("/rro", "none", source, "rbind", "rro")
    writes = "touch /rbind/x || echo top; touch /rbind/inner/x && echo inner; touch /rro/inner/y || echo rro"
    with shared_mount(source / "inner"):
        out = box.output_of(f"cat /rbind/inner/file; ls /bind/inner; {writes}")

    assert out.split() == ["inner", "top", "inner", "rro"]


def test_order(bundle: Bundle) -> None:
    """Mounts happen in the listed order: a later one covers an earlier one, and may lie in it."""
    box = bundle()
    box.bind(make_source(box, "first"), "/data")
    box.mount("/data")
    box.bind(make_source(box, "second"), "/data/deeper/still")

    targets = [mount.target for mount in mounts_of(box)]

    assert (
        targets.index("/data") < len(targets) - 1 - targets[::-1].index("/data") < targets.index("/data/deeper/still")
    )
    assert box.output_of("ls /data; cat /data/deeper/still/file") == "deeper\ncontent"


@pytest.mark.unlike("crun", "gives them the tmpfs's sticky bit")
def test_targets_are_made(bundle: Bundle) -> None:
    """Missing targets are made with the folders above them, open to all and writable by root."""
    box = bundle()
    box.mount("/one/two/three", "tmpfs", "tmpfs", "mode=700")

    assert box.output_of("stat -c %a /one /one/two") == "755\n755"


@pytest.mark.unlike("crun", "does not follow a link to nothing")
@pytest.mark.parametrize("link", ["/outside", "../../../../../../outside", "../outside"])
def test_link_in_target(bundle: Bundle, link: str) -> None:
    """A symbolic link in a target leads to a place below the rootfs, never to one of the host."""
    box = bundle()
    (box.rootfs / "link").symlink_to(link)
    box.bind(make_source(box), "/link/deeper")

    assert box.output_of("cat /outside/deeper/file") == "content"
    assert not Path("/outside").exists()
    assert not (box.folder / "outside").exists()


def test_link_as_target(bundle: Bundle) -> None:
    """A target that is a link is followed below the rootfs."""
    box = bundle()
    (box.rootfs / "real").mkdir()
    (box.rootfs / "link").symlink_to("/real")
    box.bind(make_source(box), "/link")

    assert box.output_of("cat /real/file") == "content"


@pytest.mark.parametrize("target", ["/proc", "/sys"])
def test_proc_may_be_no_link(bundle: Bundle, target: str) -> None:
    """A rootfs whose /proc or /sys is a symbolic link is refused."""
    box = bundle("true")
    path = box.rootfs / target[1:]
    path.rmdir()
    (box.rootfs / "elsewhere").mkdir()
    path.symlink_to("elsewhere")

    assert box.run().status == 1


@pytest.mark.unlike("crun", "allows it")
def test_nothing_over_proc(bundle: Bundle) -> None:
    """Nothing but a procfs is mounted over or into /proc, apart from the files that tools are known to fake."""
    box = bundle("true")
    box.bind(make_source(box), "/proc/self")

    assert box.run().status == 1


def test_tmpfs_takes_the_mode(bundle: Bundle) -> None:
    """A tmpfs without a mode has that of the folder it covers."""
    box = bundle()
    (box.rootfs / "covered").mkdir()
    (box.rootfs / "covered").chmod(0o2751)
    box.mount("/covered")
    box.mount("/given", "tmpfs", "tmpfs", "mode=1777")

    modes = box.output_of("stat -c %a /covered /given").split()

    assert modes[0].removeprefix("2") == "751"
    assert modes[1] == "1777"


def test_tmpcopyup(bundle: Bundle) -> None:
    """tmpcopyup fills the new tmpfs with what the image has there, and leaves the image as it is."""
    box = bundle()
    (box.rootfs / "filled/inner").mkdir(parents=True)
    (box.rootfs / "filled/inner/file").write_text("copied\n")
    box.mount("/filled", "tmpfs", "tmpfs", "tmpcopyup")

    assert box.output_of("cat /filled/inner/file; touch /filled/new") == "copied"
    assert not (box.rootfs / "filled/new").exists()


def test_cgroup_mount(bundle: Bundle) -> None:
    """The cgroup mount of `spec` shows the container's own cgroups, and cannot be written."""
    box = bundle()
    one = "" if Path("/sys/fs/cgroup/cgroup.procs").exists() else "/memory"
    if not one:
        box.namespace("cgroup")  # as `spec` has it there

    result = box.sh(f"cat /sys/fs/cgroup{one}/cgroup.procs; mkdir /sys/fs/cgroup{one}/new").run()

    assert result.out.split()[0] == "1", result
    assert "Read-only file system" in result.err


def test_remount(bundle: Bundle) -> None:
    """`remount` changes the flags of an earlier mount."""
    box = bundle()
    box.mount("/data", "tmpfs", "tmpfs", "nosuid")
    box.mount("/data", "tmpfs", "tmpfs", "remount", "ro", "nosuid")

    assert "ro" in at(box, "/data").options


def test_spaces_and_beyond_ascii(bundle: Bundle) -> None:
    """Sources and targets may hold spaces, commas and letters beyond ASCII."""
    box = bundle()
    source = make_source(box, "a b,c:d \u00e9")
    box.bind(source, "/a b,c:d \u00e9")

    assert box.output_of("cat '/a b,c:d \u00e9/file'") == "content"


def test_bind_proc_of_the_host_read_only(bundle: Bundle) -> None:
    """A recursive bind of /sys, as rootless containers use it, works read-only."""
    box = bundle()
    box.without_mount("/sys", "/sys/fs/cgroup")
    box.mount("/sys", "none", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro")

    result = box.sh("ls /sys/kernel > /dev/null && mkdir /sys/fs/new").run()

    assert "Read-only file system" in result.err
