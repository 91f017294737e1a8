"""Who answers first, and the sentence that says why."""

import pytest
from dialogue import CLAUDE, DEEPSEEK, GPT, THREE, plan_of

from router_service.conversation import BadRequest
from router_service.policies import POLICIES, explicit, pinned, preference, whole
from router_service.policies.policy import Choice, Scores, Setting
from router_service.session import Pin, Session

ALIASES = "model_aliases: {arch.fast.v1: deepseek-chat, best: {target: claude-sonnet-4-5}, claude-best: gpt-4o-mini}\n"
PLAN = plan_of(f"{THREE}{ALIASES}")
CODING = Pin("coding", "anthropic-claude-sonnet-4-5", 0.9)


@pytest.mark.parametrize(
    ("model", "claude_code", "lane", "label"),
    [
        ("anthropic/claude-sonnet-4-5", True, "explicit", CLAUDE),
        ("anthropic/claude-sonnet-4-5", False, "explicit", CLAUDE),
        ("claude-sonnet-4-5", False, "explicit", CLAUDE),
        ("claude-sonnet-4-5", True, "routed", None),
        ("claude-via-archgw/claude-sonnet-4-5", True, "explicit", CLAUDE),
        ("claude-via-archgw/openai/gpt-4o-mini", True, "explicit", GPT),
        ("claude-via-archgw/openai/gpt-4o-mini[1m]", True, "explicit", GPT),
        ("claude-via-archgw/best", True, "explicit", CLAUDE),
        ("claude-via-archgw/arch.main.v1", True, "routed", None),
        ("claude-via-archgw/arch.fast.v1", True, "fast", DEEPSEEK),
        ("claude-sonnet-4-5-20250929", False, "explicit", CLAUDE),
        ("claude-sonnet-4-5@20250929", False, "explicit", CLAUDE),
        ("gpt-4o-mini-2024-07-18", True, "explicit", GPT),
        ("openai/gpt-4o-mini-2024-07-18", True, "explicit", GPT),
        ("claude-sonnet-4-5-20250929[1m]", False, "explicit", CLAUDE),
        ("claude-sonnet-4-5[1m]", False, "explicit", CLAUDE),
        ("anthropic/claude-sonnet-4-5[1m]", True, "explicit", CLAUDE),
        (" gpt-4o-mini ", True, "explicit", GPT),
        ("best", False, "explicit", CLAUDE),
        ("claude-best", True, "explicit", GPT),
        ("arch.fast.v1", True, "fast", DEEPSEEK),
        ("arch.claude.code.small.fast", True, "fast", DEEPSEEK),
        ("claude-haiku-4-5-20251001", True, "fast", DEEPSEEK),
        ("claude-3-5-haiku-latest", False, "fast", DEEPSEEK),
        ("claude-opus-5-5", True, "routed", None),
        ("claude-opus-4-8[1m]", True, "routed", None),
        ("claude-opus-4-8-20260401", False, "routed", None),
        ("arch.fast.v1[1m]", True, "fast", DEEPSEEK),
        ("best[1m]", True, "explicit", CLAUDE),
        ("arch.main.v1", False, "routed", None),
        ("arch.anything", False, "routed", None),
        ("auto", False, "routed", None),
    ],
)
def test_what_a_model_name_asks_for(model: str, claude_code: bool, lane: str, label: str | None) -> None:
    named = explicit.resolve(PLAN, model, claude_code=claude_code)
    assert (named.lane, named.candidate and named.candidate.label) == (lane, label)


def test_a_model_that_is_configured_with_its_date_is_found_without_it() -> None:
    plan = plan_of("llm_providers: [{model: anthropic/claude-sonnet-4-5-20250929}, {model: openai/gpt-4o}]")
    for model in ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5[1m]"):
        named = explicit.resolve(plan, model, claude_code=False)
        assert named.candidate and named.candidate.label == "anthropic/claude-sonnet-4-5-20250929"


