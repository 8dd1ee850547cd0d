"""Unpacking and repacking by a user who is not root: a child in a user namespace, where the owners an image asks for
are real as far as there are subordinate ids, and where layers can be stacked.

The caller is root in there, /etc/subuid and /etc/subgid give the other ids, newuidmap(1) and newgidmap(1) write the
maps. Both sides speak in lines of JSON: `ready`, then the job, then warnings and how it ended. Must never touch the
bundle on this side: whatever is made belongs to ids that only the child has.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from pyrunc.image.access import Access
from pyrunc.image.making import Said
from pyrunc.specs.errors import Failure, Invalid, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.image.beginnings import Beginning

Map = list[tuple[int, int, int]]  # id in the container, id here, how many

CLONE_NEWUSER = 0x10000000
FIELDS: dict[type[PyruncError], tuple[str, ...]] = {
    Failure: ("operation", "pointer", "number", "detail", "hint"),
    Invalid: ("message", "pointer", "hint", "clause"),
    PyruncError: ("message", "pointer", "hint"),
}


def own_maps() -> tuple[Map, Map] | None:
    """Users and groups of the namespace that this user may have; None where it is of the own id alone."""
    if not all(os.access(f"/usr/bin/{name}", os.X_OK) for name in ("newuidmap", "newgidmap")):
        return None
    uids, gids = subordinate("/etc/subuid"), subordinate("/etc/subgid")
    if not uids or not gids:
        return None
    return joined(os.geteuid(), uids), joined(os.getegid(), gids)


def own_id() -> tuple[Map, Map]:
    """The namespace that everybody may have."""
    return [(0, os.geteuid(), 1)], [(0, os.getegid(), 1)]


def all_ids() -> tuple[Map, Map]:
    """All that this user may have; of root of a user namespace those of that, as they are."""
    if os.geteuid() != 0:
        return own_maps() or own_id()
    uids, gids = ([(first, first, count) for first, count in _own_ranges(name)] for name in ("uid_map", "gid_map"))
    return uids, gids


def _own_ranges(name: str) -> list[tuple[int, int]]:
    with open(f"/proc/self/{name}", encoding="ascii") as file:
        return [(int(first), int(count)) for first, _, count in (line.split() for line in file)]


def ids_of(beginning: Beginning | None) -> tuple[Map, Map] | None:
    """Those in which a bundle's owners are what they are in its container; None where there are none but the own."""
    if not beginning or not beginning.mapped:
        return None
    return all_ids() if beginning.stacked else own_maps()


def subordinate(path: str) -> list[tuple[int, int]]:
    """(first id, how many) of each range that subuid(5) gives to this user, who stands there by name or number."""
    import pwd

    names = [str(os.geteuid())]
    try:
        names.append(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        pass
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.strip().split(":") for line in file]
    except OSError:
        return []
    found = [row for row in rows if len(row) == 3 and row[0] in names and row[1].isdecimal() and row[2].isdecimal()]
    return [(int(first), int(count)) for _, first, count in found if int(count)]


def joined(own: int, ranges: list[tuple[int, int]]) -> Map:
    """The own id as 0, the ranges one after the other from 1 on."""
    made: Map = [(0, own, 1)]
    for first, count in ranges:
        made.append((made[-1][0] + made[-1][2], first, count))
    return made


def unpack(
    source: str,
    bundle: str,
    platform: str | None,
    maps: tuple[Map, Map],
    warn: Callable[[str], None],
    access: Access | None = None,
) -> None:
    """As `bundle.unpack`, by the child. Raises what the child raised."""
    job = {"source": source, "bundle": bundle, "platform": platform, "maps": maps}
    call({"unpack": {**job, "access": members(access)}}, maps, warn)


def repack(options: dict[str, Any], maps: tuple[Map, Map], warn: Callable[[str], None]) -> str:
    """As `repack.repack` with these arguments, by the child; the digest of the image."""
    job = {**options, "access": members(options["access"]), "said": members(options["said"])}
    digest: str = call({"repack": job}, maps, warn)["done"]
    return digest


def stack(options: dict[str, Any], maps: tuple[Map, Map], warn: Callable[[str], None], access: Access | None) -> None:
    """As `stacked.make` with these arguments, by the child."""
    call({"stack": {**options, "maps": maps, "access": members(access)}}, maps, warn)


def collect(folder: str, store: str, maps: tuple[Map, Map]) -> tuple[int, int]:
    """As `uses.collect`, by the child."""
    count, size = call({"collect": {"folder": folder, "store": store}}, maps, lambda message: None)["done"]
    return count, size


def differences(options: dict[str, Any], maps: tuple[Map, Map], warn: Callable[[str], None]) -> list[tuple[str, str]]:
    """As `look.differences` with these arguments, by the child."""
    rows = call({"differences": {**options, "access": members(options["access"])}}, maps, warn)["done"]
    return [(kind, path) for kind, path in rows]


def members(value: Access | Said | None) -> dict[str, Any]:
    """What an equal one is made of; whom it tells is the same on either side."""
    names = [name for name in value.__slots__ if name not in ("said", "warn")] if value else []
    return {name: getattr(value, name) for name in names}


