"""What real clients sent, through the gateway: untouched where it promises that, and refused by no vendor.

tests/recordings/README.md says what the recordings are. No promise is read off the code that keeps it: the fields
that may differ are worked out here from the facts about the model, and the rule books of the simulated vendors judge.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from archgw.simulate import VENDORS
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules import check
from dialogue import exchange_of, plan_of

from router_service import needs, upstream
from router_service.dialects import DIALECTS, by_path
from router_service.dialects.parts.fit import BILLING
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.plan import Candidate
from router_service.providers import PROVIDERS
from router_service.session import is_named

FOLDER = Path(__file__).parent / "recordings"
TOO_MUCH = ("prompt is too long", "input length and `max_tokens` exceed context limit")
MOST = 700_000  # bytes of recordings that a repository should carry


@dataclass(frozen=True)
class Recording:
    id: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any]


def recordings() -> Iterator[Recording]:
    for file in sorted(FOLDER.glob("*.jsonl.gz")):
        for at, line in enumerate(gzip.decompress(file.read_bytes()).decode().splitlines()):
            told = json.loads(line)
            name = f"{file.name.removesuffix('.jsonl.gz')} {told['scenario']} {at}".replace("  ", " ")
            headers = {key.lower(): value for key, value in told["headers"]}
            yield Recording(name, told["path"], told["query"], headers, told["body"])


RECORDINGS = tuple(recordings())
every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=[one.id for one in RECORDINGS])


def models() -> Iterator[str]:
    """Every model of every vendor's table, and all that the simulated vendors know; of Bedrock's regions one."""
    for name, provider in PROVIDERS.items():
        known = [facts.prefix for facts in provider.models] + [model.name for model in VENDORS[name].models]
        for model in filter(None, dict.fromkeys(known)):
            if name != "amazon_bedrock" or model.startswith(("us.", "openai.")):
                yield f"{name}/{model}"
    yield from ("openrouter/x/some-model", "ollama/llama3.1", "together/some/model", "moonshot/new", "zai/new")


GIVEN = {"AZURE_OPENAI_RESOURCE": "r", "AWS_REGION": "r", "AWS_BEARER_TOKEN_BEDROCK": "k"}
GIVEN |= {f"{name.upper()}_API_KEY": "k" for name in PROVIDERS}
PLAN = plan_of("llm_providers:\n" + "\n".join(f'  - {{model: "{model}"}}' for model in models()), **GIVEN)
GATEWAY = Gateway(PLAN, new_id=lambda: "id-1")


def heard(recording: Recording, body: bytes) -> Exchange:
    """The recorded request as the gateway has understood it; whom it asks for is not the question here."""
    path = f"{recording.path}?{recording.query}" if recording.query else recording.path
    return exchange_of(GATEWAY, path=path, body=body, given=recording.headers | {"x-arch-model": "arch.main.v1"})


def test_the_recordings_are_small_and_hold_no_secret() -> None:
    files = sorted(FOLDER.glob("*.jsonl.gz"))
    assert sum(file.stat().st_size for file in files) < MOST
    told = b"".join(gzip.decompress(file.read_bytes()) for file in files).decode()
    keys = {
        value for one in RECORDINGS for name, value in one.headers.items() if name in ("authorization", "x-api-key")
    }
    assert keys == {"dummy", "Bearer dummy"}
    assert not re.findall(r"\bsk-(?:ant|proj|or)-|\bgh[ps]_\w{20}|\bAKIA\w{12}|[\w.]+@[\w-]+\.\w{2,}", told)
    assert {one.path for one in RECORDINGS} == {path for dialect in DIALECTS.values() for path in dialect.paths}


# -- the client's own bytes ----------------------------------------------------------------------------------------

# As clients write JSON: JavaScript, Python, Python that escapes, and a reader's eye.
SPELLINGS: dict[str, dict[str, Any]] = {
    "JavaScript": {"separators": (",", ":"), "ensure_ascii": False},
    "Python": {"ensure_ascii": False},
    "escaped": {},
    "indented": {"indent": 2, "ensure_ascii": False},
}
ODD = {"role": "user", "content": 'naïve 世界 🎉 \u2028 \\ "quoted" </tag> \u0007'}


def own(recording: Recording) -> list[Candidate]:
    spoken = by_path(recording.path)
    assert spoken is not None
    found = [one for one in PLAN.candidates if one.dialect(spoken.name) == spoken.name]
    unlike: dict[Any, Candidate] = {(one.provider.name, replace(one.facts, prefix="")): one for one in found}
    return list(unlike.values())


def members(body: bytes) -> dict[str, bytes]:
    """The top-level fields of an object with their values as they are written, found without the gateway's scanner."""
    text, decoder, found, at = body.decode(), json.JSONDecoder(), {}, body.decode().index("{") + 1
    while True:
        at = re.compile(r"[\s,]*").match(text, at).end()  # type: ignore[union-attr]  # it matches nothing as well
        if text[at] == "}":
            return found
        key, at = decoder.raw_decode(text, at)
        at = re.compile(r"\s*:\s*").match(text, at).end()  # type: ignore[union-attr]  # the text was parsed before
        _, end = decoder.raw_decode(text, at)
        found[key] = text[at:end].encode()
        at = end


