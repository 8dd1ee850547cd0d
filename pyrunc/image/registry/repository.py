"""A repository of a registry beside its images: its tags, what refers to an image of it, and what is deleted from it.

Lists come in pages, by `Link`. A registry that does not know referrers has them in an index under a tag that is made of
the image's digest; who adds or deletes one there writes that index (distribution-spec, "referrers tag schema").
Reads from the registry itself and never from a mirror, which need not know of the latest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urljoin

import urllib3

from pyrunc.image.access import Access
from pyrunc.image.reference import Reference
from pyrunc.image.registry.client import Client, Refused
from pyrunc.image.registry.hosts import readers, writer
from pyrunc.image.registry.source import ACCEPT, enter, media_type
from pyrunc.image.transport import describe
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import INDEX, INDEX_TYPES, Descriptor, decode_either, decode_index

PAGE = 1000
LIMIT_PAGES = 1000
NEXT = re.compile(r'<([^>]*)>[^,]*;\s*rel="?next"?')

UNSUPPORTED = (400, 405)  # 400: Docker's registry takes a tag for a digest that is none


class Repository:
    def __init__(
        self, image: Reference, access: Access, client: Client | None = None, writing: bool = False
    ) -> None:
        self.image = image
        if client is None:
            client = enter(writer(image, access) if writing else readers(image, access)[-1], image, access)
        self.client = client
        self.base = self.client.server.base

    def tags(self) -> list[str]:
        found: list[str] = []
        for _, data in self._pages(f"{self.base}/tags/list?n={PAGE}"):
            found += Node(decode(data)).texts("tags")
        return found

    def referrers(self, digest: str, kind: str = "") -> list[Descriptor]:
        """What refers to the manifest DIGEST, of the artifact type KIND only where it is given."""
        query = f"?{urlencode({'artifactType': kind})}" if kind else ""
        found: list[Descriptor] = []
        try:
            for _, data in self._pages(f"{self.base}/referrers/{digest}{query}"):
                found += decode_index(data).manifests
        except Refused as error:
            if error.status not in (404, *UNSUPPORTED):
                raise
            found = [Descriptor(Node(entry)) for entry in self.tagged(digest)]
        # Whoever has filtered says so in OCI-Filters-Applied; once more does no harm to what is filtered already.
        return [entry for entry in found if not kind or entry.artifact_type == kind]

    def knows(self, target: str) -> bool:
        """Whether there is such a tag or digest."""
        path, headers = f"{self.base}/manifests/{target}", {"Accept": ACCEPT}
        scopes = self.scopes("pull")
        return self.client.request("HEAD", path, scopes=scopes, headers=headers, expected=(200, 404)).status == 200

    def tagged(self, digest: str) -> list[dict[str, Any]]:
        """The index under the tag made of DIGEST, as it is written there; none where there is no such tag."""
        try:
            kind, data = self._manifest(referrers_tag(digest))
        except Refused as error:
            if error.status != 404:
                raise  # what could not be read must not be taken for empty, and written over
            return []
        if kind not in INDEX_TYPES:
            raise Invalid(f"the tag {referrers_tag(digest)} of {self.image.repository} is no index of referrers")
        decode_either(data, kind)
        entries: list[dict[str, Any]] = decode(data)["manifests"]
        return entries

    def refer(self, digest: str, entry: dict[str, Any], present: bool = True) -> None:
        """Puts ENTRY into the index under the tag made of DIGEST, or takes it out."""
        before = self.tagged(digest)
        entries = [one for one in before if one.get("digest") != entry["digest"]] + ([entry] if present else [])
        if entries == before:
            return
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        path = f"{self.base}/manifests/{referrers_tag(digest)}"
        scopes, headers = self.scopes("pull,push"), {"Content-Type": INDEX}
        self.client.request("PUT", path, scopes=scopes, headers=headers, body=index, expected=(201,))

    def delete(self) -> None:
        """Deletes what the image's tag or digest names: a digest with all of its tags, a tag alone."""
        target = self.image.target
        kind, data = self._manifest(target)
        manifest = describe(kind, data, target.partition(":")[0] if ":" in target else "sha256")
        subject = decode_either(data, kind).subject if self.image.digest else None
        try:
            self.client.request(
                "DELETE", f"{self.base}/manifests/{target}", scopes=self.scopes("pull,push,delete"), expected=(200, 202)
            )  # fmt: skip
        except Refused as error:
            if error.status not in UNSUPPORTED or (self.image.digest and error.status != 405):
                raise
            raise self._undeletable(error, manifest) from None
        if subject is not None and self._lacks_referrers(subject.digest):
            self.refer(subject.digest, {"digest": manifest.digest}, present=False)

    def _undeletable(self, error: Refused, manifest: Descriptor) -> Failure:
        if self.image.digest:
            hint = "the registry has to be configured to let images be deleted"
        else:
            whole = f"docker://{self.image.repository}@{manifest.digest}"
            hint = f"this registry deletes no tag alone; `pyrunc image rm {whole}` deletes the image with all its tags"
        return Failure(f"delete {self.image}", detail=error.detail, hint=hint)

    def _lacks_referrers(self, digest: str) -> bool:
        try:
            self.client.request("GET", f"{self.base}/referrers/{digest}", scopes=self.scopes("pull"))
        except Refused as error:
            return error.status in (404, *UNSUPPORTED)
        return False

    def _manifest(self, target: str) -> tuple[str, bytes]:
        response, data = self.client.document(
            f"{self.base}/manifests/{target}", scopes=self.scopes("pull"), headers={"Accept": ACCEPT}
        )  # fmt: skip
        return media_type(response.headers.get("Content-Type", ""), data), data

    def _pages(self, path: str) -> Iterator[tuple[urllib3.BaseHTTPResponse, bytes]]:
        seen: set[str] = set()
        while path not in seen and len(seen) < LIMIT_PAGES:
            seen.add(path)
            response, data = self.client.document(path, scopes=self.scopes("pull"), headers={"Accept": INDEX})
            yield response, data
            following = NEXT.search(response.headers.get("Link", ""))
            if following is None:
                return
            # Of the same server, because the password goes along.
            path = urljoin(self.client.url(path), following[1])
            if not path.startswith(self.client.url("/")):
                raise Failure(f"list {self.image.repository}", detail=f"it goes on at {path[:200]}, another server")
        raise Failure(f"list {self.image.repository}", detail="the registry's pages do not end")

    def scopes(self, actions: str) -> tuple[str, ...]:
        return (f"repository:{self.client.server.name}:{actions}",)

    def close(self) -> None:
        self.client.close()


def referrers_tag(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"
