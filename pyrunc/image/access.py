"""How registries are entered, as far as the caller says; the rest is the machine's configuration. Plain values."""

from __future__ import annotations


class Access:
    """`credentials` are USER:PASSWORD; `verify` None: as the configuration says; `certificates` is a folder of *.crt
    (authorities), *.cert and *.key (our own)."""

    __slots__ = ("authfile", "certificates", "credentials", "verify")

    def __init__(
        self, authfile: str = "", credentials: str = "", verify: bool | None = None, certificates: str = ""
    ) -> None:
        self.authfile = authfile
        self.credentials = credentials
        self.verify = verify
        self.certificates = certificates
