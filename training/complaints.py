"""Fit the weights by which the detector of corrections weighs its signs: `python -m training.complaints [--check]`.

It learns from the development half of the labelled turns (tests/detectors) and from ordinary turns of the router's own
data, of which training/data/corrections.json tells by a hash which ones are corrections. It writes
router_service/detectors/weights.py; `--check` prints instead how often it is right on voices that it has not seen.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from router_service import intent
from router_service.conversation import Conversation
from router_service.detectors import correction
from router_service.detectors.detector import Next
from router_service.detectors.signs import SIGNS, Around, seen
from router_service.dialects import by_path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "router_service/detectors/weights.py"
_VOICES = ("a", "b", "c", "d", "e", "n", "own")  # the other files are held apart
_ORDINARY = 4500  # turns
_RIDGE, _FREE = 1.0, 1e-3  # penalty of a weight, and of the constant
_ENOUGH, _LIKELY, _SURE, _APART = -0.5, -1.0, -3.0, 1.0  # logarithms of odds from which on it is told
_FOLDS = 5
_AT_SURE, _AT_LIKELY, _AT_APART = map(SIGNS.index, ("sure", "likely", "apart"))
_HEAD = '''"""How much each sign speaks for a complaint, as logarithms of odds. `training.complaints` writes it.

`ENOUGH` tells of one; less does where the patterns of `complaints` have found what is `LIKELY` or `SURE`;
more has to where it is `APART` from what was asked and answered.
"""

ENOUGH, LIKELY, SURE, APART = {enough}
WEIGHTS = {{
{lines}
}}
'''

Rows = tuple[Any, Any, Any]  # signs, labels, and the voice or fold of each


def labelled() -> Iterator[tuple[str, bool, Around]]:
    for voice in _VOICES:
        for line in (ROOT / f"tests/detectors/{voice}.jsonl").read_text("utf-8").splitlines():
            turn = json.loads(line)
            if "answered" in turn:  # sent once more, with no new word
                continue
            if at := _around([*turn["before"], *turn["now"]], overridden=turn["asked_model"] == "other"):
                yield voice, "correction" in turn["labels"], at


def ordinary() -> Iterator[tuple[str, bool, Around]]:
    """Some of those that go on in a thread, each ask once; which ones depends on nothing but their words."""
    told = set(json.loads((ROOT / "training/data/corrections.json").read_text("utf-8")))
    found: dict[str, list[Any]] = {}
    for folder in ("held", "written"):
        for file in sorted((ROOT / "training/data" / folder).glob("*.rows.jsonl")):
            for line in file.read_text("utf-8").splitlines():
                said = [one for one in json.loads(line)["conversation"] if one["role"] != "system"]
                if len(said) > 2 and (said[-2]["role"], said[-1]["role"]) == ("assistant", "user"):
                    found.setdefault(str(said[-1]["content"]), said)
    asks = sorted(found, key=lambda ask: _hash(ask, 64))[:_ORDINARY]
    for n, ask in enumerate(asks):
        if at := _around(found[ask]):
            yield str(n % _FOLDS), _hash(ask, 6) in told, at


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def _around(messages: list[Any], *, overridden: bool = False) -> Around | None:
    dialect = by_path("/v1/messages")
    assert dialect
    said: Conversation = dialect.parse_request({"model": "m", "max_tokens": 100, "messages": messages})
    given = Next(said, intent.read(said, {}), overridden=overridden)
    return correction.around(given) if correction.is_asked(given) else None


def _rows(found: Iterator[tuple[str, bool, Around]]) -> Rows:
    signs, labels, groups = [], [], []
    for group, label, at in found:
        strengths = dict(seen(at))
        signs.append([*(strengths.get(name, 0.0) for name in SIGNS), 1.0])
        labels.append(float(label))
        groups.append(group)
    return np.array(signs), np.array(labels), np.array(groups)


def fit(turns: Rows, others: Rows) -> Any:
    """Logistic regression with a ridge, by Newton's steps; the constant is the last weight.

    Corrections are far more frequent among the labelled turns: that is taken by a weight of its own, which is left off
    afterwards, lest signs that only they have (interruptions) stand for it.
    """
    among = np.concatenate([np.ones(len(turns[1])), np.zeros(len(others[1]))])
    signs = np.column_stack([np.vstack([turns[0], others[0]]), among])
    labels = np.concatenate([turns[1], others[1]])
    ridge = np.array([_RIDGE] * len(SIGNS) + [_FREE, _FREE])
    weights = np.zeros(signs.shape[1])
    for _ in range(30):
        likely = 1 / (1 + np.exp(-signs @ weights))
        slope = signs.T @ (likely - labels) + ridge * weights
        bend = (signs.T * (likely * (1 - likely))) @ signs + np.diag(ridge)
        weights = weights - np.linalg.solve(bend, slope)
    return weights[:-1]


def _but(rows: Rows, group: str) -> Rows:
    kept = rows[2] != group
    return rows[0][kept], rows[1][kept], rows[2][kept]


def check(turns: Rows, others: Rows) -> Iterator[str]:
    """Each voice, and each fifth of the ordinary turns, by weights that were fitted without it."""
    for name, held in (("labelled", turns), ("ordinary", others)):
        said, there = [], []
        for group in sorted(set(held[2]) - {"own"}):
            weights = fit(_but(turns, group), others) if held is turns else fit(turns, _but(others, group))
            mine = held[0][held[2] == group]
            less = np.where(mine[:, _AT_SURE] > 0, _SURE, np.where(mine[:, _AT_LIKELY] > 0, _LIKELY, _ENOUGH))
            less = np.where(mine[:, _AT_APART] > 0, _APART, less)
            said += list(mine @ weights - less)
            there += list(held[1][held[2] == group])
        told = [label for strength, label in zip(said, there, strict=True) if strength >= 0]
        yield f"{name}: {len(there)} turns, {sum(there):.0f} corrections, {len(told)} told, {sum(told):.0f} right\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    turns, others = _rows(labelled()), _rows(ordinary())
    if parser.parse_args().check:
        sys.stdout.writelines(check(turns, others))
        return
    weights = fit(turns, others)
    lines = "\n".join(f'    "{name}": {weight:.2f},' for name, weight in zip((*SIGNS, ""), weights, strict=True))
    OUT.write_text(_HEAD.format(enough=f"{_ENOUGH}, {_LIKELY}, {_SURE}, {_APART}", lines=lines), "utf-8")
    sys.stdout.write(f"{OUT} written\n")


if __name__ == "__main__":
    main()
