"""An image's configuration as a runtime's: conversion.md of image-spec, the part that needs no file system.

Names of users have to be looked up in the unpacked root file system, so the caller brings numbers.
"""

from __future__ import annotations

from pyrunc.specs.default import PATH, default_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyrunc.specs.image import ImageConfig

PREFIX = "org.opencontainers.image."

# Annotations that runtimes, engines or device injectors act on. Whoever made an image has no say in them
# (CVE-2026-53488, CVE-2026-53492): its labels of these names stay behind.
ACTED_ON = (
    "org.systemd.property.", "run.oci.", "org.criu.", "krun.", "dev.gvisor.", "io.katacontainers.", "cdi.k8s.io/",
    "io.kubernetes.cri", "io.containerd.", "io.podman.annotations.", "io.pyrunc.",
)  # fmt: skip
ACTED_ON_EXACTLY = ("bundle", "cdi.k8s.io")


def runtime_config(
    image: ImageConfig,
    *,
    uid: int = 0,
    gid: int = 0,
    groups: Sequence[int] = (),
    args: Sequence[str] = (),
    volumes: bool = False,
    base: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The config.json of a bundle with this image's files as rootfs.

    `args` replace the image's Cmd, never its Entrypoint. `base` is the document to build upon, by default that of
    `pyrunc spec`; it is changed. `volumes` gives each volume of the image a fresh tmpfs. HOME is left to the runtime,
    which sees the finished /etc/passwd.
    """
    spec = default_spec() if base is None else base
    run = image.execution
    process = spec["process"]
    process["user"] = {"uid": uid, "gid": gid}
    if groups:
        process["user"]["additionalGids"] = list(groups)
    # A folder that is not absolute is one below the root, but config.json wants it said so.
    process["cwd"] = run.working_dir if run.working_dir[:1] == "/" else f"/{run.working_dir}"
    process["env"] = environment(run.env, process.get("env", [PATH]))
    command = [*run.entrypoint, *(args or run.cmd)]
    if command:
        process["args"] = command
    spec["root"]["readonly"] = False
    found = kept_annotations(image)
    if found:
        spec["annotations"] = {**spec.get("annotations", {}), **found}
    if volumes:
        spec["mounts"] += [volume_mount(path) for path in sorted(run.volumes)]
    return spec


def environment(of_image: Sequence[str], defaults: Sequence[str]) -> list[str]:
    """The image's variables as they are, then those defaults whose names the image leaves free."""
    taken = {entry.partition("=")[0] for entry in of_image}
    return [*of_image, *(entry for entry in defaults if entry.partition("=")[0] not in taken)]


def kept_annotations(image: ImageConfig) -> dict[str, str]:
    """What has no place in config.json, named as conversion.md says. A label of the same name wins.

    Labels that a runtime would act on are left out.
    """
    derived = {
        "os": image.os,
        "architecture": image.architecture,
        "variant": image.variant,
        "os.version": image.os_version,
        "os.features": ",".join(image.os_features),
        "author": image.author,
        "created": image.created,
        "stopSignal": image.execution.stop_signal,
        "exposedPorts": ",".join(sorted(image.execution.exposed_ports)),
    }
    labels = {name: value for name, value in image.execution.labels.items() if not is_acted_on(name)}
    return {**{PREFIX + name: value for name, value in derived.items() if value}, **labels}


def is_acted_on(name: str) -> bool:
    """Whether an annotation of this name changes what some runtime does; they differ in whether case counts."""
    low = name.strip().lower()
    return low.startswith(ACTED_ON) or low in ACTED_ON_EXACTLY


def volume_mount(path: str) -> dict[str, Any]:
    options = ["rw", "nosuid", "nodev", "mode=755"]
    return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options}
