"""Builds the cffi modules, `pyrunc.sandbox.native._files`, `_plain` and `_seccomp`; run by itself, in place.

What cffi is told of our own C is what our own headers say, so that the two cannot differ. Of libseccomp it is the
part that compiles filters, nothing that loads them: numbers stand in sandbox/seccomp/names.py, and the C compiler
checks here that the declarations fit the header.
"""

from __future__ import annotations

import os

from cffi import FFI

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))

FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra"]
SECCOMP = """
    typedef void *scmp_filter_ctx;
    struct scmp_version { unsigned int major; unsigned int minor; unsigned int micro; };
    struct scmp_arg_cmp { unsigned int arg; int op; uint64_t datum_a; uint64_t datum_b; };

    #define SCMP_FLTATR_CTL_OPTIMIZE ...
    #define __NR_SCMP_ERROR ...

    const struct scmp_version *seccomp_version(void);
    scmp_filter_ctx seccomp_init(uint32_t def_action);
    void seccomp_release(scmp_filter_ctx ctx);
    uint32_t seccomp_arch_resolve_name(const char *arch_name);
    uint32_t seccomp_arch_native(void);
    int seccomp_arch_exist(const scmp_filter_ctx ctx, uint32_t arch_token);
    int seccomp_arch_add(scmp_filter_ctx ctx, uint32_t arch_token);
    int seccomp_arch_remove(scmp_filter_ctx ctx, uint32_t arch_token);
    int seccomp_attr_set(scmp_filter_ctx ctx, int attr, uint32_t value);
    int seccomp_syscall_resolve_name(const char *name);
    int seccomp_syscall_resolve_name_arch(uint32_t arch_token, const char *name);
    char *seccomp_syscall_resolve_num_arch(uint32_t arch_token, int num);
    void free(void *memory);
    int seccomp_rule_add_array(scmp_filter_ctx ctx, uint32_t action, int syscall, unsigned int arg_cnt,
                               const struct scmp_arg_cmp *arg_array);
    int seccomp_export_bpf(const scmp_filter_ctx ctx, int fd);
"""


def declarations(header: str) -> str:
    """A header of ours without its comments and preprocessor lines."""
    with open(os.path.join(here, header), encoding="utf-8") as file:
        text = file.read()
    while "/*" in text:
        before, _, rest = text.partition("/*")
        text = before + rest.partition("*/")[2]
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def own_module(name: str, *sources: str) -> FFI:
    """A module of our own C files, each with its header."""
    headers = [f"{source}.h" for source in sources]
    builder = FFI()
    builder.cdef("typedef unsigned int mode_t;\n" + "".join(map(declarations, headers)))
    builder.set_source(
        f"pyrunc.sandbox.native.{name}",
        "".join(f'#include "{header}"\n' for header in headers),
        # Relative to the top of the tree, where setup.py runs: setuptools refuses absolute names.
        sources=[os.path.relpath(os.path.join(here, f"{source}.c"), top) for source in sources],
        include_dirs=[os.path.relpath(here, top)],
        extra_compile_args=FLAGS,
        py_limited_api=True,
    )
    return builder


files, plain = own_module("_files", "path"), own_module("_plain", "plain", "listing")
seccomp = FFI()
seccomp.cdef(SECCOMP)
seccomp.set_source(
    "pyrunc.sandbox.native._seccomp",
    "#include <seccomp.h>\n#include <stdlib.h>\n",
    libraries=["seccomp"],
    extra_compile_args=FLAGS,
    py_limited_api=True,
)

if __name__ == "__main__":
    # cffi writes below a folder named after the package; pyrunc/sandbox is a link to this very tree.
    os.chdir(top)
    for module in (files, plain, seccomp):
        module.compile(verbose=False)
