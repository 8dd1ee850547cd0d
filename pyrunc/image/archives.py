"""Archives to put an image into: an OCI layout as a tar, for `docker load` with the list manifest.json besides.

The layout is made in a folder beside the archive, which takes its place whole and never replaces another one.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from errno import EEXIST

from pyrunc.image import durable
from pyrunc.image.files import Folder
from pyrunc.image.layout import blob_path, content
from pyrunc.image.reference import parse_name
from pyrunc.image.store import LayoutDestination
from pyrunc.image.workplace import workplace
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import MANIFEST_TYPES, Descriptor, decode_manifest

UNFINISHED = ".pyrunc-archive-"


class ArchiveDestination:
    parallel = 4
    distributes = False

    def __init__(self, path: str, name: str, docker: bool) -> None:
        self.path = path
        self.tag = f"{name}:latest" if docker and name and ":" not in name.rpartition("/")[2] else name
        self.docker = docker
        if os.path.lexists(path):
            raise Failure(f"write {path}", number=EEXIST, hint="an archive is made new; remove the old one first")
        self.stack = ExitStack()
        try:
            self.place = self.stack.enter_context(workplace(os.path.dirname(path) or ".", UNFINISHED))
            # One below, because a layout is locked in its own way.
            self.folder = os.path.join(self.place, "layout")
            self.layout = LayoutDestination(self.folder, name) if not docker else self._docker_layout()
        except BaseException as error:
            self.stack.close()
            if isinstance(error, OSError):
                raise Failure(f"write {path}", number=error.errno or 0) from error
            raise

    def _docker_layout(self) -> LayoutDestination:
        """Called as Docker does it: podman takes the name from there, since the archive is a layout as well."""
        full = parse_name(self.tag) if self.tag else ""
        return LayoutDestination(self.folder, self.tag.rpartition(":")[2], full=full)

    def has(self, descriptor: Descriptor) -> bool:
        return self.layout.has(descriptor)

    def begun(self, descriptor: Descriptor) -> int:
        return 0

    def put_blob(self, descriptor: Descriptor, pieces: Iterator[bytes]) -> None:
        self.layout.put_blob(descriptor, pieces)

    def put_document(self, descriptor: Descriptor, data: bytes) -> None:
        self.layout.put_document(descriptor, data)

    def finish(self, descriptor: Descriptor) -> None:
        self.layout.finish(descriptor)
        folder = self.folder
        packed = os.path.join(self.place, "archive")
        try:
            if self.docker:
                with open(os.path.join(folder, "manifest.json"), "wb") as listing:
                    listing.write(self._listing(descriptor))
            with open(packed, "xb") as file:
                with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    for name in members(folder):
                        tar.add(os.path.join(folder, name), name, recursive=False, filter=plain)
                file.flush()
                os.fsync(file.fileno())
            os.link(packed, self.path)  # not rename: somebody else's archive of that name stays
            durable.sync(os.path.dirname(self.path) or ".")
        except OSError as error:
            raise Failure(f"write {self.path}", number=error.errno or 0) from error

    def _listing(self, descriptor: Descriptor) -> bytes:
        if descriptor.media_type not in MANIFEST_TYPES:
            raise Invalid("a docker-archive holds the images of one platform alone", hint="leave out --all")
        manifest = decode_manifest(content(Folder(self.folder), descriptor), descriptor.media_type)
        layers = [blob_path(layer) for layer in manifest.layers]
        tags = [self.tag] if self.tag else None
        return json.dumps([{"Config": blob_path(manifest.config), "RepoTags": tags, "Layers": layers}]).encode()

    def close(self) -> None:
        self.layout.close()
        self.stack.close()


def members(folder: str) -> list[str]:
    """All that is in a layout, folders before what is in them, always in the same order."""
    found = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        found += [os.path.relpath(os.path.join(place, name), folder) for name in (*folders, *files)]
    return sorted(found)


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes for the same image, whoever packs it when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
