"""Files put into an image without unpacking it: one layer of them, of a whiteout, or of what an archive holds.

Must never read the layers that are there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from pyrunc.image import inventory
from pyrunc.image.apply import clean
from pyrunc.image.changes import Changes, layer, whiteout
from pyrunc.image.draft import Draft, epoch
from pyrunc.image.inventory import Owner, Warn
from pyrunc.image.stream import PIECE, compression, decompressed
from pyrunc.image.tarread import REGULAR, Reader
from pyrunc.image.tarwrite import END, entry, member
from pyrunc.specs.errors import Failure, Invalid

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def insert(draft: Draft, source: str, destination: str, *, opaque: bool, compress: str, warn: Warn) -> None:
    """Puts the file or folder SOURCE at DESTINATION; an OPAQUE folder hides all that was there."""
    target = clean(os.fsencode(destination))
    folder = os.path.isdir(source) and not os.path.islink(source)
    if opaque and not folder:
        raise Invalid(f"{source} is no folder, which alone can be opaque")
    above, _, name = os.path.abspath(source).rpartition("/")
    if not target and not folder:
        raise Invalid("a file cannot be put in the place of the root")
    if not target and opaque:
        raise Invalid("the root cannot be opaque", hint="`pyrunc image import` makes an image of a folder")
    try:
        root = os.open(source if folder else above or "/", FOLDER)
    except OSError as error:
        raise Failure(f"read {source}", number=error.errno or 0) from error
    try:
        try:
            files = (
                inventory.take(root, warn, own_as_root())
                if folder
                else inventory.single(root, os.fsencode(name), own_as_root())
            )
        except OSError as error:
            raise Failure(f"read {source}", number=error.errno or 0) from error
        changes = Changes()
        changes.added = set(files)
        if not target:
            changes.added.discard(b"")  # the root stays as it is; this is what goes into it
        if opaque:
            changes.opaque.add(b"")

        def called(path: bytes) -> bytes:
            if not folder:
                return target
            return target + b"/" + path if target and path else target or path

        draft.add_layer(layer(root, files, changes, epoch(), called), compress)
    finally:
        os.close(root)


def remove(draft: Draft, path: str, *, compress: str) -> None:
    """Whites PATH out."""
    target = clean(os.fsencode(path))
    if not target:
        raise Invalid("the root cannot be whited out")
    draft.add_layer([*member(entry(whiteout(target), REGULAR, 0o600)), END], compress)


def own_as_root() -> Owner:
    """Files of a user who is not root are root's in the image: to him they are what root's are there."""
    return (os.geteuid(), os.getegid()) if os.geteuid() else inventory.ROOT


def add_root(draft: Draft, source: str, *, compress: str, warn: Warn) -> None:
    """Puts a whole root file system, a folder or an archive, on top."""
    if os.path.isdir(source):
        root = os.open(source, FOLDER)
        try:
            files = inventory.take(root, warn, own_as_root())
            changes = Changes()
            changes.added = set(files)
            draft.add_layer(layer(root, files, changes, epoch()), compress)
        finally:
            os.close(root)
    else:
        draft.add_layer(checked(archive(source)), compress)


def archive(path: str) -> Iterator[bytes]:
    """The bytes of a tar archive, which may be compressed; `-` is standard input."""
    try:
        with open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-") as file:
            first = file.read(PIECE)
            if not first:
                raise Invalid(f"{path} is empty: it is no archive")
            kind = compression(first)
            pieces = _pieces(first, file.read)
            yield from decompressed(pieces, kind) if kind else pieces
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from error


def _pieces(first: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = read(PIECE)


def checked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Hands an archive on as it is, once all that is in it has been understood."""
    passed: list[bytes] = []

    def kept() -> Iterator[bytes]:
        for piece in pieces:
            passed.append(piece)
            yield piece

    reader = Reader(kept())
    for item in reader:
        clean(item.name)
        for _ in reader.body():
            yield from passed
            passed.clear()
    yield from passed
