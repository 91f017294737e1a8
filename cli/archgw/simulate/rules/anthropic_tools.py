"""What Anthropic refuses about tools: their definitions, the choice, calls and results that do not match."""

import re
from collections.abc import Iterator
from typing import Any

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.rules.anthropic_blocks import Block, blocks, turns
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.wire import listed

TOOL_NAME = "^[a-zA-Z0-9_-]{1,128}$"
TOOL_FIELDS = names(
    "type name description input_schema cache_control strict defer_loading eager_input_streaming "
    "input_examples allowed_callers"
)


def custom_tools(asked: Asked) -> Iterator[tuple[str, Json]]:
    """Tools that the client runs; the server's own (web_search_20250305 and such) have a dated type."""
    for index, tool in enumerate(listed(asked.body.get("tools"))):
        if tool.get("type", "custom") in ("custom", None):
            yield f"tools.{index}.custom", tool


SERVER_TOOL = re.compile(r"\w+_\d{8}|mcp_toolset")


def tool_types(asked: Asked) -> None:
    for index, tool in enumerate(listed(asked.body.get("tools"))):
        kind = tool.get("type")
        if kind not in (None, "custom") and not SERVER_TOOL.fullmatch(str(kind)):
            raise Refused(
                f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
                "'bash_20250124', 'custom', 'text_editor_20250728', 'web_search_20250305'"
            )


SEARCH = re.compile(r"web_search_\d{8}")
SEARCH_FIELDS = names(
    "type name max_uses allowed_domains blocked_domains user_location cache_control allowed_callers "
    "defer_loading strict"
)
OF_ITS_OWN_API = re.compile(r"(web_search|web_fetch|code_execution)_\d{8}")  # Amazon does not run them


def server_tools(asked: Asked) -> None:
    for index, tool in enumerate(listed(asked.body.get("tools"))):
        kind = str(tool.get("type"))
        if asked.vendor.name == "amazon_bedrock" and OF_ITS_OWN_API.fullmatch(kind):
            raise Refused(
                f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            )
        if not SEARCH.fullmatch(kind):
            continue
        if tool.get("name") != "web_search":
            raise Refused(f"tools.{index}.{kind}.name: Input should be 'web_search'")
        for name in set(tool) - SEARCH_FIELDS:
            raise Refused(f"tools.{index}.{kind}.{name}: Extra inputs are not permitted")
        if tool.get("allowed_domains") and tool.get("blocked_domains"):
            raise Refused(f"tools.{index}.{kind}: Only one of allowed_domains and blocked_domains may be given")
        place = tool.get("user_location")
        if place is not None and place.get("type") != "approximate":
            raise Refused(f"tools.{index}.{kind}.user_location.type: Input should be 'approximate'")


def searches_back(asked: Asked) -> None:
    """What was found comes back as it was sealed."""
    for block in blocks(asked):
        if str(block.raw.get("id") or block.raw.get("tool_use_id")).startswith("srvtoolu_archgw"):
            raise Refused(f"{block.place}: Invalid encrypted_content")


def tools(asked: Asked) -> None:
    for place, tool in custom_tools(asked):
        for name in ("name", "input_schema"):
            if name not in tool:
                raise Refused(f"{place}.{name}: Field required")
        for name in set(tool) - TOOL_FIELDS:
            raise Refused(f"{place}.{name}: Extra inputs are not permitted")
        if not isinstance(tool["name"], str):
            raise Refused(f"{place}.name: Input should be a valid string")
        if not re.fullmatch(TOOL_NAME, tool["name"]):
            raise Refused(f"{place}.name: String should match pattern '{TOOL_NAME}'")
        tool_schema(place, tool["input_schema"])
    names = [str(tool.get("name")) for tool in listed(asked.body.get("tools"))]
    if len(names) != len(set(names)):
        raise Refused("tools: Tool names must be unique.")


def tool_schema(place: str, schema: Any) -> None:
    if not isinstance(schema, dict):
        raise Refused(f"{place}.input_schema: Input should be a valid dictionary")
    if "type" not in schema:
        raise Refused(f"{place}.input_schema.type: Field required")
    if schema["type"] != "object":
        raise Refused(f"{place}.input_schema.type: Input should be 'object'")


def tool_choice(asked: Asked) -> None:
    choice = asked.body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type")
    if kind not in ("auto", "any", "tool", "none"):
        raise Refused(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'any', 'auto', 'none', 'tool'"
        )
    offered = [tool.get("name") for tool in listed(asked.body.get("tools"))]
    if not offered and kind != "none":
        raise Refused("tool_choice may only be specified while providing tools")
    if kind == "tool" and choice.get("name") not in offered:
        raise Refused(f"Tool '{choice.get('name')}' not found in provided tools")


# -- calls and results ----------------------------------------------------------------------

TOOL_ID = "^[a-zA-Z0-9_-]+$"


def tool_uses(asked: Asked) -> None:
    seen: set[str] = set()
    for block in blocks(asked):
        if block.kind != "tool_use":
            continue
        if not re.fullmatch(TOOL_ID, str(block.raw["id"])):
            raise Refused(f"{block.place}.tool_use.id: String should match pattern '{TOOL_ID}'")
        if not re.fullmatch(CALLED_NAME, str(block.raw["name"])):
            raise Refused(f"{block.place}.tool_use.name: String should match pattern '{CALLED_NAME}'")
        if not isinstance(block.raw["input"], dict):
            raise Refused(f"{block.place}.tool_use.input: Input should be a valid dictionary")
        if block.raw["id"] in seen:
            raise Refused(f"{block.place}: `tool_use` ids must be unique")
        seen.add(block.raw["id"])


CALLED_NAME = "^[a-zA-Z0-9_-]{1,200}$"


def tools_answered(asked: Asked) -> None:
    """Results come first in the next message: https://docs.claude.com/en/docs/agents-and-tools/tool-use."""
    merged = turns(asked)
    for at, (_, index, spoken) in enumerate(merged):
        wanted = [block.raw["id"] for block in spoken if block.kind == "tool_use"]
        following = merged[at + 1][2] if at + 1 < len(merged) else []
        given = {block.raw["tool_use_id"] for block in leading_results(following)}
        if missing := [id for id in wanted if id not in given]:
            raise Refused(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
                "after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block "
                "in the "
                "next message."
            )


def leading_results(spoken: list[Block]) -> Iterator[Block]:
    for block in spoken:
        if block.kind != "tool_result":
            return
        yield block


def results_called(asked: Asked) -> None:
    called: set[str] = set()
    for _, _, spoken in turns(asked):
        answered: set[str] = set()
        for block in spoken:
            if block.kind != "tool_result":
                continue
            id = block.raw["tool_use_id"]
            if id in answered:
                raise Refused(
                    f"{block.place}: each tool_use must have a single result. Found multiple `tool_result` "
                    "blocks "
                    f"with id: {id}"
                )
            if id not in called:
                raise Refused(
                    f"{block.place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
            answered.add(id)
        called = {block.raw["id"] for block in spoken if block.kind == "tool_use"}


TOOLS: tuple[Rule, ...] = (
    tool_types,
    server_tools,
    searches_back,
    tools,
    tool_choice,
    tool_uses,
    tools_answered,
    results_called,
)
