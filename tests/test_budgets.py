"""Budgets without a clock: what may be written, what counts for whom, what follows, and what a client is told."""

import json
import time
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from dialogue import (
    CHAT,
    CLAUDE,
    DEEPSEEK,
    GPT,
    MESSAGES,
    THREE,
    WALL,
    anthropic_message,
    ask,
    attempt_of,
    exchange_of,
    gateway_of,
    one,
    openai_completion,
    plan_of,
    recorded,
    refusal,
)
from hypothesis import given
from hypothesis import strategies as st
from test_config import SECRET, headlines
from test_config import read as read_config

from router_service.budgets import (
    Asker,
    Spending,
    account,
    all_standings,
    applying,
    lasting_standings,
    seconds_left,
    standing_keys,
    standings,
    unread,
)
from router_service.budgets import refusal as refusal_of
from router_service.config import Budget
from router_service.config.budgets import Then, amount
from router_service.conversation import Usage
from router_service.effects import Choose, Recall, Release, Respond, Score
from router_service.events import Gone, Recalled, RequestHeaders, ResponseBody, Scored
from router_service.exchange import MAX_KEPT
from router_service.gateway import Gateway
from router_service.policies.policy import Scores
from router_service.selection import Selection
from router_service.shell.request_log import facts

SESSION = {"x-claude-code-session-id": "s"}
KEY = 'clients: [{name: alice, key: "sha256:' + "0a" * 32 + '"}, {name: bob, key: "sha256:' + "0b" * 32 + '"}]\n'
MODELS = "llm_providers: [{model: openai/gpt-4o}, {model: openai/gpt-4o-mini}]\n"
CODING = "routing_preferences: [{name: code generation, description: writing, models: [gpt-4o]}]\n"
EACH = Usage(input=10, cached=20, cache_write=30, output=40)
DAY = 86_400.0


def budgets_of(text: str) -> tuple[Budget, ...]:
    return read_config(f"{MODELS}{KEY}{CODING}budgets: {text}", OPENAI_API_KEY=SECRET).budgets


