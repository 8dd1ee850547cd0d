"""Where the machine's configuration sends us for a name: hosts.toml, registries.conf, short names, proxies."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyrunc import images
from pyrunc.image.access import Access
from pyrunc.image.reference import parse_reference
from pyrunc.image.registry import hosts, hoststoml, registriesconf
from pyrunc.image.registry.pools import proxy_for
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import LOWER, MANIFEST, UPPER, Layout
from tests.pyrunc.image.registries import Faulty, basic, certificate, registry, reply

NAME = "registry.invalid:5000/a/box:1"


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own alone."""
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(hoststoml, "TOPS", (str(tmp_path / "certs.d"),))
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Faulty]:
    """A server that has an image, by tag and by digest."""
    made, server = Layout(tmp_path / "held"), Faulty()
    entry = made.image(LOWER)
    for path in (made.path / "blobs/sha256").iterdir():
        server.blobs[f"sha256:{path.name}"] = path.read_bytes()
    data = server.blobs.pop(entry["digest"])
    server.manifests = {"1": (MANIFEST, data), entry["digest"]: (MANIFEST, data)}
    yield server
    server.close()


def toml(tmp_path: Path, folder: str, text: str) -> Path:
    path = tmp_path / "certs.d" / folder
    path.mkdir(parents=True)
    (path / "hosts.toml").write_text(text)
    return path


def pull(tmp_path: Path, name: str = NAME, **values: Any) -> str:
    return images.pull(name, store=str(tmp_path / "store"), **values)[1].digest


# -- hosts.toml -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["registry.invalid_5000_", "registry.invalid:5000", "_default"])
def test_folders(tmp_path: Path, mirror: Faulty, folder: str) -> None:
    """The folder for the registry may be called in three ways; the mirror is told whom it stands for."""
    toml(tmp_path, folder, f'[host."http://{mirror.host}"]\n')
    pull(tmp_path)

    assert all(path.endswith("?ns=registry.invalid:5000") for _, path, _ in mirror.requests)


def test_the_closest_folder_counts(tmp_path: Path, mirror: Faulty) -> None:
    """What is meant for the registry goes before what is meant for all."""
    toml(tmp_path, "_default", '[host."http://localhost:1"]\n')
    toml(tmp_path, "registry.invalid_5000_", f'[host."http://{mirror.host}"]\n')
    pull(tmp_path)

    assert mirror.requests


def test_the_registry_is_elsewhere(tmp_path: Path, mirror: Faulty) -> None:
    """`server` is what stands for the registry itself, after the hosts."""
    toml(tmp_path, "_default", f'server = "http://{mirror.host}"\n[host."http://localhost:1"]\n')

    pull(tmp_path)


def test_the_registry_where_it_is(tmp_path: Path, mirror: Faulty) -> None:
    """What is said at the top without `server` is about the registry itself."""
    toml(tmp_path, "_default", '[header]\nX-Key = "secret"\n')
    pull(tmp_path, f"{mirror.host}/a/box:1")

    assert {headers.get("X-Key") for _, path, headers in mirror.requests if path != "/v2/"} == {"secret"}
    assert all("ns=" not in path for _, path, _ in mirror.requests)


def test_paths_and_headers(tmp_path: Path, mirror: Faulty) -> None:
    """The API may be below a path, and be asked with headers, which no redirect takes elsewhere."""
    other = Faulty()
    other.blobs = mirror.blobs
    mirror.faults.append(
        lambda request: "/blobs/" in request.path and reply(request, 307, Location=f"http://{other.host}{request.path}")
    )
    toml(
        tmp_path,
        "_default",
        f'[host."http://{mirror.host}/deep/api"]\noverride_path = true\n'
        f'[host."http://{mirror.host}/deep/api".header]\nX-Key = "secret"\nX-Two = ["a", "b"]\n',
    )
    try:
        pull(tmp_path)
    finally:
        other.close()

    assert {path.partition("?")[0].rsplit("/", 2)[0] for _, path, _ in mirror.requests} == {"/deep/api/a/box"}
    assert {(h["X-Key"], h["X-Two"]) for _, _, h in mirror.requests} == {("secret", "a, b")}
    assert other.requests and all("X-Key" not in headers for _, _, headers in other.requests)


