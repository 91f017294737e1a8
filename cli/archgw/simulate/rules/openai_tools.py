"""What is refused about tools: empty lists, names, schemas, a choice that is none."""

import re
from typing import Any

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.rules.openai_words import empty, invalid, missing, no_match, too_long, unknown, wrong_type
from archgw.simulate.rules.rule import Rule
from archgw.simulate.wire import listed

NAME = "^[a-zA-Z0-9_-]+$"
LONGEST_NAME = 64
LONGEST_DESCRIPTION = 1024


def functions(asked: Asked) -> list[tuple[str, Json]]:
    """(place, function) of every tool that is one."""
    return [
        (f"tools[{index}].function", tool["function"])
        for index, tool in enumerate(listed(asked.body.get("tools")))
        if isinstance(tool.get("function"), dict)
    ]


def shapes(asked: Asked) -> None:
    for index, tool in enumerate(listed(asked.body.get("tools"))):
        kind = tool.get("type")
        if kind is None:
            raise missing(f"tools[{index}].type")
        if kind not in ("function", "custom"):
            raise invalid(f"tools[{index}].type", kind, "'function' and 'custom'")
        if not isinstance(tool.get(kind), dict):
            raise missing(f"tools[{index}].{kind}")


def fields(asked: Asked) -> None:
    for place, function in functions(asked):
        for name in set(function) - {"name", "description", "parameters", "strict"}:
            raise unknown(f"{place}.{name}")


def tool_names(asked: Asked) -> None:
    for place, function in functions(asked):
        name = function.get("name")
        if not isinstance(name, str):
            raise missing(f"{place}.name")
        if len(name) > LONGEST_NAME:
            raise too_long(f"{place}.name", name, LONGEST_NAME)
        if not re.fullmatch(NAME, name):
            raise no_match(f"{place}.name", NAME)


def descriptions(asked: Asked) -> None:
    for place, function in functions(asked):
        text = function.get("description") or ""
        if "short_descriptions" in asked.model.flags and len(text) > LONGEST_DESCRIPTION:
            raise too_long(f"{place}.description", text, LONGEST_DESCRIPTION)


def schemas(asked: Asked) -> None:
    for place, function in functions(asked):
        schema = function.get("parameters")
        if schema is None:
            continue
        if not isinstance(schema, dict):
            raise wrong_type(f"{place}.parameters", "an object", schema)
        kind = schema.get("type", "None")
        if kind != "object":
            flaw = f"""schema must be a JSON Schema of 'type: "object"', got 'type: "{kind}"'."""
            raise bad_schema(place, function, flaw)
        if context := list_without_items(schema, ()):
            raise bad_schema(place, function, f"In context={context}, array schema missing items.")


def bad_schema(place: str, function: Json, flaw: str) -> Refused:
    message = f"Invalid schema for function '{function['name']}': {flaw}"
    return Refused(message, param=f"{place}.parameters", code="invalid_function_parameters")


def list_without_items(schema: Any, place: tuple[str, ...]) -> tuple[str, ...] | None:
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "array" and "items" not in schema:
        return place
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        if found := list_without_items(inner, (*place, "properties", name)):
            return found
    return list_without_items(schema.get("items"), (*place, "items"))


def tool_choice(asked: Asked) -> None:
    choice = asked.body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required", "any"):
        raise invalid("tool_choice", choice, "'none', 'auto', and 'required'")
    if isinstance(choice, dict) and choice.get("type") == "function":
        called = choice.get("function")
        if not isinstance(called, dict):
            raise wrong_type("tool_choice.function", "an object", called)
        name = called.get("name")
        if name not in [function.get("name") for _, function in functions(asked)]:
            message = f"Invalid value for 'tool_choice': function '{name}' not found in 'tools' parameter."
            raise Refused(message, param="tool_choice")


TOOLS: tuple[Rule, ...] = (shapes, tool_names, schemas, tool_choice)


# -- OpenAI alone --------------------------------------------------------------------------------------------


def no_empty_tools(asked: Asked) -> None:
    if asked.body.get("tools") == []:
        raise empty("tools")


def company(asked: Asked) -> None:
    for name in ("tool_choice", "parallel_tool_calls"):
        if asked.body.get(name) is not None and not asked.body.get("tools"):
            message = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            raise Refused(message, param=name)


def no_any(asked: Asked) -> None:
    """Mistral's word for "required"."""
    if asked.body.get("tool_choice") == "any":
        raise invalid("tool_choice", "any", "'none', 'auto', and 'required'")


OPENAI_TOOLS: tuple[Rule, ...] = (no_empty_tools, company, no_any, fields, descriptions)
