"""Debian's docker-registry behind a token service, with what is signed as it wants it; and identity tokens."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pyrunc import images
from pyrunc.image.access import Access
from pyrunc.image.registry import credentials
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import LOWER, UPPER, Layout
from tests.pyrunc.image.registries import Faulty, basic, certificate, registry, reply


class Service:
    """Gives tokens to `me`, whose password is `secret`, and to whoever has the identity token; to all, tokens to pull.
    `seconds` is for how long the next ones are good."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = certificate(folder)
        self.seconds: list[int] = []
        self.server = Faulty()
        self.server.faults.append(self.answer)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []

    @property
    def auth(self) -> dict[str, Any]:
        realm = f"http://{self.server.host}/token"
        return {"token": {"realm": realm, "service": "box", "issuer": "me", "rootcertbundle": str(self.certificate)}}

    def answer(self, request: Any) -> bool:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        query = parse_qs(body or urlsplit(request.path).query)
        self.asked.append((request.command, query))
        known = request.headers.get("Authorization") == f"Basic {basic('me', 'secret')}"
        known = known or query.get("refresh_token") == ["identity"]
        if not known and ("Authorization" in request.headers or "refresh_token" in query):
            return reply(request, 401)
        access = []
        for scope in " ".join(query.get("scope", [])).split():
            kind, name, actions = scope.split(":")
            granted = [action for action in actions.split(",") if known or action == "pull"]
            access.append({"type": kind, "name": name, "actions": granted})
        return reply(request, 200, json.dumps({"access_token": self.token(access)}).encode())

    def token(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        der = base64.b64encode(ssl.PEM_cert_to_DER_cert(self.certificate.read_text())).decode()
        claims = {
            "iss": "me", "sub": "me", "aud": "box", "iat": now, "nbf": now - 10, "jti": "1", "access": access,
            "exp": now + (self.seconds.pop() if self.seconds else 300),
        }  # fmt: skip
        head = f"{packed({'typ': 'JWT', 'alg': 'RS256', 'x5c': [der]})}.{packed(claims)}"
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        signed = subprocess.run(command, input=head.encode(), capture_output=True, check=True).stdout
        return f"{head}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture(autouse=True)
def nobodys_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's users have configured has no say here."""
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "signing")
    yield made
    made.server.close()


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


ME = Access(credentials="me:secret")


def test_there_and_back(service: Service, source: str, tmp_path: Path) -> None:
    """Pushed with a password, mounted from another repository, listed, pulled by anybody, deleted."""
    with registry(tmp_path / "registry", auth=service.auth) as host:
        with pytest.raises(PyruncError, match="answers 401 UNAUTHORIZED"):
            images.copy(source, f"docker://{host}/a/box:1")
        pushed = images.copy(source, f"docker://{host}/a/box:1", target_access=ME)
        states: list[str] = []
        images.copy(
            f"docker://{host}/a/box:1", f"docker://{host}/b/box:1", access=ME, target_access=ME,
            report=lambda state, *_: states.append(state),
        )  # fmt: skip
        assert images.pull(f"{host}/b/box:1", store=str(tmp_path / "store"))[1].digest == pushed.digest
        assert images.tags(f"docker://{host}/b/box", access=ME) == ["1"]
        images.remove(f"docker://{host}/b/box@{pushed.digest}", access=ME)

    assert "copying" not in states  # no byte of a blob was sent
    assert any(len(query.get("scope", [])) == 2 for _, query in service.asked)  # pull of the one, push to the other


def test_wrong_passwords(service: Service, source: str, tmp_path: Path) -> None:
    """The service says no: one error with a hint."""
    with registry(tmp_path / "registry", auth=service.auth) as host:
        for credentials in ("me:wrong", "<token>:wrong"):
            with pytest.raises(PyruncError, match="the token service answers 401") as caught:
                images.copy(source, f"docker://{host}/box", target_access=Access(credentials=credentials))
            assert "password" in str(caught.value.hint)


@pytest.mark.parametrize("how", ["identitytoken", "helper"])
def test_identity_tokens(
    service: Service, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """From the auth file or a helper: exchanged by POST for the token of a request, and sent nowhere else."""
    with registry(tmp_path / "registry", auth=service.auth) as host:
        document: dict[str, Any] = {"auths": {host: {"auth": basic("x", ""), "identitytoken": "identity"}}}
        if how == "helper":
            document = {"credsStore": "test"}
            helper = tmp_path / "bin/docker-credential-test"
            helper.parent.mkdir()
            helper.write_text(
                f'#!/bin/sh\n[ "$1 $(cat)" = "get {host}" ] || exit 3\n'
                'echo \'{"Username": "<token>", "Secret": "identity"}\'\n'
            )
            helper.chmod(0o755)
            monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
        (tmp_path / "auth.json").write_text(json.dumps(document))
        images.copy(source, f"docker://{host}/box")

    assert {method for method, _ in service.asked} == {"POST"}
    assert all(query["grant_type"] == ["refresh_token"] and query["client_id"] for _, query in service.asked)


def test_helpers_that_fail(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that has nothing is nobody's password; one that fails, is not there or talks nonsense is named."""
    helper = tmp_path / "bin/docker-credential-test"
    helper.parent.mkdir()
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    (tmp_path / "auth.json").write_text(json.dumps({"credsStore": "test"}))

    def said(script: str) -> str:
        helper.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
        helper.chmod(0o755)
        with pytest.raises(PyruncError) as caught:
            images.copy(source, "docker://localhost:1/box")
        return str(caught.value)

    assert "ECONNREFUSED" in said("echo credentials not found in native keychain; exit 1")
    assert "docker-credential-test" in said("echo locked; exit 1") and "locked" in said("echo locked; exit 1")
    assert "makes no sense" in said("echo hello")
    helper.unlink()
    with pytest.raises(PyruncError, match="docker-credential-test.*No such file"):
        images.copy(source, "docker://localhost:1/box")
    (tmp_path / "auth.json").write_text(json.dumps({"credsStore": "../x"}))
    with pytest.raises(PyruncError, match="is not the name of a credential helper"):
        images.copy(source, "docker://localhost:1/box")


def test_a_token_that_runs_out(service: Service, source: str, tmp_path: Path) -> None:
    """One that has expired before it is used is replaced when the registry says so."""
    with registry(tmp_path / "registry", auth=service.auth) as host:
        service.seconds = [-61]  # the registry allows for clocks that are a minute off
        images.copy(source, f"docker://{host}/box", target_access=ME)

    assert service.seconds == [] and len(service.asked) >= 2


@pytest.mark.parametrize(("runtime", "path"), [("run", "run/containers/auth.json"), ("", "none/0/auth.json")])
def test_where_passwords_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, path: str
) -> None:
    """In the user's runtime folder, or where podman has them of who has none; the others come later."""
    monkeypatch.delenv("REGISTRY_AUTH_FILE")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / runtime) if runtime else "")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(credentials, "RUN", str(tmp_path / "none"))
    monkeypatch.setattr(credentials.os, "geteuid", lambda: 0)
    for number, name in enumerate((path, "config/containers/auth.json", "docker/config.json")):
        (tmp_path / name).parent.mkdir(parents=True)
        auths = {f"{host}.b": {"auth": basic("me", str(number))} for host in "abc"[: number + 1]}
        (tmp_path / name).write_text(json.dumps({"auths": auths}))

    assert [credentials.find(f"{host}.b", "x") for host in "abcd"] == [("me", "0"), ("me", "1"), ("me", "2"), None]
