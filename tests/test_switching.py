"""What leaving a model costs, and whether it is worth it."""

from dataclasses import replace

import pytest
from dialogue import CLAUDE, DEEPSEEK, plan_of

from router_service.conversation import Usage
from router_service.plan import Candidate
from router_service.policies import preference
from router_service.policies.policy import Scores, Setting
from router_service.pricing import Price
from router_service.session import NEW, WARM, Pin, Read, Session
from router_service.switching import Switch, dollars, switch, tokens

DEAR, CHEAP = Price(3, 0.3, 3.75, 15), Price(0.3, 0.03, 0.3, 1)
PLAN = plan_of("""
llm_providers:
  - {model: openai/gpt-4o-mini, default: true, price: {input: 0.3, cached: 0.03, output: 1}}
  - {model: anthropic/claude-sonnet-4-5, price: {input: 3, cached: 0.3, cache_write: 3.75, output: 15}}
  - {model: deepseek/deepseek-chat, price: {input: 0.3, cached: 0.03, output: 1}}
routing_preferences:
  - {name: coding, description: writing code, models: [claude-sonnet-4-5, deepseek-chat]}
  - {name: small talk, description: chatting, models: [deepseek-chat]}
""")
SONNET, CHAT = PLAN.names[CLAUDE], PLAN.names[DEEPSEEK]
NOW = 1_800_000_000.0


def served_by(candidate: Candidate, *, read: int = 80_000, ago: float = 60.0, **more: object) -> Session:
    """A session of five turns, thirty requests, 400 tokens written in each."""
    session = Session(
        pin=Pin("coding", candidate.id, 0.9),
        reads={candidate.id: Read(read, NOW - ago)},
        turns=5,
        requests=30,
        written=12_000,
        spent=1.0,
    )
    return replace(session, **more)  # type: ignore[arg-type]


def test_the_config_names_prices() -> None:
    assert (SONNET.price, CHAT.price) == (DEAR, CHEAP)


def test_a_switch_is_priced_as_reading_anew_less_staying() -> None:
    found = switch(served_by(CHAT), CHAT, SONNET, share=0.2, now=NOW)
    assert found and found.tokens == 80_000
    assert found.price == pytest.approx(80_000 * (3.75 - 0.03) / 1e6)
    rest = (5 * 80_000 * 0.3 + 6 * 400 * 15) / 1e6
    assert found.saving == pytest.approx((5 * 80_000 * 0.03 + 6 * 400 * 1) / 1e6 - rest)
    assert found.allowed == pytest.approx(0.2 * (1.0 + 80_000 * 3.75 / 1e6 + rest))


def test_the_way_back_to_who_still_knows_the_session_costs_what_was_said_since() -> None:
    """Who stepped in while the session's model was away is left for it, as long as it is warm."""
    away = served_by(CHAT, reads={CHAT.id: Read(80_000, NOW - 10), SONNET.id: Read(78_000, NOW - 100)})
    found = switch(away, CHAT, SONNET, share=0.2, now=NOW)
    assert found and found.done and found.tokens == 2_000
    assert found.price == pytest.approx((78_000 * 0.3 + 2_000 * 3.75 - 80_000 * 0.03) / 1e6)
    cold = replace(away, reads={**away.reads, SONNET.id: Read(78_000, NOW - WARM)})
    known = switch(cold, CHAT, SONNET, share=0.2, now=NOW)
    assert known and known.tokens == 80_000 and not known.done


def test_what_pays_for_itself_is_done_whatever_the_share() -> None:
    found = switch(served_by(SONNET), SONNET, CHAT, share=0.0, now=NOW)
    assert found and found.done and found.saving > found.price


@pytest.mark.parametrize(
    ("share", "spent", "switched", "done"),
    [
        (0.2, 1.2, 0.0, True),
        (0.2, 1.2, 0.2, False),
        (0.2, 0.1, 0.0, False),
        (0.0, 9.0, 0.0, False),
        (1.0, 0.1, 0.0, True),
    ],
    ids=["within the share", "the share is used up", "a cheap session", "no share", "any price"],
)
def test_for_an_answers_sake_a_share_of_the_session_may_be_spent(
    share: float, spent: float, switched: float, done: bool
) -> None:
    found = switch(served_by(CHAT, spent=spent, switched=switched), CHAT, SONNET, share=share, now=NOW)
    assert found and found.done is done


@pytest.mark.parametrize(("share", "done"), [(0.2, True), (0.0, False)], ids=["some share", "no share"])
def test_for_less_than_a_cent_nobody_is_kept_from_his_preference(share: float, done: bool) -> None:
    short = served_by(CHAT, read=2000, spent=0.0)
    found = switch(short, CHAT, SONNET, share=share, now=NOW)
    assert found and 0.005 < found.price < 0.01 and found.saving < 0 and found.done is done


def test_a_model_that_is_still_warm_is_credited() -> None:
    """Going back within five minutes reads only what came since."""
    reads = {CHAT.id: Read(80_000, NOW - 10), SONNET.id: Read(70_000, NOW - 200)}
    warm = switch(served_by(CHAT, reads=reads), CHAT, SONNET, share=0.2, now=NOW)
    late = switch(served_by(CHAT, reads=reads), CHAT, SONNET, share=0.2, now=NOW + WARM - 200)
    assert warm and late
    assert (warm.tokens, late.tokens) == (10_000, 80_000)
    assert warm.price == pytest.approx((70_000 * 0.3 + 10_000 * 3.75 - 80_000 * 0.03) / 1e6) and warm.price < late.price


