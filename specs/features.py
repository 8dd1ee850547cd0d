"""What this runtime can do of the specification: features.json of runtime-spec 1.3.0.

Lists what this release is built for, never what the machine at hand can do; so it must not look at the machine. What
the decoder knows but the compilers refuse (sandbox/compile/create.py, `refuse_unsupported`) is not listed, or not
enabled.
"""

from __future__ import annotations

from pyrunc.specs.rules import CAPABILITIES, NAMESPACES
from pyrunc.specs.runtime import VERSION
from pyrunc.specs.seccomp_rules import ACTIONS, ARCHITECTURES, FLAGS, OPERATORS
from pyrunc.specs.section_rules import MEMORY_FLAGS, MEMORY_MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

OLDEST_VERSION = "1.0.0"
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
MOUNT_OPTIONS = (
    "async", "atime", "bind", "copy-symlink", "defaults", "dest-nofollow", "dev", "diratime", "dirsync", "exec",
    "idmap", "iversion", "lazytime", "loud", "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion",
    "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private", "rasync", "ratime",
    "rbind", "rdev", "rdiratime", "rdirsync", "relatime", "remount", "rexec", "ridmap", "rmand", "rnoatime", "rnodev",
    "rnodiratime", "rnoexec", "rnomand", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate",
    "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid", "rsymfollow", "rsync", "runbindable",
    "rw", "shared", "silent", "slave", "src-nofollow", "strictatime", "suid", "symfollow", "sync", "tmpcopyup",
    "unbindable",
)  # fmt: skip
# Annotations of config.json that change what happens on the host; one that ends in a dot stands for all that begin so.
UNSAFE_ANNOTATIONS = ("bundle", "org.systemd.property.", "org.criu.config", "run.oci.")


def features(
    annotations: Mapping[str, str] | None = None, supported_flags: Sequence[str] | None = None
) -> dict[str, Any]:
    """The document. The caller adds its own version as annotations and the seccomp flags that its library takes."""
    return {
        "ociVersionMin": OLDEST_VERSION,
        "ociVersionMax": VERSION,
        "hooks": list(HOOKS),
        "mountOptions": list(MOUNT_OPTIONS),
        "linux": {
            "namespaces": list(NAMESPACES),
            "capabilities": list(CAPABILITIES),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": list(ACTIONS),
                "operators": list(OPERATORS),
                "archs": list(ARCHITECTURES),
                "knownFlags": list(FLAGS),
                "supportedFlags": list(FLAGS if supported_flags is None else supported_flags),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "memoryPolicy": {"modes": sorted(MEMORY_MODES), "flags": sorted(MEMORY_FLAGS)},
            "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
        "annotations": dict(annotations or {}),
        "potentiallyUnsafeConfigAnnotations": list(UNSAFE_ANNOTATIONS),
    }
