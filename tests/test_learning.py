"""What is learned of feedback: which preference an ask belongs to. Pure: evidence in, lessons out."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lessons_made import (
    CLAUDE,
    DAY,
    DEEPSEEK,
    MODEL,
    NOW,
    PLAN,
    asked,
    beside,
    evidence,
    fits,
    left_out,
    said,
    scores,
    should_be,
    vector,
)

from router_service.bank import unpacked
from router_service.evidence import EVERYTHING, NONE, Evidence, by_caller, packed
from router_service.learning import NOTHING, Learned, adjusted, learn
from router_service.lessons import Lesson
from router_service.policies import preference
from router_service.policies.policy import Scores

ASK, OTHER = vector((0, 1.0)), vector((1, 1.0))
WRONG = evidence([asked("a", ASK)], [should_be("a", "code review")])


def learned(found: Evidence, caller: str = "") -> Learned:
    return learn(found, PLAN, MODEL, now=NOW).get(caller, NOTHING)


def routed(found: Evidence, seen: bytes, base: str = "coding", caller: str = "") -> str:
    """By id, where an ask goes now; "" where no preference fits."""
    after = adjusted(scores(seen, base), learned(found, caller))
    return max([*after.routes, ""], key=lambda id: after.routes.get(id, after.none))


def the(found: Evidence, caller: str = "") -> Lesson:
    (lesson,) = learned(found, caller).lessons
    return lesson


def numbers(scores: Scores) -> list[float]:
    return [*scores.routes.values(), scores.none]


# -- a correction, and what is like it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "base", "goes"),
    [
        (ASK, "coding", "code-review"),
        (beside(0, 0.9), "coding", "code-review"),
        (beside(0, 0.75), "coding", "code-review"),
        (beside(0, 0.3), "coding", "coding"),
        (OTHER, "coding", "coding"),
        (ASK, "small talk", "small-talk"),
        (ASK, "code review", "code-review"),
    ],
    ids=["the same", "near", "somewhat near", "far", "another", "taken for a third", "taken for the right one"],
)
def test_what_is_like_a_correction_goes_where_it_says(seen: bytes, base: str, goes: str) -> None:
    assert routed(WRONG, seen, base) == goes


def test_none_can_be_the_right_one() -> None:
    assert routed(evidence([asked("a", ASK)], [should_be("a", NONE)]), ASK) == ""


def test_what_fits_no_preference_can_be_given_one() -> None:
    found = evidence([asked("a", ASK, base=NONE)], [should_be("a", "Code Review")])
    assert routed(found, ASK, NONE) == "code-review"


def test_the_later_word_about_one_ask_holds() -> None:
    both = [asked("a", ASK), asked("b", beside(0, 0.995), at=60)]
    found = evidence(both, [should_be("a", "code review"), should_be("b", "small talk", at=60)])
    assert routed(found, ASK) == "small-talk"


def test_what_was_before_is_told() -> None:
    after = adjusted(scores(ASK), learned(WRONG))
    assert after.before["code-review"] == pytest.approx(0.1) and after.routes["code-review"] > 0.75


def test_a_preference_that_is_no_more_teaches_nothing() -> None:
    assert learned(evidence([asked("a", ASK)], [should_be("a", "gardening")])).lessons == ()


@pytest.mark.parametrize("word", ["bad", "re-ask", "good"])
def test_what_names_no_preference_moves_nothing(word: str) -> None:
    found = evidence([asked("a", ASK)], [said("a", word)])
    before = scores(ASK)
    assert adjusted(before, learned(found)) is before


# -- what holds for any evidence -----------------------------------------------------------------------------------

unit = st.integers(0, 2**32 - 1).map(lambda seed: _unit(seed))


def _unit(seed: int) -> bytes:
    made = np.random.default_rng(seed).normal(size=64).astype(np.float32)
    return (made / np.linalg.norm(made)).astype(np.float32).tobytes()


@st.composite
def pasts(draw: st.DrawFn) -> Evidence:
    number = draw(st.integers(1, 12))
    names = st.sampled_from(["coding", "code review", "small talk", NONE])
    asks = [
        asked(f"r{at}", draw(unit), base=draw(names), at=60.0 * at, caller=draw(st.sampled_from(["", "x"])))
        for at in range(number)
    ]
    words = [
        draw(st.sampled_from([should_be(one.request, draw(names), at=60.0 * at), said(one.request, "good"), None]))
        for at, one in enumerate(asks)
    ]
    return evidence(asks, [word for word in words if word])


@settings(max_examples=60, deadline=None)
@given(pasts(), unit, st.sampled_from(["coding", "small talk", NONE]))
def test_it_stays_a_probability_and_only_what_was_wrong_loses(found: Evidence, seen: bytes, base: str) -> None:
    before, known = scores(seen, base), learned(found)
    after = adjusted(before, known)
    assert sum(numbers(after)) == pytest.approx(1.0) and min(numbers(after)) >= 0
    ways = known.bank.ways if known.bank else ()
    left = {known.bank.names[way.source] for way in ways} if known.bank else set()
    for name in (*before.routes, ""):
        was, now = (one.routes.get(name, one.none) for one in (before, after))
        assert now >= was or name in left


@settings(max_examples=60, deadline=None)
@given(pasts(), unit)
def test_what_is_unlike_every_example_is_the_very_same(found: Evidence, seen: bytes) -> None:
    known, before = learned(found), scores(seen)
    near = known.bank.vectors @ np.frombuffer(seen, np.float32) if known.bank else np.zeros(1)
    if near.max() <= 0.25:
        assert adjusted(before, known) is before
    else:
        assert adjusted(before, Learned()) is before


@settings(max_examples=40, deadline=None)
@given(pasts(), unit, st.randoms())
def test_the_order_of_the_evidence_does_not_matter(found: Evidence, seen: bytes, chance: random.Random) -> None:
    asks, words = list(found.asked), list(found.said)
    chance.shuffle(asks)
    chance.shuffle(words)
    mixed = Evidence(tuple(asks), tuple(words))
    for caller in ("", "x"):
        one, other = learned(found, caller), learned(mixed, caller)
        assert one.lessons == other.lessons
        assert adjusted(scores(seen), one) == adjusted(scores(seen), other)


@settings(max_examples=40, deadline=None)
@given(pasts(), pasts(), unit)
def test_two_callers_never_influence_each_other(found: Evidence, more: Evidence, seen: bytes) -> None:
    others = tuple(replace(one, caller="y", request=f"y{one.request}") for one in more.asked)
    words = tuple(replace(one, request=f"y{one.request}") for one in more.said)
    both = Evidence(found.asked + others, found.said + words)
    for caller in ("", "x"):
        assert learned(both, caller).lessons == learned(found, caller).lessons
        assert adjusted(scores(seen), learned(both, caller)) == adjusted(scores(seen), learned(found, caller))


@settings(max_examples=40, deadline=None)
@given(pasts(), unit)
def test_undoing_a_lesson_is_as_if_it_had_never_been_taught(found: Evidence, seen: bytes) -> None:
    taught = evidence(
        [*found.asked, asked("new", ASK, at=3600)], [*found.said, should_be("new", "code review", at=3600)]
    )
    everything = Evidence(taught.asked, taught.said, (left_out("new"),))
    silent = Evidence(taught.asked, found.said)
    assert adjusted(scores(seen), learned(everything)) == adjusted(scores(seen), learned(silent))
    assert learned(Evidence(taught.asked, taught.said)).lessons == learned(taught).lessons, "and back again"


# -- undone --------------------------------------------------------------------------------------------------------


def test_a_lesson_is_undone_and_said_to_be() -> None:
    gone = replace(WRONG, left_out=(left_out(the(WRONG).id),))
    before = scores(ASK)
    assert adjusted(before, learned(gone)) is before
    assert (the(gone).id, the(gone).state) == (the(WRONG).id, "undone")


def test_a_reset_leaves_out_all_that_was_said_before_and_nothing_that_is_said_after() -> None:
    gone = replace(WRONG, left_out=(left_out(EVERYTHING),))
    assert learned(gone).lessons == () and routed(gone, ASK) == "coding"
    anew = evidence(
        [*WRONG.asked, asked("b", ASK, at=2 * DAY)],
        [*WRONG.said, should_be("b", "code review", at=2 * DAY)],
        gone.left_out,
    )
    assert routed(anew, ASK) == "code-review" and len(the(anew).pieces) == 1


def test_another_callers_undoing_is_none_of_ours() -> None:
    assert routed(replace(WRONG, left_out=(left_out(EVERYTHING, caller="y"),)), ASK) == "code-review"


def test_what_is_undone_speaks_neither_for_nor_against_an_answer() -> None:
    found = evidence([asked("a"), asked("b", at=5)], [said("a", "bad"), said("b", "bad", at=5)], [left_out("a")])
    assert [turn.asked.request for turn in by_caller(found)[""]] == ["b"]
    spoken = replace(found, said=(*found.said, said("a", "good", at=2 * DAY)))
    assert [[one.signal for one in turn.said] for turn in by_caller(spoken)[""]] == [["good"], ["bad"]]


def test_a_reset_leaves_out_the_asks_of_before_and_not_their_words_alone() -> None:
    bad = [asked(f"b{at}", served=CLAUDE, at=at) for at in range(3)]
    silent = [asked(f"s{at}", served=DEEPSEEK, at=10 + at) for at in range(40)]
    taught = evidence([*bad, *silent], [said(one.request, "bad") for one in bad])
    assert the(taught).target == DEEPSEEK
    gone = learned(replace(taught, left_out=(left_out(EVERYTHING),)))
    assert (gone.worths, gone.lessons) == ({}, ()), "forty silent answers would have led to the same"


def test_what_is_said_of_an_earlier_ask_after_a_model_lesson_was_undone_counts() -> None:
    asks = [asked(f"b{at}", served=CLAUDE, at=at) for at in range(6)]
    taught = evidence(asks, [said(one.request, "bad") for one in asks])
    undone = replace(taught, left_out=(left_out(the(taught).id),))
    assert the(undone).state == "undone" and learned(undone).worths == {}
    since = [said(one.request, "bad", at=2 * DAY) for one in asks]
    again = the(replace(undone, said=(*undone.said, *since)))
    assert (again.state, len(again.pieces)) == ("applied", 6)


# -- a threshold ---------------------------------------------------------------------------------------------------

LIMITED = replace(PLAN, routing=replace(PLAN.routing, threshold=0.6))


@pytest.mark.parametrize("right", ["coding", "code review"], ids=["the nearest", "another"])
def test_what_reached_no_threshold_goes_where_a_correction_says(right: str) -> None:
    ask = replace(asked("a", ASK, route=NONE), fits=(("coding", 0.5), ("code review", 0.2), ("small talk", 0.3)))
    known = learn(evidence([ask], [should_be("a", right)]), LIMITED, MODEL, now=NOW)[""]
    ids = {route.name: route.id for route in PLAN.routes}
    before = Scores({ids[name]: fit for name, fit in ask.fits}, 0.0, vector=ASK, model=MODEL)
    assert preference.choose(LIMITED, before).route.id == "default"
    after = preference.choose(LIMITED, adjusted(before, known))
    assert after.route.name == right and "before your corrections" in after.reason
    assert known.lessons[0].moves == 1
    unlike = replace(before, vector=OTHER)
    assert adjusted(unlike, known) is unlike


def test_what_a_correction_takes_below_the_threshold_goes_where_it_says() -> None:
    known = learn(WRONG, LIMITED, MODEL, now=NOW)[""]
    some = scores(beside(0, 0.65))
    after = adjusted(some, known)
    assert 0 < max(after.routes.values()) < 0.6, "between the two"
    assert preference.choose(LIMITED, after).route.id == max(after.routes, key=lambda id: after.routes[id])


# -- the check on the past -----------------------------------------------------------------------------------------


def test_a_lesson_that_would_lose_answers_you_liked_reaches_less_far() -> None:
    liked = [asked(f"liked {at}", beside(0, 0.9, 10 + at), at=at) for at in range(4)]
    words = [said(one.request, "good", at=100) for one in liked]
    found = evidence([*liked, asked("a", ASK, at=100)], [*words, should_be("a", "code review", at=100)])
    assert the(found).state == "applied"
    assert [routed(found, ask) for ask in (ASK, beside(0, 0.9, 10), beside(0, 0.9))] == [
        "code-review",
        "coding",
        "coding",
    ]


def test_a_lesson_that_would_lose_even_then_waits() -> None:
    both = [asked("liked", beside(0, 0.98, 10)), asked("wrong", beside(0, 0.98, 20), at=100)]
    found = evidence(both, [said("liked", "good"), should_be("wrong", "code review", at=100)])
    assert (the(found).state, the(found).why) == (
        "waiting",
        "it would have changed 1 answer that you were content with",
    )
    assert routed(found, beside(0, 0.98, 20)) == "coding"


def test_a_lesson_reaches_as_far_as_the_past_bears_it() -> None:
    """Three corrections of unlike asks: only a wide reach would have got each from the other two."""
    wide = [asked(f"w{at}", beside(0, 0.7, 10 + at), at=at) for at in range(3)]
    found = evidence(wide, [should_be(one.request, "code review", at=one.at - wide[0].at) for one in wide])
    bank = learned(found).bank
    assert bank and bank.ways[0].cut < 0.6
    assert learned(WRONG).bank.ways[0].cut == 0.6  # type: ignore[union-attr]


def test_silence_holds_a_place_between_the_first_correction_and_the_last_word() -> None:
    words = [should_be("a", "code review", at=100), said("last", "good", at=300)]
    both = [asked("a", ASK, at=100), asked("last", OTHER, at=300)]
    sizes = {}
    for name, at in (("before", 50), ("between", 200), ("after", 400)):
        bank = learned(evidence([*both, asked("silent", beside(0, 0.9), at=at)], words)).bank
        sizes[name] = len(bank.vectors) if bank else 0
    assert sizes == {"before": 2, "between": 3, "after": 2}


def test_what_is_corrected_in_the_end_was_not_liked_before() -> None:
    """Who asks, is answered wrongly, asks again and corrects that one has accepted nothing."""
    first = [asked("other", OTHER, at=10), *(asked(f"ask {n}", ASK, at=20.0 + n) for n in range(3))]
    words = [should_be("other", "small talk", at=10), should_be("ask 2", "code review", at=22)]
    assert routed(evidence(first, words), ASK) == "code-review"


def test_what_is_asked_again_and_again_in_silence_counts_once() -> None:
    words = [should_be("a", "code review", at=100), said("last", "good", at=300)]
    asks = [asked("a", ASK, at=100), asked("last", OTHER, at=300)]
    again = [asked(f"again {at}", beside(0, 0.9), at=200.0 + at) for at in range(9)]
    bank = learned(evidence([*asks, *again], words)).bank
    assert bank and len(bank.vectors) == 3


# -- told ----------------------------------------------------------------------------------------------------------


def test_a_lesson_says_what_it_is_made_of_and_what_it_does() -> None:
    asks = [asked("a", ASK), asked("b", beside(0, 0.9), at=60), asked("c", OTHER, at=120)]
    lesson = the(evidence(asks, [should_be("a", "code review")]))
    assert (lesson.source, lesson.target, lesson.state) == ("coding", "code review", "applied")
    assert [(one.request, one.said) for one in lesson.pieces] == [("a", "should be")]
    assert (lesson.moves, lesson.of) == (2, 3), "a and b; c is another"


def test_what_another_router_model_has_seen_is_left_out_and_counted() -> None:
    found = evidence([asked("a", ASK, model="older"), asked("b", OTHER)], [should_be("a", "code review")])
    assert (learned(found).lessons, learned(found).strange) == ((), 1)
    before = scores(ASK, model="newer")
    assert adjusted(before, learned(WRONG)) is before


def test_what_follows_in_the_same_turn_speaks_of_the_ask() -> None:
    words = [said("tool 1", "tool error", turn="a"), said("tool 2", "tool error", turn="b")]
    turns = by_caller(evidence([asked("a", ASK), asked("b", OTHER, at=100)], words))[""]
    assert [[one.request for one in turn.said] for turn in turns] == [["tool 1"], ["tool 2"]]


def test_a_vector_of_another_length_spoils_nothing() -> None:
    odd = replace(asked("odd", OTHER, at=60), vector=b"\1\2\3")
    found = evidence([*WRONG.asked, asked("b", OTHER, at=30), odd], [*WRONG.said, should_be("odd", "small talk")])
    assert [one.target for one in learned(found).lessons] == ["code review"] and routed(found, ASK) == "code-review"


# -- as it is kept -------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_byte_a_number_keeps_the_direction(seed: int) -> None:
    made = np.random.default_rng(seed).normal(size=768).astype(np.float32)
    made /= np.linalg.norm(made)
    assert float(unpacked(packed(made.tobytes())) @ made) > np.cos(np.radians(1.0))


def test_what_is_no_direction_is_not_kept() -> None:
    nothing = np.zeros(8, np.float32)
    assert packed(nothing.tobytes()) == b"" and packed((nothing + np.inf).tobytes()) == b"" and packed(b"") == b""


def test_fits_are_told_by_name() -> None:
    assert asked("a").base == "coding" and dict(fits("coding"))[NONE] == pytest.approx(0.1)
    assert (CLAUDE, DEEPSEEK) == ("anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat")
