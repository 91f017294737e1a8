"""What users say of an answer: read strictly, kept with the request that is meant, and with nobody else's."""

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from archgw.simulate import Simulator
from dialogue import CLAUDE, DEEPSEEK, MESSAGES, ask, gateway_of, headers, one, plan_of
from sqlalchemy import Connection, select
from stack import gateway, until
from test_ledger import kept, opened, outcome, server, settings

from router_service import feedback
from router_service.config import Ledger as Settings
from router_service.conversation import BadRequest
from router_service.effects import Proceed, Rate, Record, Respond
from router_service.events import Rated, RequestBody, RequestHeaders
from router_service.evidence import SHOULD_BE, Target, target
from router_service.feedback import LAST, PATH, Feedback, Names
from router_service.selection import Selection
from router_service.shell.journal import Journal
from router_service.shell.ledger import Kept, Ledger, Rating, meant, rate
from router_service.shell.ledger_schema import signals

__all__ = ["server", "settings"]  # fixtures
KNOWN = Names(("code review", "small talk", "both"), {"gpt-4.1": "openai/gpt-4.1", "openai/gpt-4.1": "openai/gpt-4.1"})
KNOWN = Names(KNOWN.preferences, KNOWN.models | {"both": "x/both", "ollama/llama3:8b": "ollama/llama3:8b"})
LONG = "x" * 201
NOW = time.time()


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("code review", "preference:code review"),
        ("  Code   REVIEW ", "preference:code review"),
        ("preference:code review", "preference:code review"),
        ("none", "preference:default"),
        ("default", "preference:default"),
        ("gpt-4.1", "model:openai/gpt-4.1"),
        ("openai/gpt-4.1", "model:openai/gpt-4.1"),
        ("model:gpt-4.1", "model:openai/gpt-4.1"),
        ("ollama/llama3:8b", "model:ollama/llama3:8b"),
        ("model:both", "model:x/both"),
        ("preference:both", "preference:both"),
    ],
)
def test_who_is_meant(word: str, told: str) -> None:
    found = feedback.resolve(word, KNOWN)
    assert found.told == told and target(told) == found


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("code reviw", "no preference or model 'code reviw'; did you mean 'code review'?"),
        ("gpt-4.2", "did you mean 'gpt-4.1'?"),
        ("model:code review", "no model 'code review'"),
        ("nothing like it", "(preferences: code review, small talk, both, default; models: "),
        ("both", "write preference:both or model:x/both"),
        (LONG, "a name of 201 characters"),
    ],
)
def test_who_is_not_known_is_told_with_the_nearest(word: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        feedback.resolve(word, KNOWN)
    assert words in str(caught.value)


@pytest.mark.parametrize("told", [None, "", "preference:", "model", "within a minute", "somebody:x"])
def test_what_else_a_signal_tells_is_no_target(told: str | None) -> None:
    assert target(told) is None


def test_what_a_plan_knows() -> None:
    known = feedback.names(plan_of())
    assert known.preferences == ("coding", "small talk")
    assert known.models["deepseek-chat"] == known.models[DEEPSEEK] == DEEPSEEK


# -- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said", "gone"),
    [
        ({"rating": "bad"}, (("bad", None),), ()),
        ({"rating": None}, (), ("good", "bad")),
        ({"should_be": {"preference": "none"}}, ((SHOULD_BE, "preference:default"),), ()),
        ({"should_be": {"model": "gpt-4.1"}}, ((SHOULD_BE, "model:openai/gpt-4.1"),), ()),
        ({"should_be": "small talk"}, ((SHOULD_BE, "preference:small talk"),), ()),
        ({"rating": "good", "should_be": None}, (("good", None),), (SHOULD_BE,)),
        ({"rating": None, "should_be": None}, (), ("good", "bad", SHOULD_BE)),
    ],
)
def test_what_may_be_said(body: dict[str, Any], said: feedback.Said, gone: tuple[str, ...]) -> None:
    given = feedback.parse({"request": "abc", "session": "s"} | body, KNOWN)
    assert given == Feedback("abc", "s", said, gone)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, 'request: expected an id (x-arch-request-id), or "last"'),
        ({"request": 7, "rating": "bad"}, "request: expected"),
        ({"request": "", "rating": "bad"}, "request: expected"),
        ({"request": LONG, "rating": "bad"}, "request: expected"),
        ({"request": LAST, "session": 1, "rating": "bad"}, "session: expected"),
        ({"request": LAST, "session": "", "rating": "bad"}, "session: expected"),
        ({"request": LAST}, "nothing is said: send a rating, a should_be, or both"),
        ({"request": LAST, "rating": "so so"}, 'rating: expected "good", "bad", or null'),
        ({"request": LAST, "rating": True}, "rating: expected"),
        ({"request": LAST, "rating": ["bad"]}, "rating: expected"),
        ({"request": LAST, "should_be": {"model": 1}}, "should_be: expected"),
        ({"request": LAST, "should_be": {"model": "gpt-4.1", "preference": "both"}}, "should_be: expected"),
        ({"request": LAST, "should_be": {"route": "both"}}, "should_be: expected"),
        ({"request": LAST, "should_be": {"preference": "gpt-4.1"}}, "should_be: no preference 'gpt-4.1'"),
        ({"request": LAST, "should_be": " "}, "should_be: expected"),
        ({"request": LAST, "should_be": []}, "should_be: expected"),
        ({"request": LAST, "should_be": "code reviw"}, "did you mean 'code review'?"),
        ({"request": LAST, "thumb": "bad"}, '"thumb" is no field of feedback; it has request, session, rating'),
    ],
)
def test_what_may_not_is_told_with_what_was_expected(body: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        feedback.parse(body, KNOWN)
    assert words in caught.value.message and caught.value.status == 400


# -- asked of the gateway, without I/O -----------------------------------------------------------------------------


def sent(body: Any, **given: str) -> tuple[Selection, list[Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(gateway_of(), path=PATH, body=raw, given=given)


def test_feedback_is_kept_by_the_shell_and_then_answered() -> None:
    selection, effects = sent({"request": LAST, "rating": "bad", "should_be": "coding"})
    assert effects == [Rate(Feedback(LAST, "", (("bad", None), (SHOULD_BE, "preference:coding"))), "")]
    (answer,) = selection.feed(Rated("id-9", CLAUDE, "small talk"), 1.0)
    assert isinstance(answer, Respond) and answer.status == 200
    assert json.loads(answer.body) == {
        "request": "id-9", "model": CLAUDE, "preference": "small talk",
        "rating": "bad", "should_be": {"preference": "coding"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rated", "status", "words"),
    [
        (Rated(), 404, "nothing has been answered in this session yet"),
        (Rated(trouble="the ledger is away"), 503, "the ledger is away"),
    ],
)
def test_what_could_not_be_kept_is_an_error(rated: Rated, status: int, words: str) -> None:
    selection, _ = sent({"request": LAST, "session": "s", "rating": None})
    effects = selection.feed(rated, 1.0)
    answer = one(effects, Respond)
    assert answer and answer.status == status and words in json.loads(answer.body)["error"]["message"]


def test_a_mistake_is_told_before_anything_is_kept() -> None:
    _, effects = sent({"request": LAST, "rating": "fine"})
    answer = one(effects, Respond)
    assert answer and answer.status == 400 and json.loads(answer.body)["error"]["type"] == "invalid_request_error"
    assert not one(effects, Rate) and not one(effects, Record), "no model was asked for anything"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"good"', b'{"request": "last", "request": "r"}', b"[" * 9000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    answer = one(sent(body)[1], Respond)
    assert answer and answer.status == 400 and "error" in json.loads(answer.body)


def test_feedback_is_short() -> None:
    told, untold = ask(gateway_of(), path=PATH, given={"content-length": "16385"}), sent(b" " * 16385)
    for _, effects in (told, untold):
        answer = one(effects, Respond)
        assert answer and answer.status == 413 and b"it takes 16,384" in answer.body


def test_it_is_sent_and_not_looked_up() -> None:
    selection = Selection(gateway_of(), wall=0.0)
    answer = one(selection.feed(RequestHeaders(headers(PATH) | {":method": "GET"}, end=True), 0.0), Respond)
    assert answer and answer.status == 405 and b"send a POST" in answer.body


def test_nothing_of_it_is_held_afterwards() -> None:
    given = gateway_of()
    selection, _ = ask(given, path=PATH, body=b'{"request": "last", "rating": "bad"}', given={"content-length": "36"})
    assert given.exchanges.bytes == 36
    selection.feed(Rated("id-9"), 1.0)
    assert given.exchanges.bytes == 0 and len(given.exchanges) == 0


def test_who_is_not_admitted_says_nothing() -> None:
    clients = f'clients: [{{name: laptop, key: "sha256:{hashlib.sha256(b"k").hexdigest()}"}}]\n'
    text = "llm_providers: [{model: openai/gpt-4o-mini}]\n" + clients
    _, refused = ask(gateway_of(text), path=PATH, body=b"{}")
    answer = one(refused, Respond)
    assert answer and answer.status == 403
    body = b'{"request": "last", "rating": "bad"}'
    _, admitted = ask(gateway_of(text), path=PATH, body=body, given={"x-api-key": "k"})
    kept = one(admitted, Rate)
    assert kept and kept.caller == "laptop"


def test_a_body_that_is_still_to_come_is_waited_for() -> None:
    selection = Selection(gateway_of(), wall=0.0)
    assert selection.feed(RequestHeaders(headers(PATH)), 0.0) == [Proceed()]
    assert one(selection.feed(RequestBody(b'{"request": "r", "rating": "good"}'), 0.0), Rate)


# -- in the ledger -------------------------------------------------------------------------------------------------


def told(connection: Connection, request: str = "r1") -> dict[str, str | None]:
    rows = connection.execute(select(signals.c.signal, signals.c.told).where(signals.c.request == request))
    return {row.signal: row.told for row in rows}


def test_there_is_one_of_each_kind_and_the_newest(settings: Settings, tmp_path: Path) -> None:
    coding, model = Target("preference", "coding").told, Target("model", CLAUDE).told
    with kept(settings, tmp_path, outcome("r1")) as connection:
        assert not rate(connection, "nobodys", Feedback("nobodys", said=(("bad", None),)))
        assert rate(connection, "r1", Feedback("r1", said=(("bad", None), (SHOULD_BE, coding))))
        assert told(connection) == {"bad": None, SHOULD_BE: coding}
        assert rate(connection, "r1", Feedback("r1", said=((SHOULD_BE, model),)))
        assert rate(connection, "r1", Feedback("r1", said=(("good", None),)))
        assert told(connection) == {"good": None, SHOULD_BE: model}
        assert rate(connection, "r1", Feedback("r1", gone=("good", "bad")))
        assert told(connection) == {SHOULD_BE: model}
        assert rate(connection, "r1", Feedback("r1", said=(("bad", None),), gone=(SHOULD_BE,)))
        assert told(connection) == {"bad": None}


def test_which_request_is_meant(settings: Settings, tmp_path: Path) -> None:
    several = (
        outcome("r1", at=NOW + 1, session="one/", caller="laptop"),
        outcome("r2", at=NOW + 2, session="two/"),
        outcome("r3", at=NOW + 3, session="two/agent", kind="subagent: user turn"),
        outcome("r4", at=NOW + 4, session="two/", kind="tool continuation"),
        outcome("r5", at=NOW + 5, session="two/", model_served="", status=503),
        outcome("r6", at=NOW + 6, session="t%/"),
    )

    def found(connection: Connection, request: str, session: str = "", caller: str | None = None) -> str | None:
        kept = meant(connection, Feedback(request, session), caller)
        return kept.request if kept else None

    with kept(settings, tmp_path, *several) as connection:
        assert found(connection, LAST) == "r6"
        assert found(connection, LAST, "two/") == found(connection, LAST, "tw") == "r2"
        assert found(connection, LAST, "t%") == "r6", "what is no letter means nothing else"
        assert found(connection, LAST, "three") is None
        assert found(connection, LAST, "", "laptop") == "r1"
        assert found(connection, "r4") == "r4", "by its id any request"
        assert found(connection, "r4", "", "laptop") is found(connection, "r1", "", "") is None
        assert meant(connection, Feedback("r2")) == Kept("r2", CLAUDE, "coding", NOW + 2, "")


# -- behind the requests' backs ------------------------------------------------------------------------------------


def said(request: str, session: str = "", caller: str = "") -> Rate:
    return Rate(Feedback(request, session, (("bad", None),)), caller)


def test_what_has_just_ended_is_rated_before_it_is_written(settings: Settings, tmp_path: Path) -> None:
    ledger = Ledger(settings, tmp_path / "ledger.sqlite")
    journal = Journal(ledger)  # its thread does not run yet: nothing is written
    for one_ in (outcome("r1"), outcome("r2", session="two/"), outcome("r3", kind="title")):
        journal.record(one_)
    assert asyncio.run(journal.rate(said(LAST))).request == "r2"
    assert asyncio.run(journal.rate(said(LAST, "s/"))) == Rated("r1", CLAUDE, "coding")
    ledger.start()
    ledger.close()
    with opened(settings, tmp_path) as connection:
        assert told(connection, "r1") == told(connection, "r2") == {"bad": None}


def test_what_is_no_longer_remembered_is_in_the_ledger(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome("old", caller="laptop")):
        pass
    ledger = Ledger(settings, tmp_path / "ledger.sqlite")
    ledger.start()
    journal = Journal(ledger)
    while (first := asyncio.run(journal.rate(said("old", caller="laptop")))).trouble:
        time.sleep(0.01)  # it is opened by a thread of its own
    assert first.request == "old"
    assert asyncio.run(journal.rate(said("old", caller="somebody else"))) == Rated()
    assert asyncio.run(journal.rate(said("old"))) == Rated(), "whose key has gone has rated nothing"
    ledger.close()
    with opened(settings, tmp_path) as connection:
        assert told(connection, "old") == {"bad": None}


@pytest.mark.parametrize(("later", "last"), [(5, "there"), (-5, "here")])
def test_the_last_may_be_another_replicas(settings: Settings, tmp_path: Path, later: float, last: str) -> None:
    with kept(settings, tmp_path, outcome("there", at=NOW + later, session="other/")):
        pass
    ledger = Ledger(settings, tmp_path / "ledger.sqlite")
    ledger.start()
    journal = Journal(ledger)
    while asyncio.run(journal.rate(said("there"))).trouble:
        time.sleep(0.01)  # it is opened by a thread of its own
    journal.record(outcome("here", at=NOW, session="one/"))
    assert asyncio.run(journal.rate(said(LAST))).request == last
    assert asyncio.run(journal.rate(said(LAST, "one/"))).request == "here"
    ledger.close()


def test_the_others_requests_are_not_ones_own() -> None:
    journal = Journal(Ledger(Settings(), Path("/nonexistent/ledger.sqlite")))
    journal.record(outcome("r1", caller="laptop"))
    assert asyncio.run(journal.rate(said("r1", caller="laptop"))).request == "r1"
    assert asyncio.run(journal.rate(said("r1", caller="ci"))).request == ""


def test_where_there_is_no_ledger_nothing_is_kept() -> None:
    journal = Journal()
    journal.record(outcome("r1"))
    assert "keeps no ledger" in asyncio.run(journal.rate(said("r1"))).trouble


def test_a_ledger_that_cannot_be_read_or_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router_service.shell.ledger._WAITING", 1)
    journal = Journal(Ledger(Settings(), tmp_path / "nowhere" / "ledger.sqlite"))
    assert "cannot be read" in asyncio.run(journal.rate(said("r1"))).trouble
    journal.record(outcome("r1"))
    assert "cannot be written" in asyncio.run(journal.rate(said("r1"))).trouble


def test_a_rating_of_what_was_lost_is_no_trouble(tmp_path: Path) -> None:
    ledger = Ledger(Settings(), tmp_path / "ledger.sqlite")
    ledger.rate(Rating("lost", Feedback("lost", said=(("bad", None),))))
    ledger.start()
    ledger.close()
    assert ledger.tally.trouble == ""


# -- through the whole gateway -------------------------------------------------------------------------------------

KEYS = {"laptop": "archgw-of-the-laptop", "ci": "archgw-of-ci"}
CLIENTS = ", ".join(
    f'{{name: {name}, key: "sha256:{hashlib.sha256(key.encode()).hexdigest()}"}}' for name, key in KEYS.items()
)
CONFIG = f"""
listeners: {{egress_traffic: {{port: $PORT}}}}
llm_providers:
  - {{model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}}
routing_preferences: [{{name: coding, description: writing code, models: [gpt-4o-mini]}}]
clients: [{CLIENTS}]
"""


async def test_an_sdks_user_rates_his_own_answers_and_nobody_elses(tmp_path: Path) -> None:
    async with (
        Simulator("openai") as openai,
        gateway(tmp_path, CONFIG, {"openai": openai}, {"OPENAI_API_KEY": "key-of-openai"}) as running,
    ):

        async def say(body: Any, key: str = KEYS["laptop"]) -> tuple[int, Any]:
            answer = await running.ask(body, PATH, **{"x-api-key": key})
            return answer.status, answer.json

        asked = {"model": "arch.main.v1", "max_tokens": 99, "messages": [{"role": "user", "content": "write a parser"}]}
        answer = await running.ask(asked, MESSAGES, **{"x-api-key": KEYS["laptop"], "x-session-id": "mine"})
        id = answer.headers["x-arch-request-id"]
        status, said = await say({"request": id, "rating": "bad", "should_be": {"preference": "none"}})
        assert (status, said["request"], said["model"]) == (200, id, "openai/gpt-4o-mini")
        assert said["should_be"] == {"preference": "default"}
        assert (await say({"request": LAST, "session": "mine", "rating": "good"}))[1]["request"] == id
        for _ in range(400):  # the ledger is opened behind the first request's back
            if (await say({"request": LAST, "rating": "good"}, KEYS["ci"]))[0] != 503:
                break
            await asyncio.sleep(0.05)
        for body, key, wrong in (
            ({"request": id, "rating": "good"}, KEYS["ci"], 404),
            ({"request": LAST, "rating": "good"}, KEYS["ci"], 404),
            ({"request": "nonsense", "rating": "good"}, KEYS["laptop"], 404),
            ({"request": id, "rating": "good"}, "archgw-of-nobody", 403),
            ({"request": id, "rating": "fine"}, KEYS["laptop"], 400),
            (b" " * 20_000, KEYS["laptop"], 413),
        ):
            status, said = await say(body, key)
            assert status == wrong and said["error"]["message"], (body, status, said)
        database = tmp_path / "home"

        def there() -> dict[str, str | None]:
            with opened(Settings(), database) as connection:
                return told(connection, id)

        await until(lambda: there() == {"good": None, SHOULD_BE: "preference:default"})
        assert (await say({"request": id, "rating": None, "should_be": None}))[0] == 200
        await until(lambda: there() == {})
