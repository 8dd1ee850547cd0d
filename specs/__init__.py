"""What the OCI documents say: typed values, their decoding, rules and schemas. No I/O, nothing about Linux's calls.

Names are handed on lazily: importing this package loads nothing, so that a start of a container pays for what it uses.
`features` and `explain` are fetched from their modules, which have the same names.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.convert import runtime_config as runtime_config
    from pyrunc.specs.default import default_spec as default_spec
    from pyrunc.specs.errors import Failure as Failure
    from pyrunc.specs.errors import Invalid as Invalid
    from pyrunc.specs.errors import PyruncError as PyruncError
    from pyrunc.specs.image import decode_image_config as decode_image_config
    from pyrunc.specs.image import decode_index as decode_index
    from pyrunc.specs.image import decode_manifest as decode_manifest
    from pyrunc.specs.rules import check as check
    from pyrunc.specs.rules import problems as problems
    from pyrunc.specs.runtime import VERSION as VERSION
    from pyrunc.specs.runtime import decode_spec as decode_spec
    from pyrunc.specs.state import State as State

MODULES = {
    "convert": ("runtime_config",),
    "default": ("default_spec",),
    "errors": ("Failure", "Invalid", "PyruncError"),
    "image": ("decode_image_config", "decode_index", "decode_manifest"),
    "rules": ("check", "problems"),
    "runtime": ("VERSION", "decode_spec"),
    "state": ("State",),
}


def __getattr__(name: str) -> object:
    for module, names in MODULES.items():
        if name in names:
            return getattr(__import__(f"pyrunc.specs.{module}", fromlist=(name,)), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
