"""What is learned of feedback: which model answers a preference well; and how a decision is made of both."""

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from dialogue import (
    ANTHROPIC_EVENTS,
    OPENAI_EVENTS,
    STREAM,
    ask,
    attempt_of,
    gateway_of,
    one,
    plan_of,
    recorded,
)
from lessons_made import (
    CLAUDE,
    CONFIG,
    DAY,
    DEEPSEEK,
    MODEL,
    NOW,
    PLAN,
    asked,
    evidence,
    left_out,
    said,
    scores,
    should_be,
    vector,
)

from router_service import beliefs
from router_service.beliefs import AGAINST, Verdict
from router_service.bookkeeping import vector_rows
from router_service.effects import Choose
from router_service.events import ResponseBody, Scored
from router_service.evidence import Evidence, Said, by_caller
from router_service.gateway import Gateway
from router_service.learning import NOTHING, Learned, choose, learn
from router_service.plan import Plan
from router_service.policies.policy import Setting

ASK = vector((0, 1.0))
HALF_LIFE = 30 * DAY


def learned(found: Evidence) -> Learned:
    return learn(found, PLAN, MODEL, now=NOW).get("", NOTHING)


def answers(model: str, words: Sequence[str], *, difficulty: str = "", start: int = 0, at: float = 0.0) -> Evidence:
    """So many asks of one preference that this model answered, and what was said of each; "" for nothing."""
    asks = [asked(f"{model}-{start + n}", served=model, difficulty=difficulty, at=at + n) for n in range(len(words))]
    spoken = [said(one.request, word, at=at + n) for n, (one, word) in enumerate(zip(asks, words, strict=True)) if word]
    return evidence(asks, spoken)


def joined(*parts: Evidence) -> Evidence:
    return Evidence(
        tuple(itertools.chain(*(part.asked for part in parts))), tuple(itertools.chain(*(part.said for part in parts)))
    )


def mean(found: Evidence, model: str, difficulty: str = "") -> float:
    worths = learned(found).worths
    return worths["coding"].of(difficulty)[model].mean if worths else 0.0


def first_of(found: Evidence, plan: Plan = PLAN, *, best: str = "coding", **difficulty: float) -> str:
    known = learn(found, plan, MODEL, now=NOW).get("", NOTHING)
    asked = replace(scores(b"", best), difficulty=difficulty)
    setting = Setting(tokens=5000, now=NOW, difficulty=difficulty)
    return choose(plan, asked, setting, known, lambda: 1.0).first.label


# -- what is said, weighed -----------------------------------------------------------------------------------------


def weighed(*words: Said) -> tuple[float, float]:
    turns = by_caller(evidence([asked("a")], words))[""]
    (verdict,) = beliefs.verdicts(turns)
    return verdict.good, verdict.bad


