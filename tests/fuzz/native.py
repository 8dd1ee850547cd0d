"""Builds and runs the fuzzers of the C parsers: `python -m tests.fuzz.native plan|state|notify SECONDS FOLDER`.

With clang they are libFuzzer programs; without, gcc builds programs that only replay files. Always with the address and
undefined behaviour sanitizers, and every find ends the program.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.wire import encode
from pyrunc.specs.runtime import decode_spec
from tests.fuzz.targets import FACTS, GOLDEN

HERE = Path(__file__).parent
TREE = HERE.parents[1]
NATIVE = TREE / "sandbox" / "native"
CHECKED = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-fno-sanitize-recover=all"]
STATE = """pyrunc-state 1
ociVersion "1.3.0"
id "box"
pid 1234
start 987654
bundle "/srv/box"
rootfs "/srv/box/rootfs"
created "2026-11-22T13:42:36.123456789Z"
owner ""
annotations {"a": "b"}
freezer v2 /sys/fs/cgroup/box/cgroup.freeze
cgroup /sys/fs/cgroup/box
needs poststart poststop shared-pidns systemd
"""


def has_clang() -> bool:
    """Whether clang is there with its fuzzing library."""
    if shutil.which("clang") is None:
        return False
    found = subprocess.run(["clang", "-print-runtime-dir"], capture_output=True, text=True).stdout.strip()
    return bool(list(Path(found).glob("libclang_rt.fuzzer*.a")))


def build(name: str, folder: Path) -> Path:
    """The fuzzer of one parser, in FOLDER."""
    target = folder / f"{name}_fuzz"
    sources = [str(HERE / f"{name}_fuzz.c")]
    if has_clang():
        command = ["clang", "-fsanitize=fuzzer,address,undefined"]
    else:
        command, sources = ["gcc", "-fsanitize=address,undefined"], [*sources, str(HERE / "replay.c")]
    subprocess.run([*command, *CHECKED, f"-I{NATIVE}", *sources, "-o", str(target)], check=True)
    return target


def seeds(name: str) -> list[bytes]:
    """What to begin with besides the corpus."""
    if name == "state":
        return [STATE.encode(), b"1234 (a) b) S " + b"1 " * 40]
    if name == "notify":
        return [b"\0READY=1", b"\1STATUS=up\nREADY=1\n" + b"x" * 20 + b"READY=1", b"\xff" + b"READY=1\0" * 600]
    found = []
    for path in sorted(GOLDEN.glob("*.json")):
        document = json.loads(path.read_text())
        document["linux"].pop("seccomp", None)
        if path.stem == "systemd":  # takes a systemd, which the fixed facts do not have
            continue
        plan = compile_create(decode_spec(json.dumps(document).encode()), FACTS[0], Request("box", "/b", "/b/rootfs"))
        found.append(encode(plan.init, plan.slots()))
    return found


def main(name: str, seconds: str, place: str) -> None:
    folder = Path(place)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-max_len=16384", "-timeout=10", f"-artifact_prefix={folder}/"]
    program = build(name, folder)
    sys.exit(subprocess.run([program, *limits, corpus, HERE / "corpus" / name]).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:4])
