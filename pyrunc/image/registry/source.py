"""An image in a registry as a Source: documents verified, blobs taken up again where a transfer broke.

Each request goes to the mirrors in turn, and last to the registry itself. Must never believe a digest in a header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import urllib3

from pyrunc.image.access import Access
from pyrunc.image.files import LIMIT_DOCUMENT
from pyrunc.image.reference import Reference
from pyrunc.image.registry import credentials
from pyrunc.image.registry.client import ATTEMPTS, Client, Refused
from pyrunc.image.registry.hosts import PULL, RESOLVE, Server, readers
from pyrunc.image.stream import PIECE
from pyrunc.image.transport import describe
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    INDEX,
    INDEX_TYPES,
    MANIFEST,
    MANIFEST_TYPES,
    Descriptor,
)

ACCEPT = ", ".join((INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))

T = TypeVar("T")


def enter(server: Server, image: Reference, access: Access, mirror: bool = False) -> Client:
    """A client with the password for the image, if there is one. A MIRROR is not told the caller's own."""
    if access.credentials and not mirror:
        user, colon, password = access.credentials.partition(":")
        if not colon:
            raise Invalid("--creds must be USER:PASSWORD")
        return Client(server, (user, password), access.tell)
    host = image.host if server.host == "registry-1.docker.io" else server.host
    return Client(server, credentials.find(host, server.name, access.authfile), access.tell)


class RegistrySource:
    parallel = 3

    def __init__(self, image: Reference, access: Access) -> None:
        self.image = image
        *mirrors, last = readers(image, access)
        self.clients = [*(enter(server, image, access, mirror=True) for server in mirrors), enter(last, image, access)]
        self.found: tuple[Descriptor, bytes] | None = None

    def top(self) -> tuple[Descriptor, bytes]:
        if self.found is None:
            wanted = PULL if self.image.digest else RESOLVE
            self.found = self._each(lambda client: self._manifest(client, self.image.target), wanted)
        return self.found

    def document(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > LIMIT_DOCUMENT:
            raise Invalid(f"a document of more than {LIMIT_DOCUMENT} bytes", descriptor.pointer)
        data = descriptor.embedded()
        if data is not None:
            return data
        if descriptor.media_type in MANIFEST_TYPES + INDEX_TYPES:
            data = self._each(lambda client: self._manifest(client, descriptor.digest, descriptor.media_type))[1]
        else:
            data = b"".join(self.blob(descriptor))
        descriptor.verify(data)
        return data

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        """Mirrors are changed only before the first byte: afterwards the same server goes on, or the transfer fails."""
        if start and start >= descriptor.size:
            return  # there is no such range
        client, response = self._each(lambda client: (client, self._open(client, descriptor, start)))
        position, failures = start, 0
        while True:
            before = position
            try:
                for piece in self._pieces(response, position):
                    position += len(piece)
                    yield piece
                if position >= descriptor.size:
                    return
                reason = f"it ends after {position} of {descriptor.size} bytes"
            except urllib3.exceptions.HTTPError as error:
                reason = str(error)[:200]
            finally:
                response.close()
            failures = 1 if position > before else failures + 1
            if failures >= ATTEMPTS or position >= descriptor.size:
                raise Failure(f"fetch {descriptor.digest} from {client.server.host}", detail=reason)
            client.retry(failures)
            response = self._open(client, descriptor, position)

    def _pieces(self, response: urllib3.BaseHTTPResponse, position: int) -> Iterator[bytes]:
        """What follows POSITION, also of a server that does not know ranges and begins at the beginning."""
        skip = position if response.status == 200 else 0
        if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {position}-"):
            raise Invalid(f"the registry sends {response.headers.get('Content-Range', 'no range')[:60]!r} instead")
        for piece in response.stream(PIECE, decode_content=False):
            rest = piece[skip:]
            skip = max(0, skip - len(piece))
            if rest:
                yield rest

    def _open(self, client: Client, descriptor: Descriptor, start: int) -> urllib3.BaseHTTPResponse:
        path = f"{client.server.base}/blobs/{descriptor.digest}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        expected = (200, 206) if start else (200,)
        return client.request(
            "GET", path, scopes=pull_scopes(client), headers=headers, expected=expected, stream=True
        )  # fmt: skip

    def _manifest(self, client: Client, target: str, wanted: str = "") -> tuple[Descriptor, bytes]:
        path = f"{client.server.base}/manifests/{target}"
        response, data = client.document(path, scopes=pull_scopes(client), headers={"Accept": wanted or ACCEPT})
        algorithm = target.partition(":")[0] if ":" in target else "sha256"
        kind = media_type(response.headers.get("Content-Type", ""), data)
        descriptor = describe(kind, data, algorithm)
        if ":" in target and descriptor.digest != target:
            raise Invalid(f"the manifest is not what its digest says: expected {target}, found {descriptor.digest}")
        told = response.headers.get("Docker-Content-Digest", "")
        if told.startswith(f"{algorithm}:") and told != descriptor.digest:
            raise Invalid(f"{client.server.host} calls the manifest {told[:140]}, but it is {descriptor.digest}")
        return descriptor, data

    def _each(self, act: Callable[[Client], T], wanted: str = PULL) -> T:
        """The first answer of those that can do what is WANTED; what the last of them says is the last word."""
        able = [client for client in self.clients if wanted in client.server.can]
        if not able:
            raise Failure(f"find {self.image}", detail=f"hosts.toml gives no host the capability {wanted}")
        for client in able[:-1]:
            try:
                return act(client)
            except (Failure, Invalid):
                continue  # a mirror need not have it, nor be there
        try:
            return act(able[-1])
        except Refused as error:
            if error.status == 404:
                raise Failure(f"find {self.image}", detail=error.detail) from None
            raise

    def close(self) -> None:
        for client in self.clients:
            client.close()


def pull_scopes(client: Client) -> tuple[str, ...]:
    return (f"repository:{client.server.name}:pull",)


def media_type(header: str, data: bytes) -> str:
    """What the server calls the document, or where that says nothing, what it calls itself."""
    told = header.partition(";")[0].strip().lower()
    if told in (*MANIFEST_TYPES, *INDEX_TYPES, *DOCKER_SCHEMA1):
        return told
    node = Node(decode(data))
    return node.text("mediaType") or (INDEX if "manifests" in node.members else MANIFEST)