@pytest.mark.parametrize(("path", "root"), [("", "/v2"), ("/", "/v2"), ("/x", "/x/v2"), ("/x/v2/", "/x/v2")])
def test_paths_without_override(tmp_path: Path, path: str, root: str) -> None:
    """/v2 follows the path unless it ends in that."""
    toml(tmp_path, "_default", f'[host."https://mirror.invalid{path}"]\ndial_timeout = "1m1.5s"\n')
    [found] = hoststoml.mirrors(parse_reference(NAME), Access())

    assert (found.base, found.scheme, found.timeout) == (f"{root}/a/box", "https", 61.5)


def test_capabilities(tmp_path: Path, mirror: Faulty) -> None:
    """A host that only pulls is not asked what a tag means; one that only resolves has no blobs to give."""
    other = Faulty()
    other.manifests, other.blobs = mirror.manifests, mirror.blobs
    toml(
        tmp_path,
        "_default",
        f'[host."http://{mirror.host}"]\ncapabilities = ["resolve"]\n'
        f'[host."http://{other.host}"]\ncapabilities = ["pull"]\n',
    )
    try:
        pull(tmp_path)
    finally:
        other.close()

    assert {path.split("/")[4] for _, path, _ in mirror.requests} == {"manifests"}
    assert {path.split("/")[4] for _, path, _ in other.requests} == {"blobs"}


def test_looking_takes_no_capability_to_push(tmp_path: Path, mirror: Faulty) -> None:
    """Tags are listed by a registry that is only read from, and not by its mirrors."""
    text = f'server = "http://{mirror.host}"\ncapabilities = ["pull", "resolve"]\n[host."http://localhost:1"]\n'
    toml(tmp_path, "_default", text + 'capabilities = ["pull", "resolve", "push"]\n')
    mirror.faults.append(lambda request: "/tags/list" in request.path and reply(request, 200, b'{"tags": ["1"]}'))

    assert images.tags("docker://registry.invalid/box") == ["1"]


def test_pushing(tmp_path: Path, source: str) -> None:
    """A host is pushed to where it says so, and only there; another one never by mistake."""
    with registry(tmp_path / "registry") as host:
        path = toml(tmp_path, "_default", f'[host."http://{host}"]\ncapabilities = ["pull", "resolve", "push"]\n')
        pushed = images.copy(source, f"docker://{NAME}")
        assert images.inspect(f"docker://{host}/a/box:1")["digest"] == pushed.digest
        (path / "hosts.toml").write_text(f'[host."http://{host}"]\n')
        with pytest.raises(PyruncError, match="cannot reach registry.invalid:5000"):
            images.copy(source, f"docker://{NAME}")
        (path / "hosts.toml").write_text('server = "https://x.invalid"\ncapabilities = ["pull"]\n')
        with pytest.raises(PyruncError, match="lets no host be pushed to"):
            images.copy(source, f"docker://{NAME}")


