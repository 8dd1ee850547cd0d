"""Platforms of images: their names brought to one form, and which images of an index a host can run, best first.

Looks at names only; the caller says what the host is.
"""

from __future__ import annotations

from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrunc.specs.image import Descriptor

# What people and kernels write -> the specification's architecture and variant.
ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5l": ("arm", "v5"),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "ppc64el": ("ppc64le", ""),
    "loongarch64": ("loong64", ""),
}
# The variant that is meant where none is written.
DEFAULT_VARIANTS = {"arm": "v7", "arm64": "v8", "amd64": "v1", "ppc64le": "power8", "riscv64": "rva20u64"}


class Platform:
    """The minimum that an image requires, or what a host is."""

    __slots__ = ("architecture", "os", "os_features", "os_version", "pointer", "variant")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.architecture = node.required_text("architecture")
        self.os = node.required_text("os")
        self.os_version = node.text("os.version")
        self.os_features = node.texts("os.features")
        self.variant = node.text("variant")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def is_unknown(self) -> bool:
        """What attestations and signatures are filed under."""
        return self.os == "unknown" or self.architecture == "unknown"


def platform(os: str, architecture: str, variant: str = "", os_features: Sequence[str] = ()) -> Platform:
    members = {"os": os, "architecture": architecture, "variant": variant, "os.features": list(os_features)}
    return Platform(Node(members))


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`, `linux/amd64` or, for Linux, `arm64` alone."""
    parts = text.split("/")
    if not all(parts) or len(parts) > 3:
        raise Invalid(f'"{text}" is not a platform such as linux/arm64/v8')
    if len(parts) == 1:
        parts = ["linux", *parts]
    return platform(*parts)


def proper_names(wanted: Platform) -> tuple[str, str, str]:
    """Operating system, architecture and variant as the specification spells them: amd64, whoever calls it x86_64."""
    written = wanted.architecture.lower()
    architecture, implied = ALIASES.get(written, (written, ""))
    variant = wanted.variant.lower() or implied
    if architecture in ("arm", "arm64") and variant[:1].isdigit():
        variant = f"v{variant}"
    return wanted.os.lower() or "linux", architecture, variant


def normal_names(wanted: Platform) -> tuple[str, str, str]:
    """The same, and with the variant that goes without saying: equal for everyone who means the same."""
    system, architecture, variant = proper_names(wanted)
    return system, architecture, variant or DEFAULT_VARIANTS.get(architecture, "")


def level(variant: str) -> tuple[str, tuple[int, ...]]:
    """The letters and the numbers of a variant: `v8.2` -> ("v", (8, 2)); comparable where the letters agree."""
    letters = "".join(" " if c.isdigit() or c == "." else c for c in variant).strip()
    numbers = "".join(c if c.isdigit() else " " for c in variant).split()
    return letters, tuple(int(number[:9]) for number in numbers)


def fitness(image: Platform, host: Platform) -> tuple[int, ...] | None:
    """How well `image` uses `host`, greater is better; None if it cannot run there."""
    image_os, image_architecture, image_variant = normal_names(image)
    host_os, host_architecture, host_variant = normal_names(host)
    if image.is_unknown or (image_os, image_architecture) != (host_os, host_architecture):
        return None
    if not set(image.os_features) <= set(host.os_features):
        return None
    if image_variant == host_variant:
        return level(image_variant)[1]
    image_letters, image_level = level(image_variant)
    host_letters, host_level = level(host_variant)
    return image_level if image_letters == host_letters and image_level < host_level else None


def candidates(manifests: Sequence[Descriptor], host: Platform) -> list[Descriptor]:
    """The entries that `host` can run, best first (among equals the index's order), then those without platform."""
    ranked = []
    for entry in manifests:
        if entry.platform is not None:
            rank = fitness(entry.platform, host)
            if rank is not None:
                ranked.append((rank, entry))
    ranked.sort(key=lambda pair: pair[0], reverse=True)  # stable: also in reverse, equals keep their order
    return [entry for _, entry in ranked] + [entry for entry in manifests if entry.platform is None]


def select(manifests: Sequence[Descriptor], host: Platform) -> Descriptor:
    """The entry to run on `host`."""
    found = candidates(manifests, host)
    if found:
        return found[0]
    present = sorted({str(entry.platform) for entry in manifests if entry.platform and not entry.platform.is_unknown})
    hint = f"it has {', '.join(present)}" if present else None
    raise Invalid(f"the image index has nothing for {host}", "manifests", hint, "image-index.md#image-index")
