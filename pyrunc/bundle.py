"""Reads a bundle: config.json decoded and checked, the root file system found. Hot path; must not change anything."""

from __future__ import annotations

import posix

from pyrunc.specs.errors import Failure, Invalid, PyruncError
from pyrunc.specs.rules import check
from pyrunc.specs.runtime import decode_spec
from pyrunc.store import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.runtime import Spec

LIMIT = 16 << 20  # bytes of config.json
RECEIVER = "run.oci.seccomp.receiver"


class Bundle:
    """A bundle that can be run: `path` and `rootfs` absolute, `config` the bytes of config.json, `spec` its value."""

    __slots__ = ("config", "path", "rootfs", "spec")

    def __init__(self, path: str, rootfs: str, config: bytes, spec: Spec) -> None:
        self.path = path
        self.rootfs = rootfs
        self.config = config
        self.spec = spec


def load_bundle(path: str, document: str = "") -> Bundle:
    """The bundle in folder `path`. Raises Invalid for a document that breaks the specification, Failure for a file that
    cannot be read; both before anything has been done. `document` is a file to read instead of its config.json."""
    path = absolute(path)
    config = read_config(document or f"{path}/config.json")
    spec = decode_spec(config)
    complete_seccomp(spec)
    check(spec)
    for mount in spec.mounts:
        # A bind's relative source is relative to the bundle (config.md "Mounts").
        if mount.source and mount.source[0] != "/" and ("bind" in mount.options or "rbind" in mount.options):
            mount.source = absolute(f"{path}/{mount.source}")
    return Bundle(path, _rootfs(path, spec), config, spec)


def complete_seccomp(spec: Spec) -> None:
    """The agent that crun's annotation names, where linux.seccomp names none."""
    seccomp = spec.linux.seccomp
    if seccomp is not None and not seccomp.listener_path:
        seccomp.listener_path = receiver(spec)


def receiver(spec: Spec) -> str:
    """Who gets a seccomp listener where the document has no listenerPath; "" for nobody."""
    path = spec.annotations.get(RECEIVER)
    if path is None:
        path = posix.environ.get(b"RUN_OCI_SECCOMP_RECEIVER", b"").decode("utf-8", "surrogateescape")
    if path and path[0] != "/":
        raise Invalid(f"the seccomp receiver `{path}` is not an absolute path", f'annotations["{RECEIVER}"]')
    return path


def read_config(path: str) -> bytes:
    """The bytes of a config.json; runc's text when there is none."""
    try:
        if config := read_document(path):
            return config
    except Failure as failure:
        if failure.number != 2:  # ENOENT
            raise
        raise PyruncError(
            "JSON specification file config.json not found", hint="`pyrunc spec` writes one; --bundle names the folder"
        ) from None
    raise Invalid("config.json is empty", hint="`pyrunc spec` writes one")  # or a fifo, which has nothing to say


def read_document(path: str, waits: bool = False) -> bytes:
    """The bytes of a JSON document, at most 16 MiB. `waits`: also from a pipe whose writer has not written yet, as a
    shell's <(...) is."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError as error:
        raise Failure(f"open {path}", number=error.errno or 0) from None
    try:
        if waits:
            posix.set_blocking(fd, True)  # only now: to open a fifo that nobody writes to would wait for ever
        parts = []
        left = LIMIT + 1
        while left > 0 and (part := posix.read(fd, min(left, 65536))):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from None
    finally:
        posix.close(fd)
    if left <= 0:
        raise Invalid(f"{path.rpartition('/')[2]} is larger than {LIMIT >> 20} MiB")
    return b"".join(parts)


def _rootfs(bundle: str, spec: Spec) -> str:
    root = spec.root
    if root is None or not root.path:
        raise Invalid(
            "root.path must not be empty", "root.path", "name the folder with the root file system", "config.md#root"
        )
    given = root.path if root.path[0] == "/" else f"{bundle}/{root.path}"
    path = absolute(given)
    try:
        mode = posix.lstat(path).st_mode
    except OSError as error:
        raise Failure(f"find the root file system {path}", "root.path", error.errno or 0) from None
    if mode & 0o170000 == 0o120000:
        raise Invalid("invalid rootfs: not an absolute path, or a symlink", "root.path", clause="config.md#root")
    if mode & 0o170000 != 0o040000:
        raise Failure(f"use {path} as root file system", "root.path", 20)
    return path
