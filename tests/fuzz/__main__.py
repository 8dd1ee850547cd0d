"""Runs one fuzzer of a Python parser: `python -m tests.fuzz TARGET SECONDS FOLDER`. Finds are left in FOLDER.

With atheris (pip install atheris) it is guided by coverage and what is new is added to FOLDER/corpus; without, the same
mutators run unguided. Exit status 0: nothing was found.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path
from random import Random

from tests.fuzz.mutate import MUTATORS

MAX = 1 << 16


def guided(name: str, seconds: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["pyrunc"]):
        from tests.fuzz.targets import TARGETS, seeds

    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)

    def mutator(data: bytes, limit: int, seed: int) -> bytes:
        random = Random(seed)
        changed = MUTATORS[name](data, random) if random.random() < 0.8 else atheris.Mutate(data, limit)
        return bytes(changed[:limit])

    limits = [f"-max_total_time={seconds}", f"-max_len={MAX}", "-timeout=10", "-rss_limit_mb=2048"]
    arguments = [sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup(arguments, TARGETS[name], custom_mutator=mutator)
    atheris.Fuzz()


def unguided(name: str, folder: Path, seed: int, tries: int, seconds: float = 1e9) -> int:
    """How many inputs were tried; the first find is written down and raised."""
    from tests.fuzz.targets import TARGETS, seeds

    random, known, tried = Random(seed), seeds(name), 0
    end = time.monotonic() + seconds
    while tried < tries and time.monotonic() < end:
        data = random.choice(known)
        for _ in range(random.choice((1, 2, 4, 8))):
            data = MUTATORS[name](data, random)[:MAX]
        try:
            TARGETS[name](data)
        except Exception:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"crash-{name}").write_bytes(data)
            raise
        tried += 1
    return tried


def main(name: str, seconds: str, folder: str) -> None:
    try:
        import atheris  # noqa: F401
    except ImportError:
        try:
            print("tried", unguided(name, Path(folder), time.time_ns(), sys.maxsize, float(seconds)))
        except Exception:
            traceback.print_exc()
            sys.exit(1)
    else:
        guided(name, int(seconds), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:4])