def call(job: dict[str, Any], maps: tuple[Map, Map], warn: Callable[[str], None]) -> dict[str, Any]:
    """Has the child do a job; its last word."""
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rw", encoding="ascii") as lines:
        with theirs:
            child = subprocess.Popen(child_command(theirs.fileno()), pass_fds=[theirs.fileno()])
        try:
            expect(lines, warn, "ready")
            write_maps(child.pid, maps)
            say(lines, **job)
            return expect(lines, warn, "done")
        except BaseException:
            child.terminate()  # it removes what it has made
            raise
        finally:
            child.wait()


def write_maps(pid: int, maps: tuple[Map, Map]) -> None:
    from pyrunc.sandbox import idmap

    uids, gids = ("\n".join(" ".join(map(str, row)) for row in rows) for rows in maps)
    # Who may not map groups has to give up setgroups(2) first; in there nobody would use it.
    alone = os.geteuid() != 0 and len(maps[1]) == 1
    idmap.write_maps(pid, alone, uids, gids)


def child_command(control: int) -> list[str]:
    """This Python and package again, wherever they were found."""
    program = f"import sys; sys.path[:] = {sys.path!r}; from pyrunc.image.mapped import child; child({control})"
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", program]


# -- the child --------------------------------------------------------------------------------------------------------


def child(control: int) -> None:
    """Unpacks as root of a new user namespace. Ends in silence when the other side has gone or tells it to."""
    import signal

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    with socket.socket(fileno=control) as ours, ours.makefile("rw", encoding="ascii") as lines:
        try:
            work(lines)
        except PyruncError as error:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing is left to be removed
            kind = next(item for item in FIELDS if isinstance(error, item))
            say(lines, error=kind.__name__, values=[getattr(error, name) for name in FIELDS[kind]])
        except (KeyboardInterrupt, BrokenPipeError):
            pass


def work(lines: TextIO) -> None:
    import json

    enter_user_namespace()
    say(lines, ready=True)
    line = lines.readline()
    if not line:
        return
    job = json.loads(line)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    settle()

    said = threading.Lock()

    def warn(text: str) -> None:
        with said:  # layers are unpacked by several threads
            say(lines, warning=text)

    ((kind, options),) = job.items()
    if "access" in options:
        options["access"] = Access(**options["access"], warn=warn)
    say(lines, done=JOBS[kind](options, warn))


def _unpack(options: dict[str, Any], warn: Callable[[str], None]) -> None:
    from pyrunc.image.bundle import make

    make(**options, rootless=True, warn=warn)


def _stack(options: dict[str, Any], warn: Callable[[str], None]) -> None:
    from pyrunc.image.stacked import make

    make(**options, warn=warn)


def _repack(options: dict[str, Any], warn: Callable[[str], None]) -> str:
    from pyrunc.image.repack import repack

    return repack(**options | {"said": Said(**options["said"])}, warn=warn)[0].digest


def _differences(options: dict[str, Any], warn: Callable[[str], None]) -> list[tuple[str, str]]:
    from pyrunc.image.look import differences

    return differences(**options, warn=warn)


def _collect(options: dict[str, str], warn: Callable[[str], None]) -> tuple[int, int]:
    from pyrunc.image.uses import collect

    return collect(**options)


JOBS: dict[str, Callable[[Any, Callable[[str], None]], object]] = {
    "unpack": _unpack, "stack": _stack, "repack": _repack, "differences": _differences, "collect": _collect,
}  # fmt: skip


def settle() -> None:
    """This process lives as long as an image takes: it has a name, gains nothing by a setuid program of the image, and
    ends, tidily, when the command that it works for is killed. By python-prctl, where that is installed (the extra
    `prctl`)."""
    import signal

    try:
        import prctl
    except ImportError:
        return
    prctl.set_name("pyrunc-unpack")
    prctl.set_no_new_privs(1)
    prctl.set_pdeathsig(signal.SIGTERM)  # after the change of ids, which takes it away


def enter_user_namespace() -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        hint = "see /proc/sys/user/max_user_namespaces; --rootless without --layers does without"
        raise Failure("make a user namespace", number=ctypes.get_errno(), hint=hint)


# -- the conversation -------------------------------------------------------------------------------------------------


def say(lines: TextIO, **message: Any) -> None:
    import json

    lines.write(json.dumps(message) + "\n")
    lines.flush()


def expect(lines: TextIO, warn: Callable[[str], None], wanted: str) -> dict[str, Any]:
    """Reads until the word that is wanted, and gives what was said with it; raises what comes instead."""
    import json

    for line in lines:
        message: dict[str, Any] = json.loads(line)
        if "warning" in message:
            warn(message["warning"])
        elif "error" in message:
            kind = next(item for item in FIELDS if item.__name__ == message["error"])
            raise kind(**dict(zip(FIELDS[kind], message["values"], strict=True)))
        elif wanted in message:
            return message
    raise Failure("unpack", detail="the process in the user namespace ended unexpectedly")