@pytest.mark.parametrize("how", ["skip_verify = true", 'ca = "ca.crt"', 'ca = ["{folder}/ca.crt"]', ""])
def test_certificates(tmp_path: Path, mirror: Faulty, how: str) -> None:
    """Not checked, or signed by an authority of its own; and our own where the host asks for one."""
    pair = certificate(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.load_verify_locations(pair[0])
    context.verify_mode = ssl.CERT_REQUIRED
    mirror.server.socket = context.wrap_socket(mirror.server.socket, server_side=True)
    client = f'client = [["{pair[0]}", "{pair[1]}"]]'
    text = f'server = "https://{mirror.host}"\n{how.format(folder=tmp_path / "tls")}\n{client if how else ""}\n'
    folder = toml(tmp_path, "_default", text)
    (folder / "ca.crt").write_bytes(pair[0].read_bytes())

    if how:
        pull(tmp_path)
    else:
        with pytest.raises(PyruncError, match="certificate verify failed"):
            pull(tmp_path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[host."https://x"]\ncapabilities = ["pul"]', "pul are not capabilities"),
        ('[host."https://x"]\nca = 1', "ca is neither a text"),
        ('[host."https://x"]\nclient = [["a", "b", "c"]]', "client is a certificate"),
        ('[host."https://x"]\ndial_timeout = "5 seconds"', "is not a time such as 5s"),
        ('[host."https://x"]\nheader = "x"', "header is no table"),
        ('[host."https://x".header]\nx = "a\\r\\nb"', "control characters"),
        ('[host."ftp://x"]', "not the address of a host"),
        ('[host."https://me:secret@x"]', "not the address of a host"),
        ('[host."https://x:99999"]', "not the address of a host"),
        ('host = "x"', "host is no table"),
        ("[host", "hosts.toml: "),
        ('[host."https://x"]\nca = "none.crt"', "cannot read the certificates for x"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, match: str) -> None:
    """The file and what is wrong in it are named; nothing is guessed, nobody asked."""
    toml(tmp_path, "_default", text)

    with pytest.raises(PyruncError, match=match):
        pull(tmp_path)


# -- registries.conf --------------------------------------------------------------------------------------------------


def servers(tmp_path: Path, text: str, name: str) -> list[str]:
    (tmp_path / "registries.conf").write_text(text)
    found = hosts.readers(parse_reference(name), Access())
    return [f"{server.host}/{server.name}" for server in found]


DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('location = "a.b/x"', "a.b/x/y", ["a.b/x/y"]),
        ('prefix = "a.b/x"\nlocation = "c.d"', "a.b/x/y", ["c.d/y"]),
        ('prefix = "a.b/x"\nlocation = "c.d"', "a.b/xx/y", ["a.b/xx/y"]),
        ('prefix = "a.b/x"\nlocation = "c.d/e"', "a.b/x", ["c.d/e"]),
        ('prefix = "*.b"\nlocation = "c.d/e"', "a.b/x", ["c.d/e/x"]),
        ('prefix = "*.b"\nlocation = "c.d/e"', "a.c.b:5/x", ["c.d/e:5/x"]),
        ('prefix = "*.b/x"\nlocation = "c.d/e"', "a.b/x/y", ["c.d/e/y"]),
        ('prefix = "*.b"\nlocation = "c.d"', "a.com/x.b/y", ["a.com/x.b/y"]),
        ('prefix = "*.b"', "a.b/x", ["a.b/x"]),
        ('location = "docker.io"\n[[registry.mirror]]\nlocation = "m.n/hub"', "box",
         ["m.n/hub/library/box", "registry-1.docker.io/library/box"]),
        ('location = "a.b"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.n"', "a.b/x", ["a.b/x"]),
        ('location = "a.b"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.n"', f"a.b/x{DIGEST}",
         ["m.n/x", "a.b/x"]),
        ('location = "a.b"\n[[registry.mirror]]\nlocation = "m.n"\npull-from-mirror = "tag-only"', f"a.b/x{DIGEST}",
         ["a.b/x"]),
        ('location = "a.b"\n[[registry.mirror]]\nlocation = "m.n"\npull-from-mirror = "tag-only"', "a.b/x:1",
         ["m.n/x", "a.b/x"]),
        ('location = "a.b"\n[[registry]]\nprefix = "a.b/x"\nlocation = "c.d"', "a.b/x/y", ["c.d/y"]),
    ],
)  # fmt: skip
def test_prefixes_and_mirrors(tmp_path: Path, text: str, name: str, expected: list[str]) -> None:
    """The longest prefix decides, of hosts below a domain too; mirrors come first, where they are for this."""
    assert servers(tmp_path, f"[[registry]]\n{text}\n", name) == expected


