"""Mounts beyond the specification: crun's options for links, containers in the host's mount namespace, and what hooks
of container toolkits add."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .box import Box
from .conftest import Bundle
from .test_mounts import make_source


def linked_source(box: Box) -> Path:
    source = make_source(box)
    (source / "link").symlink_to("file")
    return source / "link"


@pytest.mark.only("pyrunc", "crun")
def test_copy_symlink(bundle: Bundle) -> None:
    """A source that is a link is made anew at the target; another source is bound."""
    box = bundle()
    link = linked_source(box)
    box.bind(link, "/new/link", "copy-symlink")
    box.bind(link.parent / "file", "/new/file", "copy-symlink")

    assert box.output_of("readlink /new/link; cat /new/link; cat /new/file") == "file\ncontent\ncontent"
    assert (box.rootfs / "new/link").is_symlink()


@pytest.mark.only("pyrunc")
def test_copy_symlink_over_something_else(bundle: Bundle) -> None:
    """Nothing of the image is replaced by the link."""
    box = bundle()
    (box.rootfs / "taken").write_text("mine\n")
    box.bind(linked_source(box), "/taken", "copy-symlink")
    result = box.sh("true").run()

    assert result.status == 1
    assert "something else is there already" in result.err
    assert (box.rootfs / "taken").read_text() == "mine\n"


@pytest.mark.only("pyrunc", "crun")
def test_src_nofollow(bundle: Bundle) -> None:
    """The link itself is bound, not what it leads to."""
    box = bundle()
    box.bind(linked_source(box), "/there", "src-nofollow", "dest-nofollow")

    assert box.output_of("readlink /there") == "file"


@pytest.mark.only("pyrunc", "crun")
def test_dest_nofollow(bundle: Bundle) -> None:
    """A link at the target is covered itself; what it leads to stays in view."""
    box = bundle()
    (box.rootfs / "etc/real").write_text("real\n")
    (box.rootfs / "etc/alias").symlink_to("real")
    box.bind(make_source(box) / "file", "/etc/alias", "dest-nofollow")

    assert box.output_of("cat /etc/alias /etc/real") == "content\nreal"


@pytest.mark.unlike("runc", "leaves the mounts on the host")
@pytest.mark.unlike("crun", "cannot unmount them")
def test_host_s_mount_namespace(bundle: Bundle) -> None:
    """Without a mount namespace the mounts are made on the host, below the root file system, and go with the
    container."""
    box = bundle()
    box.without_namespace("mount")
    box.linux["maskedPaths"] = box.linux["readonlyPaths"] = []
    box.without_mount("/sys/fs/cgroup")
    box.up("echo up; sleep 1000")
    box.wait_for("up")

    assert f" {box.rootfs}/proc proc " in Path("/proc/mounts").read_text()
    box.delete("--force")
    assert str(box.rootfs) not in Path("/proc/mounts").read_text()


@pytest.mark.unlike("crun", "cannot unmount them")
@pytest.mark.unlike("runc", "leaves the mounts on the host")
def test_host_s_mount_namespace_after_a_failure(bundle: Bundle) -> None:
    """A start that fails takes its mounts back; a mount that was there before stays."""
    box = bundle("/no/such/program")
    box.without_namespace("mount")
    box.linux["maskedPaths"] = box.linux["readonlyPaths"] = []
    box.without_mount("/sys/fs/cgroup")

    assert box.run().status == 1
    assert str(box.rootfs) not in Path("/proc/mounts").read_text()


NODE = "mknod -m 666 {rootfs}/dev/gpu0 c 1 5"
# Not in /dev: a tmpfs of the user namespace takes nothing from our root.
BOUND_NODE = "touch {rootfs}/gpu0; mount --bind /dev/zero {rootfs}/gpu0"
HOOK = """#!/bin/sh
# What hooks of GPU toolkits do: into the mounts of the pid in the state, with tools of the host.
state=$(cat)
pid=$(echo "$state" | sed 's/.*"pid": *\\([0-9]*\\).*/\\1/')
nsenter --target $pid --mount /bin/sh -eu <<END
{node}
mkdir -p {rootfs}/usr/lib/gpu
touch {rootfs}/usr/lib/gpu/library
mount --bind {library} {rootfs}/usr/lib/gpu/library
mount -o remount,bind,ro,nosuid,nodev {rootfs}/usr/lib/gpu/library
END
"""
# Where they add a rule for it: a file with cgroup v1, a program of theirs with v2.
DEVICES = "/sys/fs/cgroup/devices"
RULE = "echo 'c 1:11 w' > {devices}{cgroup}/devices.allow\n"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime"])
@pytest.mark.parametrize("mapped", [False, True], ids=["root", "user namespace"])
def test_hook_of_a_gpu_toolkit(bundle: Bundle, kind: str, mapped: bool) -> None:
    """A hook enters the mount namespace of the pid that its state names, and adds a device node and a library; the
    program finds them."""
    box = bundle()
    if mapped:
        box.user_namespace()
    node, path = (BOUND_NODE, "/gpu0") if mapped else (NODE, "/dev/gpu0")
    library = make_source(box) / "file"
    hook = box.folder / "hook"
    node = node.format(rootfs=box.rootfs)
    hook.write_text(HOOK.format(node=node, rootfs=box.rootfs, library=library))
    os.chmod(hook, 0o755)
    box.config["hooks"] = {kind: [{"path": str(hook), "env": [f"PATH={os.environ['PATH']}"]}]}
    device = f"head -c 1 {path} | od -An -tu1 | tr -d ' '"
    flags = "mount | grep -c '/usr/lib/gpu/library.*ro,nosuid,nodev'"

    found = box.output_of(f"{device}; cat /usr/lib/gpu/library; {flags}")

    assert found == "0\ncontent\n1"


@pytest.mark.skipif(not os.path.isdir(DEVICES), reason="device rules are files with cgroup v1 alone")
@pytest.mark.parametrize("kind", ["prestart", "createRuntime"])
@pytest.mark.parametrize("rule", [True, False], ids=["allowed", "refused"])
def test_device_rule_of_a_hook(bundle: Bundle, kind: str, rule: bool) -> None:
    """A device that the container's rules do not name (here the kernel's log) is refused, unless a hook allows it: the
    rules are in place by then, and stay as the hook leaves them."""
    box = bundle()
    library = make_source(box) / "file"
    node = f"mknod -m 666 {box.rootfs}/dev/gpu0 c 1 11"
    hook = box.folder / "hook"
    text = HOOK.format(node=node, rootfs=box.rootfs, library=library)
    hook.write_text(text + (RULE.format(devices=DEVICES, cgroup=box.cgroup) if rule else ""))
    os.chmod(hook, 0o755)
    box.config["hooks"] = {kind: [{"path": str(hook), "env": [f"PATH={os.environ['PATH']}"]}]}

    found = box.output_of("(: >/dev/gpu0) && echo opened || echo refused; cat /usr/lib/gpu/library")

    assert found == ("opened\ncontent" if rule else "refused\ncontent")
