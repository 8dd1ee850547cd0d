"""python -m tests.bench.images: unpacking an image, beside umoci and `gzip -dc | tar -x`.

--base FILE.tar    the root file system of the large layer (default: Debian's, made by mmdebstrap)
--rounds N         (default 3; the fastest counts)
--folder DIR       where to unpack to (default: a new tmpfs)

pyrunc and umoci verify digests, tar does not. Prints, asserts nothing.
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
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.pyrunc.image.images import LAYER, Layout, config_of

SMALL, FOLDERS = 30_000, 300
Figure = tuple[float, float]  # seconds by the clock, seconds of processors


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.images", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--base", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
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
    path = folder / "debian.tar"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "stable", path], check=True)
    return path.read_bytes()


def measured(command: Sequence[str | Path], processors: set[int] | None = None) -> Figure:
    before = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        preexec_fn=(lambda: os.sched_setaffinity(0, processors)) if processors else None,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {child.returncode}")
    return time.perf_counter() - before, usage.ru_utime + usage.ru_stime


def fastest(rounds: int, folder: Path, once: Callable[[Path], Figure]) -> Figure:
    figures = []
    for number in range(rounds):
        place = folder / f"round-{number}"
        place.mkdir()
        figures.append(once(place))
        subprocess.run(["umount", "--quiet", place / "box/rootfs"], stderr=subprocess.DEVNULL)
        shutil.rmtree(place)
    return min(figures)


def show(title: str, figures: dict[str, Figure]) -> None:
    """The first figure is what the ratios are to."""
    base = next(iter(figures.values()))
    print(f"\n{title:34} {'clock':>8} {'ratio':>6} {'CPU':>8} {'ratio':>6}")
    for name, (clock, processors) in figures.items():
        row = f"{clock:7.2f}s {clock / base[0]:6.2f} {processors:7.2f}s {processors / base[1]:6.2f}"
        print(f"{name:34} {row}", flush=True)


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
        "pyrunc image unpack --layers": lambda place: measured(
            [pyrunc, "image", "unpack", "--layers", "--store", place / "store", f"oci:{image}", place / "box"]
        ),
    }
    if shutil.which("umoci"):
        commands["umoci unpack"] = lambda place: measured(["umoci", "unpack", "--image", image, place / "box"])
    figures = {key: fastest(rounds, folder, once) for key, once in commands.items()}
    show(title, figures)


def five(layout: Path, rounds: int, folder: Path) -> None:
    """Layers of equal size into the store, on one processor and on two."""
    program = (
        "import sys; from pyrunc.image import layers; from pyrunc.image.source import open_source; "
        "image = open_source(sys.argv[1], None); layers.unpack(image, sys.argv[2], print)"
    )

    def once(place: Path, processors: int) -> Figure:
        allowed = set(sorted(os.sched_getaffinity(0))[:processors])
        return measured([sys.executable, "-c", program, f"oci:{layout}:five", place / "store"], allowed)

    figures = {
        f"{count} processor(s)": fastest(rounds, folder, lambda place, count=count: once(place, count))  # type: ignore[misc]
        for count in (1, 2)
    }
    show("five equal layers into the store", figures)


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


def main() -> None:
    options = arguments()
    if os.geteuid() != 0:
        raise SystemExit("only root mounts a tmpfs and layers")
    with tempfile.TemporaryDirectory(prefix="pyrunc-bench-") as name:
        folder = Path(name)
        place = options.folder or folder / "place"
        if options.folder is None:
            place.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "bench", place], check=True)
        try:
            base = options.base.read_bytes() if options.base else debian(folder)
            layout, blobs = fill(folder, base)
            megabytes = blobs["debian"].stat().st_size / 1e6
            compare(f"Debian, {megabytes:.0f} MB packed", layout.path, "debian", blobs["debian"], options.rounds, place)
            compare(f"{SMALL} small files", layout.path, "small", blobs["small"], options.rounds, place)
            five(layout.path, options.rounds, place)
        finally:
            if options.folder is None:
                subprocess.run(["umount", place], check=True)


if __name__ == "__main__":
    main()
