"""What a session has sent before stands at the beginning of what it sends next, byte for byte, whoever is asked.

Vendors know a prompt again by its beginning alone: whatever we write differently from one request to the next costs
the price of all that follows it. Taken from real clients' sessions, and from one that has everything in it.
"""

import copy
import json
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
from dialogue import CHAT, MESSAGES, exchange_of
from recorded import requests
from test_prompt_cache import RESPONSES
from test_recordings import GATEWAY, PLAN

from router_service import upstream
from router_service.dialects import DIALECTS, by_path
from router_service.dialects.dialect import Target
from router_service.dialects.parts.fit import BILLING, compact
from router_service.plan import Candidate

Body = dict[str, Any]
LISTS = {MESSAGES: "messages", CHAT: "messages", RESPONSES: "input"}


def bare(value: Any) -> Any:
    """Without the marks of Anthropic's cache, which move and are no part of the prompt; and with what Anthropic reads
    as the same written the same: a string and a lone text, no content and an empty one."""
    if isinstance(value, list):
        return [bare(one) for one in value if not (isinstance(one, dict) and one.get("type") == "text" and blank(one))]
    if not isinstance(value, dict):
        return value
    kept = {
        name: bare(one) for name, one in value.items() if name != "cache_control" and (name, one) != ("content", [])
    }
    if isinstance(kept.get("content"), str):
        kept["content"] = [{"type": "text", "text": kept["content"]}]
    return kept


def blank(block: Body) -> bool:
    return not str(block.get("text", "")).strip()


def system(body: Body) -> Any:
    told = body.get("system") or []
    blocks = [{"type": "text", "text": told}] if isinstance(told, str) else bare(told)
    return [block for block in blocks if not block["text"].startswith(BILLING)]


def goes_on(before: Body, after: Body, path: str) -> bool:
    """Whether the client itself repeats the whole request, and the model's answer behind it."""
    one, other = (bare(body[LISTS[path]]) for body in (before, after))
    same = all(bare(before.get(name)) == bare(after.get(name)) for name in ("tools", "instructions", "model"))
    answer = other[len(one)] if len(one) < len(other) else {}
    spoken = answer.get("role") == "assistant" or answer.get("type") in ("function_call", "reasoning")
    return same and spoken and system(before) == system(after) and other[: len(one)] == one


def sessions() -> Iterator[Any]:
    """Every two requests of a client's of which the second goes on with the first."""
    told = list(requests())
    for one, other in combinations(told, 2):
        near = one.client == other.client and one.scenario == other.scenario and one.path == other.path
        if near and isinstance(one.body[LISTS[one.path]], list) and goes_on(one.body, other.body, one.path):
            yield pytest.param(one.path, one.headers, one.body, other.body, id=f"{one.id} -> {other.number}")


RECORDED = list(sessions())


def prompt(candidate: Candidate, path: str, headers: dict[str, str], body: Body) -> tuple[str, str, str]:
    """Tools, system and messages as the candidate is sent them; of the last without the bracket that closes them."""
    given = {name: value for name, value in headers.items() if name.startswith("x-")} | {"x-arch-model": "arch.main.v1"}
    exchange = exchange_of(GATEWAY, path=path, body=json.dumps(body).encode(), given=given)
    made = upstream.render(exchange, candidate)
    told = json.loads(made.body)
    if made.dialect.name == "anthropic_messages":
        return compact(bare(told.get("tools"))), compact(system(told)), compact(bare(told["messages"]))[:-1]
    words = told.get("instructions", "")
    return compact(told.get("tools")), words, compact(told.get("messages") or told["input"])[:-1]


def candidates() -> list[Candidate]:
    """One of each kind: of the facts, these say how messages, tools and system are written."""
    unlike = {
        (
            *(one.provider.name, one.facts.dialect, one.facts.thoughts, one.facts.thinking, one.facts.reasoning),
            *(one.facts.system, one.facts.inline_system, one.facts.tools, one.facts.images, one.facts.documents),
            *(one.facts.signs_calls, one.facts.structured, one.facts.prefill, one.facts.description_length),
        ): one
        for one in PLAN.candidates
    }
    return list(unlike.values())


