"""`archgw check` on preferences: what it finds odd, and that it finds nothing odd in good ones."""

from collections.abc import Mapping

import pytest
from archgw.lint import cut, findings, idle
from dialogue import plan_of
from terminal import CONFIG, Shell, told

from router_service.policies.policy import PreferenceReading

CODE = ("code", "writing new functions and programs")
TESTS = ("tests", "unit tests and flaky suites")
PROBES = [f"write {i}" for i in range(6)] + [f"test {i}" for i in range(6)]


def clear(ask: str) -> Mapping[str, float]:
    return {"code": 0.9, "tests": 0.05} if ask.startswith("write") else {"code": 0.05, "tests": 0.9}


def torn(ask: str) -> Mapping[str, float]:
    return {"code": 0.5, "tests": 0.4}


def test_clear_preferences_have_no_findings() -> None:
    assert findings([CODE, TESTS], PROBES, clear) == []


@pytest.mark.parametrize("description", ["code", "general questions", "any other task", "help with stuff"])
def test_a_description_that_says_little(description: str) -> None:
    (found,) = findings([("code", description), TESTS], PROBES, clear)
    assert found.names == ("code",) and "says little" in found.message


@pytest.mark.parametrize("description", ["debugging C++ crashes", "SQL queries", "コードを書く", "legal contracts"])
def test_a_short_description_may_say_enough(description: str) -> None:
    assert findings([("code", description), TESTS], PROBES, clear) == []


def test_two_that_claim_the_same_asks() -> None:
    found = findings([CODE, TESTS], PROBES, torn)[0]
    assert found.names == ("code", "tests")
    assert found.message == "both claim asks such as 'test 0' (12 of 12 probes)"
    assert "not for" in found.suggestion


def test_one_that_nobody_reaches_and_who_takes_its_asks() -> None:
    (found,) = findings([CODE, TESTS], PROBES, lambda _: {"code": 0.9, "tests": 0.05})
    assert found.names == ("tests",)
    assert found.message == "none of 12 everyday asks reaches it; its likeliest go to 'code'"


def test_one_whose_end_is_not_read() -> None:
    def reading(name: str, description: str) -> PreferenceReading:
        text = f"{name}: {description}"
        return PreferenceReading(text[:40], text[40:].strip(), len(text), 40)

    long = ("code", "writing new functions and programs; not for tests")
    (found,) = cut([long, TESTS], reading)
    assert found.names == ("code",)
    assert found.message == (
        "too long: it is read up to '... writing new functions and programs' (40 of 55 tokens),"
        " and not '; not for tests'"
    )
    assert "fewer words" in found.suggestion


POOLS = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: vllm/one, base_url: 'http://gpu.local/v1', provider_interface: openai}
  - {model: vllm/two, base_url: 'http://gpu.local/v1', provider_interface: openai}
routing_preferences:
"""
NOBODY = "nobody's price is known: the written order holds"


@pytest.mark.parametrize(
    ("models", "policy", "learns", "message"),
    [
        ("gpt-4o-mini, claude-sonnet-4-5", "cheapest", True, ""),
        ("gpt-4o-mini", "cheapest", True, "cheapest has nobody to choose from but openai/gpt-4o-mini"),
        (
            "gpt-4o-mini",
            "{difficulty: auto}",
            True,
            "difficulty: auto has nobody to choose from but openai/gpt-4o-mini",
        ),
        ("gpt-4o-mini", "listed", True, ""),
        (
            "gpt-4o-mini, vllm/one",
            "cheapest",
            True,
            "cheapest: the price of vllm/one is not known: taken to be the dearest",
        ),
        ("vllm/two, vllm/one", "cheapest", True, f"cheapest: {NOBODY}"),
        ("vllm/two, vllm/one", "balanced", True, "balanced: nobody's price is known: what is left decides"),
        ("vllm/two, vllm/one", "{prefer: balanced, cost: 0}", True, ""),
        ("vllm/two, vllm/one", "fastest", True, ""),
        ("vllm/two, vllm/one", "best", True, ""),
        ("vllm/two, vllm/one", "best", False, "best: nothing is learned: the written order holds"),
    ],
)
def test_a_policy_that_can_do_nothing(models: str, policy: str, learns: bool, message: str) -> None:
    plan = plan_of(f"{POOLS}  - {{name: a, description: b, models: [{models}], selection_policy: {policy}}}\n")
    found = idle(plan, learns=learns, tells_difficulty=True)
    assert [(one.names, one.message) for one in found] == ([(("a",), message)] if message else [])


def test_who_routes_by_an_llm_is_not_told_how_hard_an_ask_is() -> None:
    text = f"{POOLS}  - {{name: a, description: b, models: [gpt-4o-mini, claude-sonnet-4-5]}}\n"
    plan = plan_of(f"{text}routing: {{difficulty: auto}}\n")
    (found,) = idle(plan, learns=True, tells_difficulty=False)
    assert "does nothing: an LLM that routes does not say how hard an ask is" in found.message
    assert idle(plan, learns=True, tells_difficulty=True) == []


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("cheapest", "the cheapest of openai/gpt-4o-mini, xai/grok-2"),
        ("balanced", "the best balance of openai/gpt-4o-mini, xai/grok-2"),
        ("{difficulty: auto}", "the first of openai/gpt-4o-mini, xai/grok-2, by difficulty"),
        ("listed", "jokes openai/gpt-4o-mini xai/grok-2"),
    ],
)
def test_check_shows_whom_a_policy_chooses_from(shell: Shell, policy: str, words: str) -> None:
    config = CONFIG.replace("models: [grok-2]", f"models: [gpt-4o-mini, grok-2], selection_policy: {policy}")
    said = told(shell.run("check", shell.config(config), XAI_API_KEY="k"))
    assert words in said


def test_check_says_where_the_model_stops_reading(shell: Shell) -> None:
    long = f"telling {'jokes, riddles and limericks, ' * 12}not for puns"
    said = told(shell.run("check", shell.config(CONFIG.replace("telling jokes", f"'{long}'")), XAI_API_KEY="k"))
    assert "note: jokes: too long: it is read up to '... " in said and "(64 of " in said


def test_check_tells_findings_as_notes(shell: Shell) -> None:
    vague = CONFIG.replace("telling jokes", "other stuff")
    result = shell.run("check", shell.config(vague))
    said = told(result)
    assert result.exit_code == 0, said
    assert "note: jokes: 'other stuff' says little about what belongs here" in said
    assert "Everything is in order." in said