def test_when_the_present_model_has_gone_cold_little_holds_it() -> None:
    cold = switch(served_by(SONNET, ago=WARM), SONNET, CHAT, share=0.0, now=NOW)
    assert cold and cold.price < 0 and cold.done


@pytest.mark.parametrize("known", ["nothing read", "price here", "price there"])
def test_what_cannot_be_priced_is_left_to_the_preferences(known: str) -> None:
    here = replace(CHAT, price=None) if known == "price here" else CHAT
    there = replace(SONNET, price=None) if known == "price there" else SONNET
    session = NEW if known == "nothing read" else served_by(CHAT)
    assert switch(session, here, there, share=0.2, now=NOW) is None


# -- the decision --------------------------------------------------------------------------------------------------

CODING, TALK = (
    Scores({"coding": 0.8, "small-talk": 0.1}, none=0.1),
    Scores({"coding": 0.1, "small-talk": 0.8}, none=0.1),
)


def test_who_costs_too_much_is_not_gone_to_and_the_reason_says_the_numbers() -> None:
    session = served_by(CHAT, spent=0.1, pin=Pin("small-talk", CHAT.id, 0.9))
    decision = preference.choose(PLAN, CODING, Setting(session, now=NOW))
    assert decision.first is CHAT and decision.switch and not decision.switch.done
    assert decision.reason == (
        f"coding (0.80 over small talk 0.10); stayed on {DEEPSEEK}: {CLAUDE} would re-read 80k tokens, $0.30,"
        f" and save nothing; $0.11 may go into switches by now -> stays with {DEEPSEEK} (small talk)"
    )


def test_who_is_gone_to_is_gone_to_with_the_numbers() -> None:
    decision = preference.choose(PLAN, TALK, Setting(served_by(SONNET), now=NOW))
    assert decision.first is CHAT and decision.switch and decision.switch.done
    assert decision.reason == (
        f"small talk (0.80 over none of them 0.10) -> {DEEPSEEK};"
        f" left {CLAUDE}: this turn will re-read 80k tokens, for no more than staying, to save $0.14"
    )


@pytest.mark.parametrize(("sticky", "first"), [("never", CLAUDE), ("user_turn", DEEPSEEK)], ids=["no thrift", "thrift"])
def test_the_user_may_ask_for_no_thrift(sticky: str, first: str) -> None:
    plan = replace(PLAN, routing=replace(PLAN.routing, sticky=sticky))  # type: ignore[arg-type]
    decision = preference.choose(plan, CODING, Setting(served_by(CHAT, spent=0.1), now=NOW))
    assert decision.first.label == first


def test_a_turn_that_stays_anyway_is_not_priced() -> None:
    assert preference.choose(PLAN, CODING, Setting(served_by(SONNET), now=NOW)).switch is None


# -- words --------------------------------------------------------------------------------------------------------


def test_the_words_are_the_numbers() -> None:
    priced = Switch(of="a", to="b", tokens=84_000, price=0.21, saving=0.03, allowed=0.1, done=False)
    assert priced.words == (
        "stayed on a: b would re-read 84k tokens, $0.21, to save $0.03; $0.10 may go into switches by now"
    )
    assert replace(priced, done=True).words == "left a: this turn will re-read 84k tokens, $0.21, to save $0.03"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "$0.00"), (0.213, "$0.21"), (1234.5, "$1,234.50"), (0.0034, "$0.003"), (0.00001, "$0.0001 at most")],
)
def test_dollars(amount: float, text: str) -> None:
    assert dollars(amount) == text


@pytest.mark.parametrize(("count", "text"), [(7, "7"), (1200, "1.2k"), (84_300, "84k")])
def test_tokens(count: int, text: str) -> None:
    assert tokens(count) == text


# -- what a session keeps ------------------------------------------------------------------------------------------


def test_a_session_keeps_what_each_model_has_read() -> None:
    session = NEW.answered("a", Usage(input=100, cached=900, output=50), NOW, opens_turn=True)
    session = session.answered("a", Usage(input=60, cached=1000, output=40), NOW + 5, opens_turn=False)
    assert session.reads == {"a": Read(1100, NOW + 5)}
    assert (session.turns, session.requests, session.written) == (1, 2, 90)


def test_what_has_gone_cold_is_forgotten() -> None:
    session = NEW.answered("a", Usage(input=100, output=1), NOW, opens_turn=True)
    session = session.answered("b", Usage(input=100, output=1), NOW + WARM, opens_turn=True)
    assert set(session.reads) == {"b"}


def test_a_vendor_that_does_not_say_what_it_read_leaves_what_is_known() -> None:
    session = NEW.answered("a", Usage(input=100, output=1), NOW, opens_turn=True)
    assert session.answered("a", Usage(output=1), NOW + 1, opens_turn=False).reads == {"a": Read(102, NOW + 1)}


def test_money_is_kept_apart_from_what_has_no_price() -> None:
    session = NEW.paid(0.2, 0.5).paid(None, 0.5).paid(0.1, 0.1)
    assert (session.spent, session.baseline, session.unpriced) == (pytest.approx(0.3), pytest.approx(0.6), 1)
