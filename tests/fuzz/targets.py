"""What the fuzzers drive: one function a parser, from bytes to nothing.

Each takes any bytes. Refusing them as the parser's callers expect (`PyruncError`) is a pass; any other exception,
and any promise broken by what was accepted, is a find. Must not depend on the machine: facts about the
host are fixed ones.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pyrunc.image.apply import Applier
from pyrunc.image.tarread import Reader
from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout, Unified
from pyrunc.sandbox.check import problems
from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.describe import lines
from pyrunc.sandbox.facts import Facts
from pyrunc.sandbox.seccomp import filter_for
from pyrunc.sandbox.wire import encode
from pyrunc.specs.convert import runtime_config
from pyrunc.specs.errors import Invalid, PyruncError
from pyrunc.specs.image import Manifest, check_layers, check_layout, decode_either, decode_image_config
from pyrunc.specs.rules import check
from pyrunc.specs.runtime import decode_spec
from tests.fuzz.outside import OUTSIDE, outside_seeds
from tests.fuzz.stores import STORES, store_seeds

CORPUS = Path(__file__).parent / "corpus"
GOLDEN = Path(__file__).parents[1] / "golden"
DATA = Path(__file__).parents[1] / "specs" / "data"
MOUNT = "/sys/fs/cgroup"
SETS: tuple[tuple[str, ...], ...] = (
    ("cpu", "cpuacct"),
    ("memory",),
    ("pids",),
    ("devices",),
    ("cpuset",),
    ("freezer",),
)
V1 = Layout(tuple(Hierarchy(names, f"{MOUNT}/{','.join(names)}", "/") for names in SETS), None)
CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")
V2 = Layout((), Unified(CONTROLLERS, MOUNT, "/", enabled=CONTROLLERS))
FACTS = (Facts(V1), Facts(V2, euid=1000, egid=1000, has_helpers=True))


def config(data: bytes) -> None:
    """config.json: decoded, checked, compiled for two hosts; what comes out is sound, can be shown and sent."""
    try:
        spec = decode_spec(data)
        check(spec)
        if spec.process is None:
            return
        seccomp = filter_for(spec.linux.seccomp, folder=None) if spec.linux.seccomp else None
    except PyruncError:
        return
    for facts in FACTS:
        try:
            plan = compile_create(spec, facts, Request("box", "/bundle", "/bundle/rootfs", seccomp=seccomp))
        except PyruncError:
            continue
        assert problems(plan) == []
        sent = encode(plan.init, plan.slots())
        assert int.from_bytes(sent[20:24], "little") == len(sent)
        assert len(lines(plan, reveal=True)) >= len(plan.host) + len(plan.init)


def image(data: bytes) -> None:
    """Index, manifest, configuration and layout file; an image's configuration becomes a config.json or is refused."""
    for kind in ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"):
        try:
            found = decode_either(data, kind)
            for entry in [*found.layers, found.config] if isinstance(found, Manifest) else found.manifests:
                assert "/" not in entry.digest and ".." not in entry.digest
                entry.embedded()
        except PyruncError:
            pass
    try:
        check_layout(data)
    except PyruncError:
        pass
    try:
        found_config = decode_image_config(data)
        manifest = decode_either(MANIFEST, "application/vnd.oci.image.manifest.v1+json")
        assert isinstance(manifest, Manifest)
        document = runtime_config(found_config, volumes=True)
        check_layers(manifest, found_config)
        check(decode_spec(json.dumps(document, ensure_ascii=False).encode()))
    except PyruncError:
        pass


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def entries(data: bytes, size: int) -> list[tuple[object, ...]] | str:
    """What an archive holds, or why it is refused."""
    reader = Reader(pieces(data, size))
    found: list[tuple[object, ...]] = []
    try:
        for entry in reader:
            body = b"".join(reader.body())
            assert entry.name and len(entry.name) <= 4096
            if entry.regions is None:
                assert len(body) == entry.size
            else:
                assert sum(length for _, length in entry.regions) == len(body)
                assert all(offset + length <= entry.real_size for offset, length in entry.regions)
            attributes = tuple(sorted(entry.xattrs.items()))
            found.append((entry.name, entry.type, entry.link, entry.mode, entry.uid, entry.gid, attributes, body))
    except Invalid as error:
        return error.message
    return found


def tar(data: bytes) -> None:
    """The tar reader: however the stream is cut into pieces, the entries are the same, and sizes are true."""
    assert entries(data, 1 << 20) == entries(data, 700)


def layer(data: bytes) -> None:
    """The applier: nothing outside the root changes, whatever a layer holds, and no handle stays open."""
    work = tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        for name in ("rootfs", "outside"):
            os.mkdir(f"{work}/{name}", 0o755)
        Path(f"{work}/outside/secret").write_text("untouched")
        before, handles = _look(work), len(os.listdir("/proc/self/fd"))
        root = os.open(f"{work}/rootfs", os.O_PATH | os.O_DIRECTORY)
        try:
            for _ in range(2):
                applier = Applier(root, os.geteuid() != 0, lambda message: None)
                applier.layer(Reader(pieces(data, 1 << 20)))
                applier.finish()
        except PyruncError:
            pass
        finally:
            os.close(root)
        assert _look(work) == before, "something outside the root was changed"
        assert len(os.listdir("/proc/self/fd")) == handles, "a handle was left open"
    finally:
        shutil.rmtree(work)


def _look(work: str) -> list[tuple[object, ...]]:
    """The folder above the root and what lies beside it."""
    found: list[tuple[object, ...]] = [tuple(sorted(os.listdir(work)))]
    for name in ("", "outside", "outside/secret"):
        info = os.lstat(f"{work}/{name}")
        found.append((info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, info.st_nlink))
    found.append((Path(f"{work}/outside/secret").read_text(), os.listxattr(f"{work}/outside/secret")))
    return found


TARGETS: dict[str, Callable[[bytes], None]] = {
    "config": config, "image": image, "tar": tar, "layer": layer, **OUTSIDE, **STORES,
}  # fmt: skip
MANIFEST = (DATA / "manifest-example.json").read_bytes()


def seeds(name: str) -> list[bytes]:
    """What to begin with: the kept files of the target's corpus, and good documents that the tree has anyway."""
    found = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    if name in OUTSIDE:
        found += outside_seeds(name)
    elif name in STORES:
        found += store_seeds(name)
    elif name == "config":
        found += [path.read_bytes() for path in sorted(GOLDEN.glob("*.json"))]
        found += [path.read_bytes() for path in sorted(DATA.glob("config-*.json"))]
    elif name == "image":
        found += [path.read_bytes() for path in sorted(DATA.glob("*.json")) if path.name != "config-example.json"]
        found.append(b'{"imageLayoutVersion": "1.0.0"}')
    return found