# -- what may be written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("at_most: $50, per: month, then: warn", Budget("$50 a month", 50, "dollars", "month", "warn")),
        (
            "name: all, at_most: $0.50, per: day, then: downgrade, from: 80%",
            Budget("all", 0.5, "dollars", "day", "downgrade", 0.8),
        ),
        (
            "at_most: 2M tokens, per: day, then: block, client: Alice",
            Budget("2M tokens a day of alice", 2e6, "tokens", "day", "block", client="alice"),
        ),
        (
            "at_most: '$1,234.50', per: session, then: block",
            Budget("$1,234.50 a session", 1234.5, "dollars", "session", "block"),
        ),
        (
            "at_most: 1.5k tokens, per: day, then: block, preference: Code Generation",
            Budget(
                "1,500 tokens a day for code generation",
                1500,
                "tokens",
                "day",
                "block",
                preference="code generation",
            ),
        ),
        (
            "at_most: 500000 tokens, per: month, then: block, preference: default, time_zone: Europe/Berlin",
            Budget(
                "500k tokens a month for default",
                500_000,
                "tokens",
                "month",
                "block",
                preference="default",
                time_zone="Europe/Berlin",
            ),
        ),
        (
            "at_most: $2, per: day, then: block, each: client",
            Budget("$2 a day for each client", 2, "dollars", "day", "block", each="client"),
        ),
    ],
)
def test_what_may_be_written(written: str, read: Budget) -> None:
    assert budgets_of(f"[{{{written}}}]") == (read,)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("per: day, then: block", "no at_most; such as $5 or 2M tokens"),
        ("at_most: $5, then: warn", "no per; day, month or session"),
        ("at_most: $5, per: day", "no then; warn, downgrade or block"),
        ("at_most: $5, per: week, then: block", "expected day, month or session, found 'week'"),
        ("at_most: $5, per: days, then: block", "did you mean 'day'?"),
        ("at_most: $5, per: day, then: stop", "expected warn, downgrade or block, found 'stop'"),
        ("at_most: 5, per: day, then: block", "expected an amount such as $5 or 2M tokens, found '5'"),
        ("at_most: 5€, per: day, then: block", "found '5€'; prices are in dollars"),
        ("at_most: $0, per: day, then: block", "expected more than nothing"),
        ("at_most: $-5, per: day, then: block", "expected an amount such as"),
        ("at_most: $5k, per: day, then: block", "expected an amount such as"),
        ("at_most: $5, per: day, then: block, client: alic", "no client 'alic'; did you mean 'alice'?"),
        ("at_most: $5, per: day, then: block, preference: poems", "no preference 'poems'"),
        ("at_most: $5, per: day, then: block, each: model", "expected client, preference or session"),
        ("at_most: $5, per: day, then: block, each: client, client: bob", "one client is named already"),
        ("at_most: $5, per: session, then: block, each: session", "each session has its own already"),
        ("at_most: $5, per: day, then: block, from: 80%", "it blocks when all is spent"),
        ("at_most: $5, per: day, then: warn, from: 0%", "0% is before anything is spent"),
        ("at_most: $5, per: day, then: warn, from: 180%", "expected a share"),
        ("at_most: $5, per: day, then: warn, time_zone: Berlin", "no time zone 'Berlin' is known here"),
        ("at_most: $5, per: day, then: warn, time_zone: Europe", "no time zone 'Europe' is known here"),
        ("at_most: $5, per: day, then: warn, time_zone: ../../etc/passwd", "no time zone"),
        ("at_most: $5, per: session, then: warn, time_zone: UTC", "a session ends at no time of day"),
        ("at_most: $5, per: day, then: warn, limit: 3", "unknown key 'limit'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_hint(written: str, told: str) -> None:
    (line,) = headlines(f"{MODELS}{KEY}{CODING}budgets:\n  - {{{written}}}\n", OPENAI_API_KEY=SECRET)
    assert line.startswith("config.yaml:5: budgets[0]") and told in line


def test_all_mistakes_are_told_at_once() -> None:
    twice = "{at_most: $5, per: day, then: warn}"
    text = f"[{{at_most: many, per: week, then: stop}}, {twice}, {twice}]"
    lines = headlines(f"{MODELS}budgets: {text}", OPENAI_API_KEY=SECRET)
    assert len(lines) == 4 and "a second budget '$5 a day'" in lines[-1]


def test_for_each_client_there_must_be_some() -> None:
    (line,) = headlines(f"{MODELS}budgets: [{{at_most: $5, per: day, then: block, each: client}}]", OPENAI_API_KEY="k")
    assert "there are no clients; give them keys (clients), or leave each out" in line


@pytest.mark.parametrize(
    ("models", "budget", "told"),
    [
        (
            "{model: openai/gpt-4o}, {model: openai/no-such-model}",
            "$5",
            "the price of openai/no-such-model is not known",
        ),
        ("{model: openai/gpt-4o}, {model: openai/no-such-model}", "5k tokens", ""),
        ("{model: openai/gpt-4o}, {model: openai/x, price: {input: 1, output: 2}}", "$5", ""),
        ("{model: openai/gpt-4o}, {model: deepseek/no-such-model}", "$5", ""),  # without its key it is not asked
        (
            "{model: a/b, base_url: 'https://gpu.example.com', provider_interface: openai}, {model: openai/zzz}",
            "$5",
            "the price of a/b and openai/zzz is not known",
        ),
    ],
)
def test_a_price_that_nobody_knows_is_told(models: str, budget: str, told: str) -> None:
    text = f"llm_providers: [{models}]\nbudgets: [{{at_most: {budget}, per: day, then: warn}}]"
    warnings = read_config(text, OPENAI_API_KEY=SECRET).warnings
    assert [told in warning for warning in warnings] == [True] * bool(told)


@pytest.mark.parametrize(
    ("stores", "told"),
    [("", 0), ("ledger: {url: none}", 1), ("ledger: {url: none}\nstate: {url: 'redis://h'}", 0)],
)
def test_where_a_restart_forgets_it_that_is_told(stores: str, told: int) -> None:
    text = f"{MODELS}budgets: [{{at_most: $5, per: day, then: warn}}]\n{stores}"
    warnings = read_config(text, OPENAI_API_KEY=SECRET).warnings
    assert sum("a restart forgets what was spent" in warning for warning in warnings) == len(warnings) == told


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (5.0, "dollars", "$5"),
        (5.034, "dollars", "$5.03"),
        (1234.5, "dollars", "$1,234.50"),
        (0.004249, "dollars", "$0.0042"),
        (0.000001, "dollars", "$0.000001"),
        (0.0, "dollars", "$0"),
        (2e6, "tokens", "2M tokens"),
        (12_000, "tokens", "12k tokens"),
        (1_234_567, "tokens", "1,234,567 tokens"),
    ],
)
def test_amounts_in_words(value: float, unit: str, words: str) -> None:
    assert amount(value, unit) == words  # type: ignore[arg-type]


# -- what counts, and for whom -------------------------------------------------------------------------------------

ALICE = Asker("alice", "s/", "code generation")


