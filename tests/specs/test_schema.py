"""Schemas, decoders and rules: three descriptions of the same documents, held against each other."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunc.specs.decode import decode
from pyrunc.specs.default import default_spec
from pyrunc.specs.errors import Invalid
from pyrunc.specs.explain import KINDS, explain, schema, validator
from pyrunc.specs.image import check_layout, decode_image_config, decode_index, decode_manifest
from pyrunc.specs.rules import problems
from pyrunc.specs.runtime import decode_spec
from pyrunc.specs.state import decode_state
from tests.specs.documents import changed, example, small, whole

STATE = {
    "ociVersion": "0.2.0",
    "id": "oci-container1",
    "status": "running",
    "pid": 4422,
    "bundle": "/containers/redis",
    "annotations": {"myKey": "myValue"},
}
GOOD: dict[str, list[Any]] = {
    "runtime-config": [small(), example("config"), whole(), default_spec(), default_spec(rootless=True)],
    "runtime-state": [STATE],
    "image-index": [example("index")],
    "image-manifest": [example("manifest")],
    "image-config": [example("image-config")],
    "image-layout": [{"imageLayoutVersion": "1.0.0"}],
}
DECODERS = {
    "runtime-config": decode_spec,
    "runtime-state": decode_state,
    "image-index": decode_index,
    "image-manifest": decode_manifest,
    "image-config": decode_image_config,
    "image-layout": check_layout,
}
VALIDATORS = {kind: validator(kind) for kind in KINDS}
CASES = [(kind, document) for kind, documents in GOOD.items() for document in documents]


def told(document: object, kind: str) -> list[str]:
    return [str(problem) for problem in explain(json.dumps(document).encode(), kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas(kind: str) -> None:
    """Each schema is one of draft 2020-12, and refers to nothing outside itself."""
    document = schema(kind)

    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"{kind}.json"
    references = {value for value in texts(document) if value.startswith("#") or ".json#" in value}
    assert references == {f"#/$defs/{name}" for name in document.get("$defs", {})}


def texts(value: Any) -> list[str]:
    """The `$ref`s below a value."""
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


@pytest.mark.parametrize(("kind", "document"), CASES)
def test_published_examples_are_valid(kind: str, document: object) -> None:
    """What the specifications print as examples is valid to schema, decoder and rules."""
    assert told(document, kind) == []


def agree(value: object, kind: str) -> None:
    """Rules refuse all that the schema refuses, the schema refuses all that the decoder refuses."""
    data = json.dumps(value).encode()
    fits_schema = VALIDATORS[kind].is_valid(decode(data))
    try:
        decoded = DECODERS[kind](data)
    except Invalid as error:
        assert not fits_schema, f"the decoder refuses it ({error}), the schema does not"
        return
    if not fits_schema:
        assert kind in ("runtime-config", "runtime-state")
        if kind == "runtime-config":
            assert problems(decoded), f"only the schema refuses it: {told(value, kind)}"  # type: ignore[arg-type]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [place for key, item in below for place in places(item, (*path, key))]


numbers = st.sampled_from(
    [-2, -1, 0, 1, 5, 6, 7, 8, 9, 10, 19, 20, 100, 101, 1000, 1001, 4095, 4096, 65535, 65536, 2**31 - 1, 2**31,
    2**32 - 2,
     2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**31), -(2**63) - 1, 999_999_999, 10**9]
)  # fmt: skip
words = st.sampled_from(
    ["", "/", "/a", "a", "a=b", "=b", "a\nb", "a\0b", "1.0.0", "1.0", "2.0.0", "0-3,7", "3-", ".", "..", "a/b",
    "MB:0=1", "2MB",
     "64kB", "rwm", "x", "c", "p", "a", "user", "time", "disk", "SCMP_ACT_ALLOW", "SCMP_ACT_NOTIFY", "SCMP_CMP_EQ",
     "RLIMIT_AS", "layers", "sha256:" + "a" * 64, "sha256:" + "A" * 64, "sha999:x", "a/b+c",
     "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.empty.v1+json", "monotonic"]
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), numbers, words, st.sampled_from([1.0, 1e3, 0.5]), st.text(max_size=3))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, st.text(max_size=3)), inner,
    max_size=3)),
    max_leaves=5,
)  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, Any]:
    """A valid document with one to three members replaced, removed or added."""
    kind, original = draw(st.sampled_from(CASES))
    document: Any = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        *steps, last = draw(st.sampled_from([place for place in places(document) if place] or [("x",)]))
        at = document
        for step in steps:
            at = at[step]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add", "repeat"]))
        if action == "remove" and isinstance(at, dict):
            at.pop(last, None)
        elif action == "add" and isinstance(at, dict):
            at[draw(words)] = draw(values)
        elif action == "repeat" and isinstance(at, list):
            at.append(copy.deepcopy(at[last]))
        else:
            at[last] = draw(values)
    return kind, document


@settings(max_examples=400, deadline=None)
@given(mutations())
@with_example(("runtime-config", changed(small(), "process/user/uid", 1.0)))
@with_example(
    ("runtime-config", changed(small(), "linux/devices", [{"type": "c", "path": "/x", "major": None, "minor": 1}]))
)
@with_example(
    (
        "image-manifest",
        example("manifest")
        | {"config": example("manifest")["config"] | {"mediaType": "application/vnd.oci.empty.v1+json"}},
    )
)
def test_decoder_schema_and_rules_agree(case: tuple[str, Any]) -> None:
    """On any mutation of a valid document: what the decoder refuses the schema refuses, what the schema refuses the
    decoder or the rules refuse."""
    kind, document = case
    agree(document, kind)


def parts() -> list[tuple[str, Any]]:
    """Every example, the whole config.json in pieces: a small document with one section, so that each case is quick."""
    document = whole()
    linux = document.pop("linux")
    pieces = [small() | {name: section} for name, section in document.items()]
    pieces += [changed(small(), f"linux/{name}", section) for name, section in linux.items()]
    return [("runtime-config", piece) for piece in pieces] + [case for case in CASES if case[0] != "runtime-config"]


def one_by_one() -> list[tuple[str, Any]]:
    """Each member of each example replaced by null and by a value of each kind."""
    cases = []
    for kind, document in parts():
        for place in places(document):
            for value in (None, True, -1, 1.0, "", "\0", [], [None], {}, {"": None}):
                copied = copy.deepcopy({"": document})
                at: Any = copied
                for step in ("", *place)[:-1]:
                    at = at[step]
                at[("", *place)[-1]] = value
                cases.append((kind, copied[""]))
    return cases


def test_agreement_at_every_member() -> None:
    """No member of any document is left out of either description."""
    for kind, document in one_by_one():
        agree(document, kind)


def test_explains_everything_at_once() -> None:
    """All mistakes are told, each at its place, once, in runc's words where the rules know them."""
    document = changed(
        small(), "process", {"cwd": "home", "args": ["a", 3], "rlimits": [{"type": "RLIMIT_X", "soft": 1}]}
    )
    document = changed(document, "mounts", [{"options": "ro"}])
    document = changed(document, "linux/seccomp", {"defaultAction": "SCMP_ACT_DROP"})

    assert told(document, "runtime-config") == [
        "this property is required (mounts[0].destination)",
        "expected an array, found a string (mounts[0].options)",
        'expected an absolute path, found "home" (process.cwd)',
        "expected a string, found a number (process.args[1])",
        "this property is required (process.rlimits[0].hard)",
        f'expected one of {", ".join(schema("runtime-config")["$defs"]["rlimit"]["properties"]["type"]["enum"])}, '
        'found "RLIMIT_X" (process.rlimits[0].type)',
        f'expected one of {", ".join(schema("runtime-config")["$defs"]["seccompAction"]["enum"])}, '
        'found "SCMP_ACT_DROP" (linux.seccomp.defaultAction)',
    ]  # fmt: skip


def test_explains_what_only_rules_know() -> None:
    """What fits the schema and decodes is still held against the rules; their words come alone."""
    document = changed(changed(small(), "hostname", "box"), "process/cwd", "home")

    assert told(document, "runtime-config") == [
        "Cwd must be an absolute path (process.cwd)",
        "unable to set hostname without a private UTS namespace (hostname)",
    ]


def test_explains_with_clauses() -> None:
    """Each problem names the clause of the specification that it breaks."""
    document = changed(small(), "linux/resources/memory", {"limit": "1G", "swappiness": 200})

    assert {(p.pointer, p.clause) for p in explain(json.dumps(document).encode(), "runtime-config")} == {
        ("linux.resources.memory.limit", "config-linux.md#memory"),
        ("linux.resources.memory.swappiness", "config-linux.md#memory"),
    }


def test_explains_what_is_not_json() -> None:
    """Bytes that are no JSON document have one problem."""
    (problem,) = explain(b"{]", "image-index")

    assert problem.message.startswith("not JSON: ")
    assert [p.pointer for p in explain(b'{"a":1,"a":2}', "runtime-config")] == ["a"]