def due(body: dict[str, Any], candidate: Candidate) -> dict[str, str]:
    """The fields that this model needs otherwise, each with the word by which the warnings have to name it."""
    facts, refused = candidate.facts, candidate.provider.refuses
    found: dict[str, str] = {}
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        room = facts.context and facts.context - len(json.dumps(body)) // 2 - 1000
        if name in body and body[name] > min(facts.max_output or body[name], room or body[name]):
            found[name] = "max_tokens lowered"
        if name == "max_tokens" and name in body and facts.token_field != name:  # the same under another name
            found |= {name: found.get(name, ""), facts.token_field: found.get(name, "")}
    for name in ("temperature", "top_p", "top_k"):
        if name in body and not facts.sampling:
            found[name] = name if body[name] != 1 else ""
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    form = {"enabled": "budget", "adaptive": "adaptive"}.get((body.get("thinking") or {}).get("type", ""), "")
    if "thinking" in body and not thinks and not facts.reasoning:
        found |= {"thinking": ""}  # it is told not to do what it cannot
    if thinks and not facts.reasoning:
        found |= {"thinking": "thinking left out", "output_config": "thinking", "context_management": "thinking"}
    elif thinks and facts.thinking == "budget" and '"tool_result"' in json.dumps(body["messages"][-1]):
        # No answer in the recordings began with thinking, so none can go on with it.
        found |= {"thinking": "thinking turned off", "output_config": "", "context_management": ""}
    elif thinks and form != facts.thinking:
        found |= {"thinking": "thinking", "output_config": "thinking"}
    elif "effort" in body.get("output_config", {}) and facts.thinking != "adaptive":
        found |= {"output_config": ""}  # nothing is thought with it: told to think by nobody
    if form == "enabled" and body["thinking"]["budget_tokens"] >= min(body["max_tokens"], facts.max_output or 10**9):
        found |= {"thinking": ""}  # it follows max_tokens, which is told
    if "reasoning" in body and not facts.reasoning:
        found |= {"reasoning": "thinking left out" if body["reasoning"].get("effort") else "", "include": ""}
    if "reasoning_effort" in body and not facts.reasoning:
        found |= {"reasoning_effort": "thinking left out"}
    if f"display {(body.get('thinking') or {}).get('display')}" in refused:
        found |= {"thinking": found.get("thinking", "")}
    if any(name in candidate.provider.refuses_in_messages for message in body.get("messages", ()) for name in message):
        found |= {"messages": ""}
    if candidate.provider.name != "anthropic" and BILLING in str(body.get("system", "")):
        found |= {"system": ""}  # another with each turn, and so the end of every vendor's cache but Anthropic's
    if candidate.provider.name != "anthropic" and "account" in str((body.get("metadata") or {}).get("user_id", "")):
        found |= {"metadata": ""}  # whose account of Anthropic's it is goes to Anthropic alone
    return found | {name: "" for name in body if name in refused}


def without_key(made: bytes, before: dict[str, bytes], candidate: Candidate, session: str) -> bytes:
    """Without the one field that is added: by which some of OpenAI's kin know what belongs together."""
    bare, added = re.subn(rb',"prompt_cache_key":"[0-9a-f]{16}"', b"", made)
    wanted = candidate.provider.affinity == "prompt_cache_key" and "prompt_cache_key" not in before
    assert added == (wanted and is_named(session)), candidate.label
    return bare


