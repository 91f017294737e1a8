"""Who of a preference's pool answers first, by each policy, and the sentence that says why."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from dialogue import CLAUDE, DEEPSEEK, GPT, WALL, exchange_of, gateway_of, plan_of
from hypothesis import given
from hypothesis import strategies as st

from router_service import pricing
from router_service.beliefs import Opinion
from router_service.budgets import Asker, account
from router_service.conversation import Usage
from router_service.gateway import Gateway
from router_service.pace import Paces, Speed
from router_service.plan import Candidate, Plan, Route
from router_service.policies import POLICIES, balanced, difficulty, fastest, preference
from router_service.policies.fastest import MARGIN
from router_service.policies.policy import Scores, Setting
from router_service.pricing import Price
from router_service.session import NEW, WARM, Pin, Read, Session

GEMINI, OWN = "gemini/gemini-2.5-pro", "vllm/own"
NOW = 1_800_000_000.0
TEXT = """
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, default: true, price: {input: 3, cached: 0.3, cache_write: 3.75, output: 15}}
  - {model: openai/gpt-4o-mini, price: {input: 0.5, cached: 0.25, output: 2}}
  - {model: deepseek/deepseek-chat, price: {input: 0.3, cached: 0.03, output: 1}}
  - {model: vllm/own, base_url: 'http://gpu.local/v1', provider_interface: openai}
  - {model: vllm/other, base_url: 'http://gpu.local/v1', provider_interface: openai}
  - {model: gemini/gemini-2.5-pro}
routing_preferences:
  - {name: coding, description: writing code, models: [%s], selection_policy: %s}
  - {name: small talk, description: chatting, models: [deepseek-chat]}
"""
THREE = "claude-sonnet-4-5, gpt-4o-mini, deepseek-chat"
QUICK = {"quick": 0.9, "standard": 0.08, "deep": 0.02}
DEEP = {"quick": 0.0, "standard": 0.3, "deep": 0.7}


def of(policy: str, models: str = THREE) -> Plan:
    return plan_of(TEXT % (models, policy))


def reason(plan: Plan, setting: Setting) -> str:
    """The sentence, from where the preference has been named."""
    decision = preference.choose(plan, Scores({"coding": 0.83, "small-talk": 0.1}, none=0.07), setting)
    said = decision.reason.removeprefix("coding (0.83 over small talk 0.10)")
    assert said != decision.reason
    return said.removeprefix("; ")


def speeds(plan: Plan, **seconds: float) -> Mapping[str, Speed]:
    """By the beginnings of models' names: seconds to first content, at a rate that makes the rest of no account."""
    found = {one.id: next((s for name, s in seconds.items() if name in one.label), 1.0) for one in plan.candidates}
    return {id: Speed(first, rate=1e9) for id, first in found.items()}


def beliefs(plan: Plan, **known: float) -> Mapping[str, Opinion]:
    """Of models that were judged so often that nothing but that counts."""
    return {one.id: Opinion.sure(mean) for one in plan.candidates for name, mean in known.items() if name in one.label}


def on(plan: Plan, label: str, *, read: int = 0, ago: float = 60.0) -> Session:
    """A session that this model serves, with so much of it read."""
    candidate = plan.names[label]
    reads = {candidate.id: Read(read, NOW - ago)} if read else {}
    return Session(pin=Pin("coding", candidate.id), reads=reads, turns=2, requests=10, written=4000, spent=1.0)


# -- the sentences -----------------------------------------------------------------------------------------------------


def test_cheapest_says_what_it_costs_here_and_elsewhere() -> None:
    said = reason(of("cheapest"), Setting(tokens=10_000, now=NOW))
    assert said == f"cheapest: $0.0034 here, $0.0058 at {GPT}, $0.043 at {CLAUDE} -> {DEEPSEEK}"


def test_cheapest_says_whose_price_nobody_knows() -> None:
    plan = of("cheapest", "vllm/own, claude-sonnet-4-5")
    assert reason(plan, Setting(tokens=10_000, now=NOW)) == f"cheapest: $0.043 here (price unknown: {OWN}) -> {CLAUDE}"
    plan = of("cheapest", "vllm/own, vllm/other")
    assert reason(plan, Setting(tokens=10_000, now=NOW)) == f"cheapest: nobody's price is known -> {OWN}"