@pytest.mark.parametrize(
    ("written", "asker", "spent"),
    [
        ("at_most: $1, per: day", ALICE, 0.25),
        ("at_most: 1k tokens, per: day", ALICE, 100),
        ("at_most: $1, per: day, client: alice", ALICE, 0.25),
        ("at_most: $1, per: day, client: alice", replace(ALICE, client="bob"), None),
        ("at_most: $1, per: day, each: client", replace(ALICE, client="bob"), 0),
        ("at_most: $1, per: day, preference: code generation", ALICE, 0.25),
        ("at_most: $1, per: day, preference: code generation", replace(ALICE, preference="default"), None),
        ("at_most: $1, per: day, preference: code generation", replace(ALICE, preference=""), None),
        ("at_most: $1, per: day, preference: code generation", replace(ALICE, preference=None), None),
        ("at_most: $1, per: day, each: preference", replace(ALICE, preference="default"), 0),
        ("at_most: $1, per: day, each: preference", replace(ALICE, preference=""), None),
        ("at_most: $1, per: session", ALICE, 0.25),
        ("at_most: $1, per: session", replace(ALICE, session="t/"), 0),
        ("at_most: $1, per: day, each: session", ALICE, 0.25),
        ("at_most: $1, per: session, client: alice", replace(ALICE, client="bob"), None),
        ("at_most: $1, per: session, preference: code generation", replace(ALICE, session="t/"), 0),
    ],
)
def test_a_request_counts_for_whom_it_concerns(written: str, asker: Asker, spent: float | None) -> None:
    budgets, spending = budgets_of(f"[{{{written}, then: block}}]"), Spending()
    account(spending, budgets, ALICE, cost=0.25, usage=EACH, at=WALL)
    found = standings(budgets, spending, asker, WALL)
    assert [one.spent for one in found] == ([] if spent is None else [spent])


def test_budgets_of_the_same_thing_count_it_once() -> None:
    budgets = budgets_of(
        "[{name: soon, at_most: $1, per: day, then: warn}, {name: end, at_most: $2, per: day, then: block},"
        " {name: t, at_most: 150 tokens, per: day, then: warn}, {name: b, at_most: 1M tokens, per: day, then: block}]"
    )
    spending = Spending()
    account(spending, budgets, ALICE, cost=0.75, usage=EACH, at=WALL)
    account(spending, budgets, ALICE, cost=0.75, usage=EACH, at=WALL)
    found = {one.budget.name: (one.spent, one.state) for one in standings(budgets, spending, ALICE, WALL)}
    assert found == {"soon": (1.5, "warn"), "end": (1.5, ""), "t": (200, "warn"), "b": (200, "")}


def test_what_nobody_knows_counts_nothing() -> None:
    budgets, spending = budgets_of("[{at_most: $1, per: day, then: block}]"), Spending()
    account(spending, budgets, ALICE, cost=None, usage=Usage(), at=WALL)
    assert not spending.own and not spending.changed


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("per", "zone", "spent_at", "asked_at", "still"),
    [
        ("day", "UTC", "2026-11-27 00:00:00", "2026-11-27 23:59:59", True),
        ("day", "UTC", "2026-11-27 23:59:59", "2026-11-28 00:00:00", False),
        ("month", "UTC", "2026-11-01 00:00:00", "2026-11-30 23:59:59", True),
        ("month", "UTC", "2026-12-31 23:59:59", "2027-01-01 00:00:00", False),
        ("day", "Europe/Berlin", "2026-11-27 23:30:00", "2026-11-28 00:30:00", True),  # UTC: half past midnight
        ("day", "Europe/Berlin", "2026-11-27 22:59:59", "2026-11-27 23:00:00", False),
        ("day", "Asia/Kathmandu", "2026-11-27 18:14:59", "2026-11-27 18:15:00", False),  # of 5:45 hours
        ("session", "UTC", "2026-11-01 00:00:00", "2026-12-24 00:00:00", True),
    ],
)
def test_days_and_months_begin_anew(per: str, zone: str, spent_at: str, asked_at: str, still: bool) -> None:
    budgets, spending = (Budget("b", 1, "dollars", per, "block", time_zone=zone),), Spending()  # type: ignore[arg-type]
    account(spending, budgets, ALICE, cost=1.0, usage=EACH, at=at(spent_at))
    (found,) = standings(budgets, spending, ALICE, at(asked_at))
    assert (found.spent == 1.0, found.state) == (still, "block" if still else "")


@pytest.mark.parametrize(
    ("now", "per", "zone", "until"),
    [
        ("2026-02-14 12:00:00", "day", "UTC", "2026-02-15 00:00:00"),
        ("2026-02-14 12:00:00", "month", "UTC", "2026-03-01 00:00:00"),
        ("2026-12-31 12:00:00", "month", "UTC", "2027-01-01 00:00:00"),
        ("2026-03-29 12:00:00", "day", "Europe/Berlin", "2026-03-30 00:00:00"),  # a day of 23 hours
        ("2026-10-25 01:00:00", "day", "Europe/Berlin", "2026-10-26 00:00:00"),  # of 25
    ],
)
def test_until_when_it_holds(now: str, per: str, zone: str, until: str) -> None:
    budget = Budget("b", 1, "dollars", per, "block", time_zone=zone)  # type: ignore[arg-type]
    (found,) = standings((budget,), Spending(), ALICE, at(now, zone))
    assert found.until == at(until, zone)