def takes(body: dict[str, Any], candidate: Candidate) -> bool:
    """Whether the model takes messages of this kind at all; if not, they are written anew."""
    told, facts, runs = json.dumps(body), candidate.facts, candidate.provider.vendor_tools
    if runs is not None and "web_search" not in runs and '"type": "web_search' in told:
        return False
    inline = any(m.get("role") == "system" for m in body.get("messages", ())[1:])
    words = {*re.findall(r'"role": "(\w+)"', told), *re.findall(r'"(\w+)": ', told)}
    if candidate.dialect("") == "anthropic_messages":
        return facts.inline_system or not inline
    bare = facts.system and (facts.tools or not body.get("tools"))
    ids = all(re.fullmatch(r"[a-zA-Z0-9]{9}", id) for id in re.findall(r'"tool_call_id": "([^"]*)"', told))
    asked = not candidate.provider.strict_order or ('"tool_call_id"' not in told and not inline)
    longest = max(
        (len(t["function"].get("description", "")) for t in body.get("tools", ()) if "function" in t), default=0
    )
    bare = bare and longest <= (facts.description_length or longest)
    return (
        bare
        and asked
        and (ids or candidate.provider.tool_id_length != (9, 9))
        and words.isdisjoint(candidate.provider.refuses_in_messages & {"developer"})
    )


@every_recording
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_only_what_the_model_needs_otherwise_changes_in_the_clients_bytes(
    recording: Recording, spelling: dict[str, Any]
) -> None:
    raw = json.dumps(recording.body | {"x_odd": ODD}, **spelling).encode()
    exchange, before = heard(recording, raw), members(raw)
    for candidate in own(recording):
        if not takes(recording.body, candidate):
            continue
        made, may = upstream.render(exchange, candidate), due(recording.body, candidate)
        written = without_key(made.body, before, candidate, exchange.session)
        after, told = members(written), "; ".join(made.warnings)
        assert after["model"] == json.dumps(candidate.model).encode()
        differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} - {"model"}
        assert differ <= may.keys(), (candidate.label, differ)
        if not differ:
            assert written == raw.replace(before["model"], after["model"], 1), candidate.label
        assert all(may[name] in told for name in differ), (candidate.label, differ, told)
        assert bool(told) <= bool(differ), (candidate.label, told)


def test_the_promise_is_kept_where_it_counts() -> None:
    """The test above says little where everything may differ: so these are counted, on both sides."""
    whole = changed = 0
    for recording in RECORDINGS:
        for candidate in own(recording):
            if takes(recording.body, candidate):
                whole, changed = whole + (not due(recording.body, candidate)), changed + 1
    assert (whole, changed) > (100, 0)


# -- every vendor --------------------------------------------------------------------------------------------------


@every_recording
def test_a_request_is_refused_by_no_vendor(recording: Recording) -> None:
    """Written for each model of each vendor, and judged by its rule book, with the headers that go along.

    A model that nobody knows is its vendor's to judge; and who says that it is too much, says it of the client's words.
    """
    exchange = heard(recording, json.dumps(recording.body).encode())
    wanted = needs.of(exchange.conversation)
    refused: dict[str, str] = {}
    for candidate in PLAN.candidates:
        made = upstream.render(exchange, candidate)
        body = json.loads(made.body)
        assert body["model"] == candidate.model
        vendor = replace(VENDORS[candidate.provider.name], dialect=made.dialect.name)
        known = vendor.model(candidate.model)
        nameless = not candidate.facts.prefix or candidate.model.endswith("-")  # the beginning of names
        if known is None or nameless or needs.obstacle(candidate, wanted):
            continue
        betas = tuple(flag for flag in made.headers.get("anthropic-beta", "").split(",") if flag)
        try:
            check(Asked(vendor, known, body, betas, made.headers))
        except Refused as refusal:
            said = json.dumps({"error": {"message": refusal.message, "code": refusal.code}}).encode()
            if not made.dialect.parse_error(refusal.status, said).message.startswith(TOO_MUCH):
                refused[candidate.label] = f"{refusal.message} ({refusal.param})"
    assert not refused
