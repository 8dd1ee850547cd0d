"""The proof behind all `test_guard_is_what_stops_it`: a build differs from the product in nothing but what was
taken out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.system.runtime import Runtime

from .builds import Builds
from .conftest import Bundle
from .race import Stopper
from .test_cve_2021_30465 import attack as exchange_target
from .test_cve_2024_21626 import NUMBER, by_descriptor, by_folder
from .test_cve_2024_21626 import leaked as leaked


def test_nothing_taken_out(
    bundle: Bundle, builds: Builds, runtime: Runtime, stopper: Stopper, outside: Path, leaked: int
) -> None:
    """A build of the source as it is withstands an attack on its Python, its launcher and its order, as the product
    does."""
    plain = Runtime(str(builds.command("")), runtime.state)
    first, second, third = (bundle() for _ in range(3))
    first.runtime = second.runtime = third.runtime = plain

    result, found = exchange_target(first, stopper, outside)

    assert found == []
    assert f"tmpfs on {outside}" in result.out
    assert by_folder(second, NUMBER) == by_descriptor(third, NUMBER) == ["", ""]


def test_each_has_its_attack() -> None:
    """No guard is taken out for nothing: each has the attack of its name, or of what its name begins with."""
    here = Path(__file__).parent
    names = [path.stem for path in (here / "guards").glob("*.py") if path.stem != "__init__"]

    assert len(names) > 20
    attacks = tuple(path.stem.removeprefix("test_") + "_" for path in here.glob("test_*.py"))
    assert [name for name in names if not f"{name}_".startswith(attacks)] == []
    assert [name for name in names if not import_module(f"tests.attacks.guards.{name}").TAKEN_OUT] == []
