"""A line for each blob that is copied, for whoever watches; bars by tqdm, which is only loaded then. Not a command."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from threading import Lock

from pyrunc.cli.images.shared import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyrunc.cli.options import Given
    from pyrunc.image.copy import Report
    from pyrunc.specs.image import Descriptor

SMALL = 1 << 20  # bytes that are there before anybody has looked


@contextmanager
def progress(given: Given) -> Iterator[Report | None]:
    """What is told of each blob while the images of a command are copied; nobody where nobody watches."""
    if given.switch("quiet") or given.switch("json") or not os.isatty(2):
        yield None
        return
    bars = Bars()
    try:
        yield bars.report
    finally:
        bars.close()


class Bars:
    """One for each large blob on its way; what has arrived becomes a line above them."""

    def __init__(self) -> None:
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread besides ours
        self.tqdm = tqdm
        self.bars: dict[str, Any] = {}
        self.lock = Lock()

    def report(self, state: str, descriptor: Descriptor, count: int) -> None:
        with self.lock:
            bar = self.bars.get(descriptor.digest)
            if state == "begins":
                self._begin(descriptor, count)
            elif state == "copying":
                if bar is not None:
                    bar.update(count)
            else:
                if bar is not None:
                    self.bars.pop(descriptor.digest).close()
                self.tqdm.write(f"{_name(descriptor)}  {size(descriptor.size):>8}  {state}", file=sys.stderr)

    def _begin(self, descriptor: Descriptor, count: int) -> None:
        if descriptor.digest in self.bars:
            self.bars.pop(descriptor.digest).close()  # from the beginning once more
        if descriptor.size > SMALL:
            self.bars[descriptor.digest] = self.tqdm(
                desc=_name(descriptor), total=descriptor.size, initial=count, unit="B", unit_scale=True, leave=False,
                file=sys.stderr, dynamic_ncols=True,
            )  # fmt: skip

    def close(self) -> None:
        with self.lock:
            for bar in self.bars.values():
                bar.close()
            self.bars.clear()


def _name(descriptor: Descriptor) -> str:
    algorithm, _, encoded = descriptor.digest.partition(":")
    return f"{algorithm}:{encoded[:12]}"
