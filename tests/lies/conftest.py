"""The fixtures of whole containers and of images, for lies about both."""

from __future__ import annotations

from tests.pyrunc.image.conftest import layout
from tests.system.conftest import bundle, busybox, folder, machine, nothing_left, runtime

__all__ = ["bundle", "busybox", "folder", "layout", "machine", "nothing_left", "runtime"]
