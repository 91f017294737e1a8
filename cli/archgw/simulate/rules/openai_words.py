"""OpenAI's phrases for what is wrong with a parameter; `place` is its path, `messages[0].content`."""

from typing import Any

from archgw.simulate.refusal import Refused


def missing(place: str) -> Refused:
    message = f"Missing required parameter: '{place}'."
    return Refused(message, param=place, code="missing_required_parameter")


def unknown(place: str) -> Refused:
    return Refused(f"Unknown parameter: '{place}'.", param=place, code="unknown_parameter")


def unsupported(place: str, instead: str = "") -> Refused:
    hint = f" Use '{instead}' instead." if instead else ""
    message = f"Unsupported parameter: '{place}' is not supported with this model.{hint}"
    return Refused(message, param=place, code="unsupported_parameter")


def invalid(place: str, value: object, supported: str) -> Refused:
    message = f"Invalid value: '{value}'. Supported values are: {supported}."
    return Refused(message, param=place, code="invalid_value")


def wrong_type(place: str, wanted: str, value: Any) -> Refused:
    message = f"Invalid type for '{place}': expected {wanted}, but got {kind_of(value)} instead."
    return Refused(message, param=place, code="invalid_type")


def kind_of(value: Any) -> str:
    return "null" if value is None else KINDS.get(type(value), "a decimal")


KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
}


def empty(place: str) -> Refused:
    return Refused(
        f"Invalid '{place}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=place,
        code="empty_array",
    )


def too_long(place: str, value: str, most: int) -> Refused:
    return Refused(
        f"Invalid '{place}': string too long. Expected a string with maximum length {most}, but got a string "
        f"with length {len(value)} instead.",
        param=place,
        code="string_above_max_length",
    )


def no_match(place: str, pattern: str) -> Refused:
    return Refused(
        f"Invalid '{place}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
        param=place,
        code="invalid_value",
    )


def below(place: str, value: float, least: float) -> Refused:
    kind = "integer" if isinstance(value, int) else "decimal"
    return Refused(
        f"Invalid '{place}': {kind} below minimum value. Expected a value >= {least}, but got {value} instead.",
        param=place,
        code=f"{kind}_below_min_value",
    )


def above(place: str, value: float, most: float) -> Refused:
    return Refused(
        f"Invalid '{place}': decimal above maximum value. Expected a value <= {most}, but got {value} instead.",
        param=place,
        code="decimal_above_max_value",
    )


def only_medium(name: str, value: object) -> Refused:
    words = f"Unsupported value: '{value}' is not supported with this model. Supported values are: 'medium'."
    return Refused(words, param=name, code="unsupported_value")
