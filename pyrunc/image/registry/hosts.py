"""Which servers an image may come from and goes to: the registry itself, or mirrors of it that the machine's
configuration names.

containers' registries.conf where it has an entry for the name (`registriesconf.py`), otherwise containerd's
certs.d/HOST/hosts.toml (`hoststoml.py`). Mirrors come first. Certificates: certs.d/HOST/*.crt, *.cert, *.key.
"""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pyrunc.image.access import Access
from pyrunc.image.reference import DOCKER, DOCKER_HOST, Reference, is_local
from pyrunc.specs.errors import Failure, Invalid

CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")
PULL, RESOLVE, PUSH = "pull", "resolve", "push"


class Server:
    """One server and what the image is called there. `insecure`: certificates are not checked, plain HTTP will do."""

    __slots__ = (
        "authorities", "can", "headers", "host", "insecure", "name", "namespace", "pairs", "root", "scheme", "timeout",
    )  # fmt: skip

    def __init__(self, host: str, name: str, insecure: bool = False, certificates: str = "") -> None:
        self.host = host
        self.name = name
        self.insecure = insecure
        self.scheme = ""  # "http" or "https" where nothing else will do
        self.root = "/v2"
        self.namespace = ""  # the registry that this is a mirror of, told to mirrors of containerd's kind
        self.can = {PULL, RESOLVE, PUSH}
        self.headers: dict[str, str] = {}
        self.timeout = 20.0  # seconds to connect
        self.authorities: list[str] = []
        self.pairs: list[tuple[str, str | None]] = []
        self._certificates([certificates] if certificates else [os.path.join(top, host) for top in _certificates()])

    @property
    def base(self) -> str:
        """What all paths of the image begin with."""
        return f"{self.root}/{self.name}"

    @property
    def local(self) -> bool:
        """On this machine, where plain HTTP is heard by nobody else."""
        return is_local(self.host if self.host.endswith("]") else self.host.rpartition(":")[0] or self.host)

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


def readers(image: Reference, access: Access) -> list[Server]:
    """Where to read from, in order; the last is the registry itself, in whatever place the configuration has it."""
    return [*_mirrors(image, access), _itself(image, access)]


def writer(image: Reference, access: Access) -> Server:
    """Where to write to: the registry itself, unless hosts.toml names a host for that."""
    itself = _itself(image, access)
    for server in (*_mirrors(image, access), itself):
        if PUSH in server.can:
            return server
    raise Failure(f"reach {image.host}", detail="hosts.toml lets no host be pushed to")


def _mirrors(image: Reference, access: Access) -> list[Server]:
    from pyrunc.image.registry import hoststoml, registriesconf

    entry = registriesconf.entry(image)
    return registriesconf.mirrors(image, entry, access) if entry else hoststoml.mirrors(image, access)


def _itself(image: Reference, access: Access) -> Server:
    from pyrunc.image.registry import hoststoml, registriesconf

    entry = registriesconf.entry(image)
    server = registriesconf.itself(image, entry, access) if entry else hoststoml.itself(image, access)
    if server is None:
        server = Server(host_of(image.host), image.name, False, access.certificates)
    if access.verify is not None:
        server.insecure = not access.verify
        if access.verify:
            server.scheme = server.scheme or "https"  # asked for, also of this machine
    return server


def host_of(registry: str) -> str:
    """The server of a registry: it is another for Docker's alone."""
    return DOCKER_HOST if registry == DOCKER else registry


def read_toml(path: str) -> dict[str, Any]:
    """A file of the configuration; nothing where there is none."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: {error}") from None


def config_home() -> str:
    return os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")


def _certificates() -> list[str]:
    return [os.path.join(config_home(), "containers/certs.d"), *CERTIFICATES]
