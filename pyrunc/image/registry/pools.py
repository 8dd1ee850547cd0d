"""Connections to servers: certificates, time limits, and the proxies that the environment names.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, also in lower case, as curl reads them

This machine is never asked for by way of a proxy. Must know nothing of what is said on a connection.
"""

from __future__ import annotations

import ssl
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from pyrunc.image.reference import is_local
from pyrunc.specs.errors import Failure

if TYPE_CHECKING:
    from pyrunc.image.registry.hosts import Server

READ_SECONDS = 60


class Pools:
    """What is open for one server, and for those that it redirects to: directly, and by each proxy."""

    def __init__(self, server: Server) -> None:
        self.context = _context(server)
        self.timeout = urllib3.Timeout(connect=server.timeout, read=READ_SECONDS)
        self.open: dict[str, urllib3.PoolManager] = {}
        self.lock = Lock()

    def for_url(self, url: str) -> urllib3.PoolManager:
        proxy = proxy_for(url)
        with self.lock:
            if proxy not in self.open:
                self.open[proxy] = self._made(proxy)
            return self.open[proxy]

    def _made(self, proxy: str) -> urllib3.PoolManager:
        if not proxy:
            return urllib3.PoolManager(ssl_context=self.context, timeout=self.timeout, maxsize=8)
        parts = urlsplit(proxy)
        headers = None
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=user)
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        try:
            return urllib3.ProxyManager(
                address, proxy_headers=headers, ssl_context=self.context, timeout=self.timeout, maxsize=8
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, ValueError):
            raise Failure(f"use the proxy {address}", detail="only http:// and https:// ones are known") from None

    def clear(self) -> None:
        for pool in self.open.values():
            pool.clear()


def proxy_for(url: str) -> str:
    """The proxy for an address; "" is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    if is_local(parts.hostname or "") or proxy_bypass(parts.netloc):
        return ""
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _context(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        for path in server.authorities:
            context.load_verify_locations(path)
        for certificate, key in server.pairs:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Failure(f"read the certificates for {server.host}", detail=str(error)) from None
    if server.insecure:
        # The caller has asked for it, and libraries do not print.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
