"""Manifests, indexes and image configurations: accepted, refused, and why."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from pyrunc.specs import image
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import (
    Descriptor,
    chain_ids,
    check_digest,
    check_layers,
    check_layout,
    compression,
    decode_either,
    decode_image_config,
    decode_index,
    decode_manifest,
    digest_of,
    is_distributable,
)
from tests.specs.documents import changed, example

SHA256 = "sha256:" + "0123456789abcdef" * 4
EMPTY_DIGEST = "sha256:" + hashlib.sha256(b"{}").hexdigest()


def refusal(call: Any, *args: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        call(*args)
    return caught.value


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def descriptor(**members: object) -> dict[str, Any]:
    return {"mediaType": image.LAYER, "digest": SHA256, "size": 3} | members


def test_manifest_of_the_specification() -> None:
    """The specification's example of a manifest is read whole."""
    manifest = decode_manifest(encoded(example("manifest")), image.MANIFEST)

    assert (manifest.config.media_type, manifest.config.size) == (image.CONFIG, 7023)
    assert [layer.size for layer in manifest.layers] == [32654, 16724, 73109]
    assert manifest.layers[1].pointer == "layers[1]"
    assert manifest.subject is not None
    assert manifest.annotations == {"com.example.key1": "value1", "com.example.key2": "value2"}


def test_index_of_the_specification() -> None:
    """The specification's example of an index is read whole."""
    index = decode_index(encoded(example("index")))

    assert [str(entry.platform) for entry in index.manifests] == ["linux/ppc64le", "linux/amd64"]
    assert index.annotations == {"com.example.key1": "value1", "com.example.key2": "value2"}


def test_image_config_of_the_specification() -> None:
    """The specification's example of an image configuration is read whole."""
    config = decode_image_config(encoded(example("image-config")))
    run = config.execution

    assert (config.architecture, config.os, config.created) == ("amd64", "linux", "2015-10-31T22:22:56.015925234Z")
    assert (run.user, run.working_dir, run.exposed_ports) == ("alice", "/home/alice", ("8080/tcp",))
    assert (run.entrypoint, run.cmd[0]) == (("/bin/my-app-binary",), "--foreground")
    assert run.volumes == ("/var/job-result-data", "/var/log/my-app-logs")
    assert len(config.diff_ids) == 2
    assert [entry.empty_layer for entry in config.history] == [False, True, False]


@pytest.mark.parametrize("name", ["created", "author", "os.version", "os.features", "variant", "config", "history"])
def test_optional_members_may_be_null(name: str) -> None:
    """An optional member of an image configuration may be null, which is as good as absent."""
    document = example("image-config")
    document[name] = None
    document.setdefault("config", {})
    decode_image_config(encoded(document))


@pytest.mark.parametrize(
    "name", ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "Labels", "StopSignal"]
)
def test_execution_members_may_be_null(name: str) -> None:
    """So may each member of `config`, as Docker writes them."""
    decode_image_config(encoded(changed(example("image-config"), f"config/{name}", None)))


def test_unknown_members_are_kept_out_of_the_way() -> None:
    """Docker's extra members are no error."""
    document = example("image-config") | {"container": "abc", "docker_version": "20.10"}
    document["config"]["Healthcheck"] = {"Test": ["NONE"], "Interval": 1.5}

    assert decode_image_config(encoded(document)).os == "linux"


def test_unknown_rootfs_is_refused() -> None:
    """A root file system of another type than layers is an error."""
    error = refusal(decode_image_config, encoded(changed(example("image-config"), "rootfs/type", "tree")))

    assert error.pointer == "rootfs.type"


@pytest.mark.parametrize(
    "digest",
    [
        SHA256,
        "sha512:" + "0" * 128,
        "blake3:" + "a" * 64,
        "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
    ],
)
def test_digests(digest: str) -> None:
    """The digests that the specification gives as examples pass, registered or not."""
    assert check_digest(digest) == digest