def test_fastest_says_the_seconds() -> None:
    plan = of("fastest")
    quick = Setting(speeds=speeds(plan, claude=8.4, gpt=2.1, deepseek=3.0))
    assert reason(plan, quick) == f"fastest: 2.1 s here, 3.0 s at {DEEPSEEK}, 8.4 s at {CLAUDE} -> {GPT}"
    near = Setting(session=on(plan, DEEPSEEK), speeds=speeds(plan, claude=8.4, gpt=2.5, deepseek=3.0))
    said = f"fastest: 3.0 s here, 2.5 s at {GPT}, 8.4 s at {CLAUDE}, not a quarter less -> {DEEPSEEK}"
    assert reason(plan, near) == said
    unseen = {**quick.speeds, plan.names[CLAUDE].id: Speed(unseen=True)}
    assert reason(plan, replace(quick, speeds=unseen)) == f"fastest: {CLAUDE} has not been measured lately -> {CLAUDE}"


def test_best_says_the_judgements() -> None:
    plan = of("best")
    assert reason(plan, Setting()) == f"best: nothing is learned yet, so as written -> {CLAUDE}"
    opinions = {**beliefs(plan, claude=0.55, deepseek=0.83), plan.names[GPT].id: Opinion(0.69, 0.69, 0.69, 0.0)}
    known = Setting(beliefs=opinions)
    assert reason(plan, known) == f"best: 0.83 here, 0.69 (unjudged) at {GPT}, 0.55 at {CLAUDE} -> {DEEPSEEK}"
    near = Setting(beliefs=beliefs(plan, claude=0.80, gpt=0.5, deepseek=0.83))
    assert reason(plan, near) == f"best: 0.80 here, 0.83 at {DEEPSEEK}, 0.50 at {GPT}, too near to tell -> {CLAUDE}"


def test_balanced_says_the_points_and_what_they_are_made_of() -> None:
    plan = of("{prefer: balanced, quality: 2, cost: 1, speed: 0}", "claude-sonnet-4-5, deepseek-chat")
    said = reason(plan, Setting(tokens=10_000, now=NOW, beliefs=beliefs(plan, claude=0.4, deepseek=0.8)))
    assert said == (
        f"balanced: 1.00 (quality 1.00, $0.0034) here, 0.36 (quality 0.50, $0.043) at {CLAUDE} -> {DEEPSEEK}"
    )


def test_an_end_of_the_pool_comes_before_the_policy() -> None:
    plan = of("{prefer: fastest, difficulty: auto}")
    setting = Setting(tokens=10_000, now=NOW, difficulty=QUICK, speeds=speeds(plan, claude=1.0, gpt=1.5, deepseek=9.0))
    assert reason(plan, setting) == f"looks quick (0.90), the cheap end -> {DEEPSEEK}"
    assert reason(plan, replace(setting, difficulty=DEEP)) == f"looks deep (0.70), the strong end -> {CLAUDE}"
    unsure = replace(setting, difficulty={"quick": 0.6, "standard": 0.4, "deep": 0.0})
    assert reason(plan, unsure) == f"fastest: 1.0 s here, 1.5 s at {GPT}, 9.0 s at {DEEPSEEK} -> {CLAUDE}"


def test_who_cools_is_told_once() -> None:
    plan = of("cheapest")
    setting = Setting(tokens=10_000, now=NOW, able=lambda one: one.label != DEEPSEEK)
    said = f"{DEEPSEEK} is to be left alone; cheapest: $0.0058 here, $0.043 at {CLAUDE} -> {GPT}"
    assert reason(plan, setting) == said
    dear = replace(setting, able=lambda one: one.label != CLAUDE)
    assert "left alone" not in reason(plan, dear), "who would not have been picked"


def test_where_there_is_no_choice_nothing_is_said() -> None:
    for policy in POLICIES:
        plan = of(f"{{prefer: {policy}, difficulty: auto}}", "deepseek-chat")
        assert reason(plan, Setting(tokens=10, difficulty=QUICK)).strip() == f"-> {DEEPSEEK}"


def test_a_switch_that_costs_too_much_is_the_one_reason() -> None:
    plan = of("best")
    setting = Setting(
        session=replace(on(plan, DEEPSEEK, read=80_000), spent=0.01),
        tokens=80_000,
        now=NOW,
        beliefs=beliefs(plan, claude=0.9, gpt=0.2, deepseek=0.3),
    )
    decision = preference.choose(plan, Scores({"coding": 0.83, "small-talk": 0.1}, none=0.07), setting)
    assert decision.first.label == DEEPSEEK and "best:" not in decision.reason
    assert f"stayed on {DEEPSEEK}: {CLAUDE} would re-read 80k tokens" in decision.reason


# -- in a request ------------------------------------------------------------------------------------------------------


def decided(gateway: Gateway) -> str:
    exchange = exchange_of(gateway, scores={"coding": 0.83, "small-talk": 0.1}, at=10.0)
    return exchange.decision.reason.removeprefix("coding (0.83 over small talk 0.10); ")


