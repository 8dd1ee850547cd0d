"""What goes wrong between a registry and us: cut connections, wrong bytes, refusals, redirects, token services."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pyrunc import images
from pyrunc.image.access import Access
from pyrunc.image.registry.auth import challenges
from pyrunc.image.registry.client import Client
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.command import Pyrunc
from tests.pyrunc.image.images import LOWER, MANIFEST, UPPER, Layout, digest
from tests.pyrunc.image.registries import Faulty, basic, certificate, over_tls, registry, reply

BIG = os.urandom(3_000_000)


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's configuration, and short pauses."""
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = Client.__init__

    def hurried(self: Client, *rest: Any) -> None:
        made(self, *rest)
        self.pause = 0.01

    monkeypatch.setattr(Client, "__init__", hurried)


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    server = Faulty()
    fill(server, tmp_path)
    yield server
    server.close()


def fill(server: Faulty, folder: Path) -> None:
    made = Layout(folder / "source")
    blob = made.blob(BIG, "application/vnd.oci.image.layer.v1.tar")
    entry = made.image(LOWER, blobs=[blob], name="box")
    made.write()
    for path in (made.path / "blobs/sha256").iterdir():
        server.blobs[f"sha256:{path.name}"] = path.read_bytes()
    data = server.blobs.pop(entry["digest"])
    server.manifests = {"1": (MANIFEST, data), entry["digest"]: (MANIFEST, data)}


def pull(server: Faulty, folder: Path, **values: Any) -> str:
    return images.pull(f"{server.host}/a/box:1", store=str(folder / "store"), **values)[1].digest


def refused(server: Faulty, folder: Path, match: str) -> PyruncError:
    """One error, no name in the store and no blob that is not what it is called."""
    with pytest.raises(PyruncError, match=match) as caught:
        pull(server, folder)
    assert "\n" not in str(caught.value)
    assert images.listing(store=str(folder / "store")) == []
    for path in folder.glob("store/blobs/sha256/*"):
        assert digest(path.read_bytes()) == f"sha256:{path.name}"
    return caught.value


class Times:
    """A fault that happens so many times."""

    def __init__(self, count: int, part: str, act: Any) -> None:
        self.count, self.part, self.act = count, part, act

    def __call__(self, request: Any) -> bool:
        if self.count and self.part in request.path:
            self.count -= 1
            return bool(self.act(request))
        return False


