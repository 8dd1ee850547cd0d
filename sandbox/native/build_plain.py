"""Builds `pyrunc.sandbox.native._plain`, the inner loop of unpacking (plain.h); run by itself, in place."""

from __future__ import annotations

import os

from cffi import FFI

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))


def declarations() -> str:
    """plain.h without its comments and preprocessor lines."""
    with open(os.path.join(here, "plain.h"), encoding="utf-8") as file:
        text = file.read()
    while "/*" in text:
        before, _, rest = text.partition("/*")
        text = before + rest.partition("*/")[2]
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "pyrunc.sandbox.native._plain",
    '#include "plain.h"',
    # Relative to the top of the tree, where setup.py runs: setuptools refuses absolute names.
    sources=[os.path.relpath(os.path.join(here, "plain.c"), top)],
    include_dirs=[os.path.relpath(here, top)],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra"],
    py_limited_api=True,
)

if __name__ == "__main__":
    # cffi writes below a folder named after the package; pyrunc/sandbox is a link to this very tree.
    os.chdir(top)
    ffibuilder.compile(verbose=False)
