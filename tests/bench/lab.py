"""The other runtimes to measure against: the lab's, made to run on the host at native speed, or else those on PATH.

The lab is a folder with a newer Debian (`$PYRUNC_LAB`, by default /var/tmp/pyrunc-lab). Its programs want its own C
library, so copies of them get that library's loader and search path written into them, which costs nothing at run
time. An environment variable would not do: runc starts itself again without one.

    python -m tests.bench.lab FOLDER    writes the copies into FOLDER and prints their paths
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {"runc": "usr/sbin/runc", "crun": "usr/bin/crun"}


def from_lab(name: str, folder: Path) -> str | None:
    """A copy of the lab's program that runs here, or None where there is no lab or no patchelf."""
    system = Path(os.environ.get("PYRUNC_LAB", "/var/tmp/pyrunc-lab")) / "sid"
    libraries = system / "usr/lib" / f"{platform.machine()}-linux-gnu"
    loaders = sorted(libraries.glob("ld-linux*"))
    if not (system / PROGRAMS[name]).exists() or not loaders or shutil.which("patchelf") is None:
        return None
    copy = folder / name
    shutil.copy(system / PROGRAMS[name], copy)
    edit = ["patchelf", "--set-interpreter", str(loaders[0]), "--force-rpath", "--set-rpath", str(libraries), str(copy)]
    subprocess.run(edit, check=True)
    return str(copy)


def others(folder: Path) -> dict[str, str]:
    """name -> path of each runtime found."""
    found = {name: from_lab(name, folder) or shutil.which(name) for name in PROGRAMS}
    return {name: path for name, path in found.items() if path}


if __name__ == "__main__":
    for name, path in others(Path(sys.argv[1])).items():
        print(name, path)
