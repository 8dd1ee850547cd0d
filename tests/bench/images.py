"""python -m tests.bench.images: unpacking an image, beside umoci, containerd and `gzip -dc | tar -x`.

--base FILE.tar    the root file system of the large layer (default: Debian's, made by mmdebstrap)
--rounds N         (default 3; the fastest counts)
--folder DIR       where to unpack to (default: a new tmpfs)
--ext4             where to unpack to: a new ext4 in a file

pyrunc, umoci and containerd verify digests, tar does not. containerd is Debian's, of the machine or of the system that
tests/engines has made. The time of the store's syncs (one a layer) stands beside the figures and is not in them.
Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import containerd
from tests.engines import system
from tests.pyrunc.image.images import LAYER, Layout, config_of

SMALL, FOLDERS = 30_000, 300
Figure = tuple[float, float, float]  # seconds by the clock, seconds of processors, seconds of syncs besides

# Unpacks the layers of image 1 into the store 2, bundle 3 (or none) on them; prints the seconds that syncs took.
LAYERS = """
import fcntl, sys, time
from pyrunc.image import layers, source, stacked
named, syncs = layers._name, 0.0
def timed(*arguments):
    global syncs
    start = time.perf_counter()
    named(*arguments)
    syncs += time.perf_counter() - start
layers._name = timed
image, store, bundle = sys.argv[1:]
if bundle:
    stacked.unpack(image, bundle, None, store, print)
else:
    with layers.locked(store, fcntl.LOCK_EX):
        layers.unpack(source.open_source(image, None), store, print)
print(syncs)
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.images", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--base", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--ext4", action="store_true")
    return parser.parse_args()