def test_what_was_measured_decides_what_is_asked_next() -> None:
    gateway = gateway_of(TEXT % (THREE, "fastest"))
    for id, seconds in ((CLAUDE, 9.0), (GPT, 0.5), (DEEPSEEK, 3.0)):
        for _ in range(3):
            gateway.paces.began(gateway.plan.names[id].id, seconds, 10.0)
    assert decided(gateway).startswith("fastest: ") and decided(gateway).endswith(f" -> {GPT}")


def test_who_cools_beside_a_policy_and_a_budget_makes_one_sentence() -> None:
    budget = "budgets: [{at_most: $5, per: day, from: 10%, then: downgrade}]\n"
    gateway = gateway_of(TEXT % ("claude-sonnet-4-5, gpt-4o-mini", "cheapest") + budget)
    cheapest = f"cheapest: $0.00080 here, $0.0060 at {CLAUDE} -> {GPT}"
    assert decided(gateway) == cheapest
    spent = gateway.plan.budgets
    account(gateway.spending, spent, Asker("", "x/", "coding"), cost=3.0, usage=Usage(), at=WALL)
    assert decided(gateway) == f"{cheapest}; budget '$5 a day': $3 of $5 today -> {DEEPSEEK}"
    gateway.cooling.cool(gateway.plan.names[DEEPSEEK].id, 100.0, "answered 429")
    assert decided(gateway) == f"{cheapest}; budget '$5 a day': $3 of $5 today, and nobody is cheaper"
    gateway.cooling.cool(gateway.plan.names[GPT].id, 100.0, "answered 429")
    alone = f"{GPT} is to be left alone -> {CLAUDE}"
    assert decided(gateway) == f"{alone}; budget '$5 a day': $3 of $5 today -> {GEMINI}"


def test_who_steps_in_follows_in_the_written_order() -> None:
    gateway = gateway_of(TEXT % (THREE, "cheapest"))
    exchange = exchange_of(gateway, scores={"coding": 0.83, "small-talk": 0.1})
    assert [one.label for one in exchange.decision.chain.candidates][:3] == [DEEPSEEK, CLAUDE, GPT]


# -- cheapest ----------------------------------------------------------------------------------------------------------


def chosen(plan: Plan, setting: Setting) -> str:
    route = plan.routes[0]
    return POLICIES[route.prefer](route, setting).candidate.label


@pytest.mark.parametrize(
    ("session", "tokens", "label"),
    [
        (NEW, 10_000, GPT),
        ("warm", 80_000, CLAUDE),
        ("cold", 80_000, GPT),
        ("warm", 100, CLAUDE),
    ],
    ids=["new", "warm", "cold", "less than was read"],
)
def test_a_warm_prompt_cache_may_be_what_is_cheapest(session: Session | str, tokens: int, label: str) -> None:
    text = TEXT.replace("input: 0.5, cached: 0.25, output: 2", "input: 0.5, cached: 0.5, output: 2")
    text = text.replace("input: 3, cached: 0.3, cache_write: 3.75, output: 15", "input: 1, cached: 0.1, output: 2")
    plan = plan_of(text % ("claude-sonnet-4-5, gpt-4o-mini", "cheapest"))
    if isinstance(session, str):
        session = on(plan, CLAUDE, read=80_000, ago=10.0 if session == "warm" else WARM)
    assert chosen(plan, Setting(session, tokens=tokens, now=NOW)) == label


def test_at_night_another_may_be_cheapest() -> None:
    plan = of("cheapest", "deepseek-chat, gpt-4o-mini")
    route = plan.routes[0]
    dear = Price.of(input=9, output=9)
    nightly = replace(route.candidates[0], price=replace(Price.of(input=0.1, output=0.1), hours=((60, 120, dear),)))
    route = replace(route, candidates=(nightly, route.candidates[1]))
    midnight = NOW - NOW % 86_400
    by_hour = [
        POLICIES["cheapest"](route, Setting(tokens=1000, now=midnight + 60 * at)).candidate.label
        for at in (59, 60, 119, 120)
    ]
    assert by_hour == [DEEPSEEK, GPT, GPT, DEEPSEEK]


@pytest.mark.parametrize("above", [Price.of(input=5, output=0.1), Price.of(input=0.1, output=50)], ids=str)
def test_a_long_request_may_be_cheapest_elsewhere(above: Price) -> None:
    plan = of("cheapest", "deepseek-chat, gpt-4o-mini")
    route = plan.routes[0]
    tiered = replace(Price.of(input=0.1, output=0.1), above=((1000, above),))
    route = replace(route, candidates=(replace(route.candidates[0], price=tiered), route.candidates[1]))
    for tokens, label in ((1000, DEEPSEEK), (1001, GPT)):
        assert POLICIES["cheapest"](route, Setting(tokens=tokens, now=NOW)).candidate.label == label


