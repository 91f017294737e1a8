"""`archgw check` on preferences: what it finds odd, and that it finds nothing odd in good ones."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from archgw import vague
from archgw.lint import Finding, Preferences, Score, cut, findings, findings_beside_an_llm, idle
from dialogue import plan_of
from terminal import CONFIG, Shell, told

from router_service.policies.policy import PreferenceReading, Scores
from router_service.shell.ensemble import opened
from router_service.shell.onnx_router import OnnxRouter

CODE = ("code", "writing new functions and programs")
TESTS = ("tests", "unit tests and flaky suites")
PROBES = [f"write {i}" for i in range(6)] + [f"test {i}" for i in range(6)]


def clear(ask: str) -> Scores:
    return Scores({"code": 0.9, "tests": 0.05} if ask.startswith("write") else {"code": 0.05, "tests": 0.9}, 0.05)


def torn(ask: str) -> Scores:
    share = 0.44 if ask == "test 3" else 0.4
    return Scores({"code": 0.46, "tests": share}, 0.9 - share - 0.36)


def eager(ask: str) -> Scores:
    """Whatever is asked, code is likelier than nothing at all."""
    return Scores({"code": 0.2, "tests": 0.7 if ask.startswith("test") else 0.05}, 0.1)


def reading(name: str, description: str) -> PreferenceReading:
    """Of a model that knows words of six letters and less, and spells what is longer."""
    words = f"{name} {description}".split()
    return PreferenceReading("", "", sum(1 if len(word) <= 6 else len(word) for word in words), 64)


def found_in(
    *preferences: tuple[str, str], score: Callable[[str], Scores] = clear, ours: bool = False
) -> list[Finding]:
    """Who scores says nothing of whom it was not asked about."""

    def router(some: Preferences) -> Score:
        def scored(ask: str) -> Scores:
            scores = score(ask)
            return Scores({name: scores.routes[name] for name, _ in some}, scores.none)

        return scored

    return findings(preferences, PROBES, router, reading, ours=ours)


def test_clear_preferences_have_no_findings() -> None:
    assert found_in(CODE, TESTS, ours=True) == []


@pytest.mark.parametrize(
    "description",
    [
        "code",
        "general questions",
        "any other task",
        "help with stuff",
        "whatever I ask",
        "important things that matter",
        "normal everyday requests",
        "use the good model",
        "alles andere",
        "toutes les autres demandes",
        "todo lo demás",
        "qualquer outra coisa",
        "tutte le altre richieste",
        "al het andere",
        "-",
    ],
)
def test_a_description_that_says_little(description: str) -> None:
    (found,) = found_in(("code", description), TESTS)
    assert found.names == ("code",) and "says little" in found.message
    assert "default model" in found.suggestion


@pytest.mark.parametrize(
    "description",
    [
        "debugging C++ crashes",
        "SQL queries",
        "コードを書く",
        "legal contracts",
        "C code",
        "Dokumentation schreiben",
        "refactoring, not for tests",
        "small talk",
    ],
)
def test_a_short_description_may_say_enough(description: str) -> None:
    assert found_in(("code", description), TESTS) == []


@pytest.mark.parametrize(
    "description", ["not for tests", "everything but tests", "nicht für Tests", "not for mails, not for contracts"]
)
def test_a_description_that_says_only_what_does_not_belong(description: str) -> None:
    (found,) = found_in(("code", description), TESTS)
    assert found.message == f"'{description}' says only what does not belong here"
    assert "say first what does" in found.suggestion


def test_one_that_fits_nearly_anything() -> None:
    (found,) = found_in(("code", "wszystko inne"), TESTS, score=eager, ours=True)
    assert found.message == "'wszystko inne' fits nearly anything (12 of 12 probes)"


def test_a_vague_one_makes_others_look_vague() -> None:
    def score(some: Preferences) -> Scores:
        return Scores(
            {name: 0.3 if name == "code" else 0.25 for name, _ in some},
            0.2 if ("code", "wszystko inne") in some else 0.35,
        )

    vague_and_clear = [("code", "wszystko inne"), TESTS]
    found = findings(vague_and_clear, PROBES, lambda some: lambda _: score(some), reading, ours=True)
    assert [one.names for one in found if "nearly anything" in one.message] == [("code",)]


def test_one_whose_words_the_model_hardly_knows() -> None:
    (found,) = found_in(("code", "xqzvblorp fnordqwx"), TESTS, ours=True)
    assert found.message == "the router model hardly knows the words of 'xqzvblorp fnordqwx'"
    assert "common words" in found.suggestion
    assert found_in(("code", "xqzvblorp code"), TESTS, ours=True) == [], "one is known"


def test_of_a_model_of_ones_own_it_is_not_known_what_vague_ones_claim() -> None:
    assert all("nearly anything" not in one.message for one in found_in(CODE, TESTS, score=eager))


def test_beside_an_llm_words_and_overlaps_are_looked_at() -> None:
    stuff = ("other", "whatever I ask")
    found = findings_beside_an_llm([CODE, TESTS, stuff], PROBES, lambda _: torn)
    assert [(one.names, one.message) for one in found] == [
        (("other",), "'whatever I ask' says little about what belongs here"),
        (("code", "tests"), "both claim asks such as 'test 3' (12 of 12 probes, by the model that comes along)"),
    ]


def test_beside_an_llm_nobody_is_unreached() -> None:
    assert (
        findings_beside_an_llm([CODE, TESTS], PROBES, lambda _: lambda _: Scores({"code": 0.9, "tests": 0}, 0.1)) == []
    )


def test_two_that_claim_the_same_asks() -> None:
    found = found_in(CODE, TESTS, score=torn)[0]
    assert found.names == ("code", "tests")
    assert found.message == "both claim asks such as 'test 3' (12 of 12 probes)", "the one that both are surest of"
    assert "not for" in found.suggestion


def test_of_two_equal_ones_the_config_has_warned() -> None:
    found = found_in(CODE, ("tests", CODE[1].upper()), score=torn)
    assert all(len(one.names) == 1 for one in found)


def test_one_that_nobody_reaches_and_who_takes_its_asks() -> None:
    (found,) = found_in(CODE, TESTS, score=lambda _: Scores({"code": 0.9, "tests": 0.05}, 0.05))
    assert found.names == ("tests",)
    assert found.message == "none of 12 everyday asks reaches it; its likeliest go to 'code'"
    assert "rare subject" in found.suggestion


def test_one_that_another_of_like_words_keeps_from_its_asks() -> None:
    language = ("tests", "translating functions into languages")
    (found,) = found_in(CODE, language, score=lambda _: Scores({"code": 0.9, "tests": 0.05}, 0.05))
    assert found.message == "none of 12 everyday asks reaches it, and 'code' is for much the same"
    assert found.suggestion == "merge them, or say in 'code' that it is not for what 'tests' is for"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("cooking, recipes", "how to cook dishes", True),
        ("translating texts between languages", "putting text into another language", True),
        ("writing new code", "writing contracts", False),
        ("anything about law", "anything about music", False),
    ],
)
def test_words_in_common(one: str, other: str, *, alike: bool) -> None:
    assert vague.have_words_in_common(one, other) == alike


def test_one_whose_end_is_not_read() -> None:
    def short(name: str, description: str) -> PreferenceReading:
        text = f"{name}: {description}"
        return PreferenceReading(text[:40], text[40:].strip(), len(text), 40)

    long = ("code", "writing new functions and programs; not for tests")
    (found,) = cut([long, TESTS], short)
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


def test_check_looks_at_preferences_where_an_llm_routes(shell: Shell) -> None:
    config = CONFIG.replace("telling jokes", "alles andere")
    config += "routing: {deadline: 1s, model: {base_url: 'http://127.0.0.1:9/v1', name: Arch-Router}}\n"
    said = told(shell.run("check", shell.config(config), XAI_API_KEY="k"))
    assert "note: jokes: 'alles andere' says little about what belongs here" in said


def test_check_tells_findings_as_notes(shell: Shell) -> None:
    vague = CONFIG.replace("telling jokes", "other stuff")
    result = shell.run("check", shell.config(vague))
    said = told(result)
    assert result.exit_code == 0, said
    assert "note: jokes: 'other stuff' says little about what belongs here" in said
    assert "Everything is in order." in said


@pytest.mark.parametrize("described", ["zxqv blorp fnord", "wszystko inne"])
def test_check_by_the_model_that_comes_along(shell: Shell, described: str) -> None:
    config = CONFIG.replace("name: jokes, description: telling jokes", f"name: x, description: {described}")
    said = told(shell.run("check", shell.config(config), XAI_API_KEY="k"))
    assert f"'{described}'" in said and "note: x: " in said


def test_the_example_has_no_findings() -> None:
    text = (Path(__file__).parents[1] / "config.yaml").read_text("utf-8")
    preferences = [(one["name"], one["description"]) for one in yaml.safe_load(text)["routing_preferences"]]
    model = opened()

    def router(some: Preferences) -> Score:
        return OnnxRouter([(name, name, description) for name, description in some], model).score

    probes = (files("archgw") / "probes.txt").read_text("utf-8").splitlines()
    assert findings(preferences, probes, router, model.preference_reading, ours=True) == []
