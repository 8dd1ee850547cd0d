"""The checker of plans finds what it is for."""

from __future__ import annotations

from pyrunc.sandbox.check import problems
from pyrunc.sandbox.plan import Plan, host, op, sync


def sound() -> Plan:
    plan = Plan()
    plan.host = [
        host("open_cgroup", "", "cgroup", "/sys/fs/cgroup/box"),
        host("launch", ""),
        host("await", "", 5),
        host("answer", "", 5),
    ]
    plan.init = [
        op("spawn", "", 0, "cgroup"),
        op("pivot_root", ""),
        sync("ready", "", "start"),
        op("exec", "", ["sh"], []),
    ]
    return plan


def test_a_sound_plan_has_no_problems():
    """Nothing is said about a plan that is right."""
    assert problems(sound()) == []


def test_a_phase_that_goes_backwards_is_found():
    """An operation of an earlier phase after a later one is a fault of the compiler."""
    plan = sound()
    plan.init.append(op("hostname", "", "x"))

    assert problems(plan) == ["init[4] hostname: isolate after exec"]


def test_an_operation_in_a_foreign_phase_is_found():
    """An operation that belongs to one phase may not be given another."""
    plan = sound()
    plan.init.insert(1, op("hostname", "", "x", phase="mounts"))

    assert problems(plan) == ["init[1] hostname: phase mounts, belongs to isolate"]


def test_a_slot_that_is_read_before_it_is_written_is_found():
    """The launcher would use an fd that is not there."""
    plan = sound()
    plan.host.pop(0)

    assert problems(plan) == ["init[0] spawn: slot cgroup is read before it is written"]


def test_a_slot_written_after_launch_is_found():
    """The host's slots travel with the plan; later ones would never arrive."""
    plan = sound()
    plan.host.append(host("listen", "", "listener"))

    assert problems(plan) == ["host[4] listen: slot listener is written after launch"]


def test_a_slot_written_twice_is_found():
    """The first fd would be lost."""
    plan = sound()
    plan.init.insert(1, op("open_null", "", "cgroup"))

    assert "init[1] open_null: slot cgroup is written twice" in problems(plan)


def test_rendezvous_have_to_pair_up():
    """A sync that nobody answers would wait for ever."""
    plan = sound()
    plan.init.insert(1, sync("cgroup", "", "mounts"))

    assert problems(plan) == ["rendezvous: init syncs at cgroup ready; host awaits ready, answers ready"]
