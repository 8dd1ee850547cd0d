"""The configuration of an image, changed: what umoci's `config` can, by the same names. Pure.

Must never drop a member that it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyrunc.image.draft import Draft
from pyrunc.specs.errors import Invalid

# What --clear empties: where it is in the configuration, or in the manifest.
CLEARED = {
    "config.labels": ("config", "Labels"),
    "config.exposedports": ("config", "ExposedPorts"),
    "config.env": ("config", "Env"),
    "config.volume": ("config", "Volumes"),
    "config.cmd": ("config", "Cmd"),
    "config.entrypoint": ("config", "Entrypoint"),
    "manifest.annotation": ("manifest", "annotations"),
    "rootfs.diffids": ("rootfs", "diff_ids"),
}
TEXTS = {"config.user": "User", "config.workingdir": "WorkingDir", "config.stopsignal": "StopSignal"}
LISTS = {"config.entrypoint": "Entrypoint", "config.cmd": "Cmd"}
SETS = {"config.exposedports": "ExposedPorts", "config.volume": "Volumes"}
TOP = {"created": "created", "author": "author", "os": "os", "architecture": "architecture", "variant": "variant"}


def clear(draft: Draft, names: Sequence[str]) -> None:
    for name in names:
        if name not in CLEARED:
            raise Invalid(f"{name!r} is nothing that can be cleared", hint=", ".join(CLEARED))
        part, key = CLEARED[name]
        if part == "manifest":
            draft.manifest.pop(key, None)
        elif part == "rootfs":
            # Both, because one without the other is no image.
            draft.manifest["layers"], draft.config["rootfs"]["diff_ids"] = [], []
            draft.config.pop("history", None)
        else:
            execution(draft).pop(key, None)


def execution(draft: Draft) -> dict[str, Any]:
    """The member `config` of the configuration."""
    if not draft.config.get("config"):
        draft.config["config"] = {}
    found: dict[str, Any] = draft.config["config"]
    return found


def change(draft: Draft, name: str, values: Sequence[str]) -> None:
    """Gives what NAME means the VALUES: the last one where there can be only one. Items of lists replace the list;
    those of environment, labels, ports, volumes and annotations are added to what is there."""
    if name in TOP:
        _put(draft.config, TOP[name], values[-1])
    elif name in TEXTS:
        _put(execution(draft), TEXTS[name], values[-1])
    elif name in LISTS:
        execution(draft)[LISTS[name]] = list(values)
    elif name in SETS:
        members = execution(draft)
        members[SETS[name]] = {**(members.get(SETS[name]) or {}), **{value: {} for value in values}}
    elif name == "config.env":
        members = execution(draft)
        members["Env"] = _environment(members.get("Env") or [], values)
    elif name == "config.label":
        members = execution(draft)
        members["Labels"] = {**(members.get("Labels") or {}), **dict(pair(name, value) for value in values)}
    else:
        annotations = draft.manifest.get("annotations") or {}
        draft.manifest["annotations"] = {**annotations, **dict(pair(name, value) for value in values)}


def pair(name: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Invalid(f"{text!r} is not of the form KEY=VALUE", hint=f"--{name} KEY=VALUE")
    return key, value


def _put(members: dict[str, Any], key: str, value: str) -> None:
    if value:
        members[key] = value
    else:
        members.pop(key, None)


def _environment(before: Sequence[str], values: Sequence[str]) -> list[str]:
    """A variable that is there keeps its place."""
    made = {text.partition("=")[0]: text for text in before}
    for value in values:
        made[pair("config.env", value)[0]] = value
    return list(made.values())
