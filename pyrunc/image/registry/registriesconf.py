"""containers' registries.conf, version 2: where prefixes of names are, mirrors of them, and short names.

    unqualified-search-registries = ["docker.io"]    [aliases] "box" = "quay.io/me/box"
    [[registry]]   prefix  location  insecure  blocked  mirror-by-digest-only
    [[registry.mirror]]   location  insecure  pull-from-mirror = "all" | "digest-only" | "tag-only"

Files: $CONTAINERS_REGISTRIES_CONF alone, or the user's (otherwise the machine's) registries.conf and both
registries.conf.d; what comes later wins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pyrunc.image.access import Access
from pyrunc.image.reference import Reference
from pyrunc.image.registry.hosts import PULL, RESOLVE, Server, config_home, host_of, read_toml
from pyrunc.specs.errors import Failure, Invalid

SYSTEM = "/etc/containers"
FROM_MIRROR = ("all", "digest-only", "tag-only")


def entry(image: Reference) -> dict[str, Any]:
    """The [[registry]] whose prefix says most of the image's name; nothing where there is none."""
    best: dict[str, Any] = {}
    for values in _registries():
        if _matched(values, image) and len(_prefix(values)) >= len(_prefix(best)):
            best = values
    if best.get("blocked") is True:
        raise Failure(f"reach {image.host}", detail="registries.conf blocks it")
    return best


def mirrors(image: Reference, values: dict[str, Any], access: Access) -> list[Server]:
    """Those that may be asked for what is wanted: a tag, or a digest."""
    found = []
    for mirror in values.get("mirror", []):
        if _fits(mirror, values, image):
            server = _moved(image, values, mirror, access)
            server.can = {PULL, RESOLVE}
            found.append(server)
    return found


def itself(image: Reference, values: dict[str, Any], access: Access) -> Server:
    """The place that stands for the prefix, or what the image's own name says."""
    if values.get("location"):
        return _moved(image, values, values, access)
    return Server(host_of(image.host), image.name, values.get("insecure") is True, access.certificates)


def full_name(text: str) -> str:
    """A name without a registry as [aliases] has it, otherwise with the one registry that is searched; where neither is
    configured, as it is, which means Docker's."""
    host, slash, _ = text.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return text
    name, at, digest = text.partition("@")
    name, colon, tag = name.partition(":")
    aliases: dict[str, Any] = {}
    searched: list[str] = []
    for path in (*_configurations(), *_remembered()):
        document = read_toml(path)
        aliases |= document.get("aliases", {})
        searched = document.get("unqualified-search-registries", searched)
    if aliases.get(name):
        return f"{aliases[name]}{colon}{tag}{at}{digest}"
    if len(searched) > 1:
        hint = " or ".join(f"docker://{registry}/{text}" for registry in searched)
        raise Invalid(f"{text} does not say of which registry it is, and several are configured", hint=hint)
    return f"{searched[0]}/{text}" if searched else text


def _fits(mirror: dict[str, Any], values: dict[str, Any], image: Reference) -> bool:
    wanted = mirror.get("pull-from-mirror") or ("digest-only" if values.get("mirror-by-digest-only") is True else "all")
    if wanted not in FROM_MIRROR:
        raise Invalid(f"registries.conf: pull-from-mirror is {wanted!r}", hint=", ".join(FROM_MIRROR))
    return wanted == "all" or (wanted == "digest-only") == bool(image.digest)


def _matched(values: dict[str, Any], image: Reference) -> str:
    """How much of the image's name the prefix is; of `*.example.com` it is any host below."""
    prefix, name = _prefix(values), image.repository
    if prefix.startswith("*."):
        end = name.find(prefix[1:]) + len(prefix) - 1
        part = name[:end] if prefix[1:] in name and "/" not in name[: end - len(prefix) + 1] else ""
    else:
        part = prefix if name.startswith(prefix) else ""
    return part if part and name[len(part) : len(part) + 1] in ("", "/", ":") else ""


def _moved(image: Reference, values: dict[str, Any], other: dict[str, Any], access: Access) -> Server:
    """The image where what its prefix has matched is replaced by a location."""
    rest = image.repository[len(_matched(values, image)) :]
    host, _, name = f"{other.get('location', '')}{rest}".partition("/")
    if not host or not name:
        raise Invalid(f"the location {other.get('location')!r} of {_prefix(values)} in registries.conf is none")
    return Server(host_of(host), name, other.get("insecure") is True, access.certificates)


def _prefix(values: dict[str, Any]) -> str:
    return str(values.get("prefix") or values.get("location") or "")


def _registries() -> Iterator[dict[str, Any]]:
    for path in _configurations():
        tables = read_toml(path).get("registry", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise Invalid(f"{path}: registry is not a list of tables", hint="[[registry]]")
        yield from tables


def _configurations() -> list[str]:
    named = os.environ.get("CONTAINERS_REGISTRIES_CONF")
    if named:
        return [named]
    own = os.path.join(config_home(), "containers")
    main = os.path.join(own, "registries.conf")
    found = [main if os.path.exists(main) else f"{SYSTEM}/registries.conf"]
    for folder in (f"{SYSTEM}/registries.conf.d", os.path.join(own, "registries.conf.d")):
        try:
            found += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".conf")]
        except OSError:
            continue
    return found


def _remembered() -> list[str]:
    """What podman has been told to take a short name for."""
    if os.environ.get("CONTAINERS_REGISTRIES_CONF"):
        return []
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "containers") if os.geteuid() else "/var/cache/containers"
    return [os.path.join(folder, "short-name-aliases.conf")]
