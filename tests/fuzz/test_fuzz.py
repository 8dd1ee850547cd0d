"""Every kept input is tried again, then each fuzzer runs: a moment with `make test`, for minutes with `make soak`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.specs.runtime import decode_spec
from tests.fuzz import native
from tests.fuzz.__main__ import unguided
from tests.fuzz.targets import CORPUS, FACTS, GOLDEN, TARGETS, entries, seeds

TREE = Path(__file__).resolve().parents[2]
NATIVE = ("plan", "state", "notify")
KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file())
SOAK = os.environ.get("PYRUNC_FUZZ_SECONDS", "120")


@pytest.fixture(scope="module")
def fuzzers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The C fuzzers, built."""
    folder = tmp_path_factory.mktemp("fuzzers")
    return {name: native.build(name, folder) for name in NATIVE}


@pytest.mark.parametrize("path", [path for path in KEPT if path.parent.name in TARGETS], ids=lambda path: path.name)
def test_kept_input(path: Path, root: None) -> None:
    """No kept input, each once a find or the way to new code, is more than the parser can take."""
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", NATIVE)
def test_kept_native_inputs(fuzzers: dict[str, Path], name: str, tmp_path: Path) -> None:
    """The same for the parsers in C, with every access checked."""
    files = [path for path in KEPT if path.parent.name == name]
    for number, seed in enumerate(native.seeds(name)):
        files.append(tmp_path / f"seed-{number}")
        files[-1].write_bytes(seed)
    done = subprocess.run([fuzzers[name], *files], capture_output=True, text=True, timeout=60)

    assert len(files) > 2
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_moment_of_mutations(name: str, tmp_path: Path, root: None) -> None:
    """A thousand changed documents and archives, always the same ones, are no find."""
    assert unguided(name, tmp_path, seed=1, tries=1000) == 1000


def test_the_seeds_are_accepted() -> None:
    """The fuzzers begin with what gets through the parsers, not with what is refused at the first byte."""
    # systemd.json takes a systemd, which the fixed facts do not have.
    documents = [path.read_bytes() for path in GOLDEN.glob("*.json") if path.stem != "systemd"]
    archives = [(CORPUS / "tar" / name).read_bytes() for name in ("plain", "pax", "long", "sparse01", "sparse10")]

    assert documents and set(documents) <= set(seeds("config"))
    for document in documents:
        compile_create(decode_spec(document), FACTS[0], Request("box", "/bundle", "/bundle/rootfs"))
    for archive in archives:
        assert isinstance(entries(archive, 512), list) and archive in seeds("layer")


def test_corpora_are_small() -> None:
    """What is kept is what is needed: few files, all small."""
    assert 20 < len(KEPT) < 240
    assert sum(path.stat().st_size for path in KEPT) < 500_000


@pytest.mark.timeout(300)
def test_two_minutes_of_images(tmp_path: Path, root: None) -> None:
    """What strangers write is fuzzed each time: two minutes of tar archives and of manifests find nothing."""
    running = {name: fuzzed(name, tmp_path / name, "120") for name in ("tar", "image")}
    for name, process in running.items():
        _, said = process.communicate()
        assert (process.returncode, finds(tmp_path / name)) == (0, []), said[-4000:]


def fuzzed(name: str, folder: Path, seconds: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    module = "tests.fuzz.native" if name in NATIVE else "tests.fuzz"
    command = [sys.executable, "-m", module, name, seconds, str(folder)]
    return subprocess.Popen(
        command, cwd=TREE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def finds(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-", "leak-"))]


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", [*sorted(TARGETS), *NATIVE])
def test_two_minutes(name: str, tmp_path: Path, root: None) -> None:
    """Two minutes of each fuzzer, led by coverage where the tools are there, find nothing."""
    if name in NATIVE and not native.has_clang():
        pytest.skip("needs clang and libclang-rt-dev")
    process = fuzzed(name, tmp_path, SOAK)
    _, said = process.communicate()

    assert (process.returncode, finds(tmp_path)) == (0, []), said[-4000:]
