"""Reading a stranger's JSON: every value is checked where it is read, a refusal says where and what."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from router_service.conversation import BadRequest, Json

Value = TypeVar("Value")


def string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise refusal(path, "a string", value)
    return value


def filled(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise refusal(path, "a non-empty string", value)
    return value


def mapping(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise refusal(path, "an object", value)
    return value


# Of a member: where it stands is put into words only for a refusal, as a request has thousands.


def string_at(holder: Json, key: str, path: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else string(value, f"{path}.{key}")


def filled_at(holder: Json, key: str, path: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) and value else filled(value, f"{path}.{key}")


def mapping_at(holder: Json, key: str, path: str) -> Json:
    value = holder.get(key)
    return value if isinstance(value, dict) else mapping(value, f"{path}.{key}")


def sequence(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise refusal(path, "a list", value)
    return value


def strings(value: Any, path: str) -> tuple[str, ...]:
    return tuple(string(item, f"{path}[{at}]") for at, item in enumerate(sequence(value, path)))


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise refusal(path, "true or false", value)
    return value


def number(value: Any, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refusal(path, "a number", value)
    return value


def count(value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise refusal(path, "a whole number, 0 or more", value)
    return value


def one_of(value: Any, path: str, words: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise refusal(path, "one of " + ", ".join(words), value)
    return value


def optional(read: Callable[[Any, str], Value], holder: Json, key: str, path: str = "") -> Value | None:
    """The checked value of `holder[key]`; None when it is missing or null."""
    value = holder.get(key)
    return None if value is None else read(value, f"{path}.{key}" if path else key)


def refusal(path: str, expected: str, value: Any) -> BadRequest:
    return BadRequest(f"{path}: expected {expected}, got {_described(value)}")


def _described(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return f'"{value[:40]}"'
        case list():
            return "a list" if value else "an empty list"
    return "an object"
