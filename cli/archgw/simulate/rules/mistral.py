"""What Mistral refuses: what it does not know, tool ids of any length but nine, a user who follows a tool."""

import re
from collections.abc import Iterator
from itertools import pairwise

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.rules.openai import COMPATIBLE, FIELDS, OPENAI_ONLY
from archgw.simulate.rules.openai_messages import PART_FIELDS, calls, messages
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.wire import listed

NOT_MISTRAL = OPENAI_ONLY | names("max_completion_tokens user seed functions function_call logit_bias logprobs")
KNOWN = (FIELDS - NOT_MISTRAL) | names("random_seed safe_prompt prompt_mode metadata prediction prompt_cache_key")
MESSAGE_FIELDS = {
    "system": names("role content"),
    "user": names("role content"),
    "assistant": names("role content tool_calls prefix"),
    "tool": names("role content tool_call_id name"),
}

Place = tuple[str | int, ...]


def known_fields(asked: Asked) -> None:
    unknown: list[Place] = [(name,) for name in asked.body if name not in KNOWN]
    unknown += unknown_in_messages(asked)
    if unknown:
        raise forbidden(unknown)


def unknown_in_messages(asked: Asked) -> Iterator[Place]:
    for index, message in enumerate(messages(asked)):
        role = str(message.get("role"))
        for name in set(message) - MESSAGE_FIELDS.get(role, frozenset(message)):
            yield "messages", index, role, name
        for at, part in enumerate(listed(message.get("content"))):
            kind = str(part.get("type"))
            for name in set(part) - PART_FIELDS.get(kind, frozenset(part)):
                yield "messages", index, role, "content", at, kind, name


def forbidden(places: list[Place]) -> Refused:
    details: list[Json] = [
        {"type": "extra_forbidden", "loc": ["body", *place], "msg": "Extra inputs are not permitted"}
        for place in places
    ]
    return Refused("Extra inputs are not permitted", status=422, details=details)


ID = re.compile(r"[a-zA-Z0-9]{9}")


def tool_ids(asked: Asked) -> None:
    for message in messages(asked):
        ids = [call.get("id") for call in calls(message)]
        if message.get("role") == "tool":
            ids.append(message.get("tool_call_id"))
        for id in ids:
            if not ID.fullmatch(str(id)):
                raise Refused(
                    f"Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.",
                    kind="invalid_function_call",
                    code="3280",
                )


def out_of_order(message: str) -> Refused:
    return Refused(message, kind="invalid_request_message_order", code="3230")


WRONG_ORDER = (("tool", "user"), ("user", "tool"), ("tool", "system"), ("system", "tool"))


def order(asked: Asked) -> None:
    """After a tool speaks the assistant: gateways stumble over this one, as their issue trackers tell."""
    spoken = [str(message.get("role")) for message in messages(asked)]
    for before, after in pairwise(spoken):
        if (before, after) in WRONG_ORDER:
            raise out_of_order(f"Unexpected role '{after}' after role '{before}'")
    last = messages(asked)[-1] if spoken else {}
    if last.get("role") not in ("user", "tool") and not last.get("prefix"):
        raise out_of_order(
            f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {last.get('role')}"
        )


def as_many_results(asked: Asked) -> None:
    called = answered = 0
    for message in [*messages(asked), {"role": "end"}]:
        if message.get("role") == "tool":
            answered += 1
            continue
        if called != answered:
            raise out_of_order("Not the same number of function calls and responses")
        called, answered = len(calls(message)), 0


MISTRAL: tuple[Rule, ...] = (known_fields, tool_ids, as_many_results, order, *COMPATIBLE)
