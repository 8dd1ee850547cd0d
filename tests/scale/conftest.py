"""These need what tests/system has: boxes, and the check that nothing is left behind."""

from __future__ import annotations

from tests.system.conftest import (  # noqa: F401  (fixtures are found by name)
    bundle,
    busybox,
    folder,
    machine,
    nothing_left,
    runtime,
)
