"""What is counted of outcomes: by what the config names and by words of ours; dollars and seconds that add up."""

from dataclasses import replace

import pytest
from test_ledger import CLAUDE, GPT, outcome

from router_service.conversation import Usage
from router_service.figures import Figures, Histogram
from router_service.outcome import AttemptOutcome, Outcome, Trace


def counted(*outcomes: Outcome) -> Figures:
    figures = Figures()
    for one in outcomes:
        figures.count(one)
    return figures


def test_requests_are_counted_by_class_route_and_kind() -> None:
    asked = outcome(route_id="coding")
    figures = counted(asked, asked, replace(asked, status=503, kind="title"))
    assert figures.requests == {("2xx", "coding", "user turn"): 2, ("5xx", "coding", "title"): 1}


def test_nothing_is_counted_by_what_a_client_says() -> None:
    secret = "zqsecretzq"
    asked = outcome(client=secret, session=secret, model_asked=secret, prompt=secret, caller=secret, ask=secret)
    figures = counted(replace(asked, dialect=secret, parent=secret, model_told=secret, route=secret, reason=secret))
    assert secret not in str([figures.requests, figures.tallies, figures.answers])


def test_who_was_not_asked_has_no_answers() -> None:
    assert set(counted(outcome()).answers) == {CLAUDE}
    assert counted(outcome(model_served="")).answers == {}


def test_tokens_are_counted_by_kind_and_what_a_vendor_does_not_say_is_none() -> None:
    figures = counted(outcome(), outcome(usage=Usage(input=1, reasoning=3)))
    assert figures.answers[CLAUDE].tokens == {"input": 11, "cached": 5, "output": 7, "reasoning": 5}


@pytest.mark.parametrize(
    ("cost", "baseline", "counts"),
    [
        (0.25, 0.5, (0.25, 0.5, 0)),
        (0.25, None, (0.25, 0.25, 0)),
        (None, 0.5, (0.0, 0.0, 1)),
        (None, None, (0.0, 0.0, 1)),
    ],
    ids=["both known", "nothing to compare with: nothing saved", "no price", "neither"],
)
def test_dollars(cost: float | None, baseline: float | None, counts: tuple[float, float, int]) -> None:
    one = counted(outcome(cost=cost, baseline=baseline)).answers[CLAUDE]
    assert (one.cost, one.baseline, one.unpriced) == counts


def test_who_answers_after_another_was_tried_has_stepped_in() -> None:
    alone = outcome(attempts=(AttemptOutcome(GPT, 200, "", 0.1),), model_served=GPT)
    figures = counted(outcome(), alone)
    assert (figures.answers[CLAUDE].stepped_in, figures.answers[GPT].stepped_in) == (1, 0)


def test_the_first_content_of_a_stream_is_timed_from_its_own_try_on() -> None:
    """What others took before is in the whole."""
    one = counted(outcome(streamed=True, duration=9.0), outcome(streamed=False)).answers[CLAUDE]
    assert (sum(one.first_content.counts), one.first_content.sum) == (1, 1.5)
    assert (sum(one.whole.counts), one.whole.sum) == (2, 11.0)


def test_the_router_model_is_timed_where_it_was_asked() -> None:
    late = Trace(seconds=0.1, trouble="the router model was late")
    figures = counted(outcome(), outcome(trace=late), outcome(trace=Trace()))
    assert (sum(figures.routing.counts), figures.unrouted) == (2, 1)
    assert figures.routing.sum == pytest.approx(0.11)


@pytest.mark.parametrize(("value", "bucket"), [(0.0, 0), (1.0, 0), (1.1, 1), (2.0, 1), (2.1, 2)])
def test_a_bound_belongs_to_its_bucket(value: float, bucket: int) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert [at for at, count in enumerate(histogram.counts) if count] == [bucket]


@pytest.mark.parametrize(
    ("status", "trouble", "counts"),
    [
        (200, "", (1, 1, 0)),
        (529, "answered 529", (1, 0, 1)),
        (400, "answered 400", (1, 0, 0)),
        (499, "was cut off after 1.0 s", (1, 0, 0)),
    ],
)
def test_what_a_vendor_refuses_it_has_neither_answered_nor_failed(
    status: int, trouble: str, counts: tuple[int, int, int]
) -> None:
    tally = counted(outcome(attempts=(AttemptOutcome(GPT, status, trouble, 0.1),), model_served="")).tallies[GPT]
    assert (tally.tries, tally.answered, tally.failed) == counts
