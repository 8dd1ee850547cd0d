"""Images from Python: the same as `pyrunc image`, typed; each command is one of these functions.

    from pyrunc import images
    name, descriptor = images.pull("docker.io/library/debian:12")
    images.unpack(name, "bundle")
    images.repack("bundle", "oci:layout:changed")
    me = images.Access(credentials="me:secret")
    images.copy("oci:layout:changed", "docker://registry.example/changed:1", target_access=me)

Images are named as on the command line (`pyrunc image copy --help`); `store` is the folder of the store, "" the usual
one; `platform` is `OS/ARCH[/VARIANT]`, "" this machine's; `access` says how a registry is entered; `warn` is told, in
a sentence, what was passed over. Whatever goes wrong is a PyruncError, and nothing half-made is left.
Importing this loads little; each function loads what it needs. Must never print.
"""

from __future__ import annotations

from pyrunc.image.access import Access
from pyrunc.image.making import Said, config, import_, init, insert, new, repack, silent, white_out

__all__ = [
    "Access", "Said", "collect", "config", "copy", "diff", "history", "import_", "init", "insert", "inspect", "listing",
    "mount", "new", "pull", "push", "referrers", "remove", "repack", "tag", "tags", "umount",
    "unpack", "white_out",
]  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyrunc.image.copy import Report
    from pyrunc.image.reference import Place
    from pyrunc.specs.image import Descriptor
    from pyrunc.specs.platform import Platform


# -- between places ---------------------------------------------------------------------------------------------------


def copy(
    source: str,
    target: str,
    *,
    platform: str = "",
    all: bool = False,
    store: str = "",
    access: Access | None = None,
    target_access: Access | None = None,
    referrers: bool = False,
    report: Report | None = None,
) -> Descriptor:
    """Copies an image between any two places, and with REFERRERS what refers to it, such as signatures; the descriptor
    of what the target now means.

    Of an index the image for PLATFORM (`OS/ARCH[/VARIANT]`, this machine's when it is "") is taken, or ALL of it.
    REPORT is told, from several threads, that a blob `begins` after so many bytes, that so many more are `copying`, and
    of each blob and document in the end that it is `copied` or was `there`.
    """
    from pyrunc.image.reference import parse_place

    places = parse_place(source), parse_place(target)
    return _copy(*places, platform, all, store, access, target_access, report, referrers)


def pull(
    source: str,
    *,
    name: str = "",
    platform: str = "",
    all: bool = False,
    store: str = "",
    access: Access | None = None,
    report: Report | None = None,
) -> tuple[str, Descriptor]:
    """Puts an image into the store, under NAME or the one that it has; the name, and what it means.

    A SOURCE that does not say which registry it is in is looked up in the short names of registries.conf.
    """
    from pyrunc.image.reference import Place, parse_name, parse_place
    from pyrunc.specs.errors import Invalid

    place = parse_place(source)
    if place.transport == "store":
        from pyrunc.image.registry.registriesconf import full_name

        place = parse_place(f"docker://{full_name(source)}")
    found = name or (str(place.image) if place.image else place.reference)
    if not found or found.startswith("@"):
        raise Invalid(f"{source} does not say what the image is called", hint="--name NAME")
    target = Place("store", reference=parse_name(found))
    return target.reference, _copy(place, target, platform, all, store, access, None, report)


def push(
    name: str,
    target: str = "",
    *,
    platform: str = "",
    all: bool = False,
    store: str = "",
    access: Access | None = None,
    report: Report | None = None,
) -> Descriptor:
    """Copies an image out of the store, by default to the registry that its name says."""
    from pyrunc.image.reference import parse_name, parse_place

    name = parse_name(name)
    place = parse_place(target or f"docker://{name}")
    if place.transport == "store":
        place = parse_place(f"docker://{target}")
    return _copy(parse_place(name), place, platform, all, store, None, access, report)


# -- bundles ----------------------------------------------------------------------------------------------------------


def unpack(
    source: str,
    bundle: str,
    *,
    platform: str = "",
    rootless: bool | None = None,
    layers: bool = False,
    erofs: bool = False,
    store: str = "",
    access: Access | None = None,
    warn: Callable[[str], None] = silent,
) -> None:
    """Makes the folder BUNDLE, with `rootfs` and `config.json`, from the image SOURCE.

    ROOTLESS notes owners in an attribute and makes empty files of devices; by default it is true for who is not root,
    who then gets real owners by way of the ids in /etc/subuid, if there are any. With LAYERS the bundle is a stack of
    layers that are kept in the store and shared; on EROFS, which takes root, those not yet there as images of it.
    """
    found = _locate(source, store)
    if layers or erofs:
        from pyrunc.image.stacked import unpack as stack

        stack(found, bundle, platform or None, store, warn, access, rootless, erofs)
        return
    from pyrunc.image.bundle import unpack as make_bundle

    make_bundle(found, bundle, platform or None, rootless, warn, access)


def mount(bundle: str, target: str = "") -> None:
    """Shows the layers of BUNDLE, and what has been changed, read-only on the folder TARGET, its `rootfs` when it is
    ""."""
    import os

    from pyrunc.image import stacked

    stacked.mount(os.path.abspath(bundle), target or os.path.join(bundle, "rootfs"))


def umount(bundle: str, target: str = "") -> None:
    """Takes what `mount` shows away."""
    import os

    from pyrunc.image import stacked

    stacked.unmount(target or os.path.join(bundle, "rootfs"))


# -- the store --------------------------------------------------------------------------------------------------------


def tag(name: str, other: str, *, store: str = "") -> None:
    """The image NAME of the store is also called OTHER."""
    from pyrunc.image.reference import parse_name
    from pyrunc.image.store import Store

    Store(store).tag(parse_name(name), parse_name(other))


