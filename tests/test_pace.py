"""How fast candidates are taken to be: what is measured, what is forgotten, and what is thought of the unknown."""

import pytest
from dialogue import ANTHROPIC_EVENTS, CLAUDE, DEEPSEEK, GPT, JSON, STREAM, attempt_of, exchange_of, gateway_of, plan_of

from router_service.events import Gone, ResponseBody
from router_service.pace import ANEW, FAILED, FIRST, LATELY, LOOKED, RATE, Paces, Speed

PLAN = plan_of("""
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: openai/gpt-4.1}
  - {model: anthropic/claude-sonnet-4-5}
""")
MINI, BIG, SONNET = PLAN.candidates


def speed(paces: Paces, now: float, of: int = 0) -> Speed:
    return paces.speeds(PLAN.candidates, now)[PLAN.candidates[of].id]


def answered(paces: Paces, seconds: float, rate: float = 50.0, *, times: int = 1, now: float = 0.0) -> None:
    for _ in range(times):
        paces.began(MINI.id, seconds, now)
        paces.streamed(MINI.id, 100, 100 / rate, now)


def test_of_whom_nothing_is_known_something_is_guessed() -> None:
    assert speed(Paces(), 0.0) == Speed(pytest.approx(FIRST), pytest.approx(RATE), None, 0.0, unseen=True)


def test_an_answer_takes_its_first_content_and_its_length() -> None:
    assert Speed(first=2.0, rate=50.0).seconds(100) == 4.0


def test_what_is_measured_outweighs_the_guess() -> None:
    paces = Paces()
    answered(paces, 3.0, 20.0, times=5)
    found = speed(paces, 0.0)
    assert found.first == pytest.approx(3.0, rel=0.2) and found.rate == pytest.approx(20.0, rel=0.2)
    assert (found.written, found.measured, found.unseen) == (100, 3.0, False)


def test_a_single_slow_answer_among_quick_ones_says_little() -> None:
    paces = Paces()
    answered(paces, 1.0, times=5)
    answered(paces, 60.0)
    assert speed(paces, 0.0).first < 3.0


def test_what_was_slow_for_minutes_is_taken_to_be_as_usual_again() -> None:
    paces = Paces()
    for minute in range(10):
        answered(paces, 0.5, times=5, now=60.0 * minute)
    answered(paces, 8.0, times=20, now=600.0)
    slow = [speed(paces, 600.0 + minutes * 60).first for minutes in range(0, 20, 2)]
    assert slow[0] > 4.0 and slow == sorted(slow, reverse=True)
    assert slow[-1] < 0.8


def test_a_crowd_that_met_an_outage_is_no_longer_remembered_than_a_few() -> None:
    few, crowd = Paces(), Paces()
    for paces, times in ((few, 5), (crowd, 500)):
        answered(paces, 0.5, times=5, now=0.0)
        answered(paces, 8.0, times=times, now=600.0)
    later = 600.0 + 5 * LATELY
    assert speed(crowd, later).first == pytest.approx(speed(few, later).first, rel=0.05)


def test_who_fails_is_slow() -> None:
    paces = Paces()
    answered(paces, 0.5, times=5)
    paces.failed(MINI.id, 0.1, 0.0)
    one = speed(paces, 0.0).first
    paces.failed(MINI.id, 0.1, 0.0)
    assert 0.7 < one < speed(paces, 0.0).first < FAILED


def test_who_hangs_is_slow_before_anybody_has_given_up() -> None:
    paces = Paces()
    answered(paces, 0.5, times=3)
    paces.asked("a/1", MINI.id, 0.0, streamed=True)
    assert speed(paces, 0.1).first == pytest.approx(0.5, rel=0.2)
    for number in range(2, 6):
        paces.asked(f"a/{number}", MINI.id, 0.0, streamed=True)
    assert speed(paces, 20.0).first > 3.0
    for number in range(1, 6):
        paces.over(f"a/{number}")
    assert speed(paces, 20.0).first == pytest.approx(0.5, rel=0.2)


def test_who_was_not_waited_for_takes_that_long_at_least() -> None:
    paces = Paces()
    paces.left(MINI.id, 30.0, 0.0)
    assert speed(paces, 0.0).measured == 0.0, "of whom nothing is known"
    answered(paces, 1.0)
    paces.left(MINI.id, 0.2, 0.0)
    assert speed(paces, 0.0).measured == 1.0, "who left early had not waited long"
    paces.left(MINI.id, 30.0, 0.0)
    assert speed(paces, 0.0).first > 2.0


def test_an_answer_that_comes_whole_is_slower_or_faster_in_both_its_parts() -> None:
    paces = Paces()
    expected = Speed()
    for _ in range(5):
        paces.whole(MINI, 300, 2 * expected.seconds(300), 0.0)
    found = speed(paces, 0.0)
    assert found.seconds(300) == pytest.approx(2 * expected.seconds(300), rel=0.15)
    assert found.first / expected.first == pytest.approx(expected.rate / found.rate, rel=0.01)
    assert found.written == 300