def test_of_two_dates_none_is_guessed() -> None:
    entries = ", ".join(f"{{model: openai/gpt-4o-2024-{day}}}" for day in ("05-13", "08-06"))
    with pytest.raises(BadRequest, match="knows no model 'gpt-4o'"):
        explicit.resolve(plan_of(f"llm_providers: [{entries}]"), "gpt-4o", claude_code=False)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gpt-4o-minni", "did you mean 'gpt-4o-mini'?"),
        ("claude-via-archgw/llama", "knows no model 'llama'"),
        ("llama", "ask for 'arch.main.v1' to be routed, or for one of: anthropic/claude-sonnet-4-5, "),
    ],
    ids=["nearly right", "behind the prefix", "far off"],
)
def test_a_name_that_means_nothing_is_refused_with_a_proposal(model: str, words: str) -> None:
    with pytest.raises(BadRequest, match="archgw knows no model") as caught:
        explicit.resolve(PLAN, model, claude_code=False)
    assert (caught.value.status, caught.value.kind) == (404, "not_found_error")
    assert words in caught.value.message


def test_a_model_without_its_key_is_refused_with_the_variable() -> None:
    plan = plan_of("llm_providers: [{model: openai/gpt-4o}, {model: xai/grok-2}]")
    with pytest.raises(BadRequest, match=r"xai/grok-2.*XAI_API_KEY is not set"):
        explicit.resolve(plan, "grok-2", claude_code=False)


@pytest.mark.parametrize(
    ("model", "name", "chain", "reason"),
    [
        (CLAUDE, "explicit", [CLAUDE, GPT, DEEPSEEK], f"the client asked for {CLAUDE} -> {CLAUDE}"),
        ("arch.fast.v1", "fast", [DEEPSEEK, GPT, CLAUDE], f"fast lane: arch.fast.v1 -> {DEEPSEEK}"),
        ("claude-haiku-4-5", "fast", [DEEPSEEK, GPT, CLAUDE], f"fast lane: claude-haiku-4-5 -> {DEEPSEEK}"),
    ],
    ids=["by name", "fast", "the client's small model"],
)
def test_the_clients_own_word(model: str, name: str, chain: list[str], reason: str) -> None:
    decision = explicit.choose(PLAN, explicit.resolve(PLAN, model, claude_code=True), model)
    assert (decision.name, decision.reason) == (name, reason)
    assert [candidate.label for candidate in decision.chain.candidates] == chain


@pytest.mark.parametrize(
    ("pin", "name", "chain", "reason"),
    [
        (CODING, "coding", [CLAUDE, DEEPSEEK, GPT], f"why -> stays with {CLAUDE} (coding)"),
        (
            Pin("default", CODING.candidate),
            "default",
            [CLAUDE, GPT, DEEPSEEK],
            f"why -> stays with {CLAUDE} (the default)",
        ),
        (Pin("coding", "openai-gpt-4o-mini"), "coding", [GPT, CLAUDE, DEEPSEEK], f"why -> stays with {GPT} (coding)"),
        (
            Pin("gone", CODING.candidate),
            "default",
            [CLAUDE, GPT, DEEPSEEK],
            f"why -> stays with {CLAUDE} (the default)",
        ),
        (Pin("coding", "gone"), "default", [GPT, CLAUDE, DEEPSEEK], f"why -> {GPT} (default)"),
        (None, "default", [GPT, CLAUDE, DEEPSEEK], f"why -> {GPT} (default)"),
    ],
    ids=["a preference's", "the default's", "who stepped in", "a route that is gone", "a model that is gone", "none"],
)
def test_a_turn_stays_where_it_is(pin: Pin | None, name: str, chain: list[str], reason: str) -> None:
    decision = pinned.stay(PLAN, pin, because="why")
    assert (decision.name, decision.reason) == (name, reason)
    assert [candidate.label for candidate in decision.chain.candidates] == chain