def remove(name: str, *, store: str = "", access: Access | None = None) -> None:
    """NAME leaves the store (`pyrunc image rm`); `collect` frees the room. With `docker://` it leaves the registry: a
    digest with all of its tags, a tag alone where the registry can do that."""
    from contextlib import closing

    from pyrunc.image.reference import parse_place
    from pyrunc.specs.errors import Invalid

    place = parse_place(name)
    if place.image:
        from pyrunc.image.registry.repository import Repository

        with closing(Repository(place.image, access or Access(), writing=True)) as repository:
            repository.delete()
    elif place.transport == "store":
        from pyrunc.image.store import Store

        Store(store).remove(place.reference)
    else:
        raise Invalid(f"{name} is neither in the store nor in a registry", hint="`rm` removes files and folders")


def collect(*, store: str = "") -> tuple[int, int]:
    """Removes what no name leads to (`pyrunc image gc`), then layers that are in no image and no bundle; how many files
    and bytes."""
    from pyrunc.image.store import Store
    from pyrunc.image.uses import collect_all

    found = [Store(store).collect(), collect_all(store)]
    return sum(count for count, _ in found), sum(size for _, size in found)


def listing(*, store: str = "") -> list[dict[str, Any]]:
    """The images of the store (`pyrunc image ls`): name, digest, size, platforms."""
    from pyrunc.image.inspect import listing as look

    return look(store)


# -- looking ----------------------------------------------------------------------------------------------------------


def tags(repository: str, *, access: Access | None = None) -> list[str]:
    """The tags of `docker://[HOST[:PORT]/]NAME` (`pyrunc image ls docker://...`)."""
    from contextlib import closing

    from pyrunc.image.reference import parse_place
    from pyrunc.image.registry.repository import Repository
    from pyrunc.specs.errors import Invalid

    image = parse_place(repository).image
    if image is None:
        raise Invalid(f"{repository} is not a repository of a registry", hint="docker://[HOST[:PORT]/]NAME")
    with closing(Repository(image, access or Access())) as found:
        return found.tags()


def referrers(
    image: str, artifact_type: str = "", *, platform: str = "", store: str = "", access: Access | None = None
) -> list[dict[str, Any]]:
    """What refers to an image in a registry, the store or a layout, of ARTIFACT_TYPE alone where that is given. Of an
    index the image for PLATFORM is meant, or with "" the index itself."""
    from pyrunc.image.reference import parse_place
    from pyrunc.image.referrers import referrers as look

    return look(parse_place(image), artifact_type, _platform(platform) if platform else None, store, access)


def inspect(source: str, *, platform: str = "", store: str = "", access: Access | None = None) -> dict[str, Any]:
    """What an image is: its digest, platforms, configuration and layers. Signatures are not verified."""
    from contextlib import closing

    from pyrunc.image.inspect import inspect as look
    from pyrunc.image.reference import parse_place
    from pyrunc.image.transport import open_place

    wanted = _platform(platform)
    with closing(open_place(parse_place(source), store, access, wanted)) as found:
        return look(found, wanted)


def history(
    image: str, *, platform: str = "", store: str = "", access: Access | None = None
) -> list[dict[str, Any]]:
    """The steps that an image came about by, each with the layer that it made, if any."""
    from contextlib import closing

    from pyrunc.image.draft import open_draft
    from pyrunc.image.look import history as look

    with closing(open_draft(image, platform, store=store, access=access)) as draft:
        return look(draft)


def diff(
    after: str,
    before: str = "",
    *,
    platform: str = "",
    store: str = "",
    access: Access | None = None,
    warn: Callable[[str], None] = silent,
) -> list[tuple[str, str]]:
    """(`A`dded, `M`odified or `D`eleted; path) of what is other in AFTER, an image or a bundle, than in the image
    BEFORE, by default the one that the bundle AFTER was unpacked from."""
    from pyrunc.image.look import differences_as_caller

    return differences_as_caller(after, before, {"platform": platform, "store": store, "access": access}, warn)


# ---------------------------------------------------------------------------------------------------------------------


def _copy(
    source: Place,
    target: Place,
    platform: str,
    all: bool,
    store: str,
    access: Access | None,
    target_access: Access | None,
    report: Report | None,
    referrers: bool = False,
) -> Descriptor:
    from contextlib import closing

    from pyrunc.image.copy import check_platform
    from pyrunc.image.copy import copy as carry
    from pyrunc.image.transport import open_place, open_target

    wanted = _platform(platform)
    with closing(open_place(source, store, access, wanted)) as opened:
        top = opened.top()  # a source that is not there leaves no trace at the target
        if platform and not all:
            check_platform(opened, *top, wanted)
        with closing(open_target(target, store, target_access, source)) as filled:
            tell = report or (lambda state, descriptor, count: None)
            if not referrers:
                return carry(opened, filled, None if all else wanted, tell)
            from pyrunc.image.referrers import along, copy_signatures

            bring = along(source, access, filled, target)
            descriptor = carry(opened, filled, None if all else wanted, tell, bring)
    if source.image and target.image:
        accesses = access or Access(), target_access or Access()
        copy_signatures(source.image, target.image, [descriptor.digest], accesses, tell)
    return descriptor


def _locate(source: str, store: str) -> str:
    """SOURCE, where a name in the store becomes the layout that the store is and the name in it."""
    from pyrunc.image.reference import parse_place

    place = parse_place(source)
    if place.transport != "store":
        return source
    from pyrunc.image.store import Store

    return Store(store).place(place.reference)


def _platform(text: str) -> Platform:
    import os

    from pyrunc.specs.platform import parse_platform

    return parse_platform(text or os.uname().machine)
