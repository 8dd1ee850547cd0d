"""A registry as a Destination: what it has is not sent, what another repository of it has is mounted.

A small blob goes in one request. A large one goes in parts, each kept until the server has it all, so that a broken
transfer is taken up where it broke.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from urllib.parse import urljoin, urlsplit

import urllib3

from pyrunc.image.access import Access
from pyrunc.image.reference import Reference
from pyrunc.image.registry.client import ATTEMPTS, PASSING, Broken, Refused
from pyrunc.image.registry.hosts import writer
from pyrunc.image.registry.repository import Repository
from pyrunc.image.registry.source import enter
from pyrunc.image.stream import verified
from pyrunc.image.transport import Interrupted
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import Descriptor, Index, Manifest, decode_either, kind_of

PART, PART_MAX = 8 << 20, 256 << 20  # bytes a request; what a registry may ask for


class RegistryDestination:
    parallel = 3
    distributes = True

    def __init__(self, image: Reference, access: Access, mount_from: str = "") -> None:
        if image.digest:
            raise Invalid(f"{image} is a digest, and only a tag can be given a meaning", hint="leave out @DIGEST")
        self.image = image
        self.access = access
        self.client = enter(writer(image, access), image, access)
        self.base = self.client.server.base
        self.scopes: tuple[str, ...] = (f"repository:{self.client.server.name}:pull,push",)
        self.mount_from = mount_from  # another repository here, whose blobs need not be sent
        self.documents: dict[str, bytes] = {}

    def has(self, descriptor: Descriptor) -> bool:
        response = self._request("HEAD", f"{self.base}/blobs/{descriptor.digest}", expected=(200, 404))
        return response.status == 200

    def begun(self, descriptor: Descriptor) -> int:
        return 0

    def put_blob(self, descriptor: Descriptor, pieces: Iterator[bytes]) -> None:
        place, least = self._begin(descriptor)
        if not place:
            return
        checked = verified(pieces, descriptor.digest, descriptor.size, f"the blob {descriptor.digest}")
        stream = parts(checked, max(PART, least))
        try:
            first = next(stream)
            second = next(stream, None)
            if second is None:
                self._send_whole(place, descriptor, first)
                return
            position = 0
            for part in chain([first, second], stream):
                place = self._send_part(place, part, position)
                position += len(part)
            self._complete(place, descriptor)
        except Interrupted:
            raise
        except Exception:
            self._cancel(place)
            raise

    def _complete(self, place: str, descriptor: Descriptor) -> None:
        try:
            self._request("PUT", _with_digest(place, descriptor), body=b"", expected=(201,))
        except Refused as error:
            # An upload that is not known any more has ended well, when it was only the answer that was lost.
            if error.status != 404 or not self.has(descriptor):
                raise

    def _cancel(self, place: str) -> None:
        """Tells the registry that the rest will not come. It finds out by itself, if this does not reach it."""
        try:
            self.client.request("DELETE", place, scopes=self.scopes, expected=(200, 202, 204, 404), attempts=1)
        except Failure:
            pass

    def put_document(self, descriptor: Descriptor, data: bytes) -> None:
        self.documents[descriptor.digest] = data
        response = self._put(descriptor.digest, descriptor, data)
        value = decode_either(data, descriptor.media_type)
        if value.subject is not None and "OCI-Subject" not in response.headers:
            self._refer(value.subject, descriptor, value)

    def finish(self, descriptor: Descriptor) -> None:
        self._put(self.image.tag, descriptor, self.documents[descriptor.digest])

    def close(self) -> None:
        self.client.close()

    def _put(self, target: str, descriptor: Descriptor, data: bytes) -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": descriptor.media_type}
        return self._request("PUT", f"{self.base}/manifests/{target}", headers=headers, body=data, expected=(201,))

    def _begin(self, descriptor: Descriptor) -> tuple[str, int]:
        """Where to send a blob to, "" when it has been mounted instead; how large parts have to be at least."""
        path, scopes = f"{self.base}/blobs/uploads/", self.scopes
        if self.mount_from:
            path += f"?mount={descriptor.digest}&from={self.mount_from}"
            scopes = (*scopes, f"repository:{self.mount_from}:pull")
        response = self.client.request("POST", path, scopes=scopes, body=b"", expected=(201, 202))
        if response.status == 201:
            return "", 0
        least = response.headers.get("OCI-Chunk-Min-Length", "")
        return self._location(path, response), min(int(least[:18]), PART_MAX) if is_number(least) else 0

    def _send_whole(self, place: str, descriptor: Descriptor, data: bytes) -> None:
        """In one request; after a failure from the start, because it is small."""
        headers = {"Content-Type": "application/octet-stream"}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                url = _with_digest(place, descriptor)
                self.client.request(
                    "PUT", url, scopes=self.scopes, headers=headers, body=data, expected=(201,), attempts=1
                )
                return
            except (Broken, Refused) as error:
                if attempt == ATTEMPTS or not _passes(error):
                    raise
            self.client.retry(attempt)
            place = "" if self.has(descriptor) else self._begin(descriptor)[0]
            if not place:
                return

    def _send_part(self, place: str, part: bytes, start: int) -> str:
        """Sends what the server does not have yet of PART, which begins at START; where to go on."""
        sent = 0
        for attempt in range(1, ATTEMPTS + 1):
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{start + sent}-{start + len(part) - 1}",
            }
            try:
                # One attempt, because how much of it has arrived is asked before it is sent again.
                response = self.client.request(
                    "PATCH", place, scopes=self.scopes, headers=headers, body=part[sent:], expected=(202,), attempts=1
                )
                return self._location(place, response)
            except (Broken, Refused) as error:
                if attempt == ATTEMPTS or not _passes(error):
                    raise
            self.client.retry(attempt)
            place, held = self._state(place)
            if not start <= held <= start + len(part):
                raise Interrupted(f"send to {self.client.server.host}", detail="it has lost what was sent")
            sent = held - start
            if sent == len(part):
                return place
        raise AssertionError("the last attempt returns or raises")

    def _state(self, place: str) -> tuple[str, int]:
        """How many bytes of an upload the server has."""
        response = self._request("GET", place, expected=(204, 404))
        if response.status == 404:
            # Docker's registry forgets an upload of which it has more than its last answer said.
            raise Interrupted(f"send to {self.client.server.host}", detail="it does not know the upload any more")
        last = response.headers.get("Range", "").removeprefix("bytes=").rpartition("-")[2]
        held = int(last[:18]) + 1 if is_number(last) and last != "0" else 0
        return self._location(place, response) if "Location" in response.headers else place, held

    def _location(self, path: str, response: urllib3.BaseHTTPResponse) -> str:
        """The next address, which replaces the last; of the same server, because our token goes there."""
        base = self.client.url(path)
        target = urljoin(base, response.headers.get("Location", ""))
        if urlsplit(target).scheme != urlsplit(base).scheme and not self.client.server.insecure:
            raise Failure(f"send to {self.client.server.host}", detail="it wants the blob sent unencrypted")
        return target

    def _refer(self, subject: Descriptor, descriptor: Descriptor, value: Index | Manifest) -> None:
        """For a registry that does not know referrers."""
        entry = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
        entry |= {"artifactType": kind_of(value), "annotations": dict(value.annotations)}
        Repository(self.image, self.access, self.client).refer(subject.digest, entry)

    def _request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> urllib3.BaseHTTPResponse:  # fmt: skip
        return self.client.request(method, path, scopes=self.scopes, headers=headers, body=body, expected=expected)


def parts(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """PIECES in parts of SIZE, only the last of which is smaller; at least one, for a blob of no bytes."""
    held = bytearray()
    sent = False
    for piece in pieces:
        held += piece
        while len(held) > size:
            yield bytes(held[:size])
            del held[:size]
            sent = True
    if held or not sent:
        yield bytes(held)


def _with_digest(place: str, descriptor: Descriptor) -> str:
    return f"{place}{'&' if '?' in place else '?'}digest={descriptor.digest}"


def _passes(error: Failure) -> bool:
    return not isinstance(error, Refused) or error.status in (416, *PASSING)


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
