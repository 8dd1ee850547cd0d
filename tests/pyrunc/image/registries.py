"""Registries on loopback: Debian's docker-registry as it comes, and a small one that fails as it is told to."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def registry(folder: Path, **http: Any) -> Iterator[str]:
    """docker-registry; its host:port. HTTP, AUTH and DELETE are parts of its configuration."""
    need("docker-registry")
    folder.mkdir(exist_ok=True)
    port = free_port()
    auth, delete = http.pop("auth", None), http.pop("delete", True)
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": delete}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "x", **http},
        **({"auth": auth} if auth else {}),
    }
    (folder / "config.yml").write_text(json.dumps(config))  # which is YAML too
    log = (folder / "log").open("wb")
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    # It takes REGISTRY_... for parts of its configuration, also those that are meant for us.
    environment = {"PATH": os.environ["PATH"]}
    server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        for _ in range(400):
            if server.poll() is not None:
                pytest.fail((folder / "log").read_text())
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        server.kill()
        server.wait()
        log.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else has signed, and its key."""
    need("openssl")
    folder.mkdir(exist_ok=True)
    certificate, key = folder / "ca.crt", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def passwords(folder: Path, user: str, password: str) -> Path:
    """The file of a registry with basic authentication; bcrypt is the only hash it takes."""
    import ctypes

    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError:
        pytest.skip("libcrypt is not installed")
    crypt.restype = ctypes.c_char_p
    folder.mkdir(exist_ok=True)
    hashed = crypt(password.encode(), b"$2b$05$" + b"a" * 21 + b"u")
    (folder / "htpasswd").write_bytes(user.encode() + b":" + hashed + b"\n")
    return folder / "htpasswd"


class Faulty:
    """A registry of our own: holds BLOBS and MANIFESTS (by target: type and bytes), and before it answers a request
    asks each of `faults`, which may answer in its place. `requests` are those that came."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.faults: list[Any] = []
        self.uploads: dict[str, bytes] = {}
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *rest: object) -> None:
                pass

            def do(self) -> None:
                faulty.requests.append((self.command, self.path, dict(self.headers.items())))
                for fault in faulty.faults:
                    if fault(self):
                        return
                faulty.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = do

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: Any) -> None:
        path = request.path.partition("?")[0]
        kind, target = path.split("/")[-2:] if path != "/v2/" else ("", "")
        if kind == "blobs" and target in self.blobs:
            data = self.blobs[target]
            start = int(request.headers.get("Range", "bytes=0-")[6:-1])
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
            reply(request, 206 if start else 200, data[start:], **headers)
        elif kind == "manifests" and target in self.manifests:
            reply(request, 200, self.manifests[target][1], **{"Content-Type": self.manifests[target][0]})
        else:
            error = {"errors": [{"code": "UNKNOWN", "message": "not here"}]}
            reply(request, 404, json.dumps(error).encode())

    def asked(self, part: str) -> list[dict[str, str]]:
        """The headers of the requests whose path has PART."""
        return [headers for _, path, headers in self.requests if part in path]


def reply(request: Any, status: int, data: bytes = b"", length: int | None = None, **headers: str) -> bool:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(data) if length is None else length))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(data)
    return True


def over_tls(server: Faulty, pair: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()
