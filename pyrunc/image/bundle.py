"""Makes a bundle out of an image: a folder with `rootfs` and `config.json` that a runtime can run.

Everything is made in a folder of its own, which takes its place only when all of it is there and verified; whatever
goes wrong, nothing is left, and what a crash has left is removed by the next one who unpacks there. The bundle is 0700,
because a root file system holds setuid programs that the host's users must not reach (umoci 0.3.1). Must never change
what is already in a bundle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from pyrunc.image import attributes, beginnings, durable, users
from pyrunc.image.apply import Applier, Warn
from pyrunc.image.source import Image, Layer, open_source
from pyrunc.image.stream import contents
from pyrunc.image.tarread import Reader
from pyrunc.image.workplace import leftovers, workplace
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.image.access import Access
    from pyrunc.image.mapped import Map

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
UNFINISHED = ".pyrunc-unpack-"

# What Docker gives: enough for package managers, for changing users and owners, not for the host.
CAPABILITIES = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip


def unpack(
    source: str, bundle: str, platform: str | None, rootless: bool | None, warn: Warn, access: Access | None = None
) -> None:
    """Makes BUNDLE from the image SOURCE. `rootless` None: as the process is, and with all ids that it may have."""
    if rootless is None:
        rootless = is_rootless()
        if os.geteuid() != 0:
            from pyrunc.image import mapped

            maps = mapped.own_maps()
            if maps is not None:
                return mapped.unpack(source, bundle, platform, maps, warn, access)
    make(source, bundle, platform, rootless, warn, access=access)


def make(
    source: str,
    bundle: str,
    platform: str | None,
    rootless: bool,
    warn: Warn,
    maps: tuple[Map, Map] | None = None,
    access: Access | None = None,
) -> None:
    """The work itself. MAPS are those of the user namespace that we are in, when it was made for this."""
    bundle = os.path.abspath(bundle)
    refuse_existing(bundle)
    with closing(open_source(source, platform, access)) as image, workplace_of(bundle) as workplace:
        warn = warn_once(warn)
        fill(workplace, image, rootless, warn, maps)
        beginnings.write(workplace, source, platform or "", image.config.diff_ids, warn, maps is not None)
        publish(workplace, bundle)


def is_rootless() -> bool:
    """Whether owners and devices are beyond us: not root, or root only of a user namespace."""
    if os.geteuid() != 0:
        return True
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.readline().split() != ["0", "0", "4294967295"]


def refuse_existing(bundle: str) -> None:
    try:
        if os.path.isdir(bundle):
            take_back(bundle)
    except OSError as error:
        raise Failure(f"make the bundle {bundle}", number=error.errno or 0) from error
    for name in ("rootfs", "config.json"):
        if os.path.lexists(os.path.join(bundle, name)):
            raise Failure(f"make the bundle {bundle}", detail=f"it already has a {name}")


def take_back(bundle: str) -> None:
    """Undoes a `publish` into an existing folder that a crash has cut in two: its last file is still where it was
    made, but the root file system is there no more."""
    for place in leftovers(bundle, UNFINISHED):
        if os.path.exists(os.path.join(place, "config.json")) and not os.path.exists(os.path.join(place, "rootfs")):
            for name in (beginnings.NAME, "rootfs"):
                if os.path.lexists(os.path.join(bundle, name)):
                    os.rename(os.path.join(bundle, name), os.path.join(place, name))


@contextmanager
def workplace_of(bundle: str) -> Iterator[str]:
    """A folder to work in, on the bundle's own file system: beside it, or in it when it exists."""
    place = bundle if os.path.lexists(bundle) else os.path.dirname(bundle)
    try:
        with workplace(place, UNFINISHED) as made:
            yield made
    except OSError as error:
        raise Failure(f"make the bundle {bundle}", number=error.errno or 0) from error


