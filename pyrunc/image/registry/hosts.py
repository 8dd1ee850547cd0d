"""Which servers an image may come from: the registry itself, or mirrors of it that the machine's configuration names.

containers' registries.conf (and registries.conf.d) where it has an entry for the name, otherwise containerd's
certs.d/HOST/hosts.toml. Mirrors come first, and are only read from. Certificates: certs.d/HOST/*.crt, *.cert, *.key.
"""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pyrunc.image.access import Access
from pyrunc.image.reference import DOCKER, DOCKER_HOST, Reference
from pyrunc.specs.errors import Failure, Invalid

CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")
HOSTS = ("/etc/containerd/certs.d", "/etc/docker/certs.d")


class Server:
    """One server and what the image is called there. `insecure`: certificates are not checked, plain HTTP will do."""

    __slots__ = ("authorities", "host", "insecure", "name", "namespace", "pairs", "plain")

    def __init__(self, host: str, name: str, insecure: bool, certificates: str = "", namespace: str = "") -> None:
        self.host = host
        self.name = name
        self.insecure = insecure
        self.plain = False  # http and nothing else
        self.namespace = namespace  # the registry that this is a mirror of, told to mirrors of containerd's kind
        self.authorities: list[str] = []
        self.pairs: list[tuple[str, str]] = []
        self._certificates([certificates] if certificates else [os.path.join(top, host) for top in _certificates()])

    def _certificates(self, folders: list[str]) -> None:
        for folder in folders:
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                continue
            self.authorities += [os.path.join(folder, name) for name in names if name.endswith(".crt")]
            for name in names:
                key = f"{name.removesuffix('.cert')}.key"
                if name.endswith(".cert") and key in names:
                    self.pairs.append((os.path.join(folder, name), os.path.join(folder, key)))

    @property
    def local(self) -> bool:
        """On this machine, where plain HTTP is heard by nobody else."""
        host = self.host if self.host.endswith("]") else self.host.rpartition(":")[0] or self.host
        return host in ("localhost", "[::1]") or host.startswith("127.")


def servers(image: Reference, access: Access, reading: bool) -> list[Server]:
    """Where to ask, in order."""
    entry = _entry(image)
    insecure = bool(entry.get("insecure")) if access.verify is None else not access.verify
    if entry.get("blocked"):
        raise Failure(f"reach {image.host}", detail="registries.conf blocks it")
    found = []
    if reading and entry:
        found = [_moved(image, entry, mirror, access) for mirror in entry.get("mirror", []) if _fits(mirror, image)]
    elif reading:
        found = _containerd(image, access)
    if entry.get("location"):
        found.append(_moved(image, entry, {**entry, "insecure": insecure}, access))
    else:
        host = DOCKER_HOST if image.host == DOCKER else image.host
        found.append(Server(host, image.name, insecure, access.certificates))
    return found


def _fits(mirror: dict[str, Any], image: Reference) -> bool:
    wanted = str(mirror.get("pull-from-mirror", "all"))
    return wanted == "all" or (wanted == "digest-only") == bool(image.digest)


def _moved(image: Reference, entry: dict[str, Any], other: dict[str, Any], access: Access) -> Server:
    """The image where its prefix is replaced by a location."""
    rest = image.repository[len(_prefix(entry)) :]
    host, _, name = f"{other.get('location', '')}{rest}".partition("/")
    if not host or not name:
        raise Invalid(f"the location {other.get('location')!r} of {_prefix(entry)} in registries.conf is none")
    host = DOCKER_HOST if host == DOCKER else host
    return Server(host, name, bool(other.get("insecure")), access.certificates)


def _prefix(entry: dict[str, Any]) -> str:
    return str(entry.get("prefix") or entry.get("location") or "")


def _entry(image: Reference) -> dict[str, Any]:
    """The [[registry]] whose prefix says most of the image's name."""
    best: dict[str, Any] = {}
    for path in _configurations():
        for entry in _read(path).get("registry", []):
            prefix = _prefix(entry)
            whole = f"{image.repository}/".startswith(f"{prefix}/")
            if prefix and whole and len(prefix) >= len(_prefix(best)):
                best = entry
    return best


def _configurations() -> list[str]:
    named = os.environ.get("CONTAINERS_REGISTRIES_CONF")
    if named:
        return [named]
    own = os.path.join(_config_home(), "containers/registries.conf")
    main = own if os.path.exists(own) else "/etc/containers/registries.conf"
    try:
        more = sorted(name for name in os.listdir(f"{main}.d") if name.endswith(".conf"))
    except OSError:
        more = []
    return [main, *(os.path.join(f"{main}.d", name) for name in more)]


def _containerd(image: Reference, access: Access) -> list[Server]:
    """The mirrors of hosts.toml: only those that resolve and pull."""
    for top in HOSTS:
        for name in (image.host, "_default"):
            entries = _read(os.path.join(top, name, "hosts.toml")).get("host", {})
            if entries:
                return [_host(url, values, image, access) for url, values in entries.items() if _pulls(values)]
    return []


def _pulls(values: dict[str, Any]) -> bool:
    return {"pull", "resolve"} <= set(values.get("capabilities", ["pull", "resolve"]))


def _host(url: str, values: dict[str, Any], image: Reference, access: Access) -> Server:
    scheme, separator, host = url.rpartition("://")
    server = Server(
        host.strip("/"), image.name, bool(values.get("skip_verify")), access.certificates, namespace=image.host
    )  # fmt: skip
    server.plain = bool(separator) and scheme == "http"
    authority = values.get("ca", [])
    server.authorities += [authority] if isinstance(authority, str) else [str(path) for path in authority]
    return server


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: {error}") from None


def _config_home() -> str:
    return os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")


def _certificates() -> list[str]:
    return [os.path.join(_config_home(), "containers/certs.d"), *CERTIFICATES]
