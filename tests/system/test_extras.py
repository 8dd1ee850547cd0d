"""What crun has and runc has not: flags and annotations that containers made for crun rely on."""

from __future__ import annotations

import pytest

from .conftest import Bundle

pytestmark = pytest.mark.unlike("runc", "knows nothing of it")


def test_config(bundle: Bundle) -> None:
    """--config takes the document from another file than the bundle's config.json."""
    box = bundle("echo", "other")
    box.write()
    (box.folder / "config.json").rename(box.folder / "other.json")

    result = box.runtime("run", "--bundle", str(box.folder), "--config", str(box.folder / "other.json"), box.id)

    assert (result.status, result.out) == (0, "other\n")
