"""Builds `pyrunc.sandbox.native._plain`, the inner loops of unpacking (plain.h, listing.h); run by itself, in place."""

from __future__ import annotations

import os

from cffi import FFI

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))


def declarations(header: str) -> str:
    """A header without its comments and preprocessor lines."""
    with open(os.path.join(here, header), encoding="utf-8") as file:
        text = file.read()
    while "/*" in text:
        before, _, rest = text.partition("/*")
        text = before + rest.partition("*/")[2]
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(declarations("plain.h") + declarations("listing.h"))
ffibuilder.set_source(
    "pyrunc.sandbox.native._plain",
    '#include "plain.h"\n#include "listing.h"',
    # Relative to the top of the tree, where setup.py runs: setuptools refuses absolute names.
    sources=[os.path.relpath(os.path.join(here, name), top) for name in ("plain.c", "listing.c")],
    include_dirs=[os.path.relpath(here, top)],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra"],
    py_limited_api=True,
)

if __name__ == "__main__":
    # cffi writes below a folder named after the package; pyrunc/sandbox is a link to this very tree.
    os.chdir(top)
    ffibuilder.compile(verbose=False)
