"""How registries are entered, as far as the caller says; the rest is the machine's configuration. Plain values."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Access:
    """`credentials` are USER:PASSWORD; `verify` None: as the configuration says; `certificates` is a folder of *.crt
    (authorities), *.cert and *.key (our own); `warn` is told, once each, what registries say besides."""

    __slots__ = ("authfile", "certificates", "credentials", "said", "verify", "warn")

    def __init__(
        self,
        authfile: str = "",
        credentials: str = "",
        verify: bool | None = None,
        certificates: str = "",
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.authfile = authfile
        self.credentials = credentials
        self.verify = verify
        self.certificates = certificates
        self.warn = warn
        self.said: set[str] = set()

    def tell(self, message: str) -> None:
        if self.warn and message not in self.said:
            self.said.add(message)
            self.warn(message)