def test_of_equals_who_serves_the_session_answers_else_who_is_written_first() -> None:
    text = TEXT.replace("input: 0.3, cached: 0.03, output: 1", "input: 0.5, cached: 0.25, output: 2")
    plan = plan_of(text % ("gpt-4o-mini, deepseek-chat", "cheapest"))
    assert chosen(plan, Setting(tokens=1000, now=NOW)) == GPT
    assert chosen(plan, Setting(on(plan, DEEPSEEK), tokens=1000, now=NOW)) == DEEPSEEK


@pytest.mark.parametrize(
    ("session", "of_late", "written"),
    [
        (Session(requests=4, written=2000), {"gpt": 100.0}, 500.0),
        (NEW, {"gpt": 100.0}, 100.0),
        (NEW, {"claude": 300.0, "deepseek": 900.0}, 600.0),
        (NEW, {}, 400.0),
    ],
    ids=["as the session's", "as his own", "as others'", "nothing known"],
)
def test_how_long_an_answer_will_be(session: Session, of_late: Mapping[str, float], written: float) -> None:
    plan = of("cheapest")
    known = {one.id: Speed(written=n) for one in plan.candidates for name, n in of_late.items() if name in one.label}
    setting = Setting(session, speeds=known)
    if session.requests:
        setting = replace(setting, written=session.written / session.requests)
    assert setting.answer(plan.names[GPT]) == written


PRICES = st.builds(
    Price,
    st.floats(0.01, 100),
    st.floats(0.001, 10),
    st.floats(0.01, 100),
    st.floats(0.01, 100),
)
POOLS = st.lists(st.one_of(st.none(), PRICES), min_size=2, max_size=5)


def pool(prices: list[Price | None], prefer: str = "cheapest", weights: object = None) -> Route:
    plan = of(prefer)
    model = plan.candidates[0]
    candidates = tuple(replace(model, id=f"m{at}", label=f"v/m{at}", price=one) for at, one in enumerate(prices))
    route = replace(plan.routes[0], candidates=candidates)
    return replace(route, weights=weights) if weights else route  # type: ignore[arg-type]


@given(POOLS, st.integers(0, 200_000), st.integers(0, 200_000), st.integers(0, 4), st.integers(1, 5000))
def test_the_cheapest_is_cheapest_by_the_vendors_bill(
    prices: list[Price | None], tokens: int, read: int, reader: int, written: int
) -> None:
    """As `pricing` reckons what was used, had it been used."""
    route = pool(prices)
    session = Session(reads={f"m{reader}": Read(read, NOW - 1)}, requests=1, written=written)
    setting = Setting(session, tokens=tokens, written=written, now=NOW)
    first = POLICIES["cheapest"](route, setting).candidate

    def bill(one: Candidate) -> float:
        known = min(read, tokens) if one.id == f"m{reader}" else 0
        usage = Usage(input=0, cached=known, cache_write=tokens - known, output=written)
        cost = pricing.cost(one.price, usage, at=NOW)
        return float("inf") if cost is None else cost

    assert bill(first) <= min(map(bill, route.candidates)) * (1 + 1e-9)
    assert first.price is not None or all(price is None for price in prices)


def test_a_session_that_goes_on_without_pauses_never_leaves_the_cheapest() -> None:
    """Twenty turns in a row, its context and answers of any length: once chosen, it stays chosen."""
    plan = of("cheapest", "claude-sonnet-4-5, gpt-4o-mini, deepseek-chat, gemini-2.5-pro")
    session, now, served = NEW, NOW, []
    for turn in range(20):
        tokens = 5000 + 4000 * turn
        written = session.written / session.requests if session.requests else 400.0
        scores = Scores({"coding": 0.9}, none=0.1)
        decision = preference.choose(plan, scores, Setting(session, tokens=tokens, written=written, now=now))
        served.append(decision.first.label)
        session = session.turned(Pin(decision.route.id, decision.first.id))
        usage = Usage(input=tokens, output=(turn * 977) % 3000)
        session = session.answered(decision.first.id, usage, now, opens_turn=True).paid(0.01, 0.01)
        now += 60
    assert set(served) == {served[0]}


# -- fastest -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.1, 100), min_size=3, max_size=3), st.sampled_from([CLAUDE, GPT, DEEPSEEK]))
def test_who_serves_the_session_stays_unless_somebody_is_clearly_faster(seconds: list[float], here: str) -> None:
    plan = of("fastest")
    by_label = dict(zip((CLAUDE, GPT, DEEPSEEK), seconds, strict=True))
    known = {plan.names[label].id: Speed(first, rate=1e12) for label, first in by_label.items()}
    label = chosen(plan, Setting(on(plan, here), speeds=known))
    if min(seconds) > MARGIN * by_label[here]:
        assert label == here
    else:
        assert by_label[label] == min(seconds)