def test_registries_that_are_wrong(tmp_path: Path) -> None:
    """Blocked ones, and what makes no sense, are one clear error."""
    for text, match in (
        ('[[registry]]\nlocation = "a.b"\nblocked = true', "registries.conf blocks it"),
        ('[registry]\nlocation = "a.b"', "not a list of tables"),
        ('[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\nlocation = "m"\npull-from-mirror = "x"', "is 'x'"),
        ('[[registry]]\nprefix = "a.b"\n[[registry.mirror]]\nlocation = ""', "is none"),
    ):
        with pytest.raises(PyruncError, match=match):
            servers(tmp_path, text, "a.b/x")


def test_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's file in the place of the machine's, both folders besides; the latest entry of a prefix wins."""
    monkeypatch.delenv("CONTAINERS_REGISTRIES_CONF")
    monkeypatch.setattr(registriesconf, "SYSTEM", str(tmp_path / "etc"))
    own = tmp_path / "config/containers"
    for path, host in (
        (tmp_path / "etc/registries.conf", "machine"),
        (tmp_path / "etc/registries.conf.d/1.conf", "more"),
        (own / "registries.conf.d/1.conf", "own-more"),
        (own / "registries.conf", "own"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'[[registry]]\nprefix = "a.b"\nlocation = "x.y"\n[[registry]]\nprefix = "{host}.z"\n'
                        f'location = "{host}.b"\n[[registry]]\nprefix = "last.z"\nlocation = "{host}.b"\n')  # fmt: skip
    found = {
        name: hosts.readers(parse_reference(f"{name}.z/x"), Access())[0].host
        for name in ("machine", "more", "own-more", "own", "last")
    }

    assert found == {
        "machine": "machine.z", "more": "more.b", "own-more": "own-more.b", "own": "own.b", "last": "own-more.b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("", "box", "box"),
        ('[aliases]\nbox = "quay.io/me/box"', "box", "quay.io/me/box"),
        ('[aliases]\nbox = "quay.io/me/box"', f"box:1{DIGEST}", f"quay.io/me/box:1{DIGEST}"),
        ('[aliases]\n"me/box" = "quay.io/me/box"', "me/box:1", "quay.io/me/box:1"),
        ('[aliases]\nbox = "quay.io/me/box"', "docker.io/box", "docker.io/box"),
        ('[aliases]\nbox = "quay.io/me/box"', "localhost/box", "localhost/box"),
        ('unqualified-search-registries = ["a.b"]', "me/box:1", "a.b/me/box:1"),
        ('unqualified-search-registries = ["a.b"]\n[aliases]\nbox = "c.d/e"', "box", "c.d/e"),
    ],
)
def test_short_names(tmp_path: Path, text: str, name: str, expected: str) -> None:
    """By alias first, then in the one registry that is searched; a name with a registry is left alone."""
    (tmp_path / "registries.conf").write_text(text)

    assert registriesconf.full_name(name) == expected


def test_short_names_of_several_registries(tmp_path: Path) -> None:
    """Nobody guesses which registry was meant."""
    (tmp_path / "registries.conf").write_text('unqualified-search-registries = ["a.b", "c.d"]')
    with pytest.raises(PyruncError, match="several are configured") as caught:
        pull(tmp_path, "box")

    assert caught.value.hint == "docker://a.b/box or docker://c.d/box"


def test_pulling_a_short_name(tmp_path: Path, mirror: Faulty) -> None:
    """The store calls the image by its full name."""
    (tmp_path / "registries.conf").write_text(f'[aliases]\nbox = "{mirror.host}/a/box"')

    assert images.pull("box:1", store=str(tmp_path / "store"))[0] == f"{mirror.host}/a/box:1"


# -- proxies ----------------------------------------------------------------------------------------------------------


def test_proxies(tmp_path: Path, mirror: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for in the clear goes through HTTP_PROXY, with the proxy's password; https by CONNECT."""
    toml(tmp_path, "_default", 'server = "http://registry.invalid"\n')
    monkeypatch.setenv("HTTP_PROXY", f"http://me:sec%40ret@{mirror.host}")
    monkeypatch.setenv("https_proxy", mirror.host)
    pull(tmp_path)
    assert all(path.startswith("http://registry.invalid/v2/") for _, path, _ in mirror.requests)
    told = {name.lower(): value for _, _, headers in mirror.requests for name, value in headers.items()}
    assert told["proxy-authorization"] == f"Basic {basic('me', 'sec@ret')}"

    mirror.requests.clear()
    mirror.faults.append(lambda request: request.command == "CONNECT" and reply(request, 403))
    (tmp_path / "certs.d/_default/hosts.toml").write_text('server = "https://registry.invalid"\n')
    with pytest.raises(PyruncError, match="cannot reach registry.invalid: .*proxy.*403"):
        pull(tmp_path)
    assert [(method, path) for method, path, _ in mirror.requests] == [("CONNECT", "registry.invalid:443")]


