"""What a registry asks for in return: its challenge becomes the header that it wants.

    401, WWW-Authenticate: Bearer realm=...,service=...,scope=...   ->  a token from the realm
    401, WWW-Authenticate: Basic ...                                ->  user and password

Passwords go to who asks for them by https, or to where plain HTTP is allowed anyway; tokens only to the registry.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from threading import Lock

from pyrunc.image.registry.credentials import TOKEN_USER
from pyrunc.specs.errors import Failure, Invalid

# Method, URL, headers and body; the code and the body of the answer.
Ask = Callable[[str, str, dict[str, str], bytes | None], tuple[int, bytes]]

SCHEME = re.compile(r"\s*([A-Za-z]+)(?:\s+|$)")
PARAMETER = re.compile(r'\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')


def challenges(header: str) -> dict[str, dict[str, str]]:
    """The schemes of a WWW-Authenticate header in lower case, each with its parameters."""
    found: dict[str, dict[str, str]] = {}
    position = 0
    current: dict[str, str] = {}
    while position < len(header):
        parameter = PARAMETER.match(header, position)
        if parameter:
            value = re.sub(r"\\(.)", r"\1", parameter[2]) if parameter[2] is not None else parameter[3]
            current[parameter[1].lower()] = value
            position = parameter.end()
            continue
        scheme = SCHEME.match(header, position)
        if not scheme:
            break
        current = found.setdefault(scheme[1].lower(), {})
        position = scheme.end()
    return found


class Authority:
    """The headers for one server. `secure`: it is spoken to by https, and nothing secret goes out without."""

    def __init__(self, ask: Ask, credentials: tuple[str, str] | None, host: str) -> None:
        self.ask = ask
        self.credentials = credentials
        self.host = host
        self.tokens: dict[str, str] = {}
        self.basic = ""
        self.lock = Lock()

    def header(self, scopes: tuple[str, ...]) -> dict[str, str]:
        """What is known to be wanted, so far."""
        value = self.tokens.get(" ".join(scopes)) or self.basic
        return {"Authorization": value} if value else {}

    def answer(self, header: str, scopes: tuple[str, ...], secure: bool, refused: str) -> bool:
        """Gets what the challenge asks for; not again what another thread has got since REFUSED was sent. Whether
        it did."""
        with self.lock:
            if self.header(scopes).get("Authorization", "") != refused:
                return False
            self._prove(challenges(header), header, scopes, secure)
            return True

    def _prove(self, found: dict[str, dict[str, str]], header: str, scopes: tuple[str, ...], secure: bool) -> None:
        if "bearer" in found:
            self.tokens[" ".join(scopes)] = f"Bearer {self._token(found['bearer'], scopes, secure)}"
        elif "basic" in found and self.credentials:
            self.basic = basic(self.credentials)
        elif "basic" in found:
            hint = f"`skopeo login {self.host}` or `docker login {self.host}` keeps a password, --creds gives one"
            raise Failure(f"enter {self.host}", detail="it asks for a password, and there is none", hint=hint)
        else:
            raise Failure(f"enter {self.host}", detail=f"it asks for an unknown proof: {header[:100]!r}")

    def _token(self, challenge: dict[str, str], scopes: tuple[str, ...], secure: bool) -> str:
        from urllib.parse import urlencode

        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise Failure(f"enter {self.host}", detail=f"it sends us to {realm[:100]!r} for a token")
        if secure and self.credentials and not realm.startswith("https://"):
            raise Failure(f"enter {self.host}", detail=f"it wants the password sent unencrypted to {realm[:100]}")
        wanted = dict.fromkeys([*scopes, *filter(None, [challenge.get("scope")])])
        pairs = [("service", challenge["service"])] if challenge.get("service") else []
        user, password = self.credentials or ("", "")
        if user == TOKEN_USER:
            pairs += [("grant_type", "refresh_token"), ("refresh_token", password), ("client_id", "pyrunc")]
            body = urlencode([*pairs, ("scope", " ".join(wanted))]).encode()
            status, data = self.ask("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, body)
        else:
            pairs += [("scope", scope) for scope in wanted]
            if user:
                pairs.append(("account", user))
            headers = {"Authorization": basic((user, password))} if self.credentials else {}
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(pairs)}"
            status, data = self.ask("GET", url, headers, None)
        if status != 200:
            detail = f"the token service answers {status}"
            hint = "is the password right?" if status in (401, 403) else None
            raise Failure(f"enter {self.host}", detail=detail, hint=hint)
        try:
            answer = json.loads(data)
            token = answer.get("token") or answer.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Invalid(f"the token service of {self.host} gives no token")
        return token


def basic(credentials: tuple[str, str]) -> str:
    return f"Basic {base64.b64encode(':'.join(credentials).encode()).decode()}"
