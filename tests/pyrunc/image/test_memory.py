"""However many entries a layer has, unpacking it takes no more memory than for a few."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pyrunc.image.images import LAYER, Layout, config_of
from tests.pyrunc.image.tars import END, archive, folder, header, symlink
from tests.pyrunc.image.test_same_as_others import space  # noqa: F401

LIMIT = 60 << 10  # kilobytes

# What the kernel counts for a child begins with what its parent had: this one is small.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def entries(count: int) -> Iterator[bytes]:
    """COUNT entries below a folder that a lower layer has: files together, files alone in folders that no entry
    describes, folders that lock their owner out, symbolic links, names that are no text, whiteouts."""
    for number in range(count // 6):
        yield header(b"usr/share/file-%d" % number)
        yield header(b"usr/share/%d/file" % number)
        yield folder(b"usr/lib/%d" % number, mode=0o500)
        yield symlink(b"usr/lib/link-%d" % number, b"nowhere")
        yield header(b"usr/bin/\xff%d" % number)
        yield header(b"usr/bin/.wh.%d" % number)
    yield END


def packed(layout: Layout, pieces: Iterator[bytes]) -> tuple[dict[str, object], str]:
    """The descriptor and the diff ID of a layer that is never in memory as a whole."""
    out, plain = io.BytesIO(), hashlib.sha256()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as file:
        buffered = io.BufferedWriter(file, 1 << 20)  # type: ignore[type-var]
        for piece in pieces:
            plain.update(piece)
            buffered.write(piece)
        buffered.flush()
    return layout.blob(out.getvalue(), LAYER + "+gzip"), f"sha256:{plain.hexdigest()}"


def check(space: Path, count: int, *flags: str) -> None:  # noqa: F811
    layout = Layout(space / "layout")
    folders = [folder(name) for name in (b"usr", b"usr/share", b"usr/lib", b"usr/bin")]
    base = archive(*folders, header(b"usr/bin/0"))
    lower, (upper, diff_id) = packed(layout, iter([base]))[0], packed(layout, entries(count))
    config = config_of(base)
    config["rootfs"]["diff_ids"].append(diff_id)
    layout.image(name="many", blobs=[lower, upper], config=config)
    layout.write()
    program = Path(sys.executable).with_name("pyrunc")

    command = [program, "image", "unpack", *flags, f"oci:{layout.path}:many", space / "box"]
    done = subprocess.run([sys.executable, "-SEc", MEASURE, *command], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert len(os.listdir(space / "box/rootfs/usr/share")) == count // 6 * 2
    assert len(os.listdir(space / "box/rootfs/usr/bin")) == count // 6
    assert int(done.stdout) < LIMIT


@pytest.mark.parametrize("flags", [(), ("--rootless",)])
def test_a_hundred_thousand_entries(space: Path, flags: tuple[str, ...]) -> None:  # noqa: F811
    """Under 60 MB, with and without privileges."""
    check(space, 100_000, *flags)


@pytest.mark.soak
def test_a_million_entries(space: Path) -> None:  # noqa: F811
    """Under 60 MB still."""
    check(space, 1_000_000)
