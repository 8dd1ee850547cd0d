"""`--regex` of kill and delete: one command for every container whose id matches. Off the hot path."""

from __future__ import annotations

import re

from pyrunc.specs.errors import PyruncError
from pyrunc.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def each(root: str, pattern: str, act: Callable[[str], object]) -> None:
    """Acts on all that match, whatever becomes of those before; raises PyruncError with what went wrong. None matching
    is no error."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise PyruncError(f"invalid regular expression {pattern}: {error}") from None
    problems = []
    for id in filter(expression.search, Store(root).ids()):
        try:
            act(id)
        except PyruncError as error:
            problems.append(f"{id}: {error}")
    if problems:
        raise PyruncError("; ".join(problems))
