"""`pyrunc spec`: a config.json to begin with."""

from __future__ import annotations

from pyrunc.cli.options import SWITCH, TEXT, Command
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "spec",
    "write a config.json to begin with",
    maximum=0,
    flags=(
        ("bundle, b", TEXT, "folder of the bundle (default: the current one)"),
        ("rootless", SWITCH, "for a container without the machine's root: in a user namespace"),
    ),
    details="""
The program is "sh" on a terminal, the root file system the folder "rootfs" next to config.json, read-only.
Edit the file to taste; "pyrunc validate" checks it and "pyrunc plan" shows what it leads to.
""",
)


def run(context: Context, given: Given) -> int:
    import os

    from pyrunc.specs.default import default_spec
    from pyrunc.specs.encode import encode

    path = os.path.join(given.text("bundle"), "config.json")
    cgroup2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    document = default_spec(given.switch("rootless"), os.geteuid(), os.getegid(), cgroup2)
    text = encode(document, indent="\t", ascii=False) + "\n"
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PyruncError("File config.json exists. Remove it first") from None
    except OSError as error:
        raise Failure(f"write {path}", number=error.errno or 0) from None
    return 0
