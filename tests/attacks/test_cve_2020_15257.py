"""CVE-2020-15257: a socket that is no file (an abstract one) belongs to a network namespace; whoever shares the host's
talks to the runtime. Ours are files, for their owner alone, in folders for their owner alone."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from .builds import PARTS
from .conftest import Bundle

ABSTRACT = r"(?<![\w@])@[^\s\"']*pyrunc|pyrunc[^\s\"']*@"


def listening(pid: int) -> set[str]:
    """The addresses of sockets in the network namespace of a process; an abstract one begins with `@`."""
    lines = Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]
    return {line.split(None, 7)[7] for line in lines if len(line.split(None, 7)) == 8}


def test_attack_fails(bundle: Bundle) -> None:
    """A container in the host's network sees no abstract socket more while one waits for its start, and the one that it
    waits on is out of its reach."""
    spy = bundle()
    spy.without_namespace("network")
    spy.up()
    before = listening(spy.pid)
    box = bundle("true")

    assert box.create().ok

    assert {name for name in listening(spy.pid) - before if name.startswith("@")} == set()
    folder = Path(box.runtime.state) / box.id
    sockets = [path for path in folder.rglob("*") if stat.S_ISSOCK(path.stat().st_mode)]
    assert [path.name for path in sockets] == ["start.sock"]
    assert oct(folder.stat().st_mode & 0o7777) == "0o700"
    assert oct(sockets[0].stat().st_mode & 0o077) == "0o0"


def test_no_abstract_listener_in_the_source(tree: Path) -> None:
    """Nothing of ours binds an abstract address: those of others are connected to at most."""
    files = [path for part in PARTS for kind in ("*.py", "*.c") for path in (tree / part).rglob(kind)]
    found = [path.name for path in files if re.search(r"bind\(\s*(f?[\"']\\0|b[\"']\\0)", path.read_text())]
    assert len(files) > 100
    assert found == []
