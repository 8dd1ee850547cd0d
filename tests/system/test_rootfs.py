"""The root file system: read-only, propagation, default and listed devices, links, masked and read-only paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import Bundle
from .document import Document
from .test_mounts import at

DEVICES = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}


def test_read_only(bundle: Bundle) -> None:
    """root.readonly makes the root read-only, and the mounts in it stay as they are."""
    box = bundle("sh", "-c", "touch /file; touch /dev/shm/file && echo fine")
    box.config["root"]["readonly"] = True

    result = box.run()

    assert "Read-only file system" in result.err
    assert result.out == "fine\n"
    assert not (box.rootfs / "file").exists()


def test_writable(bundle: Bundle) -> None:
    """Without it, writes reach the bundle's rootfs."""
    box = bundle("touch", "/file")

    assert box.run().ok
    assert (box.rootfs / "file").exists()


@pytest.mark.parametrize("path", ["relative", "absolute"])
def test_root_path(bundle: Bundle, path: str) -> None:
    """root.path is relative to the bundle, or absolute."""
    box = bundle("cat", "/here")
    (box.rootfs / "here").write_text("yes\n")
    if path == "absolute":
        box.config["root"]["path"] = str(box.rootfs)

    assert box.run().out == "yes\n"


def test_host_is_gone(bundle: Bundle) -> None:
    """Nothing of the host's tree is left in the container's mounts."""
    box = bundle("cat", "/proc/self/mountinfo")

    lines = box.run().lines

    assert len(lines) < 40
    assert not any("/old" in line.split()[4] or "pivot" in line.split()[4] for line in lines)
    assert not any(line.split()[4].startswith(str(box.folder)) for line in lines)


@pytest.mark.parametrize(
    ("word", "tags"),
    [("shared", {"shared"}), ("slave", {"master"}), ("private", set()), ("unbindable", {"unbindable"})],
)
def test_propagation(bundle: Bundle, word: str, tags: set[str]) -> None:
    """rootfsPropagation is the propagation of `/` in the container."""
    box = bundle()
    if word == "slave" or (word == "unbindable" and box.runtime.kind == "crun"):
        pytest.skip("shows nothing: the root is a new mount, with no master")
    box.linux["rootfsPropagation"] = word

    assert tags <= at(box, "/").tags


def test_propagation_default(bundle: Bundle) -> None:
    """Without rootfsPropagation the root is shared with nobody."""
    assert "shared" not in at(bundle(), "/").tags


def test_default_devices(bundle: Bundle) -> None:
    """The default devices are there with their numbers, for everybody to read and write, and they work."""
    box = bundle()
    names = " ".join(f"/dev/{name}" for name in DEVICES)

    lines = box.output_of(f"stat -c '%F %t:%T %a %u' {names}; head -c 3 /dev/zero | od -An -tx1").splitlines()

    assert lines[:-1] == [f"character special file {number} 666 0" for number in DEVICES.values()]
    assert lines[-1].split() == ["00", "00", "00"]


def test_default_links(bundle: Bundle) -> None:
    """The default links are there."""
    box = bundle()

    out = box.output_of("for name in fd stdin stdout stderr ptmx; do readlink /dev/$name; done")

    assert out.split() == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]


def test_no_console_without_terminal(bundle: Bundle) -> None:
    """/dev/console is no device of the host's when there is no terminal."""
    box = bundle()

    assert box.output_of("test -c /dev/console && echo there || true") == ""


