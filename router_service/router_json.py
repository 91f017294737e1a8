"""What the `router.json` of a router model says: read strictly, every mistake at once.

docs/router-model.md has the keys. A file with `parts` is of a group, any other of one model.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from router_service.config.reading import guess

LEAST_TOKENS, MOST_TOKENS = 8, 100_000
_SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one model. `tokens` is the most that is read of an ask and its context together.

    `latin`: knows only languages in Latin letters; in a group, it stays out of what is asked in others.
    `optimized`: the graph is run as it is.
    """

    scale: float
    tau: float
    temperature: float = 1.0
    tokens: int = 128
    ask_prefix: str = ""
    preference_prefix: str = ""
    latin: bool = False
    optimized: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Of several models as one: `parts` are folders in theirs. `none` is added to the mean logit of none."""

    parts: tuple[str, ...]
    temperature: float = 1.0
    none: float = 0.0


def parse(text: str) -> Calibration | Group:
    """Raises ValueError, whose text is all that is wrong: `scale: expected a number, found "20"; no tau`."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} on line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON that can be read") from error
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object with at least scale and tau")
    if "parts" in found:
        return Group(**_read(found, _GROUP, required=("parts",)))
    return Calibration(**_read(found, _CALIBRATION, required=("scale", "tau")))


def _read(found: Mapping[str, Any], readers: "Mapping[str, _Reader]", *, required: tuple[str, ...]) -> dict[str, Any]:
    """Raises ValueError."""
    read, wrong = {}, [f"no {key}" for key in required if key not in found]
    for key, value in found.items():
        try:
            read[key] = readers[key](value)
        except KeyError:
            wrong.append(f"unknown key {key[:_SHOWN]!a}; {guess(key, readers) or 'known: ' + ', '.join(readers)}")
        except ValueError as error:
            wrong.append(f"{key}: expected {error}, found {_shown(value)}")
    if wrong:
        raise ValueError("; ".join(wrong))
    return read


def _shown(value: Any) -> str:
    if isinstance(value, list | dict) and value:
        return "a list" if isinstance(value, list) else "an object"
    written = json.dumps(value)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."


# -- values: each raises ValueError with what it expects ---------------------------------------------------------------


_Reader = Callable[[Any], object]


def _number(value: Any, *, least: float = -1e6, most: float = 1e6) -> float:
    if _is_number(value) and least <= value <= most:
        return float(value)
    raise ValueError(f"a number from {least:g} to {most:g}" if _is_number(value) else "a number")


def _is_number(value: Any) -> bool:
    """Python's JSON takes NaN, which is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _tokens(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and LEAST_TOKENS <= value <= MOST_TOKENS:
        return value
    raise ValueError(f"a whole number from {LEAST_TOKENS} to {MOST_TOKENS}")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("text")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _folders(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(part, str) and part for part in value):
        return tuple(value)
    raise ValueError("a list of folders")


_TEMPERATURE = partial(_number, least=0.01, most=100)
_CALIBRATION: Mapping[str, _Reader] = {
    "scale": _number,
    "tau": _number,
    "temperature": _TEMPERATURE,
    "tokens": _tokens,
    "ask_prefix": _text,
    "preference_prefix": _text,
    "latin": _boolean,
    "optimized": _boolean,
}
_GROUP: Mapping[str, _Reader] = {"parts": _folders, "temperature": _TEMPERATURE, "none": _number}
