"""Compiles what security modules are told: AppArmor's profile, SELinux labels of the process, its keys and its mounts.

Loaded for a document that has one of them. Pure; whether the kernel has the module, `sandbox/security.py` has seen.
"""

from __future__ import annotations

from pyrunc.sandbox.plan import op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.specs.runtime import Process

UNLABELLED = ("proc", "sysfs", "mqueue")  # these refuse the option; a mqueue can be labelled once it is mounted


def confine(plan: Plan, process: Process) -> None:
    """From the next exec on. As root of the container still, and before its /proc could be in the way of nobody: the
    files are those of the private procfs."""
    if process.apparmor_profile:
        files = ["apparmor/exec", "exec"]  # the second is the first module's, on kernels before 5.8
        place = "process.apparmorProfile"
        plan.init.append(_attribute(place, files, f"exec {process.apparmor_profile}", "process"))
    if process.selinux_label:
        plan.init.append(_attribute("process.selinuxLabel", ["exec"], process.selinux_label, "process"))


def labelled_keyring(plan: Plan, process: Process, keyring: Operation) -> None:
    """The session keyring with the label of the process, which could not use it otherwise; keys made later are the
    process's own matter."""
    place = "process.selinuxLabel"
    plan.init.append(_attribute(place, ["keycreate"], process.selinux_label, "isolate"))
    plan.init.append(keyring)
    plan.init.append(_attribute(place, ["keycreate"], "", "isolate"))


def _attribute(pointer: str, files: list[str], value: str, phase: str) -> Operation:
    return op("security_attribute", pointer, files, value, phase=phase)


def mount_label(label: str, kind: str, data: list[str], quoted: bool = False) -> list[str]:
    """The file system's options with the label of everything in it. Quoted where options are one text, because labels
    have commas."""
    if kind in UNLABELLED or any(item.startswith("context=") for item in data):
        return data
    return [*data, f'context="{label}"' if quoted else f"context={label}"]