@pytest.mark.parametrize(
    ("tokens", "seconds", "measured"),
    [(5, 0.1, False), (100, 0.001, False), (None, 1.0, False), (20, 0.02, True)],
    ids=["few tokens", "no time", "who does not say", "enough"],
)
def test_of_what_no_speed_can_be_told(tokens: int | None, seconds: float, measured: bool) -> None:
    paces = Paces()
    paces.streamed(MINI.id, tokens, seconds, 0.0)
    assert (speed(paces, 0.0).rate != pytest.approx(RATE)) is measured


def test_who_is_unknown_is_taken_to_be_as_his_vendors_others() -> None:
    paces = Paces()
    answered(paces, 0.2, 200.0, times=5)
    assert speed(paces, 0.0, of=1).first == pytest.approx(0.2, rel=0.5)
    assert speed(paces, 0.0, of=1).rate == pytest.approx(200.0, rel=0.5)
    assert speed(paces, 0.0, of=2) == Speed(pytest.approx(FIRST), pytest.approx(RATE), None, 0.0, unseen=True)
    assert speed(paces, 0.0, of=1).unseen


def test_a_look_is_due_once_until_it_has_been_measured_and_again_after_hours() -> None:
    paces = Paces()
    assert speed(paces, 0.0).unseen
    paces.asked("a/1", MINI.id, 0.0, streamed=True)
    assert not speed(paces, 1.0).unseen
    assert speed(paces, LOOKED + 1).unseen, "who looked came back with nothing"
    answered(paces, 1.0, now=70.0)
    assert not speed(paces, 70.0 + LOOKED + 1).unseen
    assert speed(paces, 71.0 + ANEW).unseen


# -- what attempts tell ------------------------------------------------------------------------------------------------


def test_a_streamed_turn_is_measured() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=CLAUDE, stream=True)
    attempt = attempt_of(gateway, exchange, at=1.0)
    attempt.feed(STREAM, 1.5)
    for at, event in enumerate(ANTHROPIC_EVENTS):
        attempt.feed(ResponseBody(event), 3.0 + at)
    before = gateway.paces.speeds(gateway.plan.candidates, 9.0)[exchange.decision.first.id]
    attempt.feed(ResponseBody(b"", end=True), 9.0)
    found = gateway.paces.speeds(gateway.plan.candidates, 9.0)[exchange.decision.first.id]
    # First content is the third event, at 5.0: four seconds after it was asked.
    assert before.first == found.first == pytest.approx((4.0**2 * 1.0**0.125) ** (1 / 2.125), rel=0.1)
    assert (before.written, found.written) == (None, 5)


def test_a_turn_that_comes_whole_is_measured() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=GPT, path="/v1/chat/completions")
    attempt = attempt_of(gateway, exchange, at=1.0)
    body = b'{"id":"c","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],'
    attempt.feed(JSON, 21.0)
    attempt.feed(ResponseBody(body + b'"usage":{"prompt_tokens":7,"completion_tokens":40}}', end=True), 21.0)
    found = gateway.paces.speeds(gateway.plan.candidates, 21.0)[exchange.decision.first.id]
    assert found.written == 40 and found.seconds(40) > 10.0


def test_who_fails_and_who_hangs_is_told_by_attempts() -> None:
    gateway = gateway_of()
    failing = exchange_of(gateway, model=GPT, stream=True)
    attempt_of(gateway, failing).give_up("broke", 1.0)
    hanging = exchange_of(gateway, model=DEEPSEEK, stream=True)
    attempt = attempt_of(gateway, hanging)
    speeds = gateway.paces.speeds(gateway.plan.candidates, 50.0)
    assert speeds[failing.decision.first.id].first > 3.0
    assert speeds[hanging.decision.first.id].first > 3.0
    attempt.feed(Gone(), 50.0)
    assert gateway.paces.speeds(gateway.plan.candidates, 50.0)[hanging.decision.first.id].first == pytest.approx(FIRST)


def test_of_whom_a_client_tires_it_is_told_how_long_it_waited() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=GPT, stream=True)
    id = exchange.decision.first.id
    gateway.paces.began(id, 1.0, 0.0)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(Gone(), 50.0)
    assert gateway.paces.speeds(gateway.plan.candidates, 50.0)[id].first > 2.0


def test_who_breaks_off_in_an_answer_is_slow() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=CLAUDE, stream=True)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 0.5)
    for event in ANTHROPIC_EVENTS[:3]:
        attempt.feed(ResponseBody(event), 0.5)
    before = gateway.paces.speeds(gateway.plan.candidates, 1.0)[exchange.decision.first.id]
    attempt.feed(ResponseBody(b"", end=True), 1.0)
    after = gateway.paces.speeds(gateway.plan.candidates, 1.0)[exchange.decision.first.id]
    assert after.first > 2 * before.first and after.written is None


def test_side_requests_say_nothing_of_a_turn() -> None:
    gateway = gateway_of()
    title = {"x-claude-code-request-class": "auxiliary"}
    exchange = exchange_of(gateway, model=CLAUDE, stream=True, given=title)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 9.0)
    for event in ANTHROPIC_EVENTS:
        attempt.feed(ResponseBody(event), 9.0)
    attempt.feed(ResponseBody(b"", end=True), 9.0)
    found = gateway.paces.speeds(gateway.plan.candidates, 9.0)[exchange.decision.first.id]
    assert (found.measured, found.written) == (0.0, None)