def small_files(prefix: str, count: int = SMALL) -> bytes:
    """A layer of COUNT files of up to 2 kB."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(count):
            folder = f"{prefix}/{number * FOLDERS // count:03}"
            data = os.urandom(32).hex().encode() * (number % 32)
            info = tarfile.TarInfo(f"{folder}/{number}")
            info.size, info.mtime = len(data), 1_600_000_000
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def debian(folder: Path) -> bytes:
    path = folder / "base.tar"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", system.release(), path, *system.sources()]
    subprocess.run(command, check=True)
    return path.read_bytes()


def measured(command: Sequence[str | Path], processors: set[int] | None = None, syncs: bool = False) -> Figure:
    """What COMMAND takes; SYNCS: it prints what of that were syncs."""
    before = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        preexec_fn=(lambda: os.sched_setaffinity(0, processors)) if processors else None,
    )
    assert child.stdout is not None
    said = child.stdout.read()
    child.stdout.close()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {child.returncode}")
    spent = float(said) if syncs else 0.0
    return time.perf_counter() - before - spent, usage.ru_utime + usage.ru_stime, spent


def fastest(rounds: int, folder: Path, commands: dict[str, Callable[[Path], Figure]]) -> dict[str, Figure]:
    """The commands in turns, because a machine is not always equally fast."""
    figures: dict[str, list[Figure]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, once in commands.items():
            place = folder / f"round-{number}"
            place.mkdir()
            figures[name].append(once(place))
            shutil.rmtree(place)
            subprocess.run(["sync", "--file-system", folder], check=True)  # nobody writes what another has left
    return {name: min(found) for name, found in figures.items()}


def show(title: str, figures: dict[str, Figure]) -> None:
    """Ratios are to the first figure."""
    base = next(iter(figures.values()))
    print(f"\n{title:34} {'clock':>8} {'ratio':>6} {'CPU':>8} {'ratio':>6} {'syncs':>8}")
    for name, (clock, processors, syncs) in figures.items():
        row = f"{clock:7.2f}s {clock / base[0]:6.2f} {processors:7.2f}s {processors / base[1]:6.2f}"
        print(f"{name:34} {row}" + (f" {syncs:7.2f}s" if syncs else ""), flush=True)


def layers(image: str, place: Path, bundle: Path | str, processors: set[int] | None = None) -> Figure:
    return measured([sys.executable, "-c", LAYERS, f"oci:{image}", place / "store", bundle], processors, syncs=True)


def compare(title: str, layout: Path, name: str, blob: Path, rounds: int, folder: Path) -> None:
    pyrunc = Path(sys.executable).parent / "pyrunc"
    one = {min(os.sched_getaffinity(0))}
    image = f"{layout}:{name}"
    tar = f"gzip -dc {blob} | tar -xp --numeric-owner -C"
    commands: dict[str, Callable[[Path], Figure]] = {
        "gzip -dc | tar -x, one core": lambda place: measured(["sh", "-c", f"{tar} {place}"], one),
        "pyrunc image unpack, one core": lambda place: measured(
            [pyrunc, "image", "unpack", f"oci:{image}", place / "box"], one
        ),
        "pyrunc image unpack": lambda place: measured([pyrunc, "image", "unpack", f"oci:{image}", place / "box"]),
        "pyrunc image unpack --layers": lambda place: layers(image, place, place / "box"),
    }
    if shutil.which("umoci"):
        commands["umoci unpack"] = lambda place: measured(["umoci", "unpack", "--image", image, place / "box"])
    if containerd.program("containerd") and containerd.program("ctr"):
        archive = layout.with_name(f"{name}.tar")
        copy = [pyrunc, "image", "copy", "--quiet", f"oci:{image}", f"oci-archive:{archive}:{name}"]
        subprocess.run(copy, check=True, stdout=subprocess.DEVNULL)
        commands["ctr images import"] = lambda place: (*containerd.imported(place, archive), 0.0)
    show(title, fastest(rounds, folder, commands))


def five(layout: Path, rounds: int, folder: Path) -> None:
    """Layers of equal size into the store, on one processor and on two."""
    allowed = sorted(os.sched_getaffinity(0))
    commands: dict[str, Callable[[Path], Figure]] = {
        "1 processor": lambda place: layers(f"{layout}:five", place, "", set(allowed[:1])),
        "2 processors": lambda place: layers(f"{layout}:five", place, "", set(allowed[:2])),
    }
    show("five equal layers into the store", fastest(rounds, folder, commands))


def fill(folder: Path, base: bytes) -> tuple[Layout, dict[str, Path]]:
    layout = Layout(folder / "layout")
    blobs: dict[str, Path] = {}
    images = {
        "debian": [base],
        "small": [small_files("usr/share/small")],
        "five": [small_files(f"usr/share/part-{number}", SMALL // 5) for number in range(5)],
    }
    for name, made in images.items():
        packed = [layout.blob(gzip.compress(layer, 6), LAYER + "+gzip") for layer in made]
        layout.image(*made, name=name, blobs=packed, config=config_of(*made))
        blobs[name] = layout.path / "blobs" / str(packed[0]["digest"]).replace(":", "/")
    layout.write()
    return layout, blobs


@contextmanager
def fresh(folder: Path, ext4: bool) -> Iterator[Path]:
    """A new file system: a tmpfs, or an ext4 in a file."""
    place = folder / "place"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "bench", place]
    if ext4:
        disk = folder / "disk"
        with disk.open("wb") as file:
            file.truncate(4 << 30)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        mount = ["mount", "-o", "loop", disk, place]
    subprocess.run(mount, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def main() -> None:
    options = arguments()
    if os.geteuid() != 0:
        raise SystemExit("only root mounts a file system and layers")
    with tempfile.TemporaryDirectory(prefix="pyrunc-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        place = options.folder or stack.enter_context(fresh(folder, options.ext4))
        base = options.base.read_bytes() if options.base else debian(folder)
        layout, blobs = fill(folder, base)
        megabytes = blobs["debian"].stat().st_size / 1e6
        compare(f"Debian, {megabytes:.0f} MB packed", layout.path, "debian", blobs["debian"], options.rounds, place)
        compare(f"{SMALL} small files", layout.path, "small", blobs["small"], options.rounds, place)
        five(layout.path, options.rounds, place)


if __name__ == "__main__":
    main()