def cut(request: Any) -> bool:
    """Half of what is asked for, then the connection is gone."""
    data = BIG[int(request.headers.get("Range", "bytes=0-")[6:-1]) :]
    reply(request, 206 if "Range" in request.headers else 200, data[: len(data) // 2], len(data), **span(request))
    request.close_connection = True
    return True


def span(request: Any) -> dict[str, str]:
    start = request.headers.get("Range", "bytes=0-")[6:-1]
    return {"Content-Range": f"bytes {start}-{len(BIG) - 1}/{len(BIG)}"} if start != "0" else {}


def test_a_cut_transfer_goes_on(faulty: Faulty, tmp_path: Path) -> None:
    """After the connection is cut, only what is missing is asked for."""
    faulty.faults.append(Times(3, digest(BIG), cut))
    pull(faulty, tmp_path)
    ranges = [headers.get("Range", "") for headers in faulty.asked(digest(BIG))]

    assert len(ranges) == 4
    assert ranges[0] == "" and all(later.startswith("bytes=") for later in ranges[1:])


@pytest.mark.parametrize("count", [3, 1000])
def test_a_manifest_that_is_cut(faulty: Faulty, tmp_path: Path, count: int) -> None:
    """It is asked for again, and given up when it never comes whole."""

    def cut_short(request: Any) -> bool:
        reply(request, 200, faulty.manifests["1"][1][:50], 400, **{"Content-Type": MANIFEST})
        request.close_connection = True
        return True

    faulty.faults.append(Times(count, "/manifests/", cut_short))
    if count == 3:
        pull(faulty, tmp_path)
    else:
        refused(faulty, tmp_path, "cannot fetch localhost.*manifests/1")


def test_a_server_without_ranges(faulty: Faulty, tmp_path: Path) -> None:
    """One that begins at the beginning each time is listened to from where we were."""
    faulty.faults.append(Times(1, digest(BIG), cut))
    faulty.faults.append(Times(9, digest(BIG), lambda request: reply(request, 200, BIG)))

    pull(faulty, tmp_path)


def test_another_range_than_asked(faulty: Faulty, tmp_path: Path) -> None:
    """Bytes from elsewhere are no continuation."""
    faulty.faults.append(Times(1, digest(BIG), cut))
    wrong = {"Content-Range": f"bytes 0-{len(BIG) - 1}/{len(BIG)}"}
    faulty.faults.append(Times(9, digest(BIG), lambda request: reply(request, 206, BIG, **wrong)))

    refused(faulty, tmp_path, "sends 'bytes 0-")


def test_always_cut(faulty: Faulty, tmp_path: Path) -> None:
    """A server that never gets anywhere is given up."""

    def nothing(request: Any) -> bool:
        reply(request, 206 if span(request) else 200, b"", 10, **span(request))
        request.close_connection = True
        return True

    faulty.faults.append(Times(1000, digest(BIG), nothing))
    refused(faulty, tmp_path, "cannot fetch sha256:")


@pytest.mark.parametrize("data", [BIG[:-1] + b"!" if BIG[-1:] != b"!" else BIG[:-1] + b"?", BIG + b"x", BIG[:-1]])
def test_wrong_bytes(faulty: Faulty, tmp_path: Path, data: bytes) -> None:
    """A blob with a wrong digest, too long or too short never gets its name."""
    faulty.faults.append(Times(1000, digest(BIG), lambda request: reply(request, 200, data)))

    refused(faulty, tmp_path, "is not what its digest says|larger than|cannot fetch")


def test_a_manifest_that_is_another(faulty: Faulty, tmp_path: Path) -> None:
    """Asked for by digest, a manifest is that or an error; a header that says otherwise is one too."""
    kind, data = faulty.manifests["1"]
    faulty.manifests["sha256:" + "0" * 64] = (kind, data)
    with pytest.raises(PyruncError, match="is not what its digest says"):
        images.pull(f"{faulty.host}/a/box@sha256:{'0' * 64}", store=str(tmp_path / "store"))
    headers = {"Content-Type": kind, "Docker-Content-Digest": "sha256:" + "0" * 64}
    faulty.faults.append(lambda request: "/manifests/" in request.path and reply(request, 200, data, **headers))

    refused(faulty, tmp_path, "calls the manifest sha256:000")


def test_an_endless_manifest(faulty: Faulty, tmp_path: Path) -> None:
    """Nothing is read beyond what a manifest may be."""
    faulty.manifests["1"] = (MANIFEST, b" " * (9 << 20))

    refused(faulty, tmp_path, "larger than")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(faulty: Faulty, tmp_path: Path, status: int) -> None:
    """Too many requests and errors of the server: later it works."""
    faulty.faults.append(Times(2, "/manifests/", lambda request: reply(request, status)))
    faulty.faults.append(Times(2, "/blobs/", lambda request: reply(request, status)))

    pull(faulty, tmp_path)


def test_as_long_as_the_server_asks(faulty: Faulty, tmp_path: Path) -> None:
    """Retry-After is waited for."""
    faulty.faults.append(Times(1, "/manifests/", lambda request: reply(request, 429, **{"Retry-After": "1"})))
    began = time.monotonic()
    pull(faulty, tmp_path)

    assert time.monotonic() - began > 1


def test_as_long_as_the_server_asks_by_the_clock(faulty: Faulty, tmp_path: Path) -> None:
    """Retry-After may also say when; what makes no sense is not waited for."""
    later = formatdate(time.time() + 3, usegmt=True)
    faulty.faults.append(Times(1, "/manifests/", lambda request: reply(request, 429, **{"Retry-After": "soon"})))
    faulty.faults.append(Times(1, "/manifests/", lambda request: reply(request, 503, **{"Retry-After": later})))
    began = time.monotonic()
    pull(faulty, tmp_path)

    assert 1 < time.monotonic() - began < 20


def test_refusals_are_final(faulty: Faulty, tmp_path: Path) -> None:
    """What is forbidden is asked for once, and the registry's own words are shown without its control characters."""
    error = json.dumps({"errors": [{"code": "DENIED", "message": "no\x1b[31m way"}]}).encode()
    faulty.faults.append(lambda request: "/manifests/" in request.path and reply(request, 403, error))

    assert "403 DENIED: no?[31m way" in str(refused(faulty, tmp_path, "answers 403"))
    assert len(faulty.asked("/manifests/")) == 1


def test_redirects_do_not_leak(faulty: Faulty, tmp_path: Path) -> None:
    """Where a registry sends us for blobs, the password does not go; its own requests have it."""
    other = Faulty()
    other.blobs = faulty.blobs
    to = f"http://127.0.0.1:{other.server.server_port}"
    challenge = {"WWW-Authenticate": 'Basic realm="x"'}
    faulty.faults.append(lambda request: "Authorization" not in request.headers and reply(request, 401, **challenge))
    faulty.faults.append(
        lambda request: "/blobs/" in request.path and reply(request, 307, Location=f"{to}{request.path}?signature=s")
    )
    try:
        pull(faulty, tmp_path, access=Access(credentials="me:secret"))
    finally:
        other.close()

    assert other.asked("/blobs/") and all("Authorization" not in headers for headers in other.asked("/"))
    assert all(headers.get("Authorization") for headers in faulty.asked("/blobs/")[1:])


def test_mirrors_are_not_told_passwords(faulty: Faulty, tmp_path: Path) -> None:
    """A password that the caller gives for a registry does not go to a mirror of it, which may ask for one."""
    mirror = Faulty()
    challenge = {"WWW-Authenticate": 'Basic realm="x"'}
    mirror.faults.append(lambda request: reply(request, 401, **challenge))
    (tmp_path / "registries.conf").write_text(
        f'[[registry]]\nlocation = "{faulty.host}"\n[[registry.mirror]]\nlocation = "{mirror.host}"\n'
    )
    try:
        pull(faulty, tmp_path, access=Access(credentials="me:secret"))
    finally:
        mirror.close()

    assert mirror.asked("/manifests/") and all("Authorization" not in headers for headers in mirror.asked("/"))


@pytest.mark.parametrize("how", ["copy", "config", "repack"])
def test_one_password_is_not_offered_to_two_registries(
    faulty: Faulty, tmp_path: Path, pyrunc: Pyrunc, how: str, root: None
) -> None:
    """Which of them it is for nobody has said, so neither is asked."""
    place, target = f"docker://{faulty.host}/a/box:1", "docker://localhost:1/box"
    made = Layout(tmp_path / "plain")
    made.image(LOWER, name="box")
    images.unpack(f"oci:{made.write()}:box", str(tmp_path / "bundle"))
    words = {
        "copy": ["copy", place, target],
        "config": ["config", "--author=me", f"--tag={target}", place],
        "repack": ["repack", f"--base={place}", str(tmp_path / "bundle"), target],
    }
    done = pyrunc("image", words[how][0], "--creds=me:secret", *words[how][1:])

    assert done.code == 1 and "there is one password for localhost:1 and localhost:" in done.err
    assert faulty.requests == []


def test_redirects_in_circles(faulty: Faulty, tmp_path: Path) -> None:
    """A redirect to itself ends."""
    faulty.faults.append(lambda request: "/blobs/" in request.path and reply(request, 307, Location=request.path))

    refused(faulty, tmp_path, "redirects more than")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://localhost:99999/x", "ftp://x/y", "http://[::1/x"])
def test_redirects_to_nowhere(faulty: Faulty, tmp_path: Path, target: str) -> None:
    """Only addresses of the web are followed."""
    faulty.faults.append(lambda request: "/blobs/" in request.path and reply(request, 307, Location=target))

    refused(faulty, tmp_path, "redirects to|no address|cannot reach")


def test_nothing_leads_from_https_to_http(tmp_path: Path) -> None:
    """What was asked for encrypted does not come in the clear."""
    pair = certificate(tmp_path / "tls")
    server = Faulty()
    fill(server, tmp_path)
    over_tls(server, pair)
    server.faults.append(
        lambda request: "/blobs/" in request.path and reply(request, 307, Location="http://localhost:1/x")
    )
    try:
        with pytest.raises(PyruncError, match="redirects to http:"):
            pull(server, tmp_path, access=Access(certificates=str(tmp_path / "tls")))
    finally:
        server.close()


class Tokens:
    """A token service and the registry that asks for its tokens. After each of these numbers of requests that it
    let pass, the token that is good is so no more."""

    def __init__(self, server: Faulty, *ends: int) -> None:
        self.server, self.ends, self.passed, self.given, self.good = server, ends, 0, 0, False
        self.lock = Lock()
        self.asked: list[tuple[dict[str, list[str]], str]] = []

    def __call__(self, request: Any) -> bool:
        with self.lock:
            return self.answer(request)

    def answer(self, request: Any) -> bool:
        if request.path.startswith("/token"):
            query = parse_qs(urlsplit(request.path).query)
            self.asked.append((query, request.headers.get("Authorization", "")))
            self.given, self.good = self.given + 1, True
            return reply(request, 200, json.dumps({"token": f"t{self.given}"}).encode())
        if request.headers.get("Authorization") == f"Bearer t{self.given}" and self.good:
            self.passed += 1
            self.good = self.passed not in self.ends
            return False
        realm = f'Bearer realm="http://{self.server.host}/token",service="a, b",scope="repository:a/box:pull"'
        return reply(request, 401, **{"WWW-Authenticate": realm})


def test_tokens(faulty: Faulty, tmp_path: Path) -> None:
    """Anonymous or with a password, a token is asked for what is needed, and used for all of it."""
    faulty.faults.append(service := Tokens(faulty))
    pull(faulty, tmp_path)
    images.inspect(f"docker://{faulty.host}/a/box:1", access=Access(credentials="me:secret"))

    anonymous, named = service.asked
    assert (anonymous[0]["service"], anonymous[0]["scope"], anonymous[1]) == (["a, b"], ["repository:a/box:pull"], "")
    assert (named[0]["account"], named[1]) == (["me"], f"Basic {basic('me', 'secret')}")


def test_tokens_run_out(faulty: Faulty, tmp_path: Path) -> None:
    """A token that is refused is replaced, in the middle of a pull; once, however many requests it was refused to."""
    faulty.faults.append(service := Tokens(faulty, 1, 2))
    pull(faulty, tmp_path)

    assert len(service.asked) == 3


def test_a_token_service_that_gives_none(faulty: Faulty, tmp_path: Path) -> None:
    """What is no token goes into no header."""
    realm = {"WWW-Authenticate": f'Bearer realm="http://{faulty.host}/token"'}
    for answer in (b"{}", b"[]", b"x", b'{"token": "a\\r\\nb"}', b'{"token": 1}'):
        faulty.faults = [
            lambda request, answer=answer: (
                reply(request, 200, answer) if "/token" in request.path else reply(request, 401, **realm)
            )
        ]
        refused(faulty, tmp_path, "gives no token")


def test_challenges() -> None:
    """Several schemes in one header, commas and escapes in quotes."""
    header = 'Bearer realm="https://a/b?c=d,e",scope="x:pull,push", service=s, Basic realm="q\\"r"'

    assert challenges(header) == {
        "bearer": {"realm": "https://a/b?c=d,e", "scope": "x:pull,push", "service": "s"}, "basic": {"realm": 'q"r'},
    }  # fmt: skip
    assert challenges("") == {} == challenges('="x"')


def test_nobody_there(tmp_path: Path) -> None:
    """A host that does not answer, or does not exist, is one clear error at once."""
    began = time.monotonic()
    for host, match in (("localhost:1", "ECONNREFUSED"), ("no-such-host.invalid", "no-such-host.invalid")):
        with pytest.raises(PyruncError, match=f"cannot reach {host}.*|{match}"):
            images.pull(f"{host}/box", store=str(tmp_path / "store"))

    assert time.monotonic() - began < 20


def test_pushes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a blob that fail are sent again from where the registry is, and the blob arrives whole."""
    from pyrunc.image.registry import push

    monkeypatch.setattr(push, "PART", 1 << 20)
    failed: list[str] = []
    real = Client._send

    def broken(self: Client, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Any:
        import urllib3

        if method == "PATCH" and len(failed) < 3:
            failed.append(url)
            if len(failed) == 2:  # it has arrived, but the answer is lost
                real(self, method, url, headers, body)
            raise urllib3.exceptions.ProtocolError("cut")
        return real(self, method, url, headers, body)

    monkeypatch.setattr(Client, "_send", broken)
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, blobs=[made.blob(BIG, "application/x"), made.blob(UPPER, "application/y")], name="box")
    with registry(tmp_path / "registry") as host:
        images.copy(f"oci:{made.write()}:box", f"docker://{host}/box:1")
        images.pull(f"{host}/box:1", store=str(tmp_path / "store"))

    assert len(failed) == 3
