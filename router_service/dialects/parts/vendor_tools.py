"""Tools that vendors run themselves: which kind a definition is of, and the search of the web, which several have."""

import re
from collections.abc import Iterable
from typing import Any

from router_service.conversation import Conversation, Json, WebSearch
from router_service.dialects.dialect import Target

SEARCH = "web_search"
# Anthropic's and OpenAI's. Their others (bash, text_editor, computer, local_shell, apply_patch) run at the client's.
RUN = frozenset(
    {
        SEARCH, "web_fetch", "code_execution", "mcp_toolset", "tool_search_tool_regex", "tool_search_tool_bm25",
        "file_search", "code_interpreter", "image_generation", "mcp",
    }
)  # fmt: skip
DATE = re.compile(r"_(\d{8}|\d{4}_\d{2}_\d{2})$")
PLACE = ("city", "region", "country", "timezone")


def kind(tool: Json) -> str:
    """web_search_20250305, web_search_preview and web_search_2025_08_26 are one."""
    return DATE.sub("", str(tool.get("type"))).removesuffix("_preview")


def run(tools: Iterable[Json]) -> tuple[str, ...]:
    """The kinds of those that the vendor runs."""
    return tuple(found for tool in tools if (found := kind(tool)) in RUN)


def lacking(conversation: Conversation, target: Target) -> set[str]:
    """Those that the target's vendor has not; of a vendor that nobody knows, it is the judge itself."""
    return set() if target.vendor_tools is None else {*conversation.vendor_tools} - target.vendor_tools


def own(conversation: Conversation, target: Target, warnings: list[str]) -> list[Json]:
    """The client's definitions, for a target of its dialect."""
    gone = lacking(conversation, target)
    tools = conversation.extras.get("tools", [])
    kept = [tool for tool in tools if kind(tool) not in gone]
    warnings += [not_run(tool) for tool in tools if tool not in kept]
    return kept


def not_run(tool: Json) -> str:
    return f"tool {tool.get('name') or tool.get('type')} left out: only its own vendor runs it"


def cannot_search(target: Target) -> str:
    return f"web_search_options left out: {target.model} cannot search the web"


def searches(conversation: Conversation, target: Target) -> WebSearch | None:
    """The search that the target, of another dialect than the client's, is to be offered."""
    return conversation.search if SEARCH in (target.vendor_tools or ()) else None


def read(tool: Json, filters: Any) -> WebSearch:
    """As both Anthropic and OpenAI write it, but for where the domains stand."""
    named: Json = filters if isinstance(filters, dict) else {}
    uses, depth = tool.get("max_uses"), tool.get("search_context_size")
    return WebSearch(
        uses=uses if isinstance(uses, int) and not isinstance(uses, bool) else None,
        only=_words(named.get("allowed_domains")),
        never=_words(named.get("blocked_domains")),
        near=read_place(tool.get("user_location")),
        depth=depth if isinstance(depth, str) else "",
    )


def read_place(value: Any) -> Json:
    known: Json = value if isinstance(value, dict) else {}
    return {name: known[name] for name in PLACE if isinstance(known.get(name), str)}


def _words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def domains(search: WebSearch) -> Json:
    listed = {"allowed_domains": list(search.only), "blocked_domains": list(search.never)}
    return {name: value for name, value in listed.items() if value}


def place(search: WebSearch) -> Json:
    return {"user_location": {"type": "approximate", **search.near}} if search.near else {}
