"""What OpenAI refuses in a request for a response, in its words."""

import re
from typing import Any

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.responses_wire import bound, pieces
from archgw.simulate.rules.openai_messages import DETAILS, check_image
from archgw.simulate.rules.openai_tools import NAME, list_without_items
from archgw.simulate.rules.openai_words import (
    above,
    below,
    invalid,
    missing,
    no_match,
    only_medium,
    too_long,
    unknown,
    unsupported,
    wrong_type,
)
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.signature import verify
from archgw.simulate.tokens import total
from archgw.simulate.wire import listed

NAME_PATTERN = re.compile(NAME)
FIELDS = names(
    "background client_metadata conversation include input instructions max_output_tokens max_tool_calls metadata "
    "model parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning "
    "safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p "
    "truncation user"
)
LONGEST_ID = 64


def known_fields(asked: Asked) -> None:
    for name in asked.body:
        if name not in FIELDS:
            raise unknown(name)


TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "input": ((str, list), "one of a string or an array of items"),
    "instructions": (str, "a string"),
    "max_output_tokens": (int, "an integer"),
    "temperature": ((int, float), "a decimal"),
    "top_p": ((int, float), "a decimal"),
    "stream": (bool, "a boolean"),
    "store": (bool, "a boolean"),
    "tools": (list, "an array of objects"),
    "tool_choice": ((str, dict), "one of a string or an object"),
    "text": (dict, "an object"),
    "reasoning": (dict, "an object"),
    "include": (list, "an array of strings"),
}


def field_types(asked: Asked) -> None:
    if "input" not in asked.body:
        raise missing("input")
    for name, value in asked.body.items():
        kind, wanted = TYPES.get(name, (object, ""))
        if value is not None and not isinstance(value, kind):
            raise wrong_type(name, wanted, value)


def stored(asked: Asked) -> None:
    if id_ := asked.body.get("previous_response_id"):
        message = f"Previous response with id '{id_}' not found."
        raise Refused(message, param="previous_response_id", code="previous_response_not_found")


def limits(asked: Asked) -> None:
    wanted = asked.body.get("max_output_tokens")
    if wanted is not None and wanted < 16:
        raise below("max_output_tokens", wanted, 16)
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = asked.body.get(name)
        if value is not None and not 0 <= value <= most:
            raise above(name, value, most) if value > most else below(name, float(value), 0)
    if wanted is not None and wanted > asked.model.max_output:
        raise Refused(
            f"max_output_tokens is too large: {wanted}. This model supports at most {asked.model.max_output} output "
            f"tokens, whereas you provided {wanted}.",
            param="max_output_tokens",
            code="invalid_value",
        )


def by_model(asked: Asked) -> None:
    reasons = "reasoning" in asked.model.flags
    for name in ("temperature", "top_p", "top_logprobs") if reasons else ():
        if asked.body.get(name) is not None:
            raise unsupported(name)
    if reasons:
        return
    for name in asked.body.get("reasoning") or ():
        raise unsupported(f"reasoning.{name}")
    if "reasoning.encrypted_content" in (asked.body.get("include") or ()):
        raise Refused("Encrypted content is not supported with this model.", param="include")


# -- input ---------------------------------------------------------------------------------------------------

PARTS = {
    "user": ("input_text", "input_image", "input_file"),
    "system": ("input_text", "input_image", "input_file"),
    "developer": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
}
ITEM_FIELDS = {
    "message": names("type id role content status phase"),
    "function_call": names("type id call_id name arguments status namespace"),
    "function_call_output": names("type id call_id output status"),
    "custom_tool_call": names("type id call_id name input status"),
    "custom_tool_call_output": names("type id call_id output status"),
    "reasoning": names("type id summary encrypted_content content status"),
    "web_search_call": names("type id status action"),
}
REQUIRED = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "reasoning": ("id", "summary"),
    "web_search_call": ("action",),
}


def items(asked: Asked) -> list[tuple[str, Json]]:
    return [(f"input[{at}]", item) for at, item in enumerate(listed(asked.body.get("input")))]


