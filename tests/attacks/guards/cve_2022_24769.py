"""Inheritable capabilities set to what the document says: they stay what the caller's were."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/process.c",
        "    return answer(syscall(SYS_capset, &header, data));",
        """    struct __user_cap_data_struct old[2];
    int error = answer(syscall(SYS_capget, &header, old));
    for (unsigned half = 0; half < 2; half++)
        data[half].inheritable = old[half].inheritable;
    return error ? error : answer(syscall(SYS_capset, &header, data));""",
    ),
)
