"""Builds `pyrunc.sandbox.native._seccomp`: the part of libseccomp that compiles filters, nothing that loads them.

`python build_seccomp.py` builds it in place. Numbers stand in sandbox/seccomp/names.py; what is checked here by the C
compiler is that the declarations fit the header.
"""

from __future__ import annotations

import os

from cffi import FFI

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))

ffibuilder = FFI()
ffibuilder.cdef("""
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
""")
ffibuilder.set_source(
    "pyrunc.sandbox.native._seccomp",
    """
    #include <seccomp.h>
    #include <stdlib.h>
    """,
    libraries=["seccomp"],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra"],
    py_limited_api=True,
)

if __name__ == "__main__":
    # cffi writes below a folder named after the package; pyrunc/sandbox is a link to this very tree.
    os.chdir(top)
    ffibuilder.compile(verbose=False)