@pytest.mark.parametrize(("margin", "least", "most"), [(MARGIN, 0.0, 0.01), (1.0, 0.03, 1.0)], ids=["ours", "none"])
def test_a_session_does_not_flap_between_two_that_are_alike(
    monkeypatch: pytest.MonkeyPatch, margin: float, least: float, most: float
) -> None:
    """Single answers vary as 1:1.6 (one standard deviation); 200 sessions of twenty turns, a minute apart."""
    monkeypatch.setattr(fastest, "MARGIN", margin)
    plan, paces, rng, now, moves = of("fastest", "claude-sonnet-4-5, gpt-4o-mini"), Paces(), random.Random(7), 0.0, 0
    for _ in range(200):
        pin = ""
        for turn in range(20):
            session = Session(Pin("coding", pin) if pin else None, requests=turn, written=60 * turn)
            known = paces.speeds(plan.candidates, now)
            label = chosen(plan, Setting(session, written=60.0, speeds=known))
            moves += pin not in ("", plan.names[label].id)
            pin = plan.names[label].id
            began, took = (rng.lognormvariate(0, 0.5) for _ in range(2))
            paces.asked("a/1", pin, now, streamed=True)
            paces.over("a/1")
            paces.began(pin, began, now + began)
            now += 60 + began + took
            paces.streamed(pin, 60, took, now)
    assert least <= moves / 4000 <= most


def test_the_length_of_the_answer_decides_between_soon_begun_and_soon_ended() -> None:
    plan = of("fastest", "claude-sonnet-4-5, gpt-4o-mini")
    known = {plan.names[CLAUDE].id: Speed(0.5, 50), plan.names[GPT].id: Speed(3.0, 200)}
    for written, label in ((20, CLAUDE), (2000, GPT)):
        session = Session(requests=1, written=written)
        assert chosen(plan, Setting(session, written=written, speeds=known)) == label


def test_nobody_who_is_served_is_sent_to_look_at_another() -> None:
    plan = of("fastest")
    known = {**speeds(plan), plan.names[DEEPSEEK].id: Speed(unseen=True)}
    assert chosen(plan, Setting(speeds=known)) == DEEPSEEK
    assert chosen(plan, Setting(on(plan, CLAUDE), speeds=known)) == CLAUDE


# -- best --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "here", "label"),
    [
        ({}, "", CLAUDE),
        ({"claude": 0.2, "deepseek": 0.9}, "", CLAUDE),
        ({"claude": 0.6, "gpt": 0.6, "deepseek": 0.64}, "", CLAUDE),
        ({"claude": 0.6, "gpt": 0.6, "deepseek": 0.7}, "", DEEPSEEK),
        ({"claude": 0.6, "gpt": 0.6, "deepseek": 0.64}, DEEPSEEK, DEEPSEEK),
        ({"claude": 0.6, "gpt": 0.6, "deepseek": 0.5}, DEEPSEEK, CLAUDE),
    ],
    ids=[
        "nothing known",
        "not of all of them",
        "near",
        "clearly better",
        "near, in a session",
        "clearly worse, in a session",
    ],
)
def test_the_written_order_holds_until_the_evidence_speaks(known: Mapping[str, float], here: str, label: str) -> None:
    plan = of("best")
    session = on(plan, here) if here else NEW
    assert chosen(plan, Setting(session, beliefs=beliefs(plan, **known))) == label


@pytest.mark.parametrize(
    ("claude", "deepseek", "label"),
    [
        (Opinion(0.5, 0.5, 0.7, 0.3), Opinion(0.7, 0.7, 0.7, 0.3), CLAUDE),
        (Opinion(0.6, 0.6, 0.6, 0.3), Opinion(0.8, 0.6, 0.8, 0.3), CLAUDE),
        (Opinion(0.5, 0.5, 0.6, 0.3), Opinion(0.8, 0.7, 0.8, 0.3), DEEPSEEK),
    ],
    ids=["one answer speaks against it", "one answer speaks for the other", "more than one"],
)
def test_one_answer_alone_moves_nobody(claude: Opinion, deepseek: Opinion, label: str) -> None:
    plan = of("best", "claude-sonnet-4-5, deepseek-chat")
    known = {plan.names[CLAUDE].id: claude, plan.names[DEEPSEEK].id: deepseek}
    assert chosen(plan, Setting(beliefs=known)) == label
    assert ("too little was said to tell" in reason(plan, Setting(beliefs=known))) is (label == CLAUDE)


