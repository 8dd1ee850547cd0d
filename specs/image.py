"""The documents of image-spec 1.1.1 as typed values: descriptors, indexes, manifests, image configurations, layouts.

Also Docker's twins of them. Decoding must never lead to writing: whoever copies a document copies the bytes it came in.
Unknown media types are no error here, they are one only to whoever has to unpack or run the thing.
"""

from __future__ import annotations

import re

from pyrunc.specs.decode import INT64, Node, decode
from pyrunc.specs.errors import Invalid
from pyrunc.specs.platform import Platform

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)

MANIFEST_TYPES = (MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (INDEX, DOCKER_INDEX)
CONFIG_TYPES = (CONFIG, DOCKER_CONFIG)

# How a layer's bytes are compressed, by its media type.
LAYER_TYPES = {
    LAYER: "",
    f"{LAYER}+gzip": "gzip",
    f"{LAYER}+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar": "",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
}

DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
# How long the lower-case hexadecimal part of a registered algorithm is.
DIGEST_LENGTHS = {"sha256": 64, "sha512": 128, "blake3": 64}
MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


def check_digest(digest: str, pointer: str = "") -> str:
    """The digest, if it follows the grammar; an algorithm that nobody knows here may still pass through."""
    clause = "descriptor.md#digests"
    if not DIGEST.fullmatch(digest):
        raise Invalid(f'"{digest[:200]}" is not a digest such as sha256:0123...', pointer, clause=clause)
    algorithm, _, encoded = digest.partition(":")
    length = DIGEST_LENGTHS.get(algorithm)
    if length is not None and (len(encoded) != length or encoded.strip("0123456789abcdef")):
        raise Invalid(f"a {algorithm} digest has {length} lower-case hexadecimal digits", pointer, clause=clause)
    return digest


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    import hashlib

    if algorithm not in ("sha256", "sha512"):
        raise Invalid(f"digests by {algorithm} cannot be verified here", clause="descriptor.md#registered-algorithms")
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def media_type(node: Node, name: str) -> str:
    value = node.text(name)
    if value and not MEDIA_TYPE.fullmatch(value):
        raise Invalid(f'"{value}" is not a media type', node.at(name), clause="descriptor.md#properties")
    return value


class Descriptor:
    """Names content by type, size and digest. `data` is that content itself, in base64: read it by `embedded`."""

    __slots__ = ("annotations", "artifact_type", "data", "digest", "media_type", "platform", "pointer", "size", "urls")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        node.need("mediaType")
        self.media_type = media_type(node, "mediaType")
        if not self.media_type:
            raise Invalid("a media type must not be empty", node.at("mediaType"), clause="descriptor.md#properties")
        self.digest = check_digest(node.required_text("digest"), node.at("digest"))
        self.size = node.required_integer("size", (0, INT64[1]))
        self.urls = node.texts("urls")
        self.annotations = node.text_map("annotations")
        self.data = node.text("data")
        self.artifact_type = media_type(node, "artifactType")
        self.platform = node.child("platform", Platform)

    def verify(self, content: bytes) -> None:
        """Size before digest: a hash over more bytes than promised is work for an attacker."""
        if len(content) != self.size:
            message = f"the content has {len(content)} bytes where {self.size} are promised"
            raise Invalid(message, self.pointer, clause="descriptor.md#verification")
        if digest_of(content, self.digest.partition(":")[0]) != self.digest:
            raise Invalid(f"the content is not {self.digest}", self.pointer, clause="descriptor.md#verification")

    def embedded(self) -> bytes | None:
        """The content that the descriptor carries, verified; None if it carries none."""
        import base64
        import binascii

        if not self.data:
            return None
        try:
            content = base64.b64decode(self.data, validate=True)
        except binascii.Error:
            message = "the data of a descriptor must be base64"
            raise Invalid(message, f"{self.pointer}.data", clause="descriptor.md#embedded-content") from None
        self.verify(content)
        return content


class Index:
    __slots__ = ("annotations", "artifact_type", "manifests", "media_type", "pointer", "subject")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.media_type = head(node, INDEX_TYPES, foreign=("config", "layers", "fsLayers"))
        self.artifact_type = media_type(node, "artifactType")
        node.need("manifests")
        self.manifests = node.children("manifests", Descriptor)
        self.subject = node.child("subject", Descriptor)
        self.annotations = node.text_map("annotations")


class Manifest:
    __slots__ = ("annotations", "artifact_type", "config", "layers", "media_type", "pointer", "subject")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.media_type = head(node, MANIFEST_TYPES, foreign=("manifests", "fsLayers"))
        self.artifact_type = media_type(node, "artifactType")
        node.need("config")
        config = node.child("config", Descriptor)
        assert config is not None
        self.config = config
        node.need("layers")
        self.layers = node.children("layers", Descriptor)
        self.subject = node.child("subject", Descriptor)
        self.annotations = node.text_map("annotations")
        if config.media_type == EMPTY and not self.artifact_type:
            message = "a manifest with an empty config must say its artifactType"
            raise Invalid(message, node.at("artifactType"), clause="manifest.md#image-manifest-property-descriptions")


def kind_of(document: Index | Manifest) -> str:
    """The type of what a document is about: "" for an index that does not say it."""
    return document.artifact_type or ("" if isinstance(document, Index) else document.config.media_type)


def head(node: Node, types: tuple[str, ...], foreign: tuple[str, ...]) -> str:
    """Check what both documents begin with, and give the media type, "" if the document does not say it.

    A document that is an index to one reader and a manifest to another was an attack once (CVE-2021-41190).
    """
    clause = "manifest.md#image-manifest" if types is MANIFEST_TYPES else "image-index.md#image-index"
    if node.members.get("schemaVersion") == 1:
        hint = "have its owner push it again with a current tool"
        raise Invalid("Docker images of schema version 1 are not supported", "schemaVersion", hint, clause)
    if node.required_integer("schemaVersion", INT64) != 2:
        raise Invalid("the schema version must be 2", node.at("schemaVersion"), clause=clause)
    written = media_type(node, "mediaType")
    if written and written not in types:
        raise Invalid(f'the document calls itself "{written}"', node.at("mediaType"), clause=clause)
    for name in foreign:
        if node.members.get(name) is not None:
            raise Invalid("the document is an image index and a manifest at once", node.at(name), clause=clause)
    return written


class ImageConfig:
    """The configuration of an image; `execution` is its member `config`."""

    __slots__ = (
        "architecture", "author", "created", "diff_ids", "execution", "history", "os", "os_features", "os_version",
        "pointer", "variant",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.created = node.text("created")
        self.author = node.text("author")
        self.architecture = node.required_text("architecture")
        self.os = node.required_text("os")
        self.os_version = node.text("os.version")
        self.os_features = node.texts("os.features")
        self.variant = node.text("variant")
        self.execution = node.child("config", Execution) or Execution(Node({}, node.at("config")))
        node.need("rootfs")
        rootfs = Node(node.members["rootfs"], node.at("rootfs"))
        if rootfs.required_text("type") != "layers":
            raise Invalid('the type of rootfs must be "layers"', rootfs.at("type"), clause="config.md#properties")
        rootfs.need("diff_ids")
        self.diff_ids = rootfs.texts("diff_ids")
        for index, digest in enumerate(self.diff_ids):
            check_digest(digest, rootfs.at(f"diff_ids[{index}]"))
        self.history = node.children("history", History)


class Execution:
    """How to run the image. Names follow the document's: `WorkingDir` is `working_dir`."""

    __slots__ = (
        "args_escaped", "cmd", "entrypoint", "env", "exposed_ports", "labels", "pointer", "stop_signal", "user",
        "volumes", "working_dir",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.user = node.text("User")
        self.exposed_ports = tuple(node.map("ExposedPorts"))
        self.env = node.texts("Env")
        self.entrypoint = node.texts("Entrypoint")
        self.cmd = node.texts("Cmd")
        self.volumes = tuple(node.map("Volumes"))
        self.working_dir = node.text("WorkingDir")
        self.labels = node.text_map("Labels")
        self.stop_signal = node.text("StopSignal")
        self.args_escaped = node.flag("ArgsEscaped")


class History:
    __slots__ = ("author", "comment", "created", "created_by", "empty_layer", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.created = node.text("created")
        self.author = node.text("author")
        self.created_by = node.text("created_by")
        self.comment = node.text("comment")
        self.empty_layer = node.flag("empty_layer")


def decode_index(data: bytes, fetched_as: str = "") -> Index:
    index = Index(Node(decode(data)))
    check_agreement(index.media_type, fetched_as)
    return index


def decode_manifest(data: bytes, fetched_as: str = "") -> Manifest:
    manifest = Manifest(Node(decode(data)))
    check_agreement(manifest.media_type, fetched_as)
    return manifest


def decode_either(data: bytes, fetched_as: str) -> Index | Manifest:
    """What the descriptor or the registry's Content-Type says it is."""
    if fetched_as in INDEX_TYPES:
        return decode_index(data, fetched_as)
    if fetched_as in MANIFEST_TYPES:
        return decode_manifest(data, fetched_as)
    if fetched_as in DOCKER_SCHEMA1:
        hint = "have its owner push it again with a current tool"
        raise Invalid("Docker images of schema version 1 are not supported", "", hint, "manifest.md#image-manifest")
    raise Invalid(f'"{fetched_as}" is neither an image index nor a manifest', clause="media-types.md")


def check_agreement(written: str, fetched_as: str) -> None:
    if written and fetched_as and written != fetched_as:
        message = f'the document calls itself "{written}" but was fetched as "{fetched_as}"'
        raise Invalid(message, "mediaType", clause="manifest.md#image-manifest-property-descriptions")


def decode_image_config(data: bytes) -> ImageConfig:
    return ImageConfig(Node(decode(data)))


def check_layout(data: bytes) -> None:
    """The file `oci-layout`."""
    found = Node(decode(data)).required_text("imageLayoutVersion")
    if found != "1.0.0":
        message = f'image layout version "{found}" is not supported, only 1.0.0 is'
        raise Invalid(message, "imageLayoutVersion", clause="image-layout.md#oci-layout-file")


def check_layers(manifest: Manifest, config: ImageConfig) -> None:
    """What must agree between a manifest and its config before layers are unpacked."""
    layers, ids = len(manifest.layers), len(config.diff_ids)
    if layers != ids:
        message = f"the manifest has {layers} layers, its config {ids}"
        raise Invalid(message, "rootfs.diff_ids", clause="config.md#properties")
    for layer in manifest.layers:
        compression(layer)


def compression(layer: Descriptor) -> str:
    """ "gzip", "zstd" or "" for none."""
    if layer.media_type not in LAYER_TYPES:
        message = f'"{layer.media_type}" is not a layer that can be unpacked'
        raise Invalid(message, f"{layer.pointer}.mediaType", clause="media-types.md")
    return LAYER_TYPES[layer.media_type]


def is_distributable(layer: Descriptor) -> bool:
    """Whether this content may be pushed to a registry: the type tells, not the presence of urls."""
    return ".nondistributable." not in layer.media_type and ".foreign." not in layer.media_type


def chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """What identifies each stack of layers from the bottom: config.md, "Layer ChainID"."""
    chain: list[str] = []
    for diff_id in diff_ids:
        algorithm = diff_id.partition(":")[0]
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode(), algorithm) if chain else diff_id)
    return tuple(chain)
