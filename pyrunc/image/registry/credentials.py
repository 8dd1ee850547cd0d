"""Passwords of registries, from the files of podman, skopeo and Docker, and from their helpers.

    $REGISTRY_AUTH_FILE, or
    $XDG_RUNTIME_DIR/containers/auth.json or /run/containers/UID/auth.json, ~/.config/containers/auth.json,
    $DOCKER_CONFIG/config.json or ~/.docker/config.json

The entry that names most of the repository wins. Must never write, and never put a password into a message.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from typing import Any

from pyrunc.specs.errors import Failure, Invalid

RUN = "/run/containers"  # where podman keeps passwords until the machine is switched off
HELPER_SECONDS = 60
TOKEN_USER = "<token>"  # the password is then one that only the token service takes
DOCKER_KEY = "https://index.docker.io/v1/"


def find(host: str, name: str, authfile: str = "") -> tuple[str, str] | None:
    """User and password for a repository; None: nobody has any."""
    for path in [authfile] if authfile else _files():
        found = _from_file(path, host, name, bool(authfile))
        if found:
            return found
    return None


def _files() -> list[str]:
    environment, home = os.environ, os.path.expanduser("~")
    if environment.get("REGISTRY_AUTH_FILE"):
        return [environment["REGISTRY_AUTH_FILE"]]
    runtime = environment.get("XDG_RUNTIME_DIR")
    first = f"{runtime}/containers/auth.json" if runtime else f"{RUN}/{os.geteuid()}/auth.json"
    config = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return [
        first,
        os.path.join(config, "containers/auth.json"),
        os.path.join(environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json"),
    ]


def _from_file(path: str, host: str, name: str, must_exist: bool) -> tuple[str, str] | None:
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
        if not isinstance(document, dict):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise Failure(f"read {path}", detail="there is no such file") from None
        return None
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from None
    except ValueError:
        raise Invalid(f"{path} is not a file of passwords") from None
    keys = _keys(host, name)
    for key in keys:
        helper = (document.get("credHelpers") or {}).get(key)
        if helper:
            return _ask(str(helper), key)
        entry = (document.get("auths") or {}).get(key)
        if isinstance(entry, dict) and (entry.get("auth") or entry.get("identitytoken") or entry.get("password")):
            return _decoded(entry, path, key)
    if document.get("credsStore"):
        key = DOCKER_KEY if host == "docker.io" else host
        return _ask(str(document["credsStore"]), key)
    return None


def _keys(host: str, name: str) -> list[str]:
    """host/a/b, host/a, host, and how Docker used to write hosts."""
    parts = name.split("/")
    keys = [f"{host}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    keys += [host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/"]
    return [*keys, DOCKER_KEY, "index.docker.io", "registry-1.docker.io"] if host == "docker.io" else keys


def _decoded(entry: dict[str, Any], path: str, key: str) -> tuple[str, str]:
    if entry.get("identitytoken"):
        return TOKEN_USER, str(entry["identitytoken"])
    if not entry.get("auth"):
        return str(entry.get("username", "")), str(entry["password"])
    try:
        user, colon, password = base64.b64decode(entry["auth"]).decode().partition(":")
    except (ValueError, TypeError):
        colon = ""
    if not colon:
        raise Invalid(f"the entry {key} of {path} is not USER:PASSWORD in base64")
    return user, password.rstrip("\0")


def _ask(helper: str, server: str) -> tuple[str, str] | None:
    """docker-credential-HELPER get."""
    if "/" in helper or not helper.isprintable():
        raise Invalid(f"{helper!r} is not the name of a credential helper")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=server.encode(), capture_output=True, timeout=HELPER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"ask {program} for the password of {server}", detail=str(error)) from None
    if done.returncode != 0:
        said = (done.stdout or done.stderr).decode(errors="replace").strip()
        if "not found" in said:
            return None
        raise Failure(f"ask {program} for the password of {server}", detail=said[:200])
    try:
        answer = json.loads(done.stdout)
        return str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise Failure(f"ask {program} for the password of {server}", detail="its answer makes no sense") from None