@given(
    parts=st.lists(
        st.tuples(st.sampled_from(["alice", "bob", ""]), st.sampled_from(["s/", "t/"]), st.integers(0, 10**6)),
        max_size=30,
    )
)
def test_the_parts_add_up_to_the_whole(parts: list[tuple[str, str, int]]) -> None:
    budgets = (
        Budget("all", 1, "tokens", "day", "warn"),
        Budget("client", 1, "tokens", "day", "warn", each="client"),
        Budget("session", 1, "tokens", "session", "warn"),
        Budget("both", 1, "tokens", "session", "warn", each="client"),
    )
    spending = Spending()
    for client, session, tokens in parts:
        account(spending, budgets, Asker(client, session, ""), cost=None, usage=Usage(output=tokens), at=WALL)
    (whole,) = standings(budgets[:1], spending, Asker("", "", ""), WALL)
    assert whole.spent == sum(tokens for _, _, tokens in parts)
    for budget in budgets[1:]:
        keys = {
            count: spent
            for client in ("alice", "bob", "")
            for session in ("s/", "t/")
            for count, spent in [
                ((one.of, client * (budget.name == "both")), one.spent)
                for one in standings((budget,), spending, Asker(client, session, ""), WALL)
            ]
        }
        counted = [tokens for client, _, tokens in parts if client or not budget.each]
        assert sum(keys.values()) == sum(counted), budget.name


def test_the_same_count_serves_budgets_of_another_name_and_amount() -> None:
    """So a reload forgets nothing."""
    before, after = (
        budgets_of("[{name: a, at_most: $1, per: day, then: block}]"),
        budgets_of("[{name: b, at_most: $9, per: day, then: warn, from: 10%}, {at_most: $9, per: month, then: warn}]"),
    )
    spending = Spending()
    account(spending, before, ALICE, cost=1.0, usage=EACH, at=WALL)
    day, month = standings(after, spending, ALICE, WALL)
    assert (day.spent, day.state, month.spent) == (1.0, "warn", 0.0)


@pytest.mark.parametrize("session", ["\0", "\ud800", "x" * 5000, "a b\nc"])
def test_whatever_a_client_calls_its_session_a_store_can_keep_it(session: str) -> None:
    spending = Spending()
    asker = Asker("", session, "")
    account(spending, (Budget("b", 1, "dollars", "session", "block"),), asker, cost=1.0, usage=EACH, at=WALL)
    (key,) = spending.changed
    assert key.isprintable() and key.isascii() and len(key) < 300
    assert key != _key_of_session("another")


def _key_of_session(session: str) -> str:
    spending = Spending()
    account(
        spending,
        (Budget("b", 1, "dollars", "session", "block"),),
        Asker("", session, ""),
        cost=1.0,
        usage=EACH,
        at=WALL,
    )
    return next(iter(spending.changed))


# -- what the store is asked ---------------------------------------------------------------------------------------

BOTH = (Budget("d", 10, "dollars", "day", "block"), Budget("s", 10, "dollars", "session", "block"))


@pytest.mark.parametrize(
    ("stored", "shared", "spent", "known", "rested", "asked"),
    [
        pytest.param(False, False, 0, False, 0, [], id="there is none"),
        pytest.param(True, False, 0, False, 0, ["day", "session"], id="what it never told"),
        pytest.param(True, False, 9, True, 99, [], id="nobody else writes"),
        pytest.param(True, True, 1, True, 9, [], id="a session that goes on here"),
        pytest.param(True, True, 1, True, 99, ["session"], id="one that may have been elsewhere"),
        pytest.param(True, True, 1, True, None, ["session"], id="one that was never here"),
        pytest.param(True, True, 9, True, 9, ["day", "session"], id="what is close to its end"),
        pytest.param(True, True, 10, True, 99, [], id="what is at its end"),
    ],
)
def test_what_is_read_before_deciding(
    stored: bool, shared: bool, spent: float, known: bool, rested: float | None, asked: list[str]
) -> None:
    spending = Spending("w")
    spending.stored, spending.shared = stored, shared
    day, session = "dollars 2023-11-14", "dollars session session=s/"
    if known:
        spending.learnt({day: spent, session: spent}, spending.writer)
    if rested is not None:
        account(spending, BOTH, Asker("", "s/", "default"), cost=None, usage=Usage(), at=WALL - rested)
    keys = unread(BOTH, spending, Asker("", "s/"), ("default",), WALL)
    assert spending.going_on(WALL) == [session] * (shared and rested == 9)
    assert keys == tuple({"day": day, "session": session}[name] for name in asked)


@pytest.mark.parametrize(("then", "asked"), [("warn", 0), ("downgrade", 0), ("block", 1)])
def test_only_what_is_about_to_block_is_read_for_each_request(then: Then, asked: int) -> None:
    spending = Spending("w")
    spending.stored = spending.shared = True
    spending.learnt({"dollars session session=s/": 9.0}, spending.writer)
    budgets = (Budget("s", 10, "dollars", "session", then),)
    account(spending, budgets, Asker("", "s/", "default"), cost=None, usage=Usage(), at=WALL)
    assert len(unread(budgets, spending, Asker("", "s/"), ("default",), WALL)) == asked


