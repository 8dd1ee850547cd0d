"""The errors of pyrunc. Root of every exception that the three packages raise on purpose; must import nothing.

PyruncError
  +-- Invalid   a document breaks its specification (specs)
  +-- Failure   Linux, or a program that we ran, said no (sandbox)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PyruncError(Exception):
    """One sentence for a person, where in the document it comes from, and one hint.

    `pointer` is written as one would index config.json: `mounts[1].options[0]`. `hint` is a sentence or None. `prefix`
    says during what it happened (`unable to start container process: `); whoever knows sets it.
    """

    prefix = ""
    # Said by itself, as a shell would: it is about the caller's own program, and everything of ours has worked.
    bare = False
    # The plan that was being carried out and the operation at hand, for `pyrunc explain`; whoever knows sets them.
    plan: Any = None
    step: Any = None

    def __init__(self, message: str, pointer: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.prefix}{self.message} ({self.pointer})" if self.pointer else self.prefix + self.message


class Invalid(PyruncError):
    """A document breaks its specification; `clause` names the sentence of it, such as `config.md#root`."""

    def __init__(self, message: str, pointer: str = "", hint: str | None = None, clause: str = "") -> None:
        super().__init__(message, pointer, hint)
        self.clause = clause


class Failure(PyruncError):
    """An operation failed: `cannot OPERATION (POINTER): ERRNO: what the system says`.

    `operation` is a verb phrase with its object (`mount tmpfs on /dev`); `number` an errno or 0; `detail` what the
    kernel or a program had to say besides.
    """

    def __init__(
        self, operation: str, pointer: str = "", number: int = 0, detail: str = "", hint: str | None = None
    ) -> None:
        super().__init__(operation, pointer, hint)
        self.operation = operation
        self.number = number
        self.detail = detail

    def __str__(self) -> str:
        import errno
        import os

        text = f"{self.prefix}cannot {self.operation}"
        if self.pointer:
            text += f" ({self.pointer})"
        if self.number:
            text += f": {errno.errorcode.get(self.number, self.number)}: {os.strerror(self.number).lower()}"
        if self.detail:
            text += f": {self.detail}"
        return text
