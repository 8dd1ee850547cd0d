"""Requests to one server: tries again what may pass, follows redirects, answers challenges.

Authorization goes to the server that asked for it and to nobody that it redirects to. Nothing leads from https to
http. Must never retry what has been refused for good.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import urllib3

from pyrunc.image.files import LIMIT_DOCUMENT
from pyrunc.image.registry.auth import Authority
from pyrunc.image.registry.pools import Pools
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.version import VERSION

if TYPE_CHECKING:
    from pyrunc.image.registry.hosts import Server

ATTEMPTS = 6
LONGEST_WAIT = 60.0
REDIRECTS = 5
LIMIT_MESSAGE = 64 << 10
AGENT = f"pyrunc/{VERSION}"
LIMIT_WARNING = 4096
WARNING = re.compile(r'\b299 - "((?:[^"\\]|\\.)*)"')  # the one kind of warning that registries give
PASSING = (408, 429, 500, 502, 503, 504)
FINAL = (
    urllib3.exceptions.SSLError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.ProxyError,
)


class Client:
    def __init__(
        self, server: Server, credentials: tuple[str, str] | None, tell: Callable[[str], None] = lambda message: None
    ) -> None:
        self.server = server
        self.tell = tell
        self.scheme = server.scheme
        self.pools = Pools(server)
        self.authority = Authority(self._ask, credentials, server.host)
        self.lock = Lock()
        self.pause = 0.5  # seconds before the second attempt; doubles

    def request(
        self,
        method: str,
        path: str,
        *,
        scopes: tuple[str, ...],
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        expected: Iterable[int] = (200,),
        stream: bool = False,
        attempts: int = ATTEMPTS,
    ) -> urllib3.BaseHTTPResponse:
        """The answer to a request, with one of the EXPECTED codes. PATH may be a whole URL. Its body is read by the
        caller when it is a STREAM, and dropped otherwise."""
        url = self.url(path)
        refreshed = 0
        attempt = 0
        while True:
            attempt += 1
            proof = self.authority.header(scopes)
            try:
                response = self._follow(method, url, headers or {}, body, proof)
            except urllib3.exceptions.HTTPError as error:
                if attempt >= attempts or _final(error):
                    raise self._failed(error) from None
                self._wait(attempt, "")
                continue
            if response.status in expected:
                if not stream:
                    drop(response)
                return response
            challenge = response.headers.get("WWW-Authenticate", "")
            # A token that has run out is one that is refused: the same answer, and a new one is asked for once more.
            if response.status == 401 and challenge and refreshed < 2 and _origin(url) == self._own():
                drop(response)
                secure = url.startswith("https:") and not self.server.insecure
                refreshed += self.authority.answer(challenge, scopes, secure, proof.get("Authorization", ""))
                continue
            if response.status in PASSING and attempt < attempts:
                drop(response)
                self._wait(attempt, response.headers.get("Retry-After", ""))
                continue
            raise self.refused(method, url, response)

    def document(
        self, path: str, *, scopes: tuple[str, ...], headers: dict[str, str]
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        """A short body, whole, and the answer that it came with."""
        for attempt in range(1, ATTEMPTS + 1):
            response = self.request("GET", path, scopes=scopes, headers=headers, stream=True)
            try:
                data = b""
                # Until there is nothing more, because only then it turns out whether that was all.
                while len(data) <= LIMIT_DOCUMENT and (piece := response.read(LIMIT_DOCUMENT, decode_content=False)):
                    data += piece
            except urllib3.exceptions.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise Broken(f"fetch {self.server.host}{_shown(path)}", detail=str(error)[:200]) from None
                self._wait(attempt, "")
                continue
            finally:
                response.close()
            if len(data) > LIMIT_DOCUMENT:
                raise Invalid(f"{self.server.host}{_shown(path)} is larger than {LIMIT_DOCUMENT} bytes")
            return response, data
        raise AssertionError("the last attempt returns or raises")

    def _follow(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, proof: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        for _ in range(REDIRECTS):
            given = {**self.server.headers, **proof} if _origin(url) == self._own() else {}
            response = self._send(method, url, {**headers, **given}, body)
            target = response.headers.get("Location", "")
            if response.status not in (301, 302, 303, 307, 308) or not target:
                return response
            drop(response)
            try:
                following = urljoin(url, target)
            except ValueError:
                raise Failure(f"follow {self.server.host}", detail=f"it redirects to {_shown(target)!r}") from None
            if not following.startswith(("https://", "http://")) or (
                url.startswith("https:") and not following.startswith("https:") and not self.server.insecure
            ):
                raise Failure(f"follow {self.server.host}", detail=f"it redirects to {_shown(following)}")
            url = following
        raise Failure(f"follow {self.server.host}", detail=f"it redirects more than {REDIRECTS} times")

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> urllib3.BaseHTTPResponse:
        given = {"User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
        response = self.pools.for_url(url).request(
            method, url, headers=given, body=body, redirect=False, retries=False, preload_content=False,
            decode_content=False,
        )  # fmt: skip
        for found in WARNING.finditer(response.headers.get("Warning", "")[:LIMIT_WARNING]):
            text = re.sub(r"\\(.)", r"\1", found[1])
            self.tell(f"{self.server.host} says: {''.join(c if c.isprintable() else '?' for c in text)}")
        return response

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        """For the token service, which may be anybody's: the code and the short body of its answer."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._send(method, url, headers, body)
                data = drop(response)
            except urllib3.exceptions.HTTPError as error:
                if attempt == ATTEMPTS or _final(error):
                    raise self._failed(error) from None
                self._wait(attempt, "")
                continue
            if response.status not in PASSING or attempt == ATTEMPTS:
                return response.status, data
            self._wait(attempt, response.headers.get("Retry-After", ""))
        raise AssertionError("the last attempt returns or raises")

    def _scheme(self) -> str:
        """https, but http where that is allowed and the server speaks nothing else; found out once."""
        with self.lock:
            if not self.scheme:
                may = self.server.insecure or self.server.local
                self.scheme = "http" if may and self._is_plain() else "https"
        return self.scheme

    def _is_plain(self) -> bool:
        try:
            drop(self._send("GET", f"https://{self.server.host}{self.server.root}/", {}, None))
        except urllib3.exceptions.SSLError as error:
            return "certificate" not in str(error).lower()
        except urllib3.exceptions.ProtocolError:
            return True
        except urllib3.exceptions.HTTPError:
            return False  # not there at all: the request itself will say so
        return False

    def _own(self) -> tuple[str, str, int]:
        return _origin(f"{self._scheme()}://{self.server.host}")

    def url(self, path: str) -> str:
        """PATH on this server; a whole URL as it is."""
        return path if "://" in path else f"{self._scheme()}://{self.server.host}{self._namespaced(path)}"

    def _namespaced(self, path: str) -> str:
        if not self.server.namespace:
            return path
        return f"{path}{'&' if '?' in path else '?'}ns={self.server.namespace}"

    def _wait(self, attempt: int, asked: str) -> None:
        """Longer each time, not in step with others; but as long as the server asks."""
        delay = min(self.pause * 2 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.5, 1)
        time.sleep(max(delay, min(_seconds(asked), LONGEST_WAIT)))

    def retry(self, attempt: int) -> None:
        """Before a transfer that broke is taken up again."""
        self._wait(attempt, "")

    def _failed(self, error: Exception) -> Broken:
        cause = getattr(error, "reason", None) or error
        number = getattr(getattr(cause, "__cause__", None), "errno", None) or getattr(error.__cause__, "errno", None)
        hint = None
        if isinstance(error, urllib3.exceptions.SSLError):
            number = 0
            hint = f"an authority of its own belongs into /etc/containers/certs.d/{self.server.host}/ca.crt"
        known = number if isinstance(number, int) and number > 0 else 0
        return Broken(f"reach {self.server.host}", number=known, detail="" if known else _reason(error), hint=hint)

    def refused(self, method: str, url: str, response: urllib3.BaseHTTPResponse) -> Refused:
        """What the server says is wrong."""
        said = _message(drop(response))
        detail = f"{self.server.host} answers {response.status}{f' {said}' if said else ''}"
        what = {"GET": "fetch", "HEAD": "fetch", "DELETE": "delete"}.get(method, "send")
        hint = None
        if response.status in (401, 403):
            hint = "the password is wrong or missing, or does not allow it: --creds, --authfile or `skopeo login`"
        return Refused(f"{what} {_shown(url)}", response.status, detail, hint)

    def close(self) -> None:
        self.pools.clear()


