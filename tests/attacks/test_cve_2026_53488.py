"""CVE-2026-53488, CVE-2026-53492: labels of an image were taken for orders to the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrunc.specs.convert import is_acted_on
from tests.attacks.image_guard import document, unpacked, without
from tests.pyrunc.image.tars import archive, file

GUARD = (
    (
        "specs/convert.py",
        " for name, value in image.execution.labels.items() if not is_acted_on(name)}",
        " for name, value in image.execution.labels.items()}",
    ),
)


ORDERS = (
    "org.systemd.property.ExecStartPre", "run.oci.handler", "run.oci.hooks.stdout", "org.criu.config", "bundle",
    "io.pyrunc.anything", "dev.gvisor.spec.mount.a.source", "cdi.k8s.io/gpu", "io.katacontainers.config_path",
    "krun.ram_mib", "io.kubernetes.cri.container-type", "Run.OCI.handler", " bundle",
)  # fmt: skip


def attack(work: Path) -> str:
    labels = {**dict.fromkeys(ORDERS, "evil"), "maintainer": "me", "com.example.bundle": "kept"}
    bundle, refused = unpacked(work, archive(file(b"f")), Labels=labels)
    assert refused == ""
    annotations = document(bundle)["annotations"]
    assert (annotations["maintainer"], annotations["com.example.bundle"]) == ("me", "kept")
    return ", ".join(sorted(name for name in annotations if annotations[name] == "evil"))


@pytest.mark.parametrize(
    "name", ["version", "org.opencontainers.image.title", "bundles", "run.ocid", "io.buildah.version"]
)
def test_other_labels_are_kept(name: str) -> None:
    """Only what runtimes act on stays behind."""
    assert not is_acted_on(name)


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """Labels that runtimes act on do not become annotations; all others do."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the filter the same image gets through."""
    assert "org.systemd.property.ExecStartPre" in without(GUARD, __name__, tmp_path)