@pytest.mark.parametrize(
    ("dearness", "unpriced", "label"),
    [(0.0, False, CLAUDE), (0.1, False, CLAUDE), (0.5, False, DEEPSEEK), (0.5, True, CLAUDE)],
    ids=["nothing", "a little", "much", "whose price nobody knows is as dear as the dearest"],
)
def test_money_takes_its_share_of_what_is_believed(dearness: float, unpriced: bool, label: str) -> None:
    plan = of("best", "claude-sonnet-4-5, deepseek-chat")
    known = beliefs(plan, claude=0.8, deepseek=0.7)
    route = plan.routes[0]
    if unpriced:
        route = replace(route, candidates=(route.candidates[0], replace(route.candidates[1], price=None)))
    setting = Setting(tokens=10_000, now=NOW, beliefs=known, dearness=dearness)
    assert POLICIES["best"](route, setting).candidate.label == label


def test_what_nobody_knows_the_price_of_takes_nothing_off() -> None:
    plan = of("best", "vllm/own, vllm/other")
    known = {one.id: Opinion.sure(0.8) for one in plan.routes[0].candidates}
    assert "best: 0.80 here, 0.80 at vllm/other" in reason(plan, Setting(tokens=10, beliefs=known, dearness=0.9))


def test_money_is_for_best_alone() -> None:
    """`balanced` has a weight for cost, and who is strong is so at any price."""
    for policy in ("balanced", "{prefer: balanced, difficulty: auto}"):
        plan = of(policy)
        setting = Setting(tokens=9, now=NOW, difficulty=DEEP, beliefs=beliefs(plan, claude=0.8, gpt=0.7, deepseek=0.6))
        assert reason(plan, setting) == reason(plan, replace(setting, dearness=1.0))


# -- balanced ----------------------------------------------------------------------------------------------------------

WEIGHTS = st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])] * 3).filter(any)


def weighed(quality: float, cost: float, speed: float) -> Plan:
    return of(f"{{prefer: balanced, quality: {quality}, cost: {cost}, speed: {speed}}}")


@given(
    WEIGHTS,
    st.lists(st.floats(0.05, 0.9), min_size=3, max_size=3),
    st.lists(st.floats(0.1, 60), min_size=3, max_size=3),
    st.sampled_from([0.125, 4.0, 1024.0]),
)
def test_no_unit_matters(
    weights: tuple[float, float, float], known: list[float], seconds: list[float], k: float
) -> None:
    """Cents for dollars, minutes for seconds, weights of another size: the points are the same."""
    route = weighed(*weights).routes[0]
    ids = [one.id for one in route.candidates]
    one = Setting(
        tokens=10_000,
        now=NOW,
        beliefs=dict(zip(ids, map(Opinion.sure, known), strict=True)),
        speeds={id: Speed(s, rate=1e15) for id, s in zip(ids, seconds, strict=True)},
    )
    other = replace(one, speeds={id: Speed(s * k, rate=1e15) for id, s in zip(ids, seconds, strict=True)})
    prices = [replace(c.price, **{f: getattr(c.price, f) * k for f in PARTS}) for c in route.candidates if c.price]
    dearer = replace(
        route,
        candidates=tuple(replace(c, price=price) for c, price in zip(route.candidates, prices, strict=True)),
        weights=replace(route.weights, **{f: getattr(route.weights, f) * k for f in ("quality", "cost", "speed")}),
    )
    assert balanced.score(dearer, other) == pytest.approx(balanced.score(route, one), rel=1e-6)
    assert all(0 <= points <= 1 + 1e-9 for points in balanced.score(route, one).values())


PARTS = ("input", "cached", "cache_write", "output")


@given(WEIGHTS, st.floats(0.01, 0.5), st.floats(0.1, 2.0))
def test_who_is_better_in_everything_is_chosen(
    weights: tuple[float, float, float], worse: float, faster: float
) -> None:
    plan = weighed(*weights)
    cheap = plan.names[DEEPSEEK]
    known = {one.id: Opinion.sure(1.0 if one is cheap else worse) for one in plan.candidates}
    speed = {one.id: Speed(10.0, rate=1e9) for one in plan.candidates} | {cheap.id: Speed(faster, rate=1e9)}
    setting = Setting(tokens=10_000, now=NOW, beliefs=known, speeds=speed)
    points = balanced.score(plan.routes[0], setting)
    assert max(points, key=lambda id: points[id]) == cheap.id


@pytest.mark.parametrize(
    ("weights", "label"),
    [
        ((1.0, 0.0, 0.0), CLAUDE),
        ((0.0, 1.0, 0.0), DEEPSEEK),
        ((0.0, 0.0, 1.0), GPT),
        ((9.0, 1.0, 1.0), CLAUDE),
        ((1.0, 9.0, 1.0), DEEPSEEK),
        ((1.0, 1.0, 9.0), GPT),
    ],
)
def test_weights_decide(weights: tuple[float, float, float], label: str) -> None:
    plan = weighed(*weights)
    known = beliefs(plan, claude=0.9, gpt=0.4, deepseek=0.5)
    setting = Setting(tokens=10_000, now=NOW, beliefs=known, speeds=speeds(plan, claude=9.0, gpt=1.0, deepseek=8.0))
    assert chosen(plan, setting) == label