def test_keys_that_are_known_without_a_request() -> None:
    budgets = budgets_of(
        "[{at_most: $1, per: day, then: block, each: client}, {at_most: $1, per: session, then: block},"
        " {at_most: $1, per: month, then: block, preference: default}]"
    )
    assert set(standing_keys(budgets, ["alice", "bob", "alice"], ["code generation", "default"], WALL)) == {
        "dollars 2023-11-14 client=alice",
        "dollars 2023-11-14 client=bob",
        "dollars 2023-11 preference=default",
    }


def test_they_are_worked_out_once_in_a_quarter_of_an_hour() -> None:
    budgets = budgets_of("[{at_most: $1, per: day, then: block, each: client}]")
    clients, names, quarter = ["alice"], ["default"], WALL // 900 * 900
    first = standing_keys(budgets, clients, names, quarter)
    assert standing_keys(budgets, clients, names, quarter + 899) is first
    assert standing_keys(budgets, clients, names, quarter + DAY) != first
    assert standing_keys(budgets, [*clients, "bob"], names, quarter) != first


def test_many_clients_and_many_preferences_take_no_longer_than_each_alone() -> None:
    """Their product takes minutes."""
    budgets = (
        Budget("c", 1, "dollars", "day", "block", each="client"),
        Budget("p", 1, "dollars", "day", "block", each="preference"),
        Budget("one", 1, "dollars", "day", "block", client="7", preference="7"),
    )
    clients, preferences = [str(number) for number in range(3000)], [str(number) for number in range(3000)]
    began = time.monotonic()
    assert len(standing_keys(budgets, clients, preferences, WALL)) == 6001
    assert len(all_standings(budgets, Spending(), clients, preferences, WALL)) == 6001
    assert len(unread(budgets, stored(), Asker("7", "s/"), preferences, WALL)) == 3002
    assert time.monotonic() - began < 5


def stored() -> Spending:
    spending = Spending()
    spending.stored = True
    return spending


def test_of_many_counts_the_oldest_are_let_go_and_what_was_spent_stays_what_it_was() -> None:
    spending = Spending("w", limit=10)
    spending.stored = True
    for number in range(20):
        spending.add(f"k{number}", 1.0, kept_until=WALL + number)
    first = spending.writer
    spending.tidy(WALL)
    assert len(spending.own) == 20, "what is unwritten stays"
    spending.changed.clear()
    spending.tidy(WALL)
    assert set(spending.others) == {f"k{number}" for number in range(15, 20)} and spending.writer != first
    assert spending.spent("k19") == 1.0
    spending.learnt({"k19": 0.0}, first)
    assert spending.spent("k19") == 1.0, "an answer to the page before says nothing of this one"


def test_who_looks_is_shown_all_of_them_and_of_sessions_the_dearest() -> None:
    budgets = budgets_of(
        "[{at_most: $9, per: day, then: warn}, {name: c, at_most: $9, per: day, then: warn, each: client},"
        " {name: s, at_most: $9, per: session, then: warn}]"
    )
    spending = Spending()
    for number in range(5):
        account(spending, budgets, Asker("alice", f"s{number}/", ""), cost=number, usage=EACH, at=WALL)
    lasting = [("$9 a day", "", 10), ("c", "alice", 10), ("c", "bob", 0)]
    dearest = [("s", "s4", 4), ("s", "s3", 3), ("s", "s2", 2)]
    for how, shown in ((all_standings, [*lasting, *dearest]), (lasting_standings, lasting)):
        found = how(budgets, spending, ["alice", "bob"], ["default"], WALL)
        assert [(one.budget.name, one.of, one.spent) for one in found] == shown


# -- what follows --------------------------------------------------------------------------------------------------


def gateway(budgets: str, **spent: float) -> Gateway:
    """One in which so much has been spent, by key: day, month, s (of session s/)."""
    made = gateway_of(f"{THREE}budgets: [{budgets}]")
    keys = {"day": "dollars 2023-11-14", "month": "dollars 2023-11", "s": "dollars session session=s/"}
    for name, amount_ in spent.items():
        made.spending.add(keys[name], amount_, WALL + DAY)
    return made


