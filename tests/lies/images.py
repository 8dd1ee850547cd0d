"""Broken images: how each is made, and the one sentence that pyrunc answers. Data and the words it is written in.

`{source}` in an answer is the folder or file, `{layer}` the digest of the lowest layer, `{bundle}` where it was to go.
"""

# ruff: noqa: E501 - one lie, one line: the answer stands beside what was wrong

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import socket
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pyrunc.image.images import INDEX, LAYER, LOWER, MANIFEST, Layout, config_of, digest, docker_archive
from tests.pyrunc.image.tars import END, archive, file, folder, hardlink, header, long, pax, raw_pax, symlink

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Make = Callable[[Layout, Path], str | Path]


@dataclass(frozen=True)
class ImageLie:
    """`make` breaks an empty layout or writes an archive beside it and gives the source; `{source}` is its path."""

    name: str
    make: Make
    says: str | re.Pattern[str]
    flags: tuple[str, ...] = ()


# -- words ------------------------------------------------------------------------------------------------------------


def of(*layers: bytes, **values: Any) -> Make:
    """An image of these layers, gzipped."""

    def make(layout: Layout, place: Path) -> str:
        layout.image(*layers, **values)
        return f"oci:{layout.write()}"

    return make


def blob(data: bytes, unpacked: bytes, kind: str = LAYER) -> Make:
    """An image of one layer, whose blob is these bytes, truly described, and claims to unpack to those."""

    def make(layout: Layout, place: Path) -> str:
        layout.image(blobs=[layout.blob(data, kind)], config=config_of(unpacked))
        return f"oci:{layout.write()}"

    return make


def written(name: str, data: bytes | None, reference: str = "") -> Make:
    """A good image called `box`, but a file of its layout is this, or not there."""

    def make(layout: Layout, place: Path) -> str:
        layout.image(LOWER, name="box")
        path = layout.write() / name
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        return f"oci:{layout.path}{reference}"

    return make


def indexed(reference: str = "", **values: Any) -> Make:
    """A good image called `box` whose entry in index.json has other values."""

    def make(layout: Layout, place: Path) -> str:
        layout.image(LOWER, name="box")
        layout.manifests[0].update(values)
        return f"oci:{layout.write()}{reference}"

    return make


def manifest(**changes: Any) -> Make:
    """An image whose manifest has other members."""

    def make(layout: Layout, place: Path) -> str:
        good = layout.image(LOWER, listed=False)
        value = json.loads((layout.path / "blobs" / Path(*good["digest"].split(":"))).read_text())
        layout.manifests = [layout.document({**value, **changes}, MANIFEST)]
        return f"oci:{layout.write()}"

    return make


def config(**changes: Any) -> Make:
    """An image whose configuration has other members."""
    return of(LOWER, config={**config_of(LOWER), **changes})


def nested(depth: int) -> Make:
    def make(layout: Layout, place: Path) -> str:
        entry = layout.image(LOWER, listed=False)
        for _ in range(depth):
            entry = layout.index(entry)
        layout.manifests = [entry]
        return f"oci:{layout.write()}"

    return make


def twins(reference: str) -> Make:
    def make(layout: Layout, place: Path) -> str:
        layout.image(LOWER, name="box")
        layout.image(archive(), name="box")
        return f"oci:{layout.write()}{reference}"

    return make


def node(kind: str, transport: str = "oci-archive") -> Make:
    """A source that is no file with bytes in it."""

    def make(layout: Layout, place: Path) -> str:
        path = place / kind
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        elif kind == "loop":
            path.symlink_to(path)
        elif kind == "zeros":
            path.symlink_to("/dev/zero")
        return f"{transport}:{path}"

    return make


def data(content: bytes, transport: str = "oci-archive") -> Make:
    def make(layout: Layout, place: Path) -> str:
        (place / "file").write_bytes(content)
        return f"{transport}:{place / 'file'}"

    return make


def outer(*changes: tuple[str, bytes, str], mode: str = "w", keep: int | None = None) -> Make:
    """A good image in an archive, with members (name, type, link) in the place of those of the same name."""

    def make(layout: Layout, place: Path) -> str:
        layout.image(LOWER)
        path = layout.archive(place / "file", mode)
        with tarfile.open(path, "a") as tar:
            for name, kind, link in changes:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, link
                tar.addfile(info)
        path.write_bytes(path.read_bytes()[:keep])
        return f"oci-archive:{path}"

    return make