@pytest.mark.parametrize(
    ("scores", "threshold", "name", "label", "score"),
    [
        (Scores({"coding": 0.6, "small-talk": 0.3}, none=0.1), "0", "coding", CLAUDE, 0.6),
        (Scores({"coding": 0.3, "small-talk": 0.6}, none=0.1), "0", "small talk", DEEPSEEK, 0.6),
        (Scores({"coding": 0.4, "small-talk": 0.2}, none=0.4), "0", "coding", CLAUDE, 0.4),
        (Scores({"coding": 0.3, "small-talk": 0.2}, none=0.5), "0", "default", GPT, None),
        (Scores({"coding": 0.6, "small-talk": 0.3}, none=0.1), "0.7", "default", GPT, None),
        (Scores({"coding": 0.6, "small-talk": 0.3}, none=0.1), "0.6", "coding", CLAUDE, 0.6),
        (Scores(), "0", "default", GPT, None),
        (Scores({"coding": 1.0}, none=0.0, trouble="late"), "0", "default", GPT, None),
    ],
    ids=["one", "the other", "as likely as none", "none", "below the threshold", "at it", "no scores", "trouble"],
)
def test_the_preference_that_fits(scores: Scores, threshold: str, name: str, label: str, score: float | None) -> None:
    plan = plan_of(f"{THREE}routing: {{threshold: {threshold}}}\n")
    decision = preference.choose(plan, scores)
    assert (decision.name, decision.first.label, decision.score) == (name, label, score)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (Scores({"coding": 0.6, "small-talk": 0.3}, none=0.1), f"coding (0.60 over small talk 0.30) -> {CLAUDE}"),
        (Scores({"coding": 0.6, "small-talk": 0.1}, none=0.3), f"coding (0.60 over none of them 0.30) -> {CLAUDE}"),
        (
            Scores({"coding": 0.3, "small-talk": 0.1}, none=0.6),
            f"no preference fits (nearest coding 0.30, none 0.60) -> {GPT} (default)",
        ),
        (Scores(trouble="the router model failed"), f"the router model failed -> {GPT} (default)"),
    ],
    ids=["over a rival", "over none", "none fits", "trouble"],
)
def test_the_reason_can_be_read(scores: Scores, reason: str) -> None:
    assert preference.choose(PLAN, scores).reason == reason


def test_when_nothing_fits_the_session_goes_on() -> None:
    decision = preference.choose(PLAN, Scores({"coding": 0.1}, none=0.9), Setting(Session(CODING)))
    assert (decision.name, decision.first.label) == ("coding", CLAUDE)


def test_listed_is_the_users_order() -> None:
    route = PLAN.routes[0]
    assert POLICIES["listed"](route, Setting()) == Choice(route.candidates[0])


# -- compaction ----------------------------------------------------------------------------------------------------

WINDOWS = """
llm_providers:
  - {model: deepseek/deepseek-chat, default: true}
  - {model: openai/gpt-4o-mini}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: gemini/gemini-2.5-pro}
routing_preferences:
  - {name: coding, description: writing code, models: [gpt-4o-mini, claude-sonnet-4-5]}
"""
ON_GPT = Pin("coding", "openai-gpt-4o-mini", 0.9)


@pytest.mark.parametrize(
    ("pin", "tokens", "name", "label"),
    [
        (ON_GPT, 50_000, "coding", GPT),
        (ON_GPT, 128_000, "coding", GPT),
        (ON_GPT, 128_001, "coding", CLAUDE),
        (ON_GPT, 500_000, "coding", "gemini/gemini-2.5-pro"),
        (ON_GPT, 5_000_000, "coding", "gemini/gemini-2.5-pro"),
        (None, 50_000, "default", DEEPSEEK),
        (None, 150_000, "default", CLAUDE),
    ],
    ids=["it fits", "just so", "the next of the route", "one from elsewhere", "nobody: the widest", "no pin", "no fit"],
)
def test_what_is_summarized_goes_whole_to_who_knows_it_best(
    pin: Pin | None, tokens: int, name: str, label: str
) -> None:
    decision = whole.choose(plan_of(WINDOWS), pin, tokens=tokens, because="compaction")
    assert (decision.name, decision.first.label) == (name, label)
    assert decision.chain.first is decision.first and decision.reason.startswith("compaction -> ")


def test_leaving_the_sessions_model_says_why() -> None:
    decision = whole.choose(plan_of(WINDOWS), ON_GPT, tokens=150_000, because="compaction")
    assert decision.reason == (
        f"compaction -> {CLAUDE}: the window of {GPT} holds 128,000 tokens, and these are about 150,000"
    )