def shapes(asked: Asked) -> None:
    for place, item in items(asked):
        kind = str(item.get("type", "message"))
        if kind not in ITEM_FIELDS:
            continue
        for name in REQUIRED[kind]:
            if item.get(name) is None:
                raise missing(f"{place}.{name}")
        for name in set(item) - ITEM_FIELDS[kind]:
            raise unknown(f"{place}.{name}")
        if kind == "message":
            message(place, item)
        id_ = item.get("call_id")
        if isinstance(id_, str) and len(id_) > LONGEST_ID:
            raise too_long(f"{place}.call_id", id_, LONGEST_ID)
        if kind == "function_call" and not isinstance(item["arguments"], str):
            raise wrong_type(f"{place}.arguments", "a string", item["arguments"])


def message(place: str, item: Json) -> None:
    role = item["role"]
    if role not in PARTS:
        raise invalid(f"{place}.role", role, "'assistant', 'system', 'developer', and 'user'")
    parts(f"{place}.content", item["content"], PARTS[role])


def parts(place: str, content: Any, allowed: tuple[str, ...]) -> None:
    if isinstance(content, str):
        return
    for at, part in enumerate(listed(content)):
        kind = part.get("type")
        if kind not in allowed:
            raise invalid(f"{place}[{at}].type", kind, " and ".join(f"'{name}'" for name in allowed))
        for index, raw in enumerate(listed(part.get("annotations"))):
            annotation(f"{place}[{at}].annotations[{index}]", raw)
        if kind == "input_image" and part.get("detail") not in DETAILS:
            raise invalid(f"{place}[{at}].detail", part["detail"], "'low', 'high', and 'auto'")
        if kind == "input_image" and part.get("image_url"):
            check_image(f"{place}[{at}].image_url", part["image_url"])


ANNOTATIONS = {
    "url_citation": ("url", "title", "start_index", "end_index"),
    "file_citation": ("file_id", "index"),
    "container_file_citation": ("container_id", "file_id", "start_index", "end_index"),
    "file_path": ("file_id", "index"),
}


def annotation(place: str, raw: Json) -> None:
    kind = str(raw.get("type"))
    if kind not in ANNOTATIONS:
        raise invalid(f"{place}.type", kind, ", ".join(repr(name) for name in ANNOTATIONS))
    for name in ANNOTATIONS[kind]:
        if raw.get(name) is None:
            raise missing(f"{place}.{name}")


def calls_answered(asked: Asked) -> None:
    called = {item.get("call_id") for _, item in items(asked) if str(item.get("type")).endswith("_call")}
    answered = {item["call_id"] for _, item in items(asked) if str(item.get("type")).endswith("_call_output")}
    for place, item in items(asked):
        kind = str(item.get("type"))
        if kind.endswith("_call_output") and item["call_id"] not in called:
            raise Refused(f"No tool call found for function call output with call_id {item['call_id']}.", param="input")
        if kind.endswith("_call_output"):
            parts(f"{place}.output", item["output"], PARTS["user"])
        if kind.endswith("tion_call") and item["call_id"] not in answered:
            raise Refused(f"No tool output found for function call {item['call_id']}.", param="input")


def reasoning_items(asked: Asked) -> None:
    """Each as it was, and before what it led to."""
    every = items(asked)
    for at, (place, item) in enumerate(every):
        if item.get("type") != "reasoning":
            continue
        content = item.get("encrypted_content")
        if not content:
            raise Refused(
                f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set to false. Try "
                "again with `store` set to true, or remove this item from your input.",
                status=404,
                param="input",
            )
        if not isinstance(content, str) or not verify(bound(item), content):
            raise Refused(
                f"The encrypted content {str(content)[:8]}... could not be verified. Reason: Encrypted content could "
                "not be decrypted or parsed.",
                param=place,
                code="invalid_encrypted_content",
            )
        following = every[at + 1][1] if at + 1 < len(every) else {"role": "user"}
        if following.get("role") in ("user", "system", "developer") or str(following.get("type")).endswith("_output"):
            raise Refused(
                f"Item '{item['id']}' of type 'reasoning' was provided without its required following item.",
                param="input",
            )


