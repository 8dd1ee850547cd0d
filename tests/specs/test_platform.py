"""Which image of an index is for which machine."""

from __future__ import annotations

import pytest

from pyrunc.specs import image
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import Descriptor
from pyrunc.specs.platform import candidates, normal_names, parse_platform, platform, select


def index(*names: str | None) -> list[Descriptor]:
    """Entries for these platforms, told apart by their sizes 0, 1, ..."""
    entries = []
    for size, name in enumerate(names):
        members: dict[str, object] = {"mediaType": image.MANIFEST, "digest": "sha256:" + "a" * 64, "size": size}
        if name is not None:
            parts = dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))
            members["platform"] = parts
        entries.append(Descriptor(Node(members)))
    return entries


def order(host: str, *names: str | None) -> list[int]:
    return [entry.size for entry in candidates(index(*names), parse_platform(host))]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("amd64", ("linux", "amd64", "v1")),
        ("linux/x86_64", ("linux", "amd64", "v1")),
        ("linux/aarch64", ("linux", "arm64", "v8")),
        ("linux/arm64/8", ("linux", "arm64", "v8")),
        ("linux/arm", ("linux", "arm", "v7")),
        ("linux/armhf", ("linux", "arm", "v7")),
        ("linux/armel", ("linux", "arm", "v6")),
        ("linux/arm/v5", ("linux", "arm", "v5")),
        ("linux/i686", ("linux", "386", "")),
        ("linux/riscv64", ("linux", "riscv64", "rva20u64")),
        ("Linux/AMD64", ("linux", "amd64", "v1")),
    ],
)
def test_one_name_for_one_thing(text: str, names: tuple[str, str, str]) -> None:
    """Whatever a platform is called, the same thing has the same names."""
    assert normal_names(parse_platform(text)) == names


@pytest.mark.parametrize("text", ["", "/", "linux/", "linux/arm/v7/x"])
def test_no_platforms(text: str) -> None:
    """What has no parts or too many is not a platform."""
    with pytest.raises(Invalid):
        parse_platform(text)


@pytest.mark.parametrize(
    ("host", "names", "expected"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64", "windows/amd64"], [1]),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6"], [2, 3, 0]),
        ("linux/arm", ["linux/arm/v6", "linux/arm"], [1, 0]),
        ("linux/arm64", ["linux/arm64/v8", "linux/arm64"], [0, 1]),
        ("linux/arm64", ["linux/arm64/v9", "linux/arm64"], [1]),
        ("linux/arm64/v9", ["linux/arm64", "linux/arm64/v8.2", "linux/arm64/v9.1"], [1, 0]),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v4", "linux/amd64/v3", "linux/amd64/v2"], [2, 3, 0]),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64/v1"], [1]),
        ("linux/riscv64/rva22u64", ["linux/riscv64", "linux/riscv64/rva23u64", "linux/riscv64/rva22u64"], [2, 0]),
        ("linux/ppc64le/power9", ["linux/ppc64le/power10", "linux/ppc64le"], [1]),
        ("linux/amd64", ["unknown/unknown", "linux/amd64"], [1]),
        ("linux/amd64", [None, "linux/amd64", None], [1, 0, 2]),
        ("linux/arm64", ["linux/arm/v7"], []),
        ("linux/mips64le/hardfloat", ["linux/mips64le/softfloat", "linux/mips64le/hardfloat"], [1]),
    ],
)
def test_best_first(host: str, names: list[str | None], expected: list[int]) -> None:
    """A host takes the highest variant that is not above its own, the first of equals, and last what says nothing."""
    assert order(host, *names) == expected


def test_features_are_mandatory() -> None:
    """An image that needs features of the system runs only where all of them are."""
    entry = Descriptor(
        Node(
            {
                "mediaType": image.MANIFEST,
                "digest": "sha256:" + "a" * 64,
                "size": 0,
                "platform": {"os": "linux", "architecture": "amd64", "os.features": ["one", "two"]},
            }
        )
    )

    assert candidates([entry], platform("linux", "amd64", os_features=["one"])) == []
    assert candidates([entry], platform("linux", "amd64", os_features=["two", "one", "three"])) == [entry]


def test_says_what_there_is() -> None:
    """Where nothing fits, the error names what was asked for and what the index has."""
    entries = index("linux/arm64/v8", "linux/386", "unknown/unknown")
    with pytest.raises(Invalid) as caught:
        select(entries, parse_platform("linux/s390x"))

    assert caught.value.message == "the image index has nothing for linux/s390x"
    assert caught.value.hint == "it has linux/386, linux/arm64/v8"
    assert select(entries, parse_platform("arm64")).size == 0