@pytest.mark.parametrize(
    "digest",
    ["", "sha256", "sha256:", ":abc", "SHA256:" + "a" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 63,
    "sha256:" + "g" * 64,
     "sha512:" + "a" * 64, "sha256:" + "a" * 64 + "\n", "sha256:../../etc/passwd", "sha+:x", "a..b:x",
     "sha256:" + "a" * 64 + ":x"],
)  # fmt: skip
def test_no_digests(digest: str) -> None:
    """What breaks the grammar or the length of a known algorithm is no digest: it would become a path."""
    assert refusal(check_digest, digest, "layers[0].digest").pointer == "layers[0].digest"


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"size": -1}, "here.size"), ({"size": 1.0}, "here.size"), ({"size": 1 << 63}, "here.size"),
        ({"size": None}, "here.size"), ({"digest": "x"}, "here.digest"), ({"mediaType": ""}, "here.mediaType"),
        ({"mediaType": "a"}, "here.mediaType"), ({"mediaType": "a/b c"}, "here.mediaType"), ({"urls": [1]},
         "here.urls[0]"),
        ({"platform": {"os": "linux"}}, "here.platform.architecture"), ({"annotations": {"a": 1}},
         'here.annotations["a"]'),
    ],
)  # fmt: skip
def test_bad_descriptors(members: dict[str, object], pointer: str) -> None:
    """A descriptor whose properties are missing or malformed is refused with its place."""
    assert refusal(Descriptor, Node(descriptor(**members), "here")).pointer == pointer


def test_verification() -> None:
    """Content is accepted only with the promised size and digest."""
    content = b"abc"
    found = Descriptor(Node(descriptor(digest=f"sha256:{hashlib.sha256(content).hexdigest()}"), "here"))
    found.verify(content)

    assert "4 bytes where 3 are promised" in refusal(found.verify, b"abcd").message
    assert "is not sha256:" in refusal(found.verify, b"abd").message


def test_unknown_algorithms_cannot_be_verified() -> None:
    """A digest by an algorithm unknown here passes through, but nothing is taken for verified by it."""
    found = Descriptor(Node(descriptor(digest="sha256+b64u:LCa0a2j_xo"), "here"))

    assert "cannot be verified" in refusal(found.verify, b"abc").message


def test_embedded_content() -> None:
    """Content within a descriptor is used only if it is what the descriptor promises."""
    empty = {"mediaType": image.EMPTY, "digest": EMPTY_DIGEST, "size": 2}
    data = base64.b64encode(b"{}").decode()

    assert data == "e30="
    assert Descriptor(Node(empty | {"data": data})).embedded() == b"{}"
    assert Descriptor(Node(empty)).embedded() is None
    assert "promised" in refusal(Descriptor(Node(empty | {"data": "e30gIA=="})).embedded).message
    assert "is not" in refusal(Descriptor(Node(empty | {"data": "W10="})).embedded).message
    assert "base64" in refusal(Descriptor(Node(empty | {"data": "e3 0="})).embedded).message


@pytest.mark.parametrize("member", ["manifests", "fsLayers"])
def test_a_manifest_is_no_index(member: str) -> None:
    """A document that could be read as a manifest and as an index is refused by both (CVE-2021-41190)."""
    document = example("manifest") | {member: []}
    del document["mediaType"]

    assert refusal(decode_manifest, encoded(document)).pointer == member
    assert "at once" in refusal(decode_index, encoded(document | {"manifests": []})).message


@pytest.mark.parametrize(
    ("document", "fetched_as"),
    [
        (example("manifest"), image.INDEX),
        (example("index"), image.MANIFEST),
        (example("manifest"), image.DOCKER_MANIFEST),
        (example("index") | {"mediaType": image.MANIFEST}, image.INDEX),
        (example("manifest") | {"mediaType": "application/json"}, image.MANIFEST),
    ],
)
def test_types_agree(document: object, fetched_as: str) -> None:
    """What a document calls itself must be what it was fetched as."""
    refusal(decode_either, encoded(document), fetched_as)