@pytest.mark.parametrize(
    ("prices", "points"),
    [
        ([Price.of(input=1, output=1), Price.of(input=2, output=2), Price.of(input=4, output=4)], [1, 0.5, 0.25]),
        ([Price.of(input=1, output=1), None, Price.of(input=4, output=4)], [1, 0.25, 0.25]),
        ([None, None], [1, 1]),
        ([pricing.FREE, Price.of(input=3, output=3), Price.of(input=6, output=6)], [1, 0.5, 0.25]),
        ([pricing.FREE, pricing.FREE], [1, 1]),
        ([pricing.FREE, None], [1, 0]),
        ([Price.of(input=1, output=1), Price.of(input=2, output=2), Price.of(input=1e6, output=1e6)], [1, 0.5, 1e-6]),
    ],
    ids=["shares of the cheapest", "unknown", "all unknown", "free", "all free", "free or unknown", "one far off"],
)
def test_points_for_cost(prices: list[Price | None], points: list[float]) -> None:
    weights = weighed(0, 1, 0).routes[0].weights
    found = balanced.score(pool(prices, "balanced", weights), Setting(tokens=1000, now=NOW))
    assert list(found.values()) == pytest.approx(points)


def test_while_nothing_is_learned_the_written_order_stands_for_quality() -> None:
    plan = weighed(1, 0, 0)
    assert list(balanced.score(plan.routes[0], Setting()).values()) == pytest.approx([1, 2 / 3, 1 / 3])


def test_what_is_learned_comes_in_by_and_by_for_each_as_far_as_it_was_judged() -> None:
    plan = weighed(1, 0, 0)
    claude, gpt, _ = (one.id for one in plan.routes[0].candidates)

    def points(trust: float) -> list[float]:
        known = {one.id: Opinion(0.8, 0.8, 0.8, 0.0) for one in plan.candidates}
        known |= {claude: Opinion(0.4, 0.4, 0.4, trust), gpt: Opinion(0.8, 0.8, 0.8, trust)}
        return list(balanced.score(plan.routes[0], Setting(beliefs=known)).values())

    assert points(0.0) == pytest.approx([1, 2 / 3, 1 / 3])
    assert points(0.5) == pytest.approx([3 / 4, 5 / 6, 1 / 3])
    assert points(1.0) == pytest.approx([1 / 2, 1, 1 / 3])


def test_points_that_are_near_do_not_move_a_session() -> None:
    plan = weighed(0, 0, 1)
    near = speeds(plan, claude=1.04, gpt=1.0, deepseek=9.0)
    assert chosen(plan, Setting(on(plan, GPT), speeds=near)) == GPT
    assert chosen(plan, Setting(on(plan, CLAUDE), speeds=near)) == CLAUDE
    assert chosen(plan, Setting(on(plan, DEEPSEEK), speeds=near)) == CLAUDE, "the first written of those who are near"


# -- difficulty --------------------------------------------------------------------------------------------------------


def end(plan: Plan, setting: Setting) -> list[str]:
    return [one.label for one in difficulty.narrow(plan.routes[0], setting).route.candidates]


@pytest.mark.parametrize(
    ("models", "known", "strong"),
    [
        (THREE, {}, [CLAUDE]),
        ("deepseek-chat, gpt-4o-mini, claude-sonnet-4-5", {}, [CLAUDE]),
        (THREE, {"claude": 0.2, "gpt": 0.9, "deepseek": 0.5}, [GPT]),
        ("deepseek-chat, vllm/own, claude-sonnet-4-5", {}, [DEEPSEEK]),
        ("deepseek-chat, gpt-4o-mini, claude-sonnet-4-5, gemini-2.5-pro", {}, [CLAUDE, GEMINI]),
    ],
    ids=["by price", "whatever the order", "as judged", "a price is not known", "half of four"],
)
def test_the_strong_end(models: str, known: Mapping[str, float], strong: list[str]) -> None:
    plan = of("{difficulty: auto}", models)
    assert end(plan, Setting(tokens=1000, now=NOW, difficulty=DEEP, beliefs=beliefs(plan, **known))) == strong