def device(**fields: object) -> Document:
    return {"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8, **fields}


def test_listed_devices(bundle: Bundle) -> None:
    """Listed devices have the type, numbers, mode and owner of the document, wherever their path is."""
    box = bundle()
    box.linux["devices"] = [
        device(path="/dev/mine"),
        device(path="/opt/deep/down", type="b", major=7, minor=99, fileMode=0o604),
        {"type": "p", "path": "/dev/pipe", "fileMode": 0o600, "uid": 0, "gid": 0},
    ]

    out = box.output_of("stat -c '%F %t:%T %a %u:%g' /dev/mine /opt/deep/down /dev/pipe")

    assert out.splitlines() == [
        "character special file 1:3 640 7:8",
        "block special file 7:63 604 7:8",
        "fifo 0:0 600 0:0",
    ]


def test_listed_default(bundle: Bundle) -> None:
    """A default device may be listed again."""
    box = bundle()
    box.linux["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
    box.linux["devices"] = [
        device(path="/dev/null", fileMode=0o666, uid=0, gid=0),
        device(path="/dev/tty", major=5, minor=0, fileMode=0o666),
    ]

    assert box.output_of("stat -c %t:%T /dev/null /dev/tty").split() == ["1:3", "5:0"]


@pytest.mark.parametrize("mapped", [False, True], ids=["root", "user namespace"])
def test_device_twice(bundle: Bundle, mapped: bool) -> None:
    """What an engine lists twice is one device, made or, in a user namespace, bound once."""
    box = bundle()
    if mapped:
        box.user_namespace()
    box.linux["devices"] = [device(path="/dev/zero", minor=5), device(path="/dev/zero", minor=5)]

    mounts = "grep -c /dev/zero /proc/self/mounts || true"

    assert box.output_of(f"stat -c %t:%T /dev/zero; {mounts}").split() == ["1:5", str(int(mapped))]


def test_device_twice_in_two_ways(bundle: Bundle) -> None:
    """Two devices of one path are an error, never one in place of the other."""
    box = bundle("true")
    box.linux["devices"] = [device(path="/dev/mine", minor=3), device(path="/dev/mine", minor=5)]

    assert box.run().status == 1


@pytest.mark.unlike("crun", "makes a character device")
def test_bad_device(bundle: Bundle) -> None:
    """A type of device that does not exist is an error."""
    box = bundle("true")
    box.linux["devices"] = [device(type="z")]

    assert box.run().status == 1


def test_devices_in_bound_dev(bundle: Bundle) -> None:
    """If /dev is a bind mount nothing is made in it."""
    box = bundle()
    source = box.folder / "devices"
    source.mkdir()
    os.mknod(source / "null", 0o20666, os.makedev(1, 3))
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    box.bind(source, "/dev")

    box.output_of("true")

    assert os.listdir(source) == ["null"]


def test_dev_link_stays_inside(bundle: Bundle) -> None:
    """A /dev that is a link in the image leads nowhere on the host."""
    box = bundle()
    outside = box.folder / "outside"
    outside.mkdir()
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    (box.rootfs / "dev").rmdir()
    (box.rootfs / "dev").symlink_to(outside)

    box.sh("true").run()

    assert os.listdir(outside) == []


# -- masked and read-only paths ---------------------------------------------------------------------------------------


def test_masked(bundle: Bundle) -> None:
    """A masked file is empty, a masked folder is empty and cannot be written; what is missing is passed over."""
    box = bundle()
    (box.rootfs / "secret").mkdir()
    (box.rootfs / "secret/file").write_text("secret\n")
    (box.rootfs / "file").write_text("secret\n")
    box.linux["maskedPaths"] = ["/secret", "/file", "/nowhere", "/file", "/secret", "/proc/keys"]

    result = box.sh(
        "cat /file /proc/keys; ls -A /secret; touch /secret/new || echo refused; echo x > /file; cat /file"
    ).run()

    assert result.out == "refused\n", result
    assert (box.rootfs / "file").read_text() == "secret\n"


def test_masked_device(bundle: Bundle) -> None:
    """A masked device reads as empty."""
    box = bundle()
    box.linux["maskedPaths"] = ["/dev/zero"]

    assert box.output_of("head -c 5 /dev/zero | wc -c") == "0"


def test_masked_default(bundle: Bundle) -> None:
    """What `spec` masks cannot be read."""
    box = bundle()

    found = box.output_of(
        "for path in "
        + " ".join(box.linux["maskedPaths"])
        + "; do test -f $path && cat $path; test -d $path && ls -A $path; done; true"
    )

    assert found == ""


@pytest.mark.only("pyrunc")
def test_masked_relative(bundle: Bundle) -> None:
    """A masked path has to be absolute."""
    box = bundle("true")
    box.linux["maskedPaths"] = ["etc"]

    assert box.run().status == 1


def test_masked_link(bundle: Bundle) -> None:
    """A masked path that is a link does not mask anything of the host."""
    box = bundle()
    outside = box.folder / "outside"
    outside.write_text("still here\n")
    (box.rootfs / "link").symlink_to(f"../{outside.name}")
    box.linux["maskedPaths"] = ["/link"]

    box.sh("true").run()

    assert outside.read_text() == "still here\n"


def test_readonly_paths(bundle: Bundle) -> None:
    """A read-only path can be read and not written; what is missing is passed over."""
    box = bundle()
    (box.rootfs / "folder").mkdir()
    (box.rootfs / "folder/file").write_text("content\n")
    box.linux["readonlyPaths"] += ["/folder", "/nowhere", "/folder", "/etc/passwd"]

    result = box.sh(
        "cat /folder/file; touch /folder/new || echo no; echo >> /etc/passwd || echo no; touch /etc/new && echo yes"
    ).run()

    assert result.out.split() == ["content", "no", "no", "yes"]


def test_proc_sys_is_read_only(bundle: Bundle) -> None:
    """What `spec` makes read-only below /proc cannot be written."""
    box = bundle()

    result = box.sh("echo 1 > /proc/sys/kernel/domainname").run()

    assert "Read-only file system" in result.err


def test_no_pivot(bundle: Bundle) -> None:
    """--no-pivot works, and shows nothing of the host."""
    box = bundle("cat", "/proc/self/mountinfo")

    result = box.run("--no-pivot")

    assert result.ok, result
    assert not any(line.split()[4].startswith(str(box.folder)) for line in result.lines)


def test_missing_root(bundle: Bundle) -> None:
    """A document without root is refused."""
    box = bundle("true")
    del box.config["root"]

    assert box.run().status == 1


@pytest.mark.unlike("crun", "follows it")
def test_root_is_link(bundle: Bundle) -> None:
    """A root.path that is a symbolic link is refused."""
    box = bundle("true")
    (box.folder / "link").symlink_to("rootfs")
    box.config["root"]["path"] = "link"

    result = box.run()

    assert result.status == 1


@pytest.mark.only("pyrunc")
def test_umask_of_the_caller(bundle: Bundle) -> None:
    """Folders made for mount points have their mode whatever the umask of the caller."""
    box = bundle()
    box.mount("/made/for/it", "tmpfs", "tmpfs", "mode=755")
    previous = os.umask(0o077)
    try:
        out = box.output_of("stat -c %a /made /made/for")
    finally:
        os.umask(previous)

    assert out.split() == ["755", "755"]
    assert Path(box.rootfs / "made/for").is_dir()