def test_dockers_twins() -> None:
    """Docker's manifest list and manifest are read like their twins."""
    manifest = example("manifest") | {"mediaType": image.DOCKER_MANIFEST}
    index = example("index") | {"mediaType": image.DOCKER_INDEX}

    assert decode_either(encoded(manifest), image.DOCKER_MANIFEST).media_type == image.DOCKER_MANIFEST
    assert decode_either(encoded(index), image.DOCKER_INDEX).media_type == image.DOCKER_INDEX


def test_schema_versions() -> None:
    """Docker's first schema is refused with what to do about it, and 2 is the only other version."""
    old = {"schemaVersion": 1, "name": "x", "fsLayers": []}

    assert "schema version 1" in refusal(decode_manifest, encoded(old)).message
    assert refusal(decode_either, b"{}", image.DOCKER_SCHEMA1[1]).hint
    assert refusal(decode_manifest, encoded(example("manifest") | {"schemaVersion": 3})).pointer == "schemaVersion"
    assert refusal(decode_manifest, encoded(example("manifest") | {"schemaVersion": True})).pointer == "schemaVersion"


def test_artifacts() -> None:
    """A manifest with the empty config must say what it is."""
    empty = {"mediaType": image.EMPTY, "digest": EMPTY_DIGEST, "size": 2}
    document = example("manifest") | {"config": empty, "layers": [empty]}

    assert refusal(decode_manifest, encoded(document)).pointer == "artifactType"
    assert decode_manifest(encoded(document | {"artifactType": "application/vnd.example"})).layers[0].size == 2


def test_layers_must_be_there() -> None:
    """The array of layers may be empty but not absent."""
    document = example("manifest")

    assert decode_manifest(encoded(document | {"layers": []})).layers == ()
    assert refusal(decode_manifest, encoded(document | {"layers": None})).pointer == "layers"


def test_layers_and_their_ids() -> None:
    """Each layer has a DiffID and a type that can be unpacked, or the image is refused before anything is written."""
    manifest = decode_manifest(encoded(example("manifest")))
    document = changed(example("image-config"), "rootfs/diff_ids/-", SHA256)
    check_layers(manifest, decode_image_config(encoded(document)))
    strange = decode_manifest(encoded(changed(example("manifest"), "layers/2/mediaType", "text/plain")))

    assert (
        "3 layers, its config 2"
        in refusal(check_layers, manifest, decode_image_config(encoded(example("image-config")))).message
    )
    assert refusal(check_layers, strange, decode_image_config(encoded(document))).pointer == "layers[2].mediaType"


@pytest.mark.parametrize(
    ("media_type", "how", "distributable"),
    [
        (image.LAYER, "", True),
        (f"{image.LAYER}+gzip", "gzip", True),
        (f"{image.LAYER}+zstd", "zstd", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip", False),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip", False),
    ],
)
def test_layer_types(media_type: str, how: str, distributable: bool) -> None:
    """A layer's type says how it is compressed and whether it may be pushed."""
    layer = Descriptor(Node(descriptor(mediaType=media_type, urls=["https://example.com/layer"])))

    assert (compression(layer), is_distributable(layer)) == (how, distributable)


def test_chain_ids() -> None:
    """A ChainID is the digest of the one below, a space, and the layer's DiffID."""
    first, second, third = (digest_of(name) for name in (b"a", b"b", b"c"))
    two = f"sha256:{hashlib.sha256(f'{first} {second}'.encode()).hexdigest()}"
    three = f"sha256:{hashlib.sha256(f'{two} {third}'.encode()).hexdigest()}"

    assert chain_ids((first, second, third)) == (first, two, three)
    assert chain_ids(()) == ()


def test_layouts() -> None:
    """Only version 1.0.0 of the layout is known."""
    check_layout(b'{"imageLayoutVersion": "1.0.0"}')

    assert refusal(check_layout, b'{"imageLayoutVersion": "1.0.1"}').pointer == "imageLayoutVersion"
    assert refusal(check_layout, b"{}").pointer == "imageLayoutVersion"
