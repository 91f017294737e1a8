"""What is kept of requests: facts, counted by candidate, told to who watches; never their words."""

import json
import logging
from dataclasses import replace

import pytest

from router_service.figures import Tally
from router_service.outcome import AttemptOutcome, Outcome
from router_service.shell.journal import Journal
from router_service.shell.request_log import RequestLog, facts

WELL = AttemptOutcome("gpt", 200, "", 0.51234)
ILL = AttemptOutcome("claude", 529, "answered 529 (overloaded)", 0.1)
DONE = Outcome(
    id="1",
    started=1_700_000_000.0,
    kind="user turn",
    client="claude-cli/2.1",
    session="s/",
    route="coding",
    reason="coding (0.70) -> gpt",
    model_asked="arch.main.v1",
    model_served="gpt",
    status=200,
    attempts=(ILL, WELL),
    first_content=0.61234,
    duration=1.23456,
    ask="write my secret plan",
)


def test_the_most_recent_are_kept() -> None:
    journal = Journal(recent=2)
    for id in "123":
        journal.record(replace(DONE, id=id))
    assert ([outcome.id for outcome in journal.recent], journal.ended) == (["2", "3"], 3)


def test_candidates_are_counted_by_their_attempts() -> None:
    journal = Journal()
    journal.record(DONE)
    journal.record(replace(DONE, attempts=(WELL,)))
    assert journal.figures.tallies == {
        "gpt": Tally(answered=2, tries=2),
        "claude": Tally(0, 1, "answered 529 (overloaded)", tries=1),
    }


def test_a_refused_request_counts_for_nobody() -> None:
    journal = Journal()
    journal.record(replace(DONE, attempts=(), status=400))
    assert (journal.figures.tallies, journal.ended) == ({}, 1)


def test_a_watcher_hears_what_ends_while_it_watches() -> None:
    journal = Journal()
    journal.record(replace(DONE, id="before"))
    with journal.watch() as heard:
        journal.record(replace(DONE, id="during"))
    journal.record(replace(DONE, id="after"))
    assert [heard.get_nowait().id for _ in range(heard.qsize())] == ["during"]


def test_a_watcher_that_does_not_read_holds_nobody_up() -> None:
    journal = Journal()
    with journal.watch() as heard:
        for _ in range(heard.maxsize + 5):
            journal.record(DONE)
        assert heard.full() and journal.ended == heard.maxsize + 5


def test_the_log_gets_a_line_of_facts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "archgw.requests"):
        Journal().record(DONE)
    (line,) = caplog.messages
    assert json.loads(line) == facts(DONE)


def test_the_facts() -> None:
    assert facts(DONE) == {
        "time": "2023-11-14T22:13:20.000Z",
        "id": "1",
        "kind": "user turn",
        "client": "claude-cli/2.1",
        "route": "coding",
        "asked": "arch.main.v1",
        "served": "gpt",
        "status": 200,
        "attempts": [["claude", 529, 0.1], ["gpt", 200, 0.512]],
        "first_content": 0.612,
        "duration": 1.235,
    }


def test_what_was_asked_is_no_fact() -> None:
    assert "secret" not in json.dumps(facts(replace(DONE, error="the secret part of a vendor's words")))


def test_lines_are_written_behind_the_requests_backs_in_their_order(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(gather=60.0)
    with caplog.at_level(logging.INFO, "archgw.requests"):
        log.start()
        for number in range(450):
            log.record(replace(DONE, id=str(number)))
        log.close()
    lines = [json.loads(line) for message in caplog.messages for line in message.splitlines()]
    assert lines == [facts(replace(DONE, id=str(number))) for number in range(450)]


def test_a_log_that_nobody_reads_fast_enough_costs_lines_which_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(waiting=2, gather=60.0)
    for number in range(5):  # its thread does not run yet
        log.record(replace(DONE, id=str(number)))
    with caplog.at_level(logging.INFO):
        log.start()
        log.close()
    lines, lost = caplog.messages
    assert [json.loads(line)["id"] for line in lines.splitlines()] == ["0", "1"]
    assert lost == "the log cannot be written as fast as requests end; 3 are not in it"