BLOCK = "{name: daily, at_most: $5, per: day, then: block}"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (MESSAGES, {"type": "billing_error"}),
        (CHAT, {"type": "insufficient_quota", "code": "insufficient_quota", "param": None}),
        ("/v1/responses", {"type": "insufficient_quota", "code": "insufficient_quota", "param": None}),
    ],
)
def test_a_request_too_many_is_refused_in_the_clients_dialect(path: str, error: dict[str, str | None]) -> None:
    fields = {"input": "hello"} if path == "/v1/responses" else {}
    _, effects = ask(gateway(BLOCK, day=5.03), path=path, **fields)
    reply, outcome = one(effects, Respond), recorded(effects)
    assert reply and outcome and reply.status == outcome.status == 429
    words = (
        "archgw: the budget “daily” is spent: $5.03 of $5 today; it begins anew on 2023-11-15 at 00:00 UTC, in"
        " 107 minutes. To go on before, raise it in config.yaml (budgets)"
    )
    assert json.loads(reply.body)["error"] == {"message": words} | error
    assert reply.headers["x-should-retry"] == "false" and reply.headers["retry-after"] == "6400"
    assert reply.headers["x-arch-reason"] == "over budget"
    assert (outcome.kind, outcome.brief, outcome.error) == ("user turn", "over budget", words)


TITLE = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"title": {"type": "string"}}}}}
LOOP = [
    {"role": "user", "content": "write a parser"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="a user turn"),
        pytest.param({"messages": LOOP}, id="a turn that goes on"),
        pytest.param({"model": CLAUDE}, id="a model by its name"),
        pytest.param({"model": "arch.fast.v1"}, id="the fast lane"),
        pytest.param({"tools": [], "output_config": TITLE}, id="a title"),
        pytest.param({"max_tokens": 1}, id="a probe"),
    ],
)
def test_nothing_that_costs_is_let_through(fields: dict[str, object]) -> None:
    blocked = gateway(BLOCK, day=5.0)
    _, effects = ask(blocked, given=SESSION, **fields)
    reply = one(effects, Respond)
    assert reply and reply.status == 429
    assert not len(blocked.exchanges) and "s/" not in blocked.sessions
    assert one(ask(gateway(BLOCK, day=4.99), given=SESSION, **fields)[1], Respond) is None


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (CLAUDE, CLAUDE),
        ("gpt-4o-mini", GPT),
        ("arch.main.v1", ""),
        ("no-such-model-zq", ""),
        pytest.param("zq" * 2_500_000, "", id="5 MB"),
    ],
)
def test_of_a_refusal_the_name_is_kept_that_the_model_has_here(model: str, asked: str) -> None:
    outcome = recorded(ask(gateway(BLOCK, day=5.0), given=SESSION, model=model)[1])
    assert outcome and outcome.status == 429 and outcome.model_asked == asked
    assert "zq" not in repr(outcome) + repr(facts(outcome))


def test_beside_a_word_of_its_own_the_clients_model_is_kept_in_part() -> None:
    made = gateway_of()
    exchange_of(made, model="zq" * 2_500_000, given={"x-arch-model": CLAUDE})
    (outcome,) = made.exchanges.expire(1e9)
    assert len(outcome.model_asked) == MAX_KEPT


def test_how_many_tokens_it_comes_to_may_still_be_asked() -> None:
    _, effects = ask(gateway(BLOCK, day=5.0), path="/v1/messages/count_tokens", model=CLAUDE)
    assert one(effects, Choose)


def test_a_sessions_budget_says_what_to_do() -> None:
    blocked = gateway("{at_most: $1, per: session, then: block}", s=1.02)
    reply = one(ask(blocked, given=SESSION)[1], Respond)
    assert reply and "$1.02 of $1 in this session; it begins anew in a new session." in reply.body.decode()
    assert reply.headers["x-should-retry"] == "false" and "retry-after" not in reply.headers
    assert one(ask(blocked, given={"x-claude-code-session-id": "t"})[1], Score)
    subagent = SESSION | {"x-claude-code-agent-id": "a"}
    assert one(ask(blocked, given=subagent)[1], Respond), "its subagents spend the same"


def test_several_that_block_are_told_together() -> None:
    both = gateway(f"{BLOCK}, {{name: mine, at_most: $1, per: session, then: block}}", day=6, s=2)
    reply = one(ask(both, given=SESSION)[1], Respond)
    assert reply
    told = json.loads(reply.body)["error"]["message"]
    assert "“daily” is spent" in told and "“mine” is spent" in told and "retry-after" not in reply.headers
    assert "they begin anew on 2023-11-15 at 00:00 UTC, in 107 minutes and in a new session" in told


def test_a_budget_of_a_preference_blocks_when_it_is_chosen() -> None:
    made = gateway("{name: code, at_most: $1, per: day, preference: coding, then: block}")
    made.spending.add("dollars 2023-11-14 preference=coding", 1.0, WALL)

    def routed(**fits: float) -> Respond | None:
        selection, effects = ask(made)
        assert one(effects, Score), "nobody knows before"
        scores = {name.replace("_", "-"): fit for name, fit in fits.items()}
        return one(selection.feed(Scored(Scores(scores, 0.1)), 1.0), Respond)

    refused = routed(coding=0.8)
    assert refused and refused.status == 429 and "“code” is spent" in refused.body.decode()
    assert routed(small_talk=0.8) is None
    assert one(ask(made, model=CLAUDE)[1], Choose), "what the client names itself belongs to no preference"