def fill(workplace: str, image: Image, rootless: bool, warn: Warn, maps: tuple[Map, Map] | None) -> None:
    rootfs = os.path.join(workplace, "rootfs")
    os.mkdir(rootfs, 0o755)
    for path, mode in ((workplace, 0o700), (rootfs, 0o755)):
        # An ACL of the folder above would go on to every file of the image.
        attributes.clear(os.fsencode(path))
        os.chmod(path, mode)
    root = os.open(rootfs, FOLDER)
    try:
        unpack_layers(image, root, rootless, warn)
        user = users.resolve(image.config.execution.user, root)
    finally:
        os.close(root)
    write_document(os.path.join(workplace, "config.json"), runtime_document(image, user, rootless, maps))


def unpack_layers(image: Image, root: int, rootless: bool, warn: Warn) -> None:
    applier = Applier(root, rootless, warn)
    for index, layer in enumerate(image.layers):
        put(applier, layer, index)
    applier.finish()


def put(applier: Applier, layer: Layer, index: int) -> None:
    """The layer with the number INDEX, by whose name errors call it."""
    name, pointer = f"layer {layer.digest or layer.diff_id}", f"layers[{index}]"
    try:
        with closing(contents(layer)) as pieces:
            applier.layer(Reader(pieces))
    except Invalid as error:
        raise Invalid(f"{name}: {error.message}", pointer, error.hint) from error
    except Failure as error:
        raise Failure(f"{error.operation} of {name}", pointer, error.number, error.detail, error.hint) from error
    except OSError as error:
        raise Failure(f"read {name}", pointer, error.errno or 0) from error


def runtime_document(
    image: Image, user: users.Identity, rootless: bool, maps: tuple[Map, Map] | None = None
) -> dict[str, Any]:
    """config.json: the document of `pyrunc spec`, with what the image says and the capabilities that images expect."""
    from pyrunc.specs.convert import runtime_config
    from pyrunc.specs.default import default_spec

    cgroup2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    base = default_spec(rootless, os.geteuid(), os.getegid(), cgroup2)
    # A user other than root starts with none of them, and gets them only by way of setuid programs.
    held = list(CAPABILITIES) if user.uid == 0 else []
    base["process"]["capabilities"] = {"bounding": list(CAPABILITIES), "effective": held, "permitted": held}
    groups: Sequence[int] = user.additional_gids
    if rootless:
        # One id alone is that of the image's user, and leaves no groups to set.
        uids, gids = maps or ([(user.uid, os.geteuid(), 1)], [(user.gid, os.getegid(), 1)])
        base["linux"]["uidMappings"], base["linux"]["gidMappings"] = mappings(uids), mappings(gids)
        groups = groups if maps else ()
    return runtime_config(image.config, uid=user.uid, gid=user.gid, groups=groups, volumes=True, base=base)


def mappings(rows: Map) -> list[dict[str, int]]:
    return [{"containerID": inside, "hostID": here, "size": size} for inside, here, size in rows]


def write_document(path: str, document: dict[str, Any]) -> None:
    import json

    with open(path, "x", encoding="utf-8") as file:
        file.write(json.dumps(document, indent="\t", ensure_ascii=False) + "\n")


def publish(workplace: str, bundle: str) -> None:
    """Puts the work where the bundle is to be: now, and after a power loss."""
    try:
        # Before it has its name, because a name may be on the disk before what is behind it.
        durable.sync_all(workplace)
        if os.path.dirname(workplace) != bundle:
            os.rename(workplace, bundle)
            durable.sync(os.path.dirname(bundle))
            return
        refuse_existing(bundle)
        os.chmod(bundle, 0o700)
        # config.json last, because whoever sees it takes the bundle for whole.
        os.rename(os.path.join(workplace, beginnings.NAME), os.path.join(bundle, beginnings.NAME))
        os.rename(os.path.join(workplace, "rootfs"), os.path.join(bundle, "rootfs"))
        os.rename(os.path.join(workplace, "config.json"), os.path.join(bundle, "config.json"))
        os.rmdir(workplace)
        durable.sync(bundle)
    except OSError as error:
        raise Failure(f"make the bundle {bundle}", number=error.errno or 0) from error


def warn_once(warn: Warn) -> Callable[[str], None]:
    """WARN, which hears each sentence once."""
    said: set[str] = set()

    def once(message: str) -> None:
        if message not in said:
            said.add(message)
            warn(message)

    return once
