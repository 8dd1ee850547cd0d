"""Every problem of a document at once, with its place: for `pyrunc validate` and for a document that was refused.

Slow and thorough where the decoder is fast and stops at the first mistake; it must never be loaded for a document that
is in order. What it says comes from the JSON Schemas in `schema/`, the typed decoders and the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunc.specs.clauses import clause_of
from pyrunc.specs.decode import Node, decode, expected, key_pointer
from pyrunc.specs.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KINDS = ("runtime-config", "runtime-state", "image-index", "image-manifest", "image-config", "image-layout")
# Objects whose member names are data.
MAPS = ("annotations", "sysctl", "unified", "rdma", "netDevices", "timeOffsets", "Labels", "ExposedPorts", "Volumes")
ARTICLES = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "object": "an object",
    "string": "a string",
}


def explain(data: bytes, kind: str) -> list[Invalid]:
    """All that is wrong with a document of one of `KINDS`; nothing if it is valid."""
    try:
        value = decode(data)
    except Invalid as error:
        return [error]
    found = list(broken_rules(data, kind))
    known = [problem.pointer for problem in found]
    found += [error for error in broken_schema(value, kind) if not any(covers(p, error.pointer) for p in known)]
    for problem in found:
        problem.clause = problem.clause or (clause_of(problem.pointer) if kind == "runtime-config" else "")
    return found


def covers(pointer: str, other: str) -> bool:
    """Whether a problem at `pointer` says already what is wrong at `other`."""
    return other == pointer or (pointer != "" and other.startswith((f"{pointer}.", f"{pointer}[")))


def broken_rules(data: bytes, kind: str) -> Iterator[Invalid]:
    try:
        if kind == "runtime-config":
            from pyrunc.specs.rules import problems
            from pyrunc.specs.runtime import decode_spec

            yield from problems(decode_spec(data))
        else:
            decode_by_kind(data, kind)
    except Invalid as error:
        yield error


def decode_by_kind(data: bytes, kind: str) -> None:
    from pyrunc.specs import image
    from pyrunc.specs.state import decode_state

    decoders: dict[str, Callable[[bytes], object]] = {
        "runtime-state": decode_state,
        "image-index": image.decode_index,
        "image-manifest": image.decode_manifest,
        "image-config": image.decode_image_config,
        "image-layout": image.check_layout,
    }
    decoders[kind](data)


def broken_schema(value: object, kind: str) -> list[Invalid]:
    """The schema's complaints in our words, one for a place."""
    problems: dict[str, Invalid] = {}
    for error in validator(kind).iter_errors(value):
        for problem in in_our_words(error):
            problems.setdefault(problem.pointer, problem)
    return list(problems.values())


def validator(kind: str) -> Any:
    import jsonschema

    draft = jsonschema.Draft202012Validator
    # To JSON Schema 1.0 is an integer, to these documents it is not.
    checker = draft.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return jsonschema.validators.extend(draft, type_checker=checker)(schema(kind))  # type: ignore[no-untyped-call]


def schema(kind: str) -> Any:
    import json
    from pathlib import Path

    return json.loads((Path(__file__).parent / "schema" / f"{kind}.json").read_text("utf-8"))


def in_our_words(error: Any) -> Iterator[Invalid]:
    pointer = pointer_of(error.absolute_path)
    rule, wanted, value = error.validator, error.validator_value, error.instance
    if rule == "oneOf" and wanted[0] == {"type": "null"}:
        for inner in error.context:
            if inner.schema_path[0] != 0:
                yield from in_our_words(inner)
    elif rule == "required":
        for name in wanted:
            if value.get(name) is None:
                yield Invalid("this property is required", Node({}, pointer).at(name))
    elif rule == "anyOf":
        names = [alternative["required"][0] for alternative in wanted]
        if all(value.get(name) is None for name in names):  # else what is wrong with the one there is says it
            yield Invalid(f"one of {' and '.join(names)} is required", pointer)
    elif rule == "type" and value is None:
        yield Invalid("this property is required", pointer)
    elif rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        yield expected(" or ".join(ARTICLES[kind] for kind in kinds if kind != "null"), value, pointer)
    else:
        yield Invalid(f"expected {expectation(rule, wanted, error.schema)}, found {shown(value)}", pointer)


def expectation(rule: str, wanted: Any, schema: Any) -> str:
    if rule == "enum":
        return f"one of {', '.join(name for name in wanted if name)}"
    if rule == "const":
        return f"{wanted}"
    if rule in ("minimum", "maximum"):
        return f"an integer from {schema['minimum']} to {schema.get('maximum', 'the highest')}"
    if rule in ("minItems", "minLength"):
        return "something that is not empty"
    if rule == "maxItems":
        return f"at most {wanted} entries"
    return str(schema.get("description", "another value"))


def shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def pointer_of(path: Iterable[str | int]) -> str:
    pointer, parent = "", ""
    for step in path:
        if isinstance(step, int):
            pointer, parent = f"{pointer}[{step}]", ""
        elif parent in MAPS:
            pointer, parent = key_pointer(pointer, step), ""
        else:
            pointer, parent = Node({}, pointer).at(step), step
    return pointer