@pytest.mark.parametrize(
    ("no", "url", "expected"),
    [
        ("", "https://a.b/v2/", "http://p:1"),
        ("", "http://a.b/v2/", "http://q:2"),
        ("a.b", "https://a.b/v2/", ""),
        (".b", "https://a.b:5000/v2/", ""),
        ("a.b:6000", "https://a.b:5000/v2/", "http://p:1"),
        ("*", "https://a.b/v2/", ""),
        ("", "https://localhost:5000/v2/", ""),
        ("", "http://127.0.0.1/v2/", ""),
        ("", "http://127.0.0.1.b/v2/", "http://q:2"),
        ("", "http://[::1]:5000/v2/", ""),
    ],
)
def test_which_proxy(monkeypatch: pytest.MonkeyPatch, no: str, url: str, expected: str) -> None:
    """By the scheme, but for what NO_PROXY names and for this machine."""
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("HTTP_PROXY", "q:2")
    monkeypatch.setenv("NO_PROXY", no)

    assert proxy_for(url) == expected


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("localhost:5000", True), ("127.0.0.1", True), ("127.1.2.3:5000", True), ("[::1]", True),
     ("[::1]:5000", True), ("127.evil.example", False), ("127.0.0.1.example:80", False), ("localhost.example", False)],
)  # fmt: skip
def test_this_machine(host: str, local: bool) -> None:
    """Plain HTTP will do on this machine, and nowhere that is called almost like it."""
    assert hosts.Server(host, "box").local == local


def test_encryption_that_is_asked_for(tmp_path: Path, source: str) -> None:
    """--tls-verify holds on this machine as well."""
    with registry(tmp_path / "registry") as host:
        with pytest.raises(PyruncError, match=f"cannot reach {host}"):
            images.copy(source, f"docker://{host}/box", target_access=Access(verify=True))
        images.copy(source, f"docker://{host}/box")


def test_warnings_of_a_registry(mirror: Faulty, tmp_path: Path) -> None:
    """Lines that registries have for people are handed on once each, without what would move a cursor."""
    lines = '299 - "will \\"end\\" soon\x1b[2J", 299 - "two", 110 - "stale"'
    real, told = mirror.answer, list[str]()

    def answer(request: Any) -> None:
        ending = request.end_headers
        request.end_headers = lambda: (request.send_header("Warning", lines), ending())
        real(request)

    mirror.answer = answer  # type: ignore[method-assign]
    images.pull(f"{mirror.host}/a/box:1", store=str(tmp_path / "store"), access=Access(warn=told.append))

    assert told == [f'{mirror.host} says: will "end" soon?[2J', f"{mirror.host} says: two"]
    assert len(mirror.requests) > 1
