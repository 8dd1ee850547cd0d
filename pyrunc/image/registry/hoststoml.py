"""containerd's certs.d: a folder for each registry, with the hosts that stand for it in hosts.toml.

    server = "https://registry.example"             the registry itself; what follows at this level is about it
    [host."https://mirror.example/path"]            asked first, in this order
      capabilities = ["pull", "resolve", "push"]    default: pull and resolve
      ca = "ca.crt"   client = [["c.cert", "c.key"]]   skip_verify = false   override_path = false
      dial_timeout = "5s"   [host."...".header] Name = "value"

The folder is called HOST_PORT_, HOST:PORT, HOST or, for all others, _default. A host is only pushed to where it says
so: what is meant for a registry does not end at a mirror of it by mistake.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from pyrunc.image.access import Access
from pyrunc.image.reference import Reference
from pyrunc.image.registry.hosts import PULL, PUSH, RESOLVE, Server, host_of, read_toml
from pyrunc.specs.errors import Invalid

TOPS = ("/etc/containerd/certs.d", "/etc/docker/certs.d")
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")


def mirrors(image: Reference, access: Access) -> list[Server]:
    """The hosts, in their order."""
    folder, values = _table(image)
    hosts = values.get("host", {})
    if not isinstance(hosts, dict):
        raise Invalid(f"{folder}/hosts.toml: host is no table")
    return [_server(url, part, folder, image, access, {PULL, RESOLVE}) for url, part in hosts.items()]


def itself(image: Reference, access: Access) -> Server | None:
    """The registry as the file has it, if it says anything of it."""
    folder, values = _table(image)
    own = {key: value for key, value in values.items() if key != "host"}
    if not own:
        return None
    url = own.pop("server", "")
    server = _server(url or f"https://{host_of(image.host)}", own, folder, image, access, {PULL, RESOLVE, PUSH})
    if not url:
        server.scheme = ""  # as for every registry
    return server


def _table(image: Reference) -> tuple[str, dict[str, Any]]:
    """The folder for the registry, and what its file says."""
    host, colon, port = image.host.rpartition(":")
    names = [f"{host}_{port}_"] if colon and not image.host.endswith("]") else []
    for name in (*names, image.host, "_default"):
        for top in TOPS:
            folder = os.path.join(top, name)
            if os.path.isdir(folder):
                return folder, read_toml(os.path.join(folder, "hosts.toml"))
    return "", {}


def _server(url: Any, values: Any, folder: str, image: Reference, access: Access, can: set[str]) -> Server:
    path = f"{folder}/hosts.toml"
    if not isinstance(values, dict) or not isinstance(url, str):
        raise Invalid(f"{path}: {url!r} is not the table of a host")
    parts = _address(url, path)
    server = Server(parts.netloc, image.name, values.get("skip_verify") is True, access.certificates)
    server.scheme = parts.scheme
    root = parts.path.rstrip("/")
    server.root = root if values.get("override_path") is True or root.endswith("/v2") else f"{root}/v2"
    server.namespace = "" if server.host == host_of(image.host) else image.host
    server.can = set(_texts(values.get("capabilities", []), "capabilities", path)) or can
    if not server.can <= {PULL, RESOLVE, PUSH}:
        raise Invalid(f"{path}: {', '.join(sorted(server.can))} are not capabilities", hint="pull, resolve, push")
    server.authorities += [os.path.join(folder, name) for name in _texts(values.get("ca", []), "ca", path)]
    pairs = _pairs(values, path)
    server.pairs += [(os.path.join(folder, one), two and os.path.join(folder, two)) for one, two in pairs]
    server.headers = _headers(values.get("header", {}), path)
    if "dial_timeout" in values:
        server.timeout = _seconds(values["dial_timeout"], path)
    return server


def _address(url: str, path: str) -> Any:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.query:
        raise Invalid(f"{path}: {url!r} is not the address of a host", hint="https://HOST[:PORT][/PATH]")
    return parts


def _texts(value: Any, name: str, path: str) -> list[str]:
    """One text or several."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Invalid(f"{path}: {name} is neither a text nor a list of them")
    return texts


def _pairs(values: dict[str, Any], path: str) -> list[tuple[str, str | None]]:
    """Certificates of our own, each with its key, which may be in the same file."""
    given = values.get("client", [])
    found: list[tuple[str, str | None]] = []
    for one in [given] if isinstance(given, str) else given if isinstance(given, list) else [given]:
        texts = _texts(one, "client", path)
        if len(texts) not in (1, 2):
            raise Invalid(f"{path}: client is a certificate, or pairs of a certificate and a key")
        found.append((texts[0], texts[1] if texts[1:] and texts[1] else None))
    return found


def _headers(value: Any, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Invalid(f"{path}: header is no table")
    found = {name: ", ".join(_texts(texts, "header", path)) for name, texts in value.items()}
    if any(not text.isprintable() for pair in found.items() for text in pair):
        raise Invalid(f"{path}: a header of control characters")
    return found


def _seconds(value: Any, path: str) -> float:
    text = value if isinstance(value, str) else ""
    if not text or DURATION.sub("", text):
        raise Invalid(f"{path}: dial_timeout {value!r} is not a time such as 5s")
    return sum(float(count) * SECONDS[unit] for count, unit in DURATION.findall(text))
