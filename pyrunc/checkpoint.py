"""Saves the processes of a container to files, by CRIU, so that `restore` can make them again.

CRIU stops the processes, writes its images, and ends the processes or lets them go on; until it has said that all is
written it lets them go on, so a checkpoint that fails leaves the container as it was. Must not keep anything in the
state folder. Never loaded on the path of a start.
"""

from __future__ import annotations

import json
import os
import re
import stat

from pyrunc.bundle import read_config
from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.compile.restore import bound, masked
from pyrunc.sandbox.criu.requests import (
    CONFIG_ANNOTATION,
    DEV_NULL,
    DUMP_LOG,
    EXTERNAL,
    OWN_CONFIG,
    cgroup_mode,
    config_file,
    dump_request,
)
from pyrunc.sandbox.facts import read_facts
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.specs.runtime import decode_spec
from pyrunc.store import NoContainer, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyrunc.record import Record
    from pyrunc.sandbox.criu.options import CriuOptions
    from pyrunc.specs.runtime import Spec

DESCRIPTORS = "descriptors.json"  # what standard input, output and error were, for those who restore
STREAMS = 3
KIND = {"network": "net", "pid": "pid"}  # names in /proc/PID/ns


def checkpoint(root: str, id: str, options: CriuOptions) -> list[str]:
    """Saves the container's processes to `options.images`, and deletes the container unless it is to go on. Returns
    warnings of the deletion."""
    store = Store(root)
    record = store.load(id)
    status = store.status(record)
    if status not in ("running", "paused"):
        raise PyruncError(f"Container cannot be checkpointed in {status} state")
    cgroup_mode(options.cgroups_mode)  # a word that is none, before anything is made
    prepare_images(options)
    spec = decode_spec(read_config(f"{store.path(id)}/config.json"))
    _check_abilities(options)
    _dump(record, spec, store.path(id), options)
    if options.leave_running or options.pre_dump:
        return []
    from pyrunc.manage import delete

    try:
        return delete(root, id, force=True)
    except NoContainer:
        return []  # a `run` in the foreground has seen the end of its container, and was faster


def prepare_images(options: CriuOptions) -> None:
    """Makes the folder of the images, and looks at the one of the images before them."""
    make_folders(options.images)
    if not options.parent:
        return
    if os.path.isabs(options.parent):
        raise PyruncError("--parent-path must be relative", hint="relative to the folder of the images")
    path = os.path.join(options.images, options.parent)
    if not os.path.isdir(path):
        words = "not a directory" if os.path.exists(path) else "no such file or directory"
        raise PyruncError(f"invalid --parent-path: stat {os.path.normpath(path)}: {words}")


def make_folders(path: str) -> None:
    """A folder with its parents. For its owner alone: images hold the memory of processes."""
    try:
        os.makedirs(path, 0o700, exist_ok=True)
    except OSError as error:
        raise Failure(f"make the folder {path}", number=error.errno or 0) from None


def open_folder(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"open the folder {path}", number=error.errno or 0) from None


