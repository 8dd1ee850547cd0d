"""`pyrunc seccomp record` and `pyrunc seccomp explain`: profiles made and understood."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import SWITCH, TEXT, Command, UsageError, parse
from pyrunc.specs.errors import Failure, Invalid, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.sandbox.seccomp.explain import Verdict

RECORD_FLAGS = (
    ("bundle, b", TEXT, "record the container of this bundle instead of a program"),
    ("output, o", TEXT, "file to write the profile to (default: standard output)"),
)
EXPLAIN_FLAGS = (
    ("calls", TEXT, "a profile, such as record writes: which of the calls it allows would be refused"),
    ("json", SWITCH, "as JSON"),
)
COMMAND = Command(
    "seccomp",
    "record a seccomp profile, or explain one",
    "record [--output FILE] (--bundle DIR | -- PROGRAM ARGS...) | explain [--json] PROFILE (CALL [N=VALUE...] "
    "| --calls FILE)",
    minimum=1,
    stops=True,
    details="""
"record" runs a program, or the container of a bundle without its filter, to its end, and writes the profile that
allows what it has called and what runtimes call on the way to it: the value of linux.seccomp. It takes root.

"explain" tells what a profile does to a system call, and which rule says so. PROFILE is the value of linux.seccomp in
a file, a config.json, a bundle, or the id of a container. CALL is a name or a number, N an argument's (0 to 5);
arguments that are not given are 0. With --calls, all calls that another profile allows: record the program, then ask
which of its calls the profile in use refuses; the exit code is 1 when it refuses any.
""",
)


def run(context: Context, given: Given) -> int:
    name, *rest = given.arguments
    if name == "record":
        return record(context, parse(RECORD_FLAGS, rest, stops=True))
    if name == "explain":
        return explain(context, parse(EXPLAIN_FLAGS, rest))
    raise UsageError(f'pyrunc: "seccomp" knows record and explain, not "{name}"', "Incorrect Usage.")


def record(context: Context, given: Given) -> int:
    import json

    from pyrunc.cli.create import real_folder
    from pyrunc.recording import record_bundle, record_program

    bundle = given.text("bundle")
    if bool(bundle) == bool(given.arguments):
        raise UsageError('pyrunc: "seccomp record" requires a program or --bundle', "Incorrect Usage.")
    if bundle:
        status, profile = record_bundle(context.root, real_folder(bundle))
    else:
        status, profile = record_program(given.arguments)
    text = json.dumps(profile, indent=2) + "\n"
    if given.text("output"):
        try:
            with open(given.text("output"), "w") as file:
                file.write(text)
        except OSError as error:
            raise Failure(f"write {given.text('output')}", number=error.errno or 0) from None
    else:
        show(text)
    return status


def explain(context: Context, given: Given) -> int:
    import json
    import platform
    from dataclasses import asdict

    calls = given.text("calls")
    if len(given.arguments) != 1 if calls else len(given.arguments) < 2:
        raise UsageError('pyrunc: "seccomp explain" requires a profile, and a call or --calls', "Incorrect Usage.")
    from pyrunc.sandbox.seccomp.explain import Explainer

    explainer = Explainer(profile_of(context.root, given.arguments[0]), platform.machine())
    if not calls:
        verdict = explainer.verdict(given.arguments[1], argument_values(given.arguments[2:]))
        show(json.dumps(asdict(verdict), indent=2) + "\n" if given.switch("json") else as_text(verdict))
        return 0
    verdicts = []
    for rule in profile_of(context.root, calls).syscalls:
        for name in rule.names if rule.action == "SCMP_ACT_ALLOW" else ():
            try:
                verdicts.append(explainer.verdict(name, {}))
            except Invalid:
                continue  # a call that this machine does not have
    refused = [verdict for verdict in verdicts if verdict.refused]
    if given.switch("json"):
        show(json.dumps([asdict(verdict) for verdict in refused], indent=2) + "\n")
    else:
        show("".join(as_text(verdict) for verdict in refused) or f"all {len(verdicts)} calls are allowed\n")
    return 1 if refused else 0


def argument_values(given: list[str]) -> dict[int, int]:
    """`0=5` or `arg0=0x5`."""
    found = {}
    for item in given:
        name, _, value = item.partition("=")
        index = name.removeprefix("arg")
        try:
            if index not in ("0", "1", "2", "3", "4", "5"):
                raise ValueError
            found[int(index)] = int(value, 0) & 0xFFFF_FFFF_FFFF_FFFF
        except ValueError:
            raise PyruncError(
                f"{item} is no argument", hint="write 0=5 or arg0=0x5, with 0 to 5 before the ="
            ) from None
    return found


def as_text(verdict: Verdict) -> str:
    lines = [f"{verdict.call} ({verdict.number}): {verdict.action} {verdict.errno}".rstrip()]
    lines.append(f"  {verdict.pointer}: {verdict.why}")
    for rule in verdict.rules:
        if rule.when:
            holds = "holds" if rule.holds else "does not hold"
            lines.append(f"  {rule.pointer}: {rule.action} when {rule.when}, which {holds}")
    return "\n".join(lines) + "\n"


def profile_of(root: str, place: str) -> Any:
    """The profile in a file, a bundle or a container, checked."""
    import os

    from pyrunc.bundle import read_document
    from pyrunc.specs.decode import Node, decode
    from pyrunc.specs.seccomp import Seccomp
    from pyrunc.specs.seccomp_rules import seccomp_problems
    from pyrunc.store import Store

    path = place
    if os.path.isdir(place):
        path = f"{place}/config.json"
    elif not os.path.exists(place) and "/" not in place:
        path = f"{Store(root).path(Store(root).load(place).id)}/config.json"
    document = decode(read_document(path))
    pointer = ""
    if isinstance(document, dict) and "defaultAction" not in document:
        linux = document.get("linux")
        document, pointer = linux.get("seccomp") if isinstance(linux, dict) else None, "linux.seccomp"
        if document is None:
            raise PyruncError(f"{place} has no linux.seccomp: every system call is allowed")
    if isinstance(document, dict) and "archMap" in document:
        raise PyruncError(
            f"{place} is an engine's template, which depends on capabilities",
            hint="explain the container that the engine has made, by its id or its bundle",
        )
    seccomp = Seccomp(Node(document, pointer))
    for problem in seccomp_problems(seccomp):
        raise problem
    return seccomp