# -- tools ---------------------------------------------------------------------------------------------------


def tools(asked: Asked) -> None:
    offered = listed(asked.body.get("tools"))
    for at, tool in enumerate(offered):
        place = f"tools[{at}]"
        if tool.get("type") is None:
            raise missing(f"{place}.type")
        if str(tool["type"]).startswith("web_search"):
            search(place, tool)
        if tool["type"] not in ("function", "custom"):
            continue
        if not isinstance(tool.get("name"), str):
            raise missing(f"{place}.name")
        if not NAME_PATTERN.fullmatch(tool["name"]):
            raise no_match(f"{place}.name", NAME)
        if tool["type"] == "function":
            schema(place, tool)
    choice = asked.body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise invalid("tool_choice", choice, "'none', 'auto', and 'required'")
    called = choice.get("name") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if called and called not in [tool.get("name") for tool in offered]:
        raise Refused(f"Tool choice '{called}' not found in 'tools' parameter.", param="tool_choice")


SEARCH_FIELDS = names("type filters user_location search_context_size external_web_access search_content_types")


def search(place: str, tool: Json) -> None:
    for name in set(tool) - SEARCH_FIELDS:
        raise unknown(f"{place}.{name}")
    for name in set(tool.get("filters") or ()) - {"allowed_domains", "blocked_domains"}:
        raise unknown(f"{place}.filters.{name}")
    if tool.get("search_context_size") not in (None, "low", "medium", "high"):
        raise invalid(f"{place}.search_context_size", tool["search_context_size"], "'low', 'medium', and 'high'")


def schema(place: str, tool: Json) -> None:
    """Strict is the default here, unlike in chat completions."""
    given = tool.get("parameters")
    if not isinstance(given, dict):
        raise missing(f"{place}.parameters")
    flaw = ""
    if given.get("type") != "object":
        flaw = f"""schema must be a JSON Schema of 'type: "object"', got 'type: "{given.get("type", "None")}"'."""
    elif context := list_without_items(given, ()):
        flaw = f"In context={context}, array schema missing items."
    elif tool.get("strict", True) and given.get("additionalProperties") is not False:
        flaw = "In context=(), 'additionalProperties' is required to be supplied and to be false."
    if flaw:
        raise Refused(
            f"Invalid schema for function '{tool['name']}': {flaw}",
            param=f"{place}.parameters",
            code="invalid_function_parameters",
        )


def verbosity(asked: Asked) -> None:
    value = (asked.body.get("text") or {}).get("verbosity")
    if value not in (None, "low", "medium", "high"):
        raise invalid("text.verbosity", value, "'low', 'medium', and 'high'")
    if "verbosity" not in asked.model.flags and value not in (None, "medium"):
        raise only_medium("text.verbosity", value)


def text_format(asked: Asked) -> None:
    form = (asked.body.get("text") or {}).get("format") or {}
    if form.get("type") not in (None, "text", "json_object", "json_schema"):
        raise invalid("text.format.type", form["type"], "'json_object', 'json_schema', and 'text'")
    if form.get("type") == "json_schema":
        for name in ("name", "schema"):
            if not form.get(name):
                raise missing(f"text.format.{name}")


def context(asked: Asked) -> None:
    tokens, most = total(pieces(asked.body)), asked.model.context
    if tokens > most:
        raise Refused(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            param="input",
            code="context_length_exceeded",
        )


COUNT_FIELDS = names(
    "conversation input instructions model parallel_tool_calls previous_response_id reasoning text tool_choice tools "
    "truncation"
)


def known_count_fields(asked: Asked) -> None:
    for name in asked.body:
        if name not in COUNT_FIELDS:
            raise unknown(name)


COUNT: tuple[Rule, ...] = (
    known_count_fields,
    field_types,
    by_model,
    shapes,
    tools,
    text_format,
    calls_answered,
    reasoning_items,
)

RESPONSES: tuple[Rule, ...] = (
    known_fields,
    field_types,
    stored,
    by_model,
    limits,
    shapes,
    tools,
    text_format,
    verbosity,
    calls_answered,
    reasoning_items,
    context,
)