class Refused(Failure):
    """The server's answer is no; `status` is its code."""

    def __init__(self, operation: str, status: int, detail: str, hint: str | None) -> None:
        super().__init__(operation, detail=detail, hint=hint)
        self.status = status


class Broken(Failure):
    """There was no answer, or not a whole one."""


def drop(response: urllib3.BaseHTTPResponse) -> bytes:
    """The beginning of a body that nobody waits for; the connection is used again unless there is more of it."""
    try:
        data = response.read(LIMIT_MESSAGE)
    except urllib3.exceptions.HTTPError:
        data = b""
    if len(data) == LIMIT_MESSAGE:
        response.close()
    response.release_conn()
    return data


def _seconds(asked: str) -> float:
    """What Retry-After says: seconds, or when."""
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        return parsedate_to_datetime(asked).timestamp() - time.time() if asked else 0
    except (ValueError, OverflowError):
        return 0


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Failure(f"reach {_shown(url)}", detail="that is no address") from None


def _final(error: Exception) -> bool:
    """Whether trying again is of no use: certificates do not get better, and names and ports that are not there."""
    return isinstance(error, FINAL)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error)
    return text.rpartition(": ")[2] if "NameResolutionError" in text else text[:300]


def _shown(url: str) -> str:
    """Without the query, which may hold a signature that opens the blob."""
    return url.partition("?")[0][:300]


def _message(data: bytes) -> str:
    try:
        errors = json.loads(data)["errors"]
        text = "; ".join(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors[:3])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
