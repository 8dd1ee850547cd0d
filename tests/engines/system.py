"""A Debian system in a folder, with the container engines that Debian itself packages. No tests here.

It is of the machine's own release and from the machine's own apt sources, made once by mmdebstrap and kept in
`$PYRUNC_ENGINES` (default /var/tmp/pyrunc-engines-RELEASE); it is made again when this file's list of packages changes.
What runs in it (`place.py`) gets a copy in memory: nothing ever writes to the folder. Nothing here may touch the
machine's own packages or daemons.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ENGINES = ("podman", "buildah", "containerd", "docker.io")
BELOW = ("runc", "conmon", "catatonit", "tini", "containernetworking-plugins", "uidmap", "fuse-overlayfs",
         "iproute2", "procps")  # fmt: skip
OURS = ("python3", "libcap2", "libseccomp2", "busybox-static")
SOME_RELEASES = ("docker-cli", "netavark", "passt", "slirp4netns")  # engines ask for one or the other
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
STAMP = "etc/pyrunc-engines"
SETTINGS = (
    "--quiet", "--mode=root", "--variant=minbase",
    "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\"",
    # A snapshot of the archive may be old, and a machine's clock wrong.
    "--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Check-Date \"false\"",
    "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
    # Whose ids a rootless podman maps.
    "--customize-hook=chroot \"$1\" useradd --uid 4242 --create-home engine",
    "--customize-hook=echo engine:300000:65536 | tee \"$1/etc/subuid\" >\"$1/etc/subgid\"",
)  # fmt: skip


class Missing(Exception):
    """There can be no such system here; says why."""


def release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("VERSION_CODENAME", "").strip('"')


def folder() -> Path:
    return Path(os.environ.get("PYRUNC_ENGINES") or f"/var/tmp/pyrunc-engines-{release()}")


def sources() -> list[str]:
    """The lines of apt's sources that are this release of Debian's, in whatever form they are written."""
    shape = "$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", shape, "Created-By: Packages", "Origin: Debian"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    signed = f"[signed-by={KEYS}] " if KEYS.exists() else ""
    words = [line.split() for line in listed.splitlines()]
    return sorted({f"deb {signed}{uri} {name} {part}" for uri, name, code, part in words if code.startswith(release())})


def packages() -> list[str]:
    """All that is to be installed, without what this release does not have."""
    show = ["apt-cache", "show", "--no-all-versions", *SOME_RELEASES]
    shown = subprocess.run(show, capture_output=True, text=True, check=False).stdout.splitlines()
    return [*ENGINES, *BELOW, *OURS, *(name for name in SOME_RELEASES if f"Package: {name}" in shown)]


def prepare() -> Path:
    """The folder, made if it is not there or no longer what this file says; Missing where it cannot be had."""
    for program in ("mmdebstrap", "apt-get", "unshare", "nsenter"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = "\n".join([release(), *ENGINES, *BELOW, *OURS, *SOME_RELEASES, *SETTINGS])
        stamp = hashlib.sha256(text.encode()).hexdigest()
        made = target / STAMP
        if not made.exists() or made.read_text() != stamp:
            make(target)
            made.write_text(stamp)
    return target


def make(target: Path) -> None:
    lines = sources()
    if not lines:
        raise Missing("apt's sources name no mirror of Debian")
    new = target.with_name(f"{target.name}.new")
    remove(new)
    command = ["mmdebstrap", *SETTINGS, f"--include={','.join(packages())}", release(), str(new), *lines]
    with open(f"{target}.log", "w+") as log:
        done = subprocess.run(["timeout", "600", *command], stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        remove(new)
        last = " ".join(Path(log.name).read_text(errors="replace").splitlines()[-3:])
        raise Missing(f"mmdebstrap cannot make a system with the engines, see {log.name}: {last}")
    remove(target)
    new.rename(target)


def remove(path: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)