def clear(folder: int, path: str, log: str) -> None:
    """Takes away what an earlier call has left under the name of the log, and refuses files that are not files of this
    folder alone: CRIU writes with our rights, and by links of whoever the folder belongs to, anywhere."""
    try:
        os.unlink(log, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Failure(f"remove {path}/{log}", number=error.errno or 0) from None
    for name in os.listdir(folder):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if name.endswith((".img", ".json")) and not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            raise Failure(
                f"write {path}/{name}", detail="it is a link, or no file",
                hint="checkpoints go to a folder into which nobody else writes",
            )  # fmt: skip


def criu_config(annotations: Mapping[str, str]) -> str | None:
    """CRIU's configuration file for this container."""
    return config_file(annotations, CONFIG_ANNOTATION not in annotations and os.path.exists(OWN_CONFIG))


def _check_abilities(options: CriuOptions) -> None:
    from pyrunc.sandbox.criu import worker

    worker.check_version(worker.OLDEST)
    if options.pre_dump:
        worker.check_feature("mem_track")
    if not options.lazy_pages:
        return
    worker.check_feature("lazy_pages")
    fd = options.status_fd
    if fd == -1:
        return
    try:
        import fcntl

        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    except (OSError, ValueError):
        raise PyruncError(f"invalid --status-fd argument {fd}: bad file descriptor") from None
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise PyruncError(f"invalid --status-fd argument {fd}: not writable")


def _dump(record: Record, spec: Spec, folder: str, options: CriuOptions) -> None:
    from pyrunc.sandbox.criu import worker

    images = open_folder(options.images)
    work = -1
    try:
        if options.work:
            make_folders(options.work)
            work = open_folder(options.work)
        clear(images, options.images, DUMP_LOG)
        if work >= 0:
            clear(work, options.work, DUMP_LOG)
        if not options.pre_dump:
            _write_descriptors(images, record.pid)
        request = dump_request(
            options, pid=record.pid, root=record.rootfs, images=images, work=work,
            config=criu_config(spec.annotations), mounts=list(_external_mounts(record, spec, folder)),
            namespaces=_external_namespaces(record.pid, spec),
            freezer=record.freezer[1].rpartition("/")[0] if record.freezer else "",
        )  # fmt: skip
        worker.ask(request, {"status-ready": lambda pid, fd: _tell_ready(options.status_fd)})
    except worker.Refused as refusal:
        log = f"{options.work or options.images}/{DUMP_LOG}"
        raise worker.explain(refusal, f"checkpoint container {record.id}", log) from None
    finally:
        os.close(images)
        if work >= 0:
            os.close(work)


def _tell_ready(status_fd: int) -> None:
    """The server of lazy pages listens: whoever waits for that reads a zero, and then the end of the file."""
    if status_fd >= 0:
        try:
            os.write(status_fd, b"\0")
        except OSError:
            pass  # nobody is interested any more
        os.close(status_fd)


def _write_descriptors(images: int, pid: int) -> None:
    streams = []
    for number in range(STREAMS):
        try:
            streams.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        except OSError:
            streams.append("")  # closed by the program
    fd = os.open(DESCRIPTORS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=images)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(streams, file)


def _external_namespaces(pid: int, spec: Spec) -> list[tuple[str, int]]:
    """Those that the container was put into. Asked of the process: the path may be gone."""
    return [
        (item.type, os.stat(f"/proc/{pid}/ns/{KIND[item.type]}").st_ino)
        for item in spec.linux.namespaces
        if item.path and item.type in EXTERNAL
    ]


def _external_mounts(record: Record, spec: Spec, folder: str) -> Iterator[tuple[str, str]]:
    """(place in the container, name) of what was bound from outside: CRIU cannot save it, and is told its name."""
    from pyrunc.sandbox.files import open_in_root

    if "notify" in record.needs:
        from pyrunc.notify import show_in_container

        show_in_container(spec, folder)
    # Mounts are all that matters here, and these would have to be looked up.
    spec.linux.intel_rdt, spec.linux.cgroups_path, spec.linux.resources = None, "", None
    plan = compile_create(spec, read_facts(), Request(record.id, record.bundle, record.rootfs))
    names = [(target, "") for target, _ in bound(plan)] + [(path, DEV_NULL) for path in masked(plan)]
    top = os.open(f"/proc/{record.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        places = _mount_points(record.pid)
        for path, name in names:
            try:
                fd = open_in_root(top, os.fsencode(path), os.O_PATH)
            except OSError:
                continue  # a mask of what is not there, or the container has taken it away
            try:
                place = os.readlink(f"/proc/self/fd/{fd}")
                is_folder = os.path.isdir(f"/proc/self/fd/{fd}")
            finally:
                os.close(fd)
            # A masked folder has a tmpfs over it, which CRIU saves.
            if place in places and not (name == DEV_NULL and is_folder):
                yield place, name or place
    finally:
        os.close(top)


def _mount_points(pid: int) -> set[str]:
    with open(f"/proc/{pid}/mountinfo", "rb") as file:
        found = [line.split(b" ")[4] for line in file]
    # Blanks and backslashes are written as octal numbers.
    return {os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), item)) for item in found}
