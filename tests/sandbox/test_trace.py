"""What whoever debugs is told, and when."""

from __future__ import annotations

from pyrunc.sandbox.plan import Plan, host, op, sync
from pyrunc.sandbox.trace import Trace


def test_order() -> None:
    """Steps of the host are told at once, those of init when a rendezvous shows that they are done; runc's words stand
    beside the steps that they mean."""
    plan = Plan()
    plan.init += [
        op("spawn", "", 0, ""), op("cpu_affinity", "", b"\x05", phase="identity"), sync("ready", "", "start"),
        op("exec", "", ("true",), ()),
    ]  # fmt: skip
    said: list[str] = []
    trace = Trace(plan, said.append)

    trace.host(host("record", ""), 0)
    assert len(said) == 1 and said[0].startswith("host: ")

    trace.host(host("await", "", 5), 2)
    assert "nsexec container setup" in said and "nsexec: affinity: 0x5" in said
    assert "init: closing the pipe to signal completion" not in said

    trace.init(len(plan.init))
    assert said[-3:-1] == ["init: closing the pipe to signal completion", "setns_init: about to exec"]
    assert said[-1].startswith("init: run true")
    assert said.count("nsexec container setup") == 1