def test_who_charges_most_is_strong_until_others_have_shown_to_be() -> None:
    plan = of("{prefer: best, difficulty: auto}")
    claude, gpt, deepseek = (one.id for one in plan.routes[0].candidates)
    unjudged, often = Opinion(0.75, 0.75, 0.75, 0.0), Opinion(0.95, 0.95, 0.95, 0.95)

    def strong(**known: Opinion) -> list[str]:
        found = {claude: unjudged, gpt: unjudged, deepseek: unjudged} | {plan.names[n].id: o for n, o in known.items()}
        return end(plan, Setting(tokens=1000, now=NOW, difficulty=DEEP, beliefs=found))

    praised = Opinion(0.9, 0.8, 0.9, 0.3)
    assert strong(**{DEEPSEEK: praised}) == [CLAUDE]
    assert strong(**{DEEPSEEK: often, CLAUDE: Opinion(0.6, 0.5, 0.7, 0.8)}) == [DEEPSEEK]


@pytest.mark.parametrize(
    ("models", "cheap"),
    [
        (THREE, [DEEPSEEK]),
        ("vllm/own, gpt-4o-mini", [GPT]),
        ("claude-sonnet-4-5, gpt-4o-mini, deepseek-chat, gemini-2.5-pro", [GPT, DEEPSEEK]),
        ("vllm/own, vllm/other", [OWN, "vllm/other"]),
    ],
    ids=["of three", "unknown is not cheap", "of four", "nobody's price is known"],
)
def test_the_cheap_end(models: str, cheap: list[str]) -> None:
    assert end(of("{difficulty: auto}", models), Setting(tokens=1000, now=NOW, difficulty=QUICK)) == cheap


def test_a_quick_ask_in_a_long_session_is_cheapest_where_it_is_cached() -> None:
    plan = of("{difficulty: auto}", "claude-sonnet-4-5, gpt-4o-mini")
    setting = Setting(on(plan, CLAUDE, read=80_000), tokens=80_000, now=NOW, written=400, difficulty=QUICK)
    assert end(plan, setting) == [CLAUDE]
    assert end(plan, replace(setting, session=on(plan, CLAUDE, read=80_000, ago=WARM))) == [GPT]


@pytest.mark.parametrize(
    ("told", "narrowed"),
    [
        ({"quick": 0.849, "standard": 0.151, "deep": 0.0}, False),
        ({"quick": 0.85, "standard": 0.15, "deep": 0.0}, True),
        ({"quick": 0.0, "standard": 0.401, "deep": 0.599}, False),
        ({"quick": 0.0, "standard": 0.4, "deep": 0.6}, True),
        ({}, False),
    ],
    ids=["hardly quick", "quick", "hardly deep", "deep", "a model that does not say"],
)
def test_unless_it_is_sure_the_policy_has_all_of_them(told: Mapping[str, float], narrowed: bool) -> None:
    setting = Setting(tokens=1000, now=NOW, difficulty=told)
    assert (len(end(of("{difficulty: auto}"), setting)) == 1) is narrowed
    assert len(end(of("listed"), setting)) == 3, "only where it is wanted"


def test_what_routing_says_of_difficulty_a_preference_may_say_otherwise() -> None:
    for policy, expected in (("listed", True), ("{difficulty: ignore}", False), ("{prefer: best}", True)):
        plan = plan_of(f"{TEXT % (THREE, policy)}routing: {{difficulty: auto}}\n")
        assert plan.routes[0].by_difficulty is expected


# -- all of them -------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["cheapest", "fastest", "best", "balanced"]),
    st.booleans(),
    st.sets(st.sampled_from([CLAUDE, GPT, DEEPSEEK])),
    st.sampled_from([QUICK, DEEP, {}]),
    st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3),
    st.sampled_from(["", CLAUDE, GPT, DEEPSEEK]),
)
def test_nobody_is_picked_who_may_not_be_asked_while_somebody_may(
    prefer: str, auto: bool, cooling: set[str], told: Mapping[str, float], numbers: list[float], here: str
) -> None:
    plan = PLANS[prefer, auto]
    ids = [one.id for one in plan.routes[0].candidates]
    setting = Setting(
        session=replace(on(plan, here), spent=1e9) if here else NEW,
        tokens=10_000,
        now=NOW,
        difficulty=told,
        beliefs=dict(zip(ids, map(Opinion.sure, numbers), strict=True)),
        speeds={id: Speed(0.1 + 9 * n, unseen=n > 0.9) for id, n in zip(ids, numbers, strict=True)},
        able=lambda one: one.label not in cooling,
    )
    decision = preference.choose(plan, Scores({"coding": 0.9}, none=0.1), setting)
    assert decision.first in plan.routes[0].candidates
    assert decision.first.label not in cooling or len(cooling) == 3
    assert decision.chain is plan.chain(plan.routes[0], decision.first)


PLANS = {
    (prefer, auto): of(f"{{prefer: {prefer}, difficulty: {'auto' if auto else 'ignore'}}}")
    for prefer in POLICIES
    for auto in (True, False)
}
