"""A filter that comes ready for seccomp(2), in crun's annotation `run.oci.seccomp_bpf_data`: linux.seccomp then gives
the flags alone. Only loaded for a document that has it; must not compile anything.
"""

from __future__ import annotations

from _struct import iter_unpack

from pyrunc.sandbox.seccomp.names import ACTIONS, DEFAULT_FLAGS, FLAGS, NEW_LISTENER
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.seccomp import Seccomp

PLACE = 'annotations["run.oci.seccomp_bpf_data"]'
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
RETURN = 0x06


def ready_filter(text: str, seccomp: Seccomp | None) -> tuple[int, bytes]:
    """(flags, program) of the annotation's value, which is in base64. The kernel checks the program itself."""
    from binascii import Error, a2b_base64

    try:
        program = a2b_base64(text)
    except (Error, ValueError):
        raise Invalid("this is no base64", PLACE) from None
    if not program or len(program) % 8 or len(program) > MAX_INSTRUCTIONS * 8:
        message = f"{len(program)} bytes are no program of 1 to {MAX_INSTRUCTIONS} instructions of 8 bytes"
        raise Invalid(message, PLACE)
    notify = ACTIONS["SCMP_ACT_NOTIFY"]
    notifies = any(code == RETURN and value == notify for code, _, value in iter_unpack("=HHI", program))
    flags = NEW_LISTENER if notifies else 0
    if seccomp is None or seccomp.flags is None:
        return flags | DEFAULT_FLAGS, program
    for name in seccomp.flags:  # the rules know that each is one
        if notifies or name != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
            flags |= FLAGS[name]
    return flags, program