@pytest.mark.parametrize(
    ("signals", "good", "bad"),
    [
        ([], 0.25, 0.0),
        (["good"], 3.0, 0.0),
        (["bad"], 0.0, 3.0),
        (["re-ask"], 0.0, 0.5),
        (["re-ask", "tool error", "correction"], 0.0, 1.0),
        (["good", "re-ask", "refusal", "override"], 3.0, 0.0),
        (["error"], 0.0, 0.5),
        (["unfinished", "interrupted"], 0.0, 0.25),
        (["unfinished", "good"], 3.0, 0.0),
        (["something new"], 0.25, 0.0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_users_own_word_outweighs_all_that_is_guessed(signals: list[str], good: float, bad: float) -> None:
    assert weighed(*(said("a", signal) for signal in signals)) == (good, bad)


def test_of_an_answer_that_was_not_read_to_its_end_silence_says_nothing() -> None:
    assert beliefs.verdicts(by_caller(evidence([asked("a")], [said("a", "unfinished")]))[""]) == []


def test_no_guess_weighs_more_than_one() -> None:
    assert min(AGAINST.values()) > 0 and max(AGAINST.values()) <= 1.0


def test_the_right_model_is_named() -> None:
    turns = by_caller(evidence([asked("a")], [said("a", "should be", f"model:{DEEPSEEK}")]))[""]
    told = {one.model: (one.good, one.bad) for one in beliefs.verdicts(turns)}
    assert told == {DEEPSEEK: (3.0, 0.0), CLAUDE: (0.0, 3.0)}


def test_no_model_is_to_blame_for_the_wrong_preference() -> None:
    found = evidence([asked("a")], [should_be("a", "small talk"), said("a", "bad")])
    assert beliefs.verdicts(by_caller(found)[""]) == []


# -- who answers ---------------------------------------------------------------------------------------------------


def test_the_written_order_holds_until_evidence_speaks() -> None:
    assert first_of(evidence([])) == CLAUDE
    assert first_of(answers(CLAUDE, ["good"] * 5)) == CLAUDE
    assert first_of(answers(CLAUDE, ["re-ask", *[""] * 9])) == CLAUDE, "one bad moment in ten is none"
    assert first_of(answers(CLAUDE, ["bad", "bad"])) == DEEPSEEK, "two words are evidence"


@pytest.mark.parametrize("silent", [0, 1, 5, 20])
@pytest.mark.parametrize("difficulty", ["", "deep"])
@pytest.mark.parametrize(
    "word", [("bad", ""), ("should be", f"model:{DEEPSEEK}"), ("override", "")], ids=lambda w: w[0]
)
def test_one_judgement_alone_moves_nothing(word: tuple[str, str], difficulty: str, silent: int) -> None:
    """Not even the gravest, whatever else was answered without a word."""
    deep = {difficulty: 0.5} if difficulty else {}
    judged = evidence([asked("a", difficulty=difficulty)], [said("a", *word)])
    found = joined(judged, answers(CLAUDE, [""] * silent, difficulty=difficulty, at=10))
    assert first_of(found, **deep) == CLAUDE
    again = evidence([asked("b", difficulty=difficulty, at=1)], [said("b", "bad", at=1)])
    more = evidence([asked("c", difficulty=difficulty, at=2)], [said("c", "bad", at=2)])
    if silent <= 1:
        assert first_of(joined(found, again, more), **deep) == DEEPSEEK


def test_who_is_alone_in_having_answered_is_not_the_measure_of_all() -> None:
    """However long it goes on: the more half of its answers are bad, the clearer it is that others may be better."""
    for number in (3, 10, 100):
        assert first_of(answers(CLAUDE, ["good", "bad"] * number)) == (CLAUDE if number == 3 else DEEPSEEK)
    verdicts = [Verdict("coding", CLAUDE, "", NOW, 0.0, 3.0)] * 100
    assert beliefs.pooled(verdicts, now=NOW, half_life=HALF_LIFE) == pytest.approx(0.75 / 2)


def test_a_lesson_that_rests_on_one_answer_waits_and_says_so() -> None:
    (lesson,) = learned(answers(CLAUDE, ["bad"])).lessons
    assert (lesson.state, lesson.why) == ("waiting", "one answer alone moves nothing")
    (lesson,) = learned(answers(CLAUDE, ["bad", "bad"])).lessons
    assert lesson.state == "applied"


HAIKU, SONNET, OPUS = (f"anthropic/claude-{name}-4-5" for name in ("haiku", "sonnet", "opus"))
PRICED = """
llm_providers:
  - {model: anthropic/claude-haiku-4-5, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: anthropic/claude-opus-4-5}
  - {model: openai/gpt-4o-mini}
routing_preferences:
  - {name: coding, description: writing code, models: [%s], selection_policy: %s}
"""


@pytest.mark.parametrize(
    ("policy", "label"), [("best", "openai/gpt-4o-mini"), ("{prefer: balanced, quality: 9, speed: 0}", SONNET)]
)
def test_learning_cost_is_taken_off_for_best_alone(policy: str, label: str) -> None:
    text = PRICED % (f"{SONNET}, openai/gpt-4o-mini", policy)
    judged = joined(answers(SONNET, ["good"] * 20), answers("openai/gpt-4o-mini", ["good"] * 20))
    assert first_of(judged, plan_of(text)) == SONNET
    assert first_of(judged, plan_of(text + "learning: {cost: 0.5}\n")) == label


@pytest.mark.parametrize("prefer", ["best", "balanced"])
def test_deep_asks_do_not_go_to_who_answered_first(prefer: str) -> None:
    """Silence, however often, is no proof that a cheap model is a strong one."""
    plan = plan_of(PRICED % (f"{HAIKU}, {SONNET}, {OPUS}", f"{{prefer: {prefer}, difficulty: auto}}"))
    for number in (0, 1, 2, 5, 20, 200):
        for difficulty in ("", "quick", "deep"):
            assert first_of(answers(HAIKU, [""] * number, difficulty=difficulty), plan, deep=0.9) == OPUS
    bad = answers(OPUS, ["bad"] * 6, difficulty="deep", start=1000)
    good = answers(HAIKU, ["good"] * 6, difficulty="deep")
    assert first_of(joined(bad, good), plan, deep=0.9) == HAIKU


def test_balanced_keeps_to_the_written_order_while_hardly_anything_was_said() -> None:
    plan = plan_of(PRICED % (f"{SONNET}, openai/gpt-4o-mini", "{prefer: balanced, quality: 2}"))
    for words in ([], [""], ["good"], [""] * 50, ["", "correction", ""]):
        assert first_of(answers(SONNET, words), plan) == SONNET
    assert first_of(answers(SONNET, ["bad"] * 3), plan) == "openai/gpt-4o-mini"


def test_what_is_trusted_grows_without_a_jump() -> None:
    """With each silent answer by as much as it weighs, and less and less; also where a difficulty is first seen."""

    def trust(found: Evidence) -> float:
        worth = learned(found).worths.get("coding", beliefs.Worth())
        return worth.opinions("deep")[CLAUDE].trust if worth.overall else 0.0

    grown = [trust(answers(CLAUDE, [""] * number, difficulty="deep")) for number in range(40)]
    steps = [after - before for before, after in itertools.pairwise(grown)]
    assert grown[0] == 0.0 and max(steps) <= 0.25 / 8 and min(steps) > 0
    elsewhere = answers(CLAUDE, ["good"] * 40, difficulty="quick")
    before, after = trust(elsewhere), trust(joined(elsewhere, answers(CLAUDE, [""], difficulty="deep", start=100)))
    assert before == pytest.approx(0.5) and 0 < after - before <= 0.25 / 8


def test_who_answers_badly_steps_back_and_who_answers_well_comes_first() -> None:
    found = joined(answers(CLAUDE, ["bad", "re-ask", "bad"]), answers(DEEPSEEK, ["good", ""]))
    assert first_of(found) == DEEPSEEK
    (lesson,) = learned(found).lessons
    assert (lesson.kind, lesson.route, lesson.source, lesson.target) == ("model", "coding", CLAUDE, DEEPSEEK)
    assert lesson.means == (pytest.approx(mean(found, CLAUDE)), pytest.approx(mean(found, DEEPSEEK)))
    assert (lesson.state, lesson.moves, lesson.of, len(lesson.pieces)) == ("applied", 3, 5, 4)


def test_another_preference_is_none_of_its_business() -> None:
    found = answers(CLAUDE, ["bad"] * 5)
    assert set(learned(found).worths) == {"coding"}


def test_what_was_said_fades() -> None:
    old = answers(CLAUDE, ["bad"] * 6, at=-300 * DAY)
    new = answers(CLAUDE, ["bad"] * 6)
    assert mean(new, CLAUDE) < mean(old, CLAUDE)
    assert first_of(new) == DEEPSEEK
    verdicts = [Verdict("coding", CLAUDE, "", NOW - HALF_LIFE, 3.0, 0.0)]
    found = beliefs.worth(verdicts, "coding", [CLAUDE], now=NOW, half_life=HALF_LIFE)
    assert found.overall[CLAUDE].seen == pytest.approx(1.5)


def test_a_model_may_be_good_at_what_is_hard_alone() -> None:
    found = joined(
        answers(CLAUDE, ["bad"] * 6, difficulty="quick"), answers(CLAUDE, ["good"] * 6, difficulty="deep", start=10)
    )
    assert mean(found, CLAUDE, "quick") < mean(found, CLAUDE) < mean(found, CLAUDE, "deep")


def test_what_is_checked_on_the_past_is_what_is_applied() -> None:
    """Each verdict is held against the belief that `worth` makes of those before it, and against the order alone."""
    chance = random.Random(5)
    found = [
        Verdict(
            chance.choice(["coding", "code review"]),
            chance.choice([CLAUDE, DEEPSEEK]),
            chance.choice(["", "quick", "deep"]),
            NOW + n * DAY,
            *chance.choice([(0.25, 0.0), (3.0, 0.0), (0.0, 3.0), (0.0, 0.5)]),
        )
        for n in range(60)
    ]
    labels, learned, static = [CLAUDE, DEEPSEEK], 0.0, 0.0
    for n, verdict in enumerate(found):
        if verdict.route != "coding":
            continue
        pooled = beliefs.pooled(found[:n], now=verdict.at, half_life=HALF_LIFE)
        worth = beliefs.worth(found[:n], "coding", labels, now=verdict.at, half_life=HALF_LIFE, pooled=pooled)
        order = pooled - 0.03 * labels.index(verdict.model)
        believed = worth.of(verdict.difficulty)[verdict.model].mean if worth.overall else order
        weight, was = verdict.good + verdict.bad, float(verdict.good > 0)
        learned, static = learned + weight * (believed - was) ** 2, static + weight * (order - was) ** 2
    assert beliefs.foretells(found, "coding", labels, half_life=HALF_LIFE) == pytest.approx((learned, static))


def test_a_lesson_that_would_not_have_foretold_the_past_waits() -> None:
    """Whatever was said, the opposite followed."""
    found = joined(answers(CLAUDE, [*["bad"] * 4, *["good"] * 7]), answers(DEEPSEEK, ["good"], at=100))
    (lesson,) = learned(found).lessons
    assert lesson.state == "waiting" and "foretells less well" in lesson.why
    assert first_of(found) == CLAUDE


def test_where_the_order_is_listed_a_lesson_waits_and_says_what_to_write() -> None:
    plan = plan_of(CONFIG.replace("selection_policy: best", "selection_policy: listed"))
    found = learn(answers(CLAUDE, ["bad"] * 5), plan, MODEL, now=NOW)[""]
    assert found.worths == {} and "selection_policy: {prefer: best}" in found.lessons[0].why


def test_a_lesson_about_a_model_is_undone() -> None:
    found = answers(CLAUDE, ["bad"] * 5)
    (lesson,) = learned(found).lessons
    gone = replace(found, left_out=(left_out(lesson.id),))
    assert first_of(gone) == CLAUDE and [one.state for one in learned(gone).lessons] == ["undone"]


# -- tried on purpose ----------------------------------------------------------------------------------------------

EXPLORING = plan_of(CONFIG + "learning: {explore: 10%}\n")


def test_what_is_tried_is_bounded_and_said() -> None:
    known = learn(answers(CLAUDE, ["good", "bad", "good"]), EXPLORING, MODEL, now=NOW)[""]
    reasons = []
    for seed in range(200):
        drawn = iter([seed / 200, seed / 200])
        reasons.append(choose(EXPLORING, scores(b""), Setting(), known, lambda drawn=drawn: next(drawn)).reason)
    tried = [reason for reason in reasons if "tried on purpose" in reason]
    assert 0 < len(tried) <= 20
    assert all(f"-> {DEEPSEEK}; tried on purpose instead of {CLAUDE} (learning.explore)" in one for one in tried)
    assert [at for at, reason in enumerate(reasons) if "tried" in reason][-1] < 20


def test_nothing_is_tried_unless_it_is_asked_for() -> None:
    known = learned(answers(CLAUDE, ["good", "bad", "good"]))
    reasons = {choose(PLAN, scores(b""), Setting(), known, lambda: 0.0).reason for _ in range(50)}
    assert len(reasons) == 1 and "tried" not in reasons.pop()


# -- a request -----------------------------------------------------------------------------------------------------


UNLEARNED = "best: nothing is learned yet, so as written"


def decided(gateway: Gateway) -> tuple[str, list[dict[str, object]]]:
    """Why, and what is kept of it once it is answered."""
    selection, _ = ask(gateway, stream=True, messages=[{"role": "user", "content": "look at this"}])
    effects = selection.feed(Scored(scores(ASK)), 0.01)
    chosen = one(effects, Choose)
    exchange = gateway.exchanges.get(chosen.exchange) if chosen else None
    assert exchange is not None
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 0.1)
    events = ANTHROPIC_EVENTS if exchange.decision.first.label == CLAUDE else OPENAI_EVENTS
    outcome = recorded(attempt.feed(ResponseBody(b"".join(events), end=True), 0.2))
    assert outcome
    return exchange.decision.reason, vector_rows(outcome)


def test_a_request_goes_by_what_was_learned_says_so_and_is_kept_as_it_was_before() -> None:
    gateway = gateway_of(CONFIG)
    reason, (row,) = decided(gateway)
    assert reason == f"coding (0.70 over none of them 0.10); {UNLEARNED} -> {CLAUDE}"
    kept = asked("a", ASK, session=str(row["session"]))
    gateway.learned = learn(evidence([kept], [should_be("a", "code review")]), PLAN, MODEL, now=NOW)
    reason, (after,) = decided(gateway)
    assert reason == (
        "code review (0.79, 0.10 before your corrections of similar asks over small talk 0.10); "
        f"{UNLEARNED} -> {DEEPSEEK}"
    )
    assert (row["route"], after["route"]) == ("coding", "code review")
    assert after["fits"] == row["fits"] and after["vector"] == row["vector"] == kept.vector
    assert dict(json.loads(str(row["fits"])))["coding"] == pytest.approx(0.7)


def test_what_another_caller_taught_changes_nothing() -> None:
    gateway = gateway_of(CONFIG)
    found = evidence([asked("a", ASK, caller="alice")], [should_be("a", "code review")])
    gateway.learned = learn(found, PLAN, MODEL, now=NOW)
    assert decided(gateway)[0] == f"coding (0.70 over none of them 0.10); {UNLEARNED} -> {CLAUDE}"


def test_who_wants_nothing_learned_has_nothing_kept() -> None:
    assert decided(gateway_of(CONFIG + "learning: {enabled: false}\n"))[1] == []