def test_an_answer_counts_for_what_it_was_routed_to() -> None:
    made = gateway_of(
        f"{THREE}budgets: [{{at_most: $1, per: day, then: block}},"
        " {at_most: 1k tokens, per: month, preference: coding, then: block},"
        " {at_most: 1k tokens, per: session, then: block}]"
    )
    exchange = exchange_of(made, scores={"coding": 0.9}, given=SESSION | {"x-claude-code-agent-id": "a"})
    attempt = attempt_of(made, exchange, DEEPSEEK)
    head, _ = refusal(200)
    outcome = recorded(
        [*attempt.feed(head, 1.0), *attempt.feed(ResponseBody(json.dumps(openai_completion()).encode(), end=True), 1.0)]
    )
    assert outcome and outcome.cost
    assert made.spending.own == {
        "dollars 2023-11-14": outcome.cost,
        "tokens 2023-11 preference=coding": 12,
        "tokens session session=s/": 12,
    }


def test_a_client_that_leaves_in_the_middle_has_spent_what_the_vendor_reported() -> None:
    from dialogue import A_OPEN, A_START, A_TEXT, STREAM

    made = gateway_of(f"{THREE}budgets: [{{at_most: 1k tokens, per: day, then: block}}]")
    exchange = exchange_of(made, model=CLAUDE, stream=True)
    attempt = attempt_of(made, exchange)
    for event in (STREAM, ResponseBody(A_START + A_OPEN + A_TEXT), Gone()):
        attempt.feed(event, 1.0)
    assert made.spending.own == {"tokens 2023-11-14": 7 + 3 + 1}


def test_what_fails_before_it_answers_has_spent_nothing() -> None:
    made = gateway_of(f"{THREE}budgets: [{{at_most: 1k tokens, per: day, then: block}}]")
    attempt = attempt_of(made, exchange_of(made, model=CLAUDE))
    for event in refusal(503):
        attempt.feed(event, 1.0)
    assert not made.spending.own


WARN = "{name: monthly, at_most: $50, per: month, from: 80%, then: warn}"
DOWNGRADE = "{name: daily, at_most: $5, per: day, then: downgrade}"
TOLD = {"monthly": "budget 'monthly': $41 of $50 this month", "daily": "budget 'daily': $6 of $5 today"}


@pytest.mark.parametrize(
    ("budgets", "spent", "model", "told"),
    [
        pytest.param(WARN, {"month": 39.99}, CLAUDE, [], id="not yet"),
        pytest.param(WARN, {"month": 41}, CLAUDE, ["monthly"], id="a warning changes nothing"),
        pytest.param(DOWNGRADE, {"day": 4.99}, CLAUDE, [], id="below"),
        pytest.param(DOWNGRADE, {"day": 6}, DEEPSEEK, ["daily"], id="the cheapest of the chain at this hour"),
        pytest.param(
            f"{WARN}, {DOWNGRADE}", {"month": 41, "day": 6}, DEEPSEEK, ["monthly", "daily"], id="both are told"
        ),
    ],
)
def test_what_comes_with_the_answer(budgets: str, spent: dict[str, float], model: str, told: list[str]) -> None:
    made = gateway(budgets, **spent)
    exchange = exchange_of(made, scores={"coding": 0.9})
    assert exchange.decision.first.label == model and exchange.decision.name == "coding"
    assert exchange.budgets == tuple(TOLD[name] for name in told)
    attempt = attempt_of(made, exchange)
    head, _ = refusal(200)
    answer = anthropic_message({"type": "text", "text": "hi"}) if model == CLAUDE else openai_completion()
    effects = [*attempt.feed(head, 1.0), *attempt.feed(ResponseBody(json.dumps(answer).encode(), end=True), 1.0)]
    release, outcome = one(effects, Release), recorded(effects)
    assert release and outcome and outcome.warnings[: len(told)] == exchange.budgets
    assert release.headers.get("x-arch-warnings", "").count("budget ") == len(told)
    assert ("daily" in exchange.decision.reason) == (model != CLAUDE)


DEAR = """
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, default: true}
  - {model: openai/unheard-of}
  - {model: openai/gpt-4o}
  - {model: deepseek/deepseek-chat}
routing_preferences:
  - {name: coding, description: writing code, models: [claude-sonnet-4-5, gpt-4o]}
"""


@pytest.mark.parametrize(
    ("more", "fields", "model"),
    [
        pytest.param("", {"scores": {"coding": 0.9}}, DEEPSEEK, id="the default's step in, too"),
        pytest.param("failover: {fall_back_to_default: false}", {"scores": {"coding": 0.9}}, "openai/gpt-4o", id="not"),
        pytest.param("failover: {never: [deepseek-chat]}", {"scores": {"coding": 0.9}}, "openai/gpt-4o", id="never"),
        pytest.param("", {"model": CLAUDE}, CLAUDE, id="the client's word"),
        pytest.param("", {"model": "arch.fast.v1"}, DEEPSEEK, id="the fast lane"),
        pytest.param("", {"messages": LOOP, "scores": {"coding": 0.9}}, DEEPSEEK, id="in the midst of a turn"),
    ],
)
def test_who_is_cheapest(more: str, fields: dict[str, object], model: str) -> None:
    made = gateway_of(f"{DEAR}budgets: [{DOWNGRADE}]\n{more}")
    made.spending.add("dollars 2023-11-14", 6.0, WALL)
    assert exchange_of(made, **fields).decision.first.label == model  # type: ignore[arg-type]