@pytest.mark.parametrize(("path", "headers", "before", "after"), RECORDED)
def test_a_real_session_grows_at_its_end_for_every_model(
    path: str, headers: dict[str, str], before: Body, after: Body
) -> None:
    broken = [
        candidate.label
        for candidate in candidates()
        if not grows(prompt(candidate, path, headers, before), prompt(candidate, path, headers, after))
    ]
    assert not broken


def grows(before: tuple[str, str, str], after: tuple[str, str, str]) -> bool:
    return before[:2] == after[:2] and after[2].startswith(before[2])


def test_there_are_sessions_enough() -> None:
    assert len(RECORDED) >= 15 and len(candidates()) >= 50


# -- a session with everything in it -----------------------------------------------------------------------------------

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
LONG = "mcp__a_server_with_a_very_long_name__and_a_tool_with_an_even_longer_name_than_that"
TOOLS = [
    {
        "name": name,
        "description": "d" * 1500,
        "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    for name in ("Bash", LONG)
]


def text(words: str) -> Body:
    return {"type": "text", "text": words}


def use(id: str, name: str = "Bash") -> Body:
    return {"type": "tool_use", "id": id, "name": name, "input": {"a": "naïve 世界", "b": 1.0, "c": [1, {"d": None}]}}


def result(id: str, content: Any, **more: Any) -> Body:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


ODD = "toolu_2-an_id-that-is-longer-than-openai-takes"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
FOREIGN = {"type": "thinking", "thinking": "hm", "signature": "archgw1.b3BlbmFpL2dwdC01.state"}
REMINDER = text("<system-reminder>\nToday's date is 2026-11-20.\n</system-reminder>")
TURNS: list[Body] = [
    {"role": "user", "content": [REMINDER, text("look at it"), IMAGE, PDF]},
    {"role": "assistant", "content": [THOUGHT, text("I look."), use("toolu_1"), use(ODD, LONG)]},
    {"role": "user", "content": [result(ODD, [text("a"), IMAGE]), result("toolu_1", "no", is_error=True), REMINDER]},
    {"role": "assistant", "content": [FOREIGN, use("toolu_3")]},
    {"role": "user", "content": [result("toolu_3", []), text("and be quick")]},
    {"role": "assistant", "content": [text("Done."), text("  ")]},
    {"role": "user", "content": "a plain string"},
    {"role": "system", "content": "Remember the tests."},
    {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "c2ln"}, text("Yes.")]},
    {"role": "user", "content": [text("one"), text("two")]},
    {"role": "assistant", "content": "a string of the model's"},
    {"role": "user", "content": [result("toolu_9", "of a call that is gone"), text("go on")]},
]  # fmt: skip


def told(until: int) -> Body:
    """As Claude Code tells it: the block at the front changes, and its marks move."""
    messages = copy.deepcopy(TURNS[:until])
    last = messages[-1]
    if isinstance(last["content"], list):
        last["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return {
        "model": "arch.main.v1",
        "max_tokens": 100,
        "system": [text(f"{BILLING} cc_version=2.1.330.{until:03x};"), text("Be kind."), text("Be brief.")],
        "tools": TOOLS,
        "messages": messages,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }


def in_dialect(path: str, until: int) -> Body:
    """The same as a client of another dialect tells it."""
    if path == MESSAGES:
        return told(until)
    dialect, target = by_path(path), Target("arch.main.v1", maker="openai/gpt-5", reasoning=True)
    assert dialect is not None
    return dialect.render_request(DIALECTS["anthropic_messages"].parse_request(told(until)), target).body


ENDS = [
    at
    for at, (turn, after) in enumerate(pairwise([*TURNS, {"role": "assistant"}]), 1)
    if turn["role"] != "assistant" and after["role"] == "assistant"
]


@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
@pytest.mark.parametrize("candidate", candidates(), ids=lambda candidate: candidate.label)
def test_a_session_with_everything_in_it_grows_at_its_end(candidate: Candidate, path: str) -> None:
    prompts = [prompt(candidate, path, {"x-session-id": "s"}, in_dialect(path, until)) for until in ENDS]
    assert len(prompts) == 6
    for number, (before, after) in enumerate(pairwise(prompts)):
        assert before[:2] == after[:2], number
        assert after[2].startswith(before[2]) and len(after[2]) > len(before[2]), number
