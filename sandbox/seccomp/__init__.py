"""linux.seccomp as flags and a program for seccomp(2): from the cache, else compiled and kept.

On the hot path: a filter that is in the cache is found without libseccomp, cffi or hashlib.
"""

from __future__ import annotations

import posix

from pyrunc.sandbox.seccomp import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.runtime import Spec
    from pyrunc.specs.seccomp import Seccomp


def filter_of(spec: Spec) -> tuple[int, bytes] | None:
    """(flags for seccomp(2), program) for a container, or None where its document asks for no filter."""
    ready = spec.annotations.get("run.oci.seccomp_bpf_data")
    if ready is not None:
        from pyrunc.sandbox.seccomp.ready import ready_filter

        return ready_filter(ready, spec.linux.seccomp)
    if spec.linux.seccomp is None:
        return None
    fail_unknown = spec.annotations.get("run.oci.seccomp_fail_unknown_syscall", "0") != "0"
    return filter_for(spec.linux.seccomp, fail_unknown=fail_unknown)


def filter_for(
    seccomp: Seccomp, folder: str | None = "", machine: str = "", fail_unknown: bool = False
) -> tuple[int, bytes] | None:
    """(flags for seccomp(2), program), or None where the document asks for no filter.

    `folder` of the cache: "" for the user's own, None for no cache. `machine` as `uname -m` has it, "" for this one.
    `fail_unknown`: a name that is no system call is an error.
    """
    if not seccomp.default_action and not seccomp.syscalls:
        return None
    machine = machine or posix.uname().machine
    if folder == "":
        folder = cache.default_folder()
    if folder is None:
        return _compile(seccomp, machine, fail_unknown)
    name = cache.key(seccomp, machine, fail_unknown)
    found = cache.load(folder, name)
    if found is None:
        found = _compile(seccomp, machine, fail_unknown)
        cache.store(folder, name, *found, library_file())
    return found


def _compile(seccomp: Seccomp, machine: str, fail_unknown: bool) -> tuple[int, bytes]:
    try:
        from pyrunc.sandbox.seccomp.compile import compile_filter
    except ImportError as error:
        from pyrunc.specs.errors import Failure

        raise Failure(
            "compile the seccomp filter", seccomp.pointer, detail=str(error),
            hint="install libseccomp, or pyrunc again where it is installed",
        ) from None  # fmt: skip
    return compile_filter(seccomp, machine, fail_unknown)


def library_file() -> str:
    """The file of the libseccomp that is in use; our own module's where it is linked into that."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            path = line[line.find("/") :].rstrip("\n") if "/" in line else ""
            if "libseccomp" in path.rpartition("/")[2]:
                return path
    from pyrunc.sandbox.native import _seccomp

    return str(_seccomp.__file__)