def test_the_cheapest_is_who_can_take_it_and_is_well() -> None:
    made = gateway_of(f"{DEAR}budgets: [{DOWNGRADE}]")
    made.spending.add("dollars 2023-11-14", 6.0, WALL)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    seen = [{"role": "user", "content": [picture, {"type": "text", "text": "what is it"}]}]
    assert exchange_of(made, scores={"coding": 0.9}, messages=seen).decision.first.label == "openai/gpt-4o"
    made.cooling.cool("deepseek-deepseek-chat", 40.0, "answered 429")
    exchange = exchange_of(made, scores={"coding": 0.9})
    assert exchange.decision.first.label == "openai/gpt-4o"
    assert exchange.decision.reason.endswith("budget 'daily': $6 of $5 today -> openai/gpt-4o")
    for candidate in made.plan.candidates:
        made.cooling.cool(candidate.id, 50.0, "answered 429")
    assert exchange_of(made, scores={"coding": 0.9}).decision.first.label != "openai/unheard-of"


def test_where_nobody_is_cheaper_that_is_told() -> None:
    made = gateway_of(f"llm_providers: [{{model: openai/gpt-4o-mini}}]\nbudgets: [{DOWNGRADE}]")
    made.spending.add("dollars 2023-11-14", 6.0, WALL)
    assert exchange_of(made).decision.reason.endswith("$6 of $5 today, and nobody is cheaper")


def test_what_others_have_spent_is_asked_before_anybody_is_chosen() -> None:
    made = gateway(BLOCK, day=1.0)
    made.spending.stored = made.spending.shared = True
    selection, effects = ask(made)
    recall = one(effects, Recall)
    assert recall == Recall((), ("dollars 2023-11-14",))
    made.spending.learnt({"dollars 2023-11-14": 4.5}, made.spending.writer)
    reply = one(selection.feed(Recalled(), 0.0), Respond)
    assert reply and reply.status == 429 and "$5.50 of $5" in reply.body.decode()


def test_a_session_is_shown_with_the_budgets_that_concern_it() -> None:
    made = gateway(f"{BLOCK}, {{name: mine, at_most: $1, per: session, then: warn, from: 50%}}", day=1, s=0.6)
    path = "/archgw/sessions/s"
    asked = RequestHeaders({":method": "GET", ":authority": "localhost", ":path": path}, True)
    (reply,) = Selection(made, wall=WALL).feed(asked, 0)
    assert isinstance(reply, Respond) and reply.status == 200, "a session that is blocked from the start has some, too"
    daily, mine = json.loads(reply.body)["budgets"]
    assert daily == {
        "name": "daily",
        "spent": 1.0,
        "limit": 5.0,
        "unit": "dollars",
        "per": "day",
        "then": "block",
        "state": "",
        "until": 1_700_006_400.0,
        "words": "$1 of $5 today",
    }
    assert (mine["state"], mine["until"], mine["words"]) == ("warn", None, "$0.60 of $1 in this session")


def test_without_budgets_nothing_is_counted() -> None:
    made = gateway_of()
    exchange = exchange_of(made, model=GPT)
    attempt = attempt_of(made, exchange)
    head, _ = refusal(200)
    attempt.feed(head, 1.0)
    attempt.feed(ResponseBody(json.dumps(openai_completion()).encode(), end=True), 1.0)
    assert not made.spending.own and not made.spending.recent


@pytest.mark.parametrize(
    ("left", "words"),
    [(30.0, "in 1 minute."), (3000.0, "in 50 minutes."), (3 * 3600.0, "in 3 hours."), (6 * DAY, "in 6 days.")],
)
def test_how_long_it_takes(left: float, words: str) -> None:
    budget = Budget("b", 1, "dollars", "month", "block")
    now = at("2026-12-01 00:00:00") - left
    spending = Spending()
    account(spending, (budget,), ALICE, cost=1.0, usage=EACH, at=now)
    blocking = applying(standings((budget,), spending, ALICE, now), "block")
    assert f"on 2026-12-01 at 00:00 UTC, {words}" in refusal_of(blocking, now)
    assert seconds_left(blocking, now) == left


def test_the_plan_keeps_them_in_order() -> None:
    assert [budget.name for budget in plan_of(f"{THREE}budgets: [{WARN}, {BLOCK}]").budgets] == ["monthly", "daily"]
