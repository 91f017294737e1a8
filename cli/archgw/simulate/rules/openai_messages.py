"""What is refused in the messages of a chat completion: by all who speak the dialect, and by OpenAI alone."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.rules.openai_words import empty, invalid, missing, no_match, too_long, unknown, wrong_type
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.wire import listed


def messages(asked: Asked) -> list[Json]:
    return listed(asked.body.get("messages"))


def parts(asked: Asked) -> Iterator[tuple[str, str, Json]]:
    """(place, role, part) of every message whose content is a list."""
    for index, message in enumerate(messages(asked)):
        for at, part in enumerate(listed(message.get("content"))):
            yield f"messages[{index}].content[{at}]", str(message.get("role")), part


def calls(message: Json) -> list[Json]:
    return listed(message.get("tool_calls"))


def all_calls(asked: Asked) -> Iterator[tuple[str, Json]]:
    for index, message in enumerate(messages(asked)):
        for at, call in enumerate(calls(message)):
            yield f"messages[{index}].tool_calls[{at}]", call


# -- shape ---------------------------------------------------------------------------------------------------


def some_messages(asked: Asked) -> None:
    if not asked.body["messages"]:
        raise empty("messages")
    for index, message in enumerate(asked.body["messages"]):
        if not isinstance(message, dict):
            raise wrong_type(f"messages[{index}]", "an object", message)


ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def roles(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        if message.get("role") not in ROLES:
            supported = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
            raise invalid(f"messages[{index}].role", message.get("role"), supported)


def contents(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        value, place = message.get("content"), f"messages.[{index}].content"
        if value is None and not (message["role"] == "assistant" and message.get("tool_calls")):
            raise Refused("Invalid value for 'content': expected a string, got null.", param=place)
        if value is not None and not isinstance(value, str | list):
            raise wrong_type(place, "one of a string or array of objects", value)


PARTS = {
    "system": ("text",),
    "developer": ("text",),
    "tool": ("text",),
    "assistant": ("text", "refusal"),
    "user": ("text", "image_url", "input_audio", "file"),
}


def part_types(asked: Asked) -> None:
    for place, role, part in parts(asked):
        kind, supported = part.get("type"), PARTS.get(role, PARTS["user"])
        message = place.split(".")[0]
        if kind == "image_url" and kind not in supported:
            raise Refused(
                f"Invalid '{message}'. Image URLs are only allowed for messages with role 'user', but this "
                f"message with role '{role}' contains an image URL.",
                param=message,
                code="invalid_value",
            )
        if kind not in supported:
            raise invalid(f"{place}.type", kind, ", ".join(repr(name) for name in supported))


# -- tools ---------------------------------------------------------------------------------------------------


def call_shapes(asked: Asked) -> None:
    for place, call in all_calls(asked):
        function = call.get("function")
        if not call.get("id"):
            raise missing(f"{place}.id")
        if not isinstance(call["id"], str):
            raise wrong_type(f"{place}.id", "a string", call["id"])
        if not isinstance(function, dict):
            raise missing(f"{place}.function")
        if not isinstance(function.get("arguments"), str):
            raise wrong_type(f"{place}.function.arguments", "a string", function.get("arguments"))


def calls_answered(asked: Asked) -> None:
    """Every call is answered before anybody says something else, and no answer comes without a call."""
    called = False
    waiting: list[str] = []
    for index, message in enumerate(messages(asked)):
        if message["role"] == "tool":
            check_result(index, message, waiting if called else None)
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise unanswered(waiting, index)
        waiting = [call["id"] for call in calls(message)]
        called = bool(waiting)
    if waiting:
        raise unanswered(waiting, len(messages(asked)))


def check_result(index: int, message: Json, waiting: list[str] | None) -> None:
    """`waiting` is None when no call came before."""
    id = message.get("tool_call_id")
    if id is None:
        raise missing(f"messages[{index}].tool_call_id")
    if waiting is None:
        raise Refused(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            param=f"messages.[{index}].role",
        )
    if id not in waiting:
        message_ = f"Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
        raise Refused(message_, param=f"messages.[{index}].tool_call_id")


def unanswered(ids: list[str], index: int) -> Refused:
    return Refused(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(ids)}",
        param=f"messages.[{index}].role",
    )


MESSAGES: tuple[Rule, ...] = (some_messages, roles, contents, part_types, call_shapes, calls_answered)


# -- OpenAI alone --------------------------------------------------------------------------------------------

MESSAGE_FIELDS = {
    "system": names("role content name"),
    "developer": names("role content name"),
    "user": names("role content name"),
    "assistant": names("role content name refusal tool_calls function_call audio annotations"),
    "tool": names("role content tool_call_id"),
    "function": names("role content name"),
}
PART_FIELDS = {
    "text": names("type text"),
    "image_url": names("type image_url"),
    "input_audio": names("type input_audio"),
    "file": names("type file"),
    "refusal": names("type refusal"),
}


def no_unknown_fields(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        for name in set(message) - MESSAGE_FIELDS.get(str(message.get("role")), frozenset(message)):
            raise unknown(f"messages[{index}].{name}")
    for place, _, part in parts(asked):
        for name in set(part) - PART_FIELDS.get(str(part.get("type")), frozenset(part)):
            raise unknown(f"{place}.{name}")


def annotations(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        for at, raw in enumerate(listed(message.get("annotations"))):
            place = f"messages[{index}].annotations[{at}]"
            if raw.get("type") != "url_citation":
                raise invalid(f"{place}.type", raw.get("type"), "'url_citation'")
            for name in ("url", "title", "start_index", "end_index"):
                if (raw.get("url_citation") or {}).get(name) is None:
                    raise missing(f"{place}.url_citation.{name}")


def model_roles(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        role, place = message.get("role"), f"messages[{index}].role"
        if role in ("system", "developer") and "no_system" in asked.model.flags:
            raise Refused(
                f"Unsupported value: '{place}' does not support '{role}' with this model.",
                param=place,
                code="unsupported_value",
            )


LONGEST_ID = 40
NAME = "^[a-zA-Z0-9_-]+$"


def no_empty_calls(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        if message.get("tool_calls") == []:
            raise empty(f"messages[{index}].tool_calls")


def tool_ids(asked: Asked) -> None:
    ids = [(f"{place}.id", call.get("id")) for place, call in all_calls(asked)]
    ids += [
        (f"messages[{index}].tool_call_id", message.get("tool_call_id"))
        for index, message in enumerate(messages(asked))
    ]
    for place, id in ids:
        if isinstance(id, str) and len(id) > LONGEST_ID:
            raise too_long(place, id, LONGEST_ID)


def called_names(asked: Asked) -> None:
    for place, call in all_calls(asked):
        name = str((call.get("function") or {}).get("name", ""))
        if not re.fullmatch(NAME, name):
            raise no_match(f"{place}.function.name", NAME)


DATA_URL = re.compile(r"data:([\w/+.-]*);base64,(.*)", re.DOTALL)
IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def images(asked: Asked) -> None:
    for place, _, part in parts(asked):
        if part.get("type") != "image_url":
            continue
        if "no_images" in asked.model.flags:
            raise Refused("Invalid content type. image_url is only supported by certain models.", param=place)
        image = part.get("image_url")
        if not isinstance(image, dict):
            raise wrong_type(f"{place}.image_url", "an object", image)
        if image.get("detail") not in DETAILS:
            raise invalid(f"{place}.image_url.detail", image["detail"], "'auto', 'low', and 'high'")
        check_image(f"{place}.image_url.url", image.get("url"))


DETAILS = (None, "auto", "low", "high", "original")


def check_image(place: str, url: Any) -> None:
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return
    found = DATA_URL.fullmatch(str(url))
    if not found:
        message = f"Invalid '{place}'. Expected a valid URL, but got a value with an invalid format."
        raise Refused(message, param=place, code="invalid_value")
    if found[1] not in IMAGE_TYPES:
        raise Refused(
            "You uploaded an unsupported image. Please make sure your image has of one the following "
            "formats: "
            "['png', 'jpeg', 'gif', 'webp'].",
            code="invalid_image_format",
        )
    try:
        base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refused("Invalid base64 image_url.", code="invalid_base64") from None


OPENAI_MESSAGES: tuple[Rule, ...] = (
    no_unknown_fields,
    annotations,
    model_roles,
    no_empty_calls,
    tool_ids,
    called_names,
    images,
)
