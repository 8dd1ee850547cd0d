"""Where the hierarchies are, from the texts of /proc/self/mountinfo and /proc/self/cgroup."""

from __future__ import annotations

import os

from pyrunc.sandbox.cgroup.layout import Layout, Unified, detect, read_layout

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = """\
31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
35 31 0:32 / /sys/fs/cgroup/openrc rw - cgroup cgroup rw,name=openrc
"""


def test_v2() -> None:
    """One cgroup2 mount and no v1 controllers is v2."""
    layout = detect(V2, "0::/user.slice/box\n")

    assert layout.mode == "v2"
    assert layout.unified and layout.unified.own == "/sys/fs/cgroup/user.slice/box"


def test_v1_comounted() -> None:
    """Controllers that are mounted together are one hierarchy; unmounted and foreign named ones are left out."""
    layout = detect(V1, "9:name=openrc:/x\n8:pids:/p\n4:cpu,cpuacct:/c\n3:memory:/m\n1:name=systemd:/s\n")

    assert layout.mode == "v1"
    assert [(h.controllers, h.mount, h.own) for h in layout.hierarchies] == [
        (("cpu", "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/c"),
        (("memory",), "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/m"),
        (("name=systemd",), "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/systemd/s"),
    ]


def test_hybrid() -> None:
    """v1 controllers with a cgroup2 mount anywhere are hybrid."""
    layout = detect(V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), "3:memory:/\n0::/init\n")

    assert layout.mode == "hybrid"
    assert layout.unified and layout.unified.own == "/sys/fs/cgroup/unified/init"


def test_none() -> None:
    """Without any mount there is nothing, whatever /proc/self/cgroup lists."""
    assert detect("", "3:memory:/\n0::/\n").mode == "none"


def test_partial_view() -> None:
    """A mount that shows a part of the tree is entered from its root; what lies outside is seen from its top."""
    shown = "34 31 0:31 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

    def own(path: str) -> str:
        return detect(shown, f"3:memory:{path}\n").hierarchies[0].own

    assert own("/docker/abc") == "/sys/fs/cgroup/memory"
    assert own("/docker/abc/sub") == "/sys/fs/cgroup/memory/sub"
    assert own("/docker/abcd") == "/sys/fs/cgroup/memory"
    assert own("/../..") == "/sys/fs/cgroup/memory"


def test_escaped_mount_point() -> None:
    """Spaces in mountinfo are octal."""
    layout = detect(V2.replace("/sys/fs/cgroup", "/mnt/a\\040b"), "0::/\n")

    assert layout.unified and layout.unified.mount == "/mnt/a b"


def test_base() -> None:
    """A relative path starts at our parent on v2 alone, where our own cgroup holds processes; else at our own."""
    alone = Layout((), Unified((), "/sys/fs/cgroup", "/a/b"))
    top = Layout((), Unified((), "/sys/fs/cgroup", "/"))
    hybrid = detect(V1 + V2.replace("/sys/fs/cgroup", "/u"), "3:memory:/m\n0::/i/j\n")

    assert alone.unified and alone.base(alone.unified) == "/sys/fs/cgroup/a"
    assert top.unified and top.base(top.unified) == "/sys/fs/cgroup"
    assert hybrid.unified and hybrid.base(hybrid.unified) == "/u/i/j"
    assert hybrid.base(hybrid.hierarchies[0]) == "/sys/fs/cgroup/memory/m"


def test_this_machine() -> None:
    """What is read here are folders that we are in."""
    layout = read_layout()
    folders = [h.own for h in layout.hierarchies] + ([layout.unified.own] if layout.unified else [])

    for folder in folders:
        with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
            assert str(os.getpid()) in file.read().split()
