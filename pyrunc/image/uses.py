"""Which bundles use which layers, and what becomes of layers that none needs.

    FOLDER/bundles/NAME     the path of a bundle and those of the layers that it uses, as JSON

It is a second name of the file `layers` in the bundle, so that a bundle which is moved is still known, and one that is
removed is not (a file of its own where the two are on different file systems; then only the path tells).
Must never take a layer from an image in the store or from a bundle that is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EMLINK, EPERM, EXDEV
from fcntl import LOCK_EX

from pyrunc.image import durable, layers
from pyrunc.image.bundle import is_rootless
from pyrunc.image.files import Folder
from pyrunc.image.layout import content
from pyrunc.image.store import Store, default_folder, manifests
from pyrunc.image.workplace import discard, sweep
from pyrunc.specs.errors import Failure
from pyrunc.specs.image import CONFIG_TYPES, decode_image_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.image.mapped import Map

LIST, BUNDLES = "layers", "bundles"


def folder_of(store: str, maps: tuple[Map, Map] | None) -> str:
    """Where the layers of STORE ("": the usual one) are. Those that are for other ids have other owners."""
    suffix = "-" + hashlib.sha256(repr(maps).encode()).hexdigest()[:12] if maps else ""
    return os.path.join(os.path.abspath(store or default_folder()), f"layers{suffix}")


@contextmanager
def noted(folder: str, workplace: str, bundle: str, paths: Sequence[str]) -> Iterator[None]:
    """Notes that BUNDLE, which is made in WORKPLACE, uses the layers PATHS; taken back when it does not come to be."""
    own = os.path.join(workplace, LIST)
    note = os.path.join(folder, BUNDLES, f"{os.getpid()}-{os.urandom(8).hex()}")
    text = json.dumps([bundle, *paths])
    try:
        os.makedirs(os.path.dirname(note), 0o700, exist_ok=True)
        _write(own, text)
        try:
            os.link(own, note)
        except OSError as error:
            if error.errno not in (EXDEV, EPERM, EMLINK):
                raise
            _write(note, text)
        durable.sync(os.path.dirname(note))  # before the bundle has its name, so that no bundle is unknown
    except OSError as error:
        raise Failure(f"note the layers of {bundle}", number=error.errno or 0) from error
    try:
        yield
    except BaseException:
        os.unlink(note)
        raise


def _write(path: str, text: str) -> None:
    with open(path, "x", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def collect_all(store: str) -> tuple[int, int]:
    """Removes the layers of STORE that nothing needs; how many files and bytes. Those for ids that the caller does not
    have any more are left."""
    from pyrunc.image import mapped

    place = os.path.abspath(store or default_folder())
    count = size = 0
    for maps in (mapped.all_ids() if is_rootless() else None, mapped.own_id()):
        folder = folder_of(place, maps)
        if os.path.isdir(folder):
            files, freed = mapped.collect(folder, place, maps) if maps else collect(folder, place)
            count, size = count + files, size + freed
    return count, size


def collect(folder: str, store: str) -> tuple[int, int]:
    """Removes the layers in FOLDER that neither an image in STORE nor a bundle needs; how many files and bytes."""
    with layers.locked(folder, LOCK_EX):
        try:
            sweep(folder, layers.UNFINISHED)
            kept = wanted(store) | used(os.path.join(folder, BUNDLES))
            return _remove(folder, kept)
        except OSError as error:
            raise Failure(f"collect the layers in {folder}", number=error.errno or 0) from error


def wanted(store: str) -> set[str]:
    """The names of all layers of all images in STORE."""
    if not Store(store).exists():
        return set()
    files, found = Folder(store), set[str]()
    for manifest in manifests(store):
        if manifest.config.media_type in CONFIG_TYPES:
            try:
                config = decode_image_config(content(files, manifest.config))
            except FileNotFoundError:
                continue  # a layout may name what it does not have
            found.update(layers.names(config.diff_ids))
    return found


def used(notes: str) -> set[str]:
    """The names of all layers that bundles use; notes of bundles that are gone go."""
    found: set[str] = set()
    for name in os.listdir(notes) if os.path.isdir(notes) else ():
        path = os.path.join(notes, name)
        with open(path, encoding="ascii") as file:
            text = file.read()
            linked = os.fstat(file.fileno()).st_nlink > 1
        bundle, *paths = json.loads(text)
        if linked or _is_there(bundle, text):
            found.update(map(name_of, paths))
        else:
            os.unlink(path)
    return found


def name_of(path: str) -> str:
    """The name of the layer at PATH: its chain ID."""
    return "/".join(path.split("/")[-3:-1])


def _is_there(bundle: str, text: str) -> bool:
    try:
        with open(os.path.join(bundle, LIST), encoding="ascii") as file:
            return file.read() == text
    except OSError:
        return False


def _remove(folder: str, kept: set[str]) -> tuple[int, int]:
    count = size = 0
    gone = []
    for algorithm in os.listdir(folder):
        if algorithm == BUNDLES or algorithm.startswith(layers.UNFINISHED):
            continue
        for name in os.listdir(os.path.join(folder, algorithm)):
            if f"{algorithm}/{name}" in kept:
                continue
            # Out of its name first, because a layer that has one is whole.
            leaving = os.path.join(folder, f"{layers.UNFINISHED}{name}")
            os.rename(os.path.join(folder, algorithm, name), leaving)
            gone.append(leaving)
        durable.sync(os.path.join(folder, algorithm))  # before files go, so that it is true after a power loss
    for leaving in gone:
        files, freed = _measured(leaving)
        count, size = count + files, size + freed
        discard(leaving)
    return count, size


def _measured(path: str) -> tuple[int, int]:
    """How many files are below PATH, and their bytes."""
    sizes = [os.lstat(os.path.join(above, name)).st_size for above, _, names in os.walk(path) for name in names]
    return len(sizes), sum(sizes)
