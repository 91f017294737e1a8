"""Nothing has become twice as dear: what a request costs, against bench/speed.json (`make speed` writes it anew).

A count of calls repeats exactly, memory nearly; CPU time is told in that of something else in the same run, each the
least of several rounds, for what else runs on a machine only adds.
"""

import json
import sys
from pathlib import Path

import pytest

BENCH = str(Path(__file__).parent.parent / "bench")
if BENCH not in sys.path:
    sys.path.append(BENCH)

from speed import BASELINE, Figures, envoys, figures  # noqa: E402 - where it lies is known above

# By kind of figure: from which part of what it was on it is too much. Under a load of ten, `parses` has
# been seen to differ by a quarter, and `envoys` to be half and twice as much.
LIMITS = {"calls": 1.5, "held": 1.5, "parses": 1.7, "envoys": 2.0}
KNOWN: Figures = json.loads(BASELINE.read_text())


@pytest.fixture(scope="module")
def now() -> Figures:
    return figures()


@pytest.mark.parametrize("kind", ["calls", "held", "parses"])
def test_the_machines_do_not_do_much_more_for_a_request(now: Figures, kind: str) -> None:
    assert dearer(kind, now[kind]) == {}


async def test_the_whole_gateway_does_not_compute_much_longer_for_a_request() -> None:
    for _ in range(3):  # one that has become dearer is so each time
        too_dear = dearer("envoys", await envoys())
        if not too_dear:
            break
    assert too_dear == {}


def dearer(kind: str, found: dict[str, float]) -> dict[str, str]:
    """The cases that cost too much, in words. All cases are known."""
    assert found.keys() == KNOWN[kind].keys(), "make speed"
    return {
        case: f"{figure:,.1f} {kind}, and it was {KNOWN[kind][case]:,.1f}"
        for case, figure in found.items()
        if figure > LIMITS[kind] * KNOWN[kind][case]
    }
