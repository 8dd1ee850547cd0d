"""What people write to name an image, as values: `docker://host/name:tag@digest`, `oci:DIR:REF`, a name in the store.

    docker://[HOST[:PORT]/]NAME[:TAG][@DIGEST]      oci:DIR[:REF]        oci-archive:FILE[:REF]
    NAME (in the store)                             dir:DIR              docker-archive:FILE[:REF]

Pure: must never look at a file, a registry or the environment.
"""

from __future__ import annotations

import re

from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import check_digest

FILES = ("oci", "oci-archive", "docker-archive", "dir")
ELSEWHERE = {
    "containers-storage": "`podman save --format oci-archive -o FILE IMAGE` makes an oci-archive:FILE of it",
    "docker-daemon": "`docker save -o FILE IMAGE` makes a docker-archive:FILE of it",
}
FORMS = "docker://NAME, oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], dir:DIR, or a name"

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
WORDS = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@/+]|--)[A-Za-z0-9]+)*")
LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
HOST = re.compile(rf"(?:{LABEL}(?:\.{LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")

LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}")  # and not a name that begins like it

DOCKER, DOCKER_HOST = "docker.io", "registry-1.docker.io"
LIMIT_NAME = 255


def is_local(host: str) -> bool:
    """Whether a host without its port is this machine, to which nobody else listens."""
    return host in ("localhost", "[::1]", "::1") or LOOPBACK.fullmatch(host) is not None


class Reference:
    """An image in a registry. With a digest, that is what is meant, and the tag is only what people call it."""

    __slots__ = ("digest", "host", "name", "tag")

    def __init__(self, host: str, name: str, tag: str = "", digest: str = "") -> None:
        self.host = host
        self.name = name
        self.tag = tag
        self.digest = digest

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def target(self) -> str:
        """What registries are asked for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.repository}{':' if self.tag else ''}{self.tag}{'@' if self.digest else ''}{self.digest}"


class Place:
    """Where an image is or goes to. `path` is a folder or a file; `reference` the name in it; `image` for `docker`."""

    __slots__ = ("image", "path", "reference", "transport")

    def __init__(self, transport: str, path: str = "", reference: str = "", image: Reference | None = None) -> None:
        self.transport = transport
        self.path = path
        self.reference = reference
        self.image = image

    def __str__(self) -> str:
        if self.transport == "store":
            return self.reference
        if self.image:
            return f"docker://{self.image}"
        return ":".join(part for part in (self.transport, self.path, self.reference) if part)


def parse_place(text: str) -> Place:
    """Any of the forms above."""
    transport, colon, rest = text.partition(":")
    if transport == "docker" and rest.startswith("//"):
        return Place("docker", image=parse_reference(rest[2:]))
    if colon and transport in ELSEWHERE:
        raise Invalid(f"images in {transport} cannot be reached from here", hint=ELSEWHERE[transport])
    if colon and transport in FILES:
        path, _, reference = rest.partition(":") if transport != "dir" else (rest, "", "")
        if not path:
            raise Invalid(f"{text!r} does not say which {'folder' if transport in ('oci', 'dir') else 'file'}")
        if not reference.isprintable():  # it is written into JSON, and shown: no control characters, no bytes
            raise Invalid(f"{reference[:200]!r} is no name for an image")
        return Place(transport, path, reference)
    return Place("store", reference=parse_name(text))


def parse_name(text: str) -> str:
    """A name in the store: of a registry, in full, or any other name that layouts may have."""
    try:
        return str(parse_reference(text))
    except Invalid:
        check_name(text)
        return text


def check_name(text: str) -> None:
    """A name that layouts may have: words of letters and digits, and - . _ : @ / + or -- between them."""
    if not WORDS.fullmatch(text) or "://" in text:
        raise Invalid(f"{text!r} does not name an image", hint=FORMS)


def parse_reference(text: str) -> Reference:
    """[HOST[:PORT]/]NAME[:TAG][@DIGEST]: without a host Docker's registry, with neither tag nor digest `latest`."""
    rest, at, digest = text.partition("@")
    if at:
        check_digest(digest)
    rest, tag = _split_tag(rest)
    if tag and not TAG.fullmatch(tag):
        raise Invalid(f"{tag[:200]!r} is not a tag")
    host, slash, name = rest.partition("/")
    # As Docker reads it: only what looks like a host is one.
    if not slash or not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        host, name = DOCKER, rest
    if host in (DOCKER_HOST, "index.docker.io"):
        host = DOCKER
    if host == DOCKER and "/" not in name:
        name = f"library/{name}"
    if not HOST.fullmatch(host):
        raise Invalid(f"{host[:200]!r} is not the host of a registry")
    if not NAME.fullmatch(name) or len(name) > LIMIT_NAME:
        raise Invalid(f"{name[:300]!r} is not the name of a repository", hint="lower-case letters, digits and . _ - /")
    return Reference(host, name, tag or ("" if digest else "latest"), digest)


def _split_tag(text: str) -> tuple[str, str]:
    head, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:  # that colon was a port's
        return text, ""
    if not tag:
        raise Invalid(f"{text[:200]!r} ends in a colon, where a tag should follow")
    return head, tag
