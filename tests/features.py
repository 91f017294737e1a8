"""What becomes of each feature at each vendor: python tests/features.py writes docs/features.md; a test holds it there.

Every cell is measured: a request that uses the feature is rendered for a model of the vendor's as the gateway renders
it, and looked through for what had to arrive.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_service import needs, upstream
from router_service.config import parse
from router_service.dialects import DIALECTS
from router_service.plan import Candidate, plan

PAGE = Path(__file__).parent.parent / "docs" / "features.md"
MODELS = {  # one of each vendor's that people use; Bedrock in both of its dialects
    "anthropic": "claude-opus-4-8",
    "openai": "gpt-4.1",
    "openai (Responses)": "gpt-5.5",
    "deepseek": "deepseek-v4-pro",
    "xai": "grok-4",
    "gemini": "gemini-3-pro",
    "mistral": "mistral-large-latest",
    "groq": "llama-3.3-70b-versatile",
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "ollama": "llama3.1",
    "openrouter": "anthropic/claude-sonnet-4.5",
    "moonshot": "kimi-k3",
    "zai": "glm-5.3",
    "azure_openai": "gpt-4.1",
    "amazon_bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "vertex": "claude-opus-4-8",
    "vertex (Gemini)": "google/gemini-3-pro",
}
PNG = "iVBORw0KGgoAAAANSUhEUg"
USER = {"role": "user", "content": "MARK-user"}
TOOL = {"name": "MARK-tool", "description": "d", "input_schema": {"type": "object", "properties": {}}}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "MARK-tool", "input": {}}]}


def source(kind: str) -> dict[str, str]:
    return {"type": "base64", "media_type": kind, "data": PNG}


def answered(**result: Any) -> list[Any]:
    return [USER, CALL, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", **result}]}]


def asked(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 3000, "messages": list(messages or [USER])} | fields


PDF = {"type": "document", "source": source("application/pdf")}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
CODE = {"type": "code_execution_20250825", "name": "code_execution"}
CITATION = {
    "type": "web_search_result_location",
    "url": "https://MARK/page",
    "title": "t",
    "encrypted_index": "Eo8B",
    "cited_text": "c",
}
CITED = {"type": "text", "text": "a", "citations": [CITATION]}
SEARCHED = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "MARK-query"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "text", "text": "a"},
]


@dataclass(frozen=True)
class Feature:
    """A request in Anthropic's dialect (the richest), and the words of which one must stand in the rendered one, with a
    bar between."""

    name: str
    body: dict[str, Any]
    arrived: str


FEATURES = (
    Feature("system prompt", asked(system="MARK-system"), "MARK-system"),
    Feature(
        "system words between messages",
        asked(USER, {"role": "assistant", "content": "a"}, {"role": "system", "content": "MARK-inside"}, USER),
        "MARK-inside",
    ),
    Feature("image", asked({"role": "user", "content": [{"type": "image", "source": source("image/png")}]}), PNG),
    Feature(
        "image by address",
        asked({"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://MARK/x.png"}}]}),
        "https://MARK/x.png",
    ),
    Feature(
        "PDF", asked({"role": "user", "content": [{"type": "document", "source": source("application/pdf")}]}), PNG
    ),
    Feature("tools", asked(tools=[TOOL]), "MARK-tool"),
    Feature("forced tool", asked(tools=[TOOL], tool_choice={"type": "tool", "name": "MARK-tool"}), '"tool_choice":{'),
    Feature(
        "one call at a time",
        asked(tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
        "parallel_tool",
    ),
    Feature("tool result", asked(*answered(content="MARK-result"), tools=[TOOL]), "MARK-result"),
    Feature("failed tool", asked(*answered(content="MARK-bad", is_error=True), tools=[TOOL]), "MARK-bad"),
    Feature(
        "image in a tool result",
        asked(*answered(content=[{"type": "image", "source": source("image/png")}]), tools=[TOOL]),
        PNG,
    ),
    Feature("stop sequences", asked(stop_sequences=["MARK-stop"]), "MARK-stop"),
    Feature("temperature", asked(temperature=0.25), "0.25"),
    Feature("how hard to think", asked(thinking={"type": "adaptive"}, output_config={"effort": "high"}), "high|budget"),
    Feature(
        "structured output",
        asked(output_config={"format": {"type": "json_schema", "schema": {"type": "object", "title": "MARK-schema"}}}),
        "MARK-schema",
    ),
    Feature(
        "words cited from a PDF",
        asked({"role": "user", "content": [PDF | {"citations": {"enabled": True}}]}),
        '"citations"',
    ),
    Feature("a page cited before", asked(USER, {"role": "assistant", "content": [CITED]}, USER), "https://MARK/page"),
    Feature("a search made before", asked(USER, {"role": "assistant", "content": SEARCHED}, USER), "MARK-query"),
    Feature("who the user is", asked(metadata={"user_id": "MARK-user-id"}), "MARK-user-id"),
    Feature("who Claude Code's user is", asked(metadata={"user_id": "user_1_account_MARK_session_1"}), "account_MARK"),
    Feature(
        "words put into the model's mouth", asked(USER, {"role": "assistant", "content": "MARK-begun"}), "MARK-begun"
    ),
    Feature("web search by the vendor", asked(tools=[SEARCH]), "web_search"),
    Feature("web search among others", asked(tools=[TOOL, SEARCH]), "web_search"),
    Feature("code run by the vendor", asked(tools=[TOOL, CODE]), "code_execution"),
)


HEAD = (
    "# What arrives where",
    "",
    "Written by `python tests/features.py`, which sends each feature through the gateway's own translation to the",
    "model of each vendor that is named in the head, and looks for it in what comes out. *passed over*: another model",
    "answers, as long as one can. What is adapted or left out is told in `x-arch-warnings`, in the words below; what",
    "has no number changes nothing about the answer.",
    "",
)


REPLIES = (
    "",
    "## What comes back",
    "",
    "A reply cannot carry a warning once it has begun, so what a client's dialect has no word for is told in the",
    "nearest form, or left out as this list says. The text always stays.",
    "",
    "| the vendor's answer | Anthropic Messages | OpenAI Responses | OpenAI Chat Completions |",
    "|---|---|---|---|",
    "| a page of the web cited | `web_search_result_location`, whose `encrypted_index` is our seal; the text up to it "
    "is a block | `url_citation` | `url_citation` |",
    "| a passage of a document or file cited | as it came from Anthropic, else left out | as it came from OpenAI, else "
    "left out | left out |",
    "| a search of the web | `server_tool_use` and `web_search_tool_result` | `web_search_call` | left out; the pages "
    "that are cited stay |",
    "| what another tool of the vendor's did (code, files, images) | as it came from Anthropic, else left out | as it "
    "came from OpenAI, else left out | left out |",
    "| two messages in one answer | two blocks | two messages | one content, with a blank line between |",
    "| the model declines in words | the words, and stop reason `refusal` | `refusal` part | `refusal` |",
    "| a filter cuts the answer off | stop reason `refusal` | `incomplete`, `content_filter` | `content_filter` |",
    "| thinking, and the state of it | `thinking`, `redacted_thinking` | `reasoning` item | `reasoning_content`, "
    "`reasoning_details` |",
)


def candidates() -> Iterator[tuple[str, Candidate]]:
    entries = "".join(f"\n  - {{model: {name.split(' ')[0]}/{model}}}" for name, model in MODELS.items())
    keys = {"AZURE_OPENAI_RESOURCE": "r", "AWS_REGION": "r", "AWS_BEARER_TOKEN_BEDROCK": "k"}
    keys |= {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "global", "VERTEX_ACCESS_TOKEN": "k"}
    keys |= {f"{name.split(' ')[0].upper()}_API_KEY": "k" for name in MODELS}
    made = plan(parse(f"llm_providers:{entries}", file="features", environment=keys))
    yield from zip(MODELS, made.candidates, strict=True)


def cell(feature: Feature, candidate: Candidate) -> tuple[str, str]:
    """`yes`, `adapted` with what is said about it, `left out` with what is said; or `passed over`."""
    spoken = DIALECTS["anthropic_messages"]
    conversation = spoken.parse_request(feature.body)
    if words := needs.obstacle(candidate, needs.of(conversation)):
        return "passed over", words
    dialect, target = upstream.dialect_of(candidate, "", conversation), upstream.target(candidate)
    if dialect is spoken and spoken.takes(conversation, target):
        warnings: list[str] = []
        body = feature.body | spoken.adapt(conversation, target, warnings)
    else:
        rendered = dialect.render_request(conversation, target)
        body, warnings = rendered.body, list(rendered.warnings)
    told = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    arrived = any(words in told for words in feature.arrived.split("|"))
    if arrived and not warnings:
        return "yes", ""
    return ("adapted" if arrived else "left out"), "; ".join(warnings)


def page() -> str:
    lines = [*HEAD]
    found = list(candidates())
    notes: dict[str, int] = {}
    for at in range(0, len(found), 5):
        some = found[at : at + 5]
        lines.append("| | " + " | ".join(f"{name}<br>`{candidate.model}`" for name, candidate in some) + " |")
        lines.append("|---" * (len(some) + 1) + "|")
        for feature in FEATURES:
            cells = []
            for _, candidate in some:
                sign, words = cell(feature, candidate)
                words = words.replace(candidate.model, "the model")
                mark = f" [{notes.setdefault(words, len(notes) + 1)}]" if words else ""
                cells.append(f"{sign}{mark}")
            lines.append(f"| {feature.name} | {' | '.join(cells)} |")
        lines.append("")
    lines += [f"{number}. {words}" for words, number in notes.items()]
    lines += REPLIES
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE} written\n")