def docker(names: list[str], reference: str = "", tags: list[str] | None = None, **members: bytes | str) -> Make:
    def make(layout: Layout, place: Path) -> str:
        path = docker_archive(place / "file", config_of(LOWER), names, members, tags)
        return f"docker-archive:{path}{reference}"

    return make


def saved(value: Any) -> Make:
    """A docker archive with this manifest.json and nothing else."""

    def make(layout: Layout, place: Path) -> str:
        content = json.dumps(value).encode()
        with tarfile.open(place / "file", "w") as tar:
            info = tarfile.TarInfo("manifest.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        return f"docker-archive:{place / 'file'}"

    return make


def source(text: str) -> Make:
    return lambda layout, place: text


PACKED = gzip.compress(LOWER, 1)
SQUEEZED = zstd.compress(LOWER)
WINDOW = b"\x28\xb5\x2f\xfd\x00\xff" + bytes(100)  # a frame that asks for a window of 2**41 bytes and more
FAR = bytes(200 << 20)

# -- sources ----------------------------------------------------------------------------------------------------------
SOURCES = (
    ImageLie("no source", source(""), "'' does not name an image"),
    ImageLie("no such name", source("layout"), re.compile("cannot find the image docker.io/library/layout:latest: it is not in the store /.*")),
    ImageLie("no such transport", source("ftp://busybox"), "'ftp://busybox' does not name an image"),
    ImageLie("no path", source("oci:"), "'oci:' does not say which folder"),
    ImageLie("folder missing", source("oci:/nothing/here"), "cannot read the image layout /nothing/here: there is no such folder"),
    ImageLie("archive missing", source("oci-archive:/nothing/here"), "cannot read the archive /nothing/here: ENOENT: no such file or directory"),
    ImageLie("layout is a file", data(b"x", "oci"), "cannot read the image layout {place}/file: there is no such folder"),
    ImageLie("archive is a folder", node("folder"), "{place}/folder is not a regular file"),
    ImageLie("archive is a fifo", node("fifo"), "{place}/fifo is not a regular file"),
    ImageLie("archive is a socket", node("socket"), "cannot read the archive {place}/socket: ENXIO: no such device or address"),
    ImageLie("archive is a link to itself", node("loop"), "cannot read the archive {place}/loop: ELOOP: too many levels of symbolic links"),
    ImageLie("archive is endless", node("zeros"), "{place}/zeros is not a regular file"),
    ImageLie("archive is empty", data(b""), "{place}/file is not a whole archive: empty file"),
    ImageLie("archive is a text", data(b"#!/bin/sh\n" * 100), "{place}/file is not a whole archive: invalid header"),
    ImageLie("archive is gzip of a text", data(gzip.compress(b"#!/bin/sh\n" * 100, mtime=0)), "{place}/file is not a whole archive: invalid header"),
    ImageLie("archive is half a gzip file", data(gzip.compress(os.urandom(5000))[:2000]), "{place}/file is not a whole archive: invalid header"),
    ImageLie("archive is zstd", data(SQUEEZED), "{place}/file is not a whole archive: truncated header"),
    ImageLie("archive without a layout", data(archive(file(b"a"))), "cannot read {place}/file: ENOENT: no such file or directory: oci-layout is not in it"),
    ImageLie("archive cut in a blob", outer(keep=5000), "cannot read {place}/file: ENOENT: no such file or directory: oci-layout is not in it"),
    ImageLie("archive that leads back", data(header(b"a") + header(b"b", size=-512) + bytes(2048)), "{place}/file has a damaged or too large directory"),
    ImageLie("layout behind a link out", outer(("./oci-layout", tarfile.SYMTYPE, "/etc/passwd")), "cannot read {place}/file: ENOENT: no such file or directory: /etc/passwd is not in it"),
    ImageLie("layout behind a link up", outer(("./oci-layout", tarfile.SYMTYPE, "../../../etc/passwd")), "cannot read {place}/file: ENOENT: no such file or directory: ../../../etc/passwd is not in it"),
    ImageLie("layout behind a hard link", outer(("./oci-layout", tarfile.LNKTYPE, "../oci-layout")), "cannot read {place}/file: ENOENT: no such file or directory: ../oci-layout is not in it"),
    ImageLie("layout behind itself", outer(("./oci-layout", tarfile.SYMTYPE, "oci-layout")), "oci-layout is behind too many links"),
    ImageLie("platform that is none", of(LOWER), "\"linux/\" is not a platform such as linux/arm64/v8", ("--platform", "linux/")),
    ImageLie("platform of five parts", of(LOWER), "\"a/b/c/d/e\" is not a platform such as linux/arm64/v8", ("--platform", "a/b/c/d/e")),
    ImageLie("platform that is not there", of(LOWER), "the image is for linux/amd64, not for linux/s390x", ("--platform", "linux/s390x")),
)
DOCKER = (
    ImageLie("manifest.json missing", data(archive(file(b"a")), "docker-archive"), "cannot read {place}/file: ENOENT: no such file or directory: manifest.json is not in it"),
    ImageLie("manifest.json is an object", saved({}), "manifest.json: expected an array"),
    ImageLie("manifest.json is empty", saved([]), "manifest.json: the archive does not hold exactly one image"),
    ImageLie("manifest.json of numbers", saved([1]), "manifest.json: expected an object, found a number ([0])"),
    ImageLie("no Config", saved([{"Layers": []}]), "manifest.json: this property is required ([0].Config)"),
    ImageLie("Config that leads out", saved([{"Config": "../../../etc/passwd", "Layers": []}]), "cannot read {place}/file: ENOENT: no such file or directory: ../../../etc/passwd is not in it"),
    ImageLie("Config is absolute", saved([{"Config": "/etc/passwd", "Layers": []}]), "cannot read {place}/file: ENOENT: no such file or directory: /etc/passwd is not in it"),
    ImageLie("Config is manifest.json", saved([{"Config": "manifest.json", "Layers": []}]), "manifest.json: expected an object, found an array"),
    ImageLie("layer missing in the archive", docker(["l"], k=LOWER), "cannot read {place}/file: ENOENT: no such file or directory: l is not in it"),
    ImageLie("layer is another one", docker(["l"], l=archive()), "layer {digest}: the unpacked layer is not what its digest says (layers[0])"),
    ImageLie("a layer too many", docker(["l", "l"], l=LOWER), "manifest.json has 2 layers, the config 1 ([0].Layers)"),
    ImageLie("layers behind each other", docker(["a"], a="b", b="a"), "a is behind too many links"),
    ImageLie("layer behind a link out", docker(["a"], a="/etc/passwd"), "cannot read {place}/file: ENOENT: no such file or directory: /etc/passwd is not in it"),
    ImageLie("tag that is not there", docker(["l"], ":other", ["box:1"], l=LOWER), "manifest.json: there is no image 'other' in the archive"),
)

# -- documents --------------------------------------------------------------------------------------------------------
DOCUMENTS = (
    ImageLie("oci-layout missing", written("oci-layout", None), "cannot read {layout}: ENOENT: no such file or directory: {layout}/oci-layout is not in it"),
    ImageLie("oci-layout is empty", written("oci-layout", b""), "oci-layout: not JSON: expected a value at line 1, column 1"),
    ImageLie("oci-layout of another version", written("oci-layout", b'{"imageLayoutVersion": "1.1.0"}'), "oci-layout: image layout version \"1.1.0\" is not supported, only 1.0.0 is (imageLayoutVersion)"),
    ImageLie("oci-layout is cut off", written("oci-layout", b'{"imageLayoutVersion": "1.0'), "oci-layout: not JSON: Unterminated string starting at line 1, column 24"),
    ImageLie("index.json missing", written("index.json", None), "cannot read {layout}: ENOENT: no such file or directory: {layout}/index.json is not in it"),
    ImageLie("index.json is cut off", written("index.json", b'{"schemaVersion": 2, "manifests": [{"mediaTyp'), "index.json: not JSON: Unterminated string starting at line 1, column 37"),
    ImageLie("index.json is an array", written("index.json", b"[]"), "index.json: expected an object, found an array"),
    ImageLie("index.json with two answers", written("index.json", b'{"schemaVersion": 2, "schemaVersion": 1}'), "index.json: this member name occurs twice in one object (schemaVersion)"),
    ImageLie("index.json without manifests", written("index.json", b'{"schemaVersion": 2}'), "index.json: this property is required (manifests)"),
    ImageLie("index.json with no manifest", written("index.json", b'{"schemaVersion": 2, "manifests": []}'), "the layout does not hold exactly one image (manifests)"),
    ImageLie("index.json of schema 1", written("index.json", b'{"schemaVersion": 1, "manifests": []}'), "index.json: Docker images of schema version 1 are not supported (schemaVersion)"),
    ImageLie("index.json of schema 2.0", written("index.json", b'{"schemaVersion": 2.0, "manifests": []}'), "index.json: expected an integer, found 2.0 (schemaVersion)"),
    ImageLie("index.json larger than 8 MiB", written("index.json", b" " * (8 << 20) + b"{}"), "index.json is larger than 8388608 bytes"),
    ImageLie("index.json nested", written("index.json", b'{"a":' * 5000), "index.json: the document is nested more than 128 levels deep"),
    ImageLie("name that is not there", indexed(":other"), "there is no image 'other' in the layout (manifests)"),
    ImageLie("number that is not there", indexed(":@7"), "there is no image number 7 in the layout (manifests)"),
    ImageLie("number of 5000 digits", indexed(":@" + "9" * 5000), re.compile("there is no image number 99999999999999999999999999999999999999999999999999999999999999999.+9999999999999999999999999999999999 in the layout \\(manifests\\)", re.S)),
    ImageLie("number that is none", indexed(":@x"), "there is no image number x in the layout (manifests)"),
    ImageLie("name of two", twins(":box"), "'box' is ambiguous in the layout (manifests)"),
    ImageLie("no name for two", twins(""), "the layout does not hold exactly one image (manifests)"),
    ImageLie("size missing", indexed(size=None), "index.json: this property is required (manifests[0].size)"),
    ImageLie("size negative", indexed(size=-1), "index.json: expected an integer from 0 to 9223372036854775807, found -1 (manifests[0].size)"),
    ImageLie("size of 64 bits", indexed(size=1 << 63), "index.json: expected an integer from 0 to 9223372036854775807, found 9223372036854775808 (manifests[0].size)"),
    ImageLie("size as text", indexed(size="10"), "index.json: expected an integer, found a string (manifests[0].size)"),
    ImageLie("size one too small", indexed(size=1), "manifest {digest}: the content has 418 bytes where 1 are promised (manifests[0])"),
    ImageLie("size too large for a document", indexed(size=1 << 40), "manifest {digest}: a document of more than 8388608 bytes (manifests[0])"),
    ImageLie("digest of an unknown algorithm", indexed(digest="md5:" + "0" * 32), "cannot read {layout}: ENOENT: no such file or directory: {layout}/blobs/md5/00000000000000000000000000000000 is not in it"),
    ImageLie("digest that is a path", indexed(digest="sha256:../../etc/passwd"), "index.json: \"sha256:../../etc/passwd\" is not a digest such as sha256:0123... (manifests[0].digest)"),
    ImageLie("digest in capitals", indexed(digest="sha256:" + "A" * 64), "index.json: a sha256 digest has 64 lower-case hexadecimal digits (manifests[0].digest)"),
    ImageLie("digest of nothing", indexed(digest="sha256:" + "0" * 64), "cannot read {layout}: ENOENT: no such file or directory: {layout}/blobs/sha256/0000000000000000000000000000000000000000000000000000000000000000 is not in it"),
    ImageLie("media type that is none", indexed(mediaType="an image"), "index.json: \"an image\" is not a media type (manifests[0].mediaType)"),
    ImageLie("media type of something else", indexed(mediaType="text/plain"), "manifest {digest}: the document calls itself \"application/vnd.oci.image.manifest.v1+json\" but was fetched as \"text/plain\" (mediaType)"),
    ImageLie("index that says it is a manifest", indexed(mediaType=INDEX), "index {digest}: the document calls itself \"application/vnd.oci.image.manifest.v1+json\" (mediaType)"),
    ImageLie("data that is not base64", indexed(data="!"), "manifest {digest}: the data of a descriptor must be base64 (manifests[0].data)"),
    ImageLie("data that is something else", indexed(data=base64.b64encode(b"{}").decode()), "manifest {digest}: the content has 2 bytes where 418 are promised (manifests[0])"),
    ImageLie("manifest that is an index as well", manifest(manifests=[]), "manifest {digest}: the document is an image index and a manifest at once (manifests)"),
    ImageLie("manifest of schema 1", manifest(schemaVersion=1), "manifest {digest}: Docker images of schema version 1 are not supported (schemaVersion)"),
    ImageLie("manifest of schema 3", manifest(schemaVersion=3), "manifest {digest}: the schema version must be 2 (schemaVersion)"),
    ImageLie("manifest that calls itself an index", manifest(mediaType=INDEX), "manifest {digest}: the document calls itself \"application/vnd.oci.image.index.v1+json\" (mediaType)"),
    ImageLie("manifest without layers", manifest(layers=None), "manifest {digest}: this property is required (layers)"),
    ImageLie("manifest without a config", manifest(config=None), "manifest {digest}: this property is required (config)"),
    ImageLie("manifest with an empty config", manifest(config={"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}), "manifest {digest}: a manifest with an empty config must say its artifactType (artifactType)"),
    ImageLie("manifest of something that is no image", manifest(config={"mediaType": "text/plain", "digest": "sha256:" + "0" * 64, "size": 2}), "manifest {digest}: 'text/plain' is not the configuration of an image (config.mediaType)"),
    ImageLie("layer of an unknown type", blob(LOWER, LOWER, "application/x-squashfs"), "\"application/x-squashfs\" is not a layer that can be unpacked (layers[0].mediaType)"),
    ImageLie("layer that is encrypted", blob(LOWER, LOWER, LAYER + "+gzip+encrypted"), "\"application/vnd.oci.image.layer.v1.tar+gzip+encrypted\" is not a layer that can be unpacked (layers[0].mediaType)"),
    ImageLie("indexes 20 deep", nested(20), "image indexes are nested more than 8 deep"),
    ImageLie("config without an architecture", config(architecture=None), "config {digest}: this property is required (architecture)"),
    ImageLie("config with another type of rootfs", config(rootfs={"type": "snapshots", "diff_ids": [digest(LOWER)]}), "config {digest}: the type of rootfs must be \"layers\" (rootfs.type)"),
    ImageLie("config without a rootfs", config(rootfs=None), "config {digest}: this property is required (rootfs)"),
    ImageLie("config of no layer", config(rootfs={"type": "layers", "diff_ids": []}), "the manifest has 1 layers, its config 0 (rootfs.diff_ids)"),
    ImageLie("config of two layers", config(rootfs={"type": "layers", "diff_ids": [digest(LOWER)] * 2}), "the manifest has 1 layers, its config 2 (rootfs.diff_ids)"),
    ImageLie("config of another layer", config(rootfs={"type": "layers", "diff_ids": [digest(b"")]}), "layer {digest}: the unpacked layer is not what its digest says (layers[0])"),
    ImageLie("config with a diff_id that is none", config(rootfs={"type": "layers", "diff_ids": ["x"]}), "config {digest}: \"x\" is not a digest such as sha256:0123... (rootfs.diff_ids[0])"),
    ImageLie("user that is not there", config(config={"User": "nobody-there"}), "the user 'nobody-there' is not in the image's /etc/passwd (config.User)"),
    ImageLie("user out of range", config(config={"User": "4294967296"}), "the user 4294967296 is out of range (config.User)"),
    ImageLie("user that is negative", config(config={"User": "-1"}), "the user -1 is out of range (config.User)"),
    ImageLie("group that is not there", config(config={"User": "0:nobodies"}), "the group 'nobodies' is not in the image's /etc/group (config.User)"),
    ImageLie("variables that are no list", config(config={"Env": {"A": "b"}}), "config {digest}: expected an array, found an object (config.Env)"),
    ImageLie("NUL in a variable", config(config={"Env": ["A=\0"]}), "config {digest}: a NUL character is not allowed here (config.Env[0])"),
    ImageLie("NUL in the working folder", config(config={"WorkingDir": "/\0"}), "config {digest}: a NUL character is not allowed here (config.WorkingDir)"),
    ImageLie("labels that are numbers", config(config={"Labels": {"a": 1}}), "config {digest}: expected a string, found a number (config.Labels[\"a\"])"),
)

# -- layers -----------------------------------------------------------------------------------------------------------
LAYERS = tuple(
    ImageLie(name, of(archive(*members)), says)
    for name, members, says in (
        ("file below a file", [file(b"a"), file(b"a/b")], "cannot unpack 'a/b' of layer {digest} (layers[0]): ENOTDIR: not a directory"),
        ("links in a circle", [symlink(b"a", b"b"), symlink(b"b", b"a"), file(b"a/x")], "cannot unpack 'a/x' of layer {digest} (layers[0]): ELOOP: too many levels of symbolic links"),
        ("hard link out", [hardlink(b"a", b"../../../etc/passwd")], "layer {digest}: 'a': is a hard link to '../../../etc/passwd', which is not there (layers[0])"),
        ("hard link out by a link", [symlink(b"l", b"/etc"), hardlink(b"a", b"l/hostname")], "layer {digest}: 'a': is a hard link to 'l/hostname', which is not there (layers[0])"),
        ("hard link to nothing", [hardlink(b"a", b"")], "layer {digest}: 'a': is a hard link to '', which is not there (layers[0])"),
        ("hard link to itself", [hardlink(b"a", b"a")], "layer {digest}: 'a': is a hard link to 'a', which is not there (layers[0])"),
        ("hard link to a folder", [folder(b"d"), hardlink(b"a", b"d")], "cannot unpack 'a' of layer {digest} (layers[0]): EPERM: operation not permitted"),
        ("symbolic link to nothing", [symlink(b"a", b"")], "layer {digest}: 'a': is a symbolic link to nothing (layers[0])"),
        ("root is a link", [symlink(b"/.", b"/etc")], "layer {digest}: '/.': the root can only be a folder (layers[0])"),
        ("root is a file", [file(b"a/..")], "layer {digest}: 'a/..': the root can only be a folder (layers[0])"),
        ("major number too large", [header(b"d", b"3", major=4096)], "layer {digest}: 'd': the device number 4096:0 is out of range (layers[0])"),
        ("minor number too large", [header(b"d", b"4", minor=1 << 20)], "layer {digest}: 'd': the device number 0:1048576 is out of range (layers[0])"),
        ("device number negative", [header(b"d", b"3", major=-1)], "layer {digest}: 'd': the device number -1:0 is out of range (layers[0])"),
        ("owner -1", [file(b"f", uid=-1)], "layer {digest}: 'f': the owner -1:0 is out of range (layers[0])"),
        ("owner out of range", [file(b"f", gid=2**32 - 1)], "layer {digest}: 'f': the owner 0:4294967295 is out of range (layers[0])"),
        ("time out of range", [pax((b"mtime", b"9" * 20)), file(b"f")], "layer {digest}: 'f': a time is out of range (layers[0])"),
        ("folders 300 deep", [pax((b"path", b"a/" * 300 + b"f")), file(b"f")], re.compile("layer \\{digest\\}: 'a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a.+/a/a/a/a/a/a/a/f': is more than 256 folders deep \\(layers\\[0\\]\\)", re.S)),
        ("name of 256 letters", [pax((b"path", b"x" * 256)), file(b"f")], "cannot unpack 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' of layer {digest} (layers[0]): ENAMETOOLONG: file name too long"),
        ("name of 5000 letters", [long(b"x" * 5000), file(b"f")], "layer {digest}: a long name of 5001 bytes (layers[0])"),
        ("no name", [header(b"")], "layer {digest}: an entry without a name (layers[0])"),
        ("NUL in a name", [pax((b"path", b"a\0b")), file(b"f")], "layer {digest}: a record of an extended header holds a NUL byte (layers[0])"),
        ("NUL in a long name", [long(b"a\0b"), file(b"f")], "layer {digest}: a long name that is empty or goes on after its end (layers[0])"),
        ("escape codes in a name", [header(b"\x1b[2J\n", b"Z")], "layer {digest}: '\\x1b[2J\\n' is of the unknown type 'Z' (layers[0])"),
        ("whiteout of nothing", [file(b".wh.")], "layer {digest}: '.wh.': a whiteout of nothing (layers[0])"),
        ("whiteout of the folder above", [file(b"d/.wh...")], "layer {digest}: 'd/.wh...': a whiteout of nothing (layers[0])"),
        ("whiteout that is a folder", [folder(b".wh.a"), file(b".wh.a/b")], "layer {digest}: '.wh.a/b': a whiteout cannot be a folder (layers[0])"),
        ("unknown kind of entry", [header(b"a", b"Z")], "layer {digest}: 'a' is of the unknown type 'Z' (layers[0])"),
        ("negative size", [header(b"a", size=-1)], "layer {digest}: 'a' has a negative size (layers[0])"),
        ("size that is no number", [header(b"a", size=b"12x")], "layer {digest}: '12x\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00' is no size (layers[0])"),
        ("size of pax larger than the archive", [pax((b"size", b"4096")), file(b"a", b"x")], "layer {digest}: 'a': the archive ends within an entry (layers[0])"),
        ("size of pax smaller than what follows", [pax((b"size", b"1")), file(b"a", b"x" * 600)], "layer {digest}: a header's checksum is wrong (layers[0])"),
        ("size of pax as text", [pax((b"size", b"0x5")), file(b"a")], "layer {digest}: '0x5' is no size (layers[0])"),
        ("size for all", [pax((b"size", b"5"), kind=b"g"), file(b"a")], "layer {digest}: a global header sets 'size' (layers[0])"),
        ("record that is too long", [raw_pax(b"99 path=x\n"), file(b"a")], "layer {digest}: a record of an extended header is malformed (layers[0])"),
        ("wrong checksum", [header(b"a", checksum=b"000000\0 ")], "layer {digest}: a header's checksum is wrong (layers[0])"),
        ("attribute without a name", [pax((b"SCHILY.xattr.", b"x")), file(b"a")], "layer {digest}: an extended attribute without a proper name (layers[0])"),
        ("attribute that is too long", [pax((b"SCHILY.xattr.user.a", b"x" * 70000)), file(b"a")], "cannot unpack 'a' of layer {digest} (layers[0]): E2BIG: argument list too long"),
        ("access list that is none", [pax((b"SCHILY.xattr.system.posix_acl_access", b"x")), file(b"a")], "cannot unpack 'a' of layer {digest} (layers[0]): EINVAL: invalid argument"),
        ("capability that is none", [pax((b"SCHILY.xattr.security.capability", b"x")), file(b"a")], "cannot unpack 'a' of layer {digest} (layers[0]): EINVAL: invalid argument"),
    )
)
STREAMS = (
    ImageLie("no archive", blob(b"x" * 1000, b"x" * 1000), "layer {digest}: 'xxxxxxxx' is no checksum (layers[0])"),
    ImageLie("archive cut in a header", of(file(b"a")[:300]), "layer {digest}: the archive ends within a header (layers[0])"),
    ImageLie("archive cut in a file", of(file(b"a", b"x" * 5000)[:3000]), "layer {digest}: 'a': the archive ends within an entry (layers[0])"),
    ImageLie("zeros without end", of(END + FAR), "layer {digest}: more than 67108864 bytes follow the end of the archive (layers[0])"),
    ImageLie("gzip cut", blob(PACKED[:-20], LOWER), "layer {digest}: the gzip stream ends early (layers[0])"),
    ImageLie("gzip with a wrong checksum", blob(PACKED[:-8] + bytes(4) + PACKED[-4:], LOWER), "layer {digest}: the gzip stream is damaged: Error -6 Incorrect checksum found (layers[0])"),
    ImageLie("gzip and then something else", blob(PACKED + b"x" * 100, LOWER), "layer {digest}: the gzip stream is damaged: Error -4 Invalid gzip/zlib wrapper found (layers[0])"),
    ImageLie("gzip of reserved flags", blob(b"\x1f\x8b\x08\xff" + PACKED[4:], LOWER), "layer {digest}: the gzip stream ends early (layers[0])"),
    ImageLie("zstd cut", blob(SQUEEZED[:-3], LOWER), "layer {digest}: the zstd stream ends early (layers[0])"),
    ImageLie("zstd damaged", blob(SQUEEZED[:9] + b"\xff\xff\xff" + SQUEEZED[12:], LOWER), "layer {digest}: the zstd stream is damaged: Unable to decompress Zstandard data: Data corruption detected (layers[0])"),
    ImageLie("zstd with a window of 3 TB", blob(WINDOW, LOWER), "layer {digest}: the zstd stream is damaged: Unable to decompress Zstandard data: Frame requires too much memory for decoding (layers[0])"),
    ImageLie("zstd and then something else", blob(SQUEEZED + b"x" * 100, LOWER), "layer {digest}: the zstd stream is damaged: Unable to decompress Zstandard data: Unknown frame descriptor (layers[0])"),
)
