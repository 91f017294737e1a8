"""What speaks against an answer: told with the right answer, by sessions as they go on; and how often it is right."""

import hashlib
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from detecting import NAMES, OWN, found, measured, scores, split, turns, wilson, written, wrong
from dialogue import (
    A_OPEN,
    A_START,
    A_TEXT,
    ANTHROPIC_EVENTS,
    CLAUDE,
    STREAM,
    THREE,
    WALL,
    attempt_of,
    conversation_of,
    exchange_of,
    gateway_of,
)
from test_signals import SESSION, answered, call, result, said, user

from router_service import intent
from router_service.asks import user_words
from router_service.detectors import DETECTORS, retried, weights
from router_service.detectors.detector import Next
from router_service.detectors.signs import SIGNS
from router_service.events import Gone, ResponseBody
from router_service.gateway import Gateway
from router_service.outcome import Outcome
from router_service.session import Session
from router_service.torn import tear

FLOOR = 0.9  # of precision: what is told may be counted on
FLOORS = {"correction": 0.85}  # where it is lower: words in which people are not content are many
TOLD = {
    "override": 30,
    "re-ask": 20,
    "correction": 20,
    "interrupted": 30,
    "retried": 10,
    "tool error": 25,
    "reverted": 20,
}
ASK = "add a retry to fetch_user in api.py"


# -- measured ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged() -> list[tuple[Any, frozenset[str]]]:
    return [(turn, found(turn)) for turn in turns()]


def test_the_page_says_what_is_measured(judged: list[Any]) -> None:
    assert written() == measured(judged), "run python tests/detecting.py and read the difference"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_may_be_counted_on(judged: list[Any], name: str) -> None:
    for part in split(judged):
        score = next(one for one in scores(part) if one.name == name)
        assert score.precision is not None and score.precision >= FLOORS.get(name, FLOOR), score


@pytest.mark.parametrize("name", NAMES)
def test_of_what_is_held_apart_enough_is_told_to_say_so(judged: list[Any], name: str) -> None:
    score = next(one for one in scores(split(judged)[0]) if one.name == name)
    assert score.told >= TOLD[name], score


def test_a_detector_that_tells_of_everything_is_found_out(judged: list[Any]) -> None:
    loud = [(turn, frozenset(NAMES)) for turn, _ in judged]
    assert all((one.precision or 1.0) < min(FLOORS.values()) for part in split(loud) for one in scores(part))


def test_what_is_held_apart_is_never_printed(judged: list[Any]) -> None:
    silent = [(turn, frozenset[str]()) for turn, _ in judged]
    held = {turn["id"] for turn, _ in split(judged)[0]}
    printed = "".join(wrong(silent))
    assert len(held) > 300 and "a-001" in printed and not any(f" {id}:" in printed for id in held)


def test_every_detector_is_measured_and_every_label_is_one(judged: list[Any]) -> None:
    assert {name.replace("_", " ") for name in DETECTORS} == {name.replace("-", " ") for name in NAMES}
    assert {label for turn, _ in judged for label in turn["labels"]} == set(NAMES)
    ids = [turn["id"] for turn, _ in judged]
    assert len(ids) == len(set(ids)) and OWN in {turn["author"] for turn, _ in judged}


def test_an_interval_of_wilsons() -> None:
    assert wilson(9, 10) == pytest.approx((0.596, 0.982), abs=0.001)
    assert wilson(0, 10)[0] == 0.0 and wilson(10, 10)[1] == 1.0


# -- sessions as they go on ----------------------------------------------------------------------------------------


def later(gateway: Gateway) -> None:
    """Half a minute passes."""
    key = "s/"
    session = gateway.sessions.get(key)
    assert session.served
    gateway.sessions.put(key, replace(session, served=replace(session.served, at=WALL - 30)))


def asked_again(gateway: Gateway, **more: Any) -> Outcome:
    later(gateway)
    return answered(gateway, user(ASK), said("Done."), user("now a jitter"), **more)


def test_the_same_turn_once_more_is_a_retry_and_nothing_else() -> None:
    gateway = gateway_of()
    first = answered(gateway, user(ASK))
    second = answered(gateway, user(ASK), said("Done."), user("no, that's wrong"))
    assert second.signals == ((first.id, "correction"),)
    later(gateway)
    third = answered(gateway, user(ASK), said("Done."), user("no, that's wrong"))
    assert third.signals == ((second.id, "retried"),), "the correction was told when it was said"


def test_the_first_ask_of_a_session_that_is_named_can_be_retried() -> None:
    gateway = gateway_of()
    first = answered(gateway, user(ASK))
    later(gateway)
    assert answered(gateway, user(ASK)).signals == ((first.id, "retried"),)


def test_a_tool_loop_is_one_turn_and_is_retried_as_a_whole() -> None:
    gateway = gateway_of()
    answered(gateway, user(ASK))
    last = answered(gateway, user(ASK), call(), result("fine"))
    assert last.signals == ()
    later(gateway)
    assert answered(gateway, user(ASK)).signals == ((last.id, "retried"),)


def test_a_program_that_tries_again_at_once_has_read_nothing() -> None:
    gateway = gateway_of()
    answered(gateway, user(ASK))
    assert answered(gateway, user(ASK)).signals == (), "no second has passed"


def test_threads_that_nobody_names_begin_alike_without_being_retried() -> None:
    gateway = gateway_of()
    messages = [user(ASK)]
    for _ in range(2):
        exchange = exchange_of(gateway, messages=messages, scores={"coding": 0.9}, stream=True)
        assert exchange.told == ()
        attempt = attempt_of(gateway, exchange)
        attempt.feed(STREAM, 0.1)
        attempt.feed(ResponseBody(b"".join(ANTHROPIC_EVENTS), end=True), 0.2)
        session = gateway.sessions.get(exchange.session)
        assert session.served
        gateway.sessions.put(exchange.session, replace(session, served=replace(session.served, at=WALL - 30)))


def streaming(gateway: Gateway) -> tuple[Any, Any]:
    exchange = exchange_of(gateway, messages=[user(ASK)], given=SESSION, scores={"coding": 0.9}, stream=True)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 0.1)
    attempt.feed(ResponseBody(b"".join((A_START, A_OPEN, A_TEXT))), 0.2)
    return exchange, attempt


def test_who_leaves_in_the_middle_of_an_answer_and_goes_on_has_stopped_it() -> None:
    gateway = gateway_of()
    exchange, attempt = streaming(gateway)
    attempt.feed(Gone(), 1.0)
    assert asked_again(gateway).signals == ((exchange.id, "interrupted"),)
    assert asked_again(gateway).signals != ((exchange.id, "interrupted"),), "that one is answered"


def test_what_a_provider_tore_nobody_has_stopped() -> None:
    gateway = gateway_of()
    exchange, attempt = streaming(gateway)
    attempt.feed(Gone(), 1.0)
    tear(gateway, f"{exchange.id}/1", 1.1)
    assert asked_again(gateway).signals == ()


def test_what_broke_off_is_not_retried_by_the_user() -> None:
    gateway = gateway_of()
    _, attempt = streaming(gateway)
    attempt.feed(ResponseBody(b"", end=True), 1.0)
    later(gateway)
    assert answered(gateway, user(ASK), stream=False).signals == ()


def edit(id: str, old: str, new: str) -> dict[str, Any]:
    given = {"file_path": "/d.py", "old_string": old, "new_string": new}
    return {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Edit", "input": given}]}


def done(id: str) -> dict[str, Any]:
    return user([{"type": "tool_result", "tool_use_id": id, "content": "ok"}])


def test_an_edit_that_is_undone_speaks_of_the_turn_that_made_it() -> None:
    gateway = gateway_of()
    thread = [user(ASK)]
    answered(gateway, *thread)
    thread += [edit("e1", "seen = []", "seen = set()"), done("e1")]
    made = answered(gateway, *thread)
    thread += [said("A set now."), user("and write the docs")]
    docs = answered(gateway, *thread)
    thread += [said("Written."), user("take the list again")]
    asked = answered(gateway, *thread)
    assert (made.signals, docs.signals, asked.signals) == ((), (), ())
    thread += [edit("e2", "seen = set()", "seen = []"), done("e2")]
    assert answered(gateway, *thread).signals == ((made.id, "reverted"),)
    thread += [call(), result("fine")]
    assert answered(gateway, *thread).signals == (), "it is told once"


def test_of_turns_that_nobody_remembers_nothing_is_told() -> None:
    gateway = gateway_of()
    thread = [user(ASK), edit("e1", "a", "b"), done("e1"), said(), user("undo it")]
    answered(gateway, *thread)
    thread += [edit("e2", "b", "a"), done("e2")]
    assert answered(gateway, *thread).signals == ()


def test_a_session_remembers_a_few_turns() -> None:
    gateway = gateway_of()
    thread = [user(ASK)]
    ids = []
    for n in range(12):
        ids.append(answered(gateway, *thread).id)
        thread += [said(), user(f"step {n}, which is another one")]
    session: Session = gateway.sessions.get("s/")
    assert session.served and session.served.request == ids[-1] and session.served.model == CLAUDE
    assert session.before == tuple(reversed(ids[-9:-1]))


ALICE, BOB = "archgw-alice", "archgw-bob"
KEYS_OF = "".join(
    f'  - {{name: {name}, key: "sha256:{hashlib.sha256(key.encode()).hexdigest()}"}}\n'
    for name, key in (("alice", ALICE), ("bob", BOB))
)
NO_ID = {"user-agent": "OpenAI/Python 3.54.0"}


@pytest.mark.parametrize("client", [SESSION, NO_ID], ids=["the same id", "begun alike"])
def test_what_one_caller_says_is_not_told_of_anothers_answer(client: dict[str, str]) -> None:
    gateway = gateway_of(f"{THREE}clients:\n{KEYS_OF}")

    def turn(key: str, *messages: dict[str, Any]) -> Outcome:
        return answered(gateway, *messages, given=client | {"x-arch-key": key})

    wrong = user("no, that's wrong"), said("Sorry."), user("no, that's still wrong")
    alices = turn(ALICE, user(ASK))
    bobs = turn(BOB, user(ASK), said("Done."), wrong[0])
    assert alices.session == bobs.session and (alices.caller, bobs.caller) == ("alice", "bob")
    assert bobs.signals == (), "it may be of an answer of alice's"
    assert turn(BOB, user(ASK), said("Done."), *wrong).signals == ((bobs.id, "correction"),)


def test_of_turns_further_back_none_is_told_that_was_anothers() -> None:
    gateway = gateway_of(f"{THREE}clients:\n{KEYS_OF}")
    thread = [user(ASK)]
    answered(gateway, *thread, given=SESSION | {"x-arch-key": ALICE})
    thread += [edit("e1", "a", "b"), done("e1"), said(), user("and the docs")]
    answered(gateway, *thread, given=SESSION | {"x-arch-key": BOB})
    thread += [edit("e2", "b", "a"), done("e2")]
    assert answered(gateway, *thread, given=SESSION | {"x-arch-key": BOB}).signals == ()


# -- words ---------------------------------------------------------------------------------------------------------


def told(words: Any, *, answer: str = "I have added it.", **more: Any) -> frozenset[str]:
    before = [user(ASK), said(answer)]
    turn = {"client": "sdk", "before": before, "now": [user(words)], "asked_model": "routed"} | more
    return found(turn)


@pytest.mark.parametrize(
    "words",
    [
        'Translate: "No, that\'s wrong."',
        "Add this text: `still failing`",
        "> still failing\nwhat does he mean by that",
        "```\nIt doesn't work\n```\nexplain this log",
        "What does „das ist falsch“ mean?",
    ],
)
def test_what_is_quoted_says_nothing(words: str) -> None:
    assert told(words) == frozenset()


def test_a_complaint_may_stand_behind_what_is_pasted() -> None:
    log = "\n".join(f"line {n} of a log. It goes on" for n in range(200))
    assert told(f"{log}\nStill the same error.") == {"correction"}
    assert told(f"here is the log\n{log}\nwhat is the fourth line about?") == frozenset()


def test_to_a_question_no_is_an_answer() -> None:
    assert told("no", answer="Shall I commit it?") == frozenset()
    assert told("no", answer="I have committed it.") == {"correction"}
    assert told("No, that's wrong.", answer="Shall I commit it?") == {"correction"}


def test_a_model_that_asks_a_subagent_complains_of_nothing() -> None:
    turn = {"client": "claude-code", "before": [user(ASK), said()], "now": [user("No, that's wrong.")]}
    gateway = gateway_of()
    answered(gateway, user(ASK))
    more = {"x-claude-code-agent-id": "a1"}
    exchange = exchange_of(gateway, messages=turn["before"] + turn["now"], given=SESSION | more, scores={"coding": 0.9})
    assert exchange.told == ()


MANY = [
    "\n",
    "\n ",
    " \t",
    "\r",
    "\r\n",
    ">\n",
    " > a\n",
    "```",
    "\u3000\n",
    "rm ",
    "git restore ",
    "no ",
    "still ",
    "a",
    '"',
    "'",
    "(",
    "it is ",
    "1 ",
    "i set x ",
    "put back ",
    "git ",
    "not what ",
    "undo, ",
    "不",
    " ",
]


@pytest.mark.parametrize("word", MANY)
def test_words_in_any_number_cost_little(word: str) -> None:
    """Eight times as long, it may take some eight times as long, and not sixty-four."""

    def seconds(length: int) -> float:
        words = word * (length // len(word)) + "x"
        calls = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": words}}
        asked = conversation_of(messages=[user(words), said(words), user(words)])
        stepped = [user(words), {"role": "assistant", "content": [calls]}, result(words, is_error=True)]
        both = [Next(one, intent.read(one, {})) for one in (asked, conversation_of(messages=stepped))]
        best = 1e9
        for _ in range(3):
            began = time.thread_time()
            _ = [detector(given) for given in both for detector in DETECTORS.values()]
            _ = [user_words(message) for message in asked.messages]
            best = min(best, time.thread_time() - began)
        return best

    longest = 1_000_000 if word.isspace() or ">" in word else 160_000
    assert seconds(longest) < 4 * longest / 20_000 * seconds(20_000)


def test_of_a_long_text_what_is_fenced_is_left_out_and_what_stands_behind_it_counts() -> None:
    log = "it is wrong and does not work\n" * 3000
    assert told(f"what does it say?\n```\n{log}```\nin one line please") == frozenset()
    assert told(f"here it is\n```\n{log}```\nStill the same error.") == {"correction"}


def test_every_sign_has_a_weight_and_no_other_has() -> None:
    assert set(weights.WEIGHTS) == {*SIGNS, ""}


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        ("that's only three, I asked for five", True),
        ("why did you delete the tests", True),
        ("und jetzt geht gar nichts mehr", True),
        ("great, thanks! now the same for the other file", False),
        ("no wait, that was my own mistake", False),
        ("please add a test for the error case", False),
    ],
)
def test_complaints_in_words_that_no_pattern_has(words: str, is_one: bool) -> None:
    assert (told(words) == {"correction"}) is is_one


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        ("The login page is broken. Please fix it", False),
        ("the build fails on line 12 of setup.py", False),
        ("this query returns duplicates when joined with orders", False),
        ("that command does not work on macOS, how do I do it there", False),
        ("the script is broken", True),
        ("it is broken. Please fix it", True),
        ("you broke the login page", True),
    ],
)
def test_a_report_of_trouble_with_another_thing_is_no_complaint(words: str, is_one: bool) -> None:
    assert (told(words, answer="Done, the script retries.") == {"correction"}) is is_one


@pytest.mark.parametrize(
    ("now", "is_one"),
    [
        ("add a retry to fetch_user in api.py, with a jitter", True),
        ("add a retry to fetch_user in api.py. A retry, no cache.", True),
        ("add a retry to fetch_team in api.py", False),
        ("now the same: add a retry to fetch_user in api.py for the tests", False),
    ],
)
def test_an_ask_that_comes_back_and_one_for_another_thing(now: str, is_one: bool) -> None:
    assert ("re-ask" in told(now)) is is_one


def test_a_step_of_a_tool_loop_can_be_retried_and_the_next_one_is_none() -> None:
    gateway = gateway_of()
    steps = [user(ASK), call(), result("fine")]
    last = answered(gateway, *steps)
    later(gateway)
    assert answered(gateway, *steps).signals == ((last.id, "retried"),)
    later(gateway)
    further = {"role": "assistant", "content": [{"type": "tool_use", "id": "t2", "name": "Read", "input": {}}]}
    brought = user([{"type": "tool_result", "tool_use_id": "t2", "content": "fine"}])
    assert answered(gateway, *steps, further, brought).signals == ()


def named(user_id: str) -> Next:
    conversation = conversation_of(messages=[user(ASK)], metadata={"user_id": user_id})
    mark = retried.mark(conversation_of(messages=[user(ASK)], metadata={"user_id": "u1"}))
    return Next(conversation, intent.read(conversation, {}), turn=mark, waited=30.0, named=False)


def test_of_an_end_user_who_is_named_the_first_ask_can_be_retried() -> None:
    assert DETECTORS["retried"](named("u1")) == 0
    assert DETECTORS["retried"](named("u2")) is None
    assert DETECTORS["retried"](replace(named("u1"), waited=3600.0)) is None


def write(id: str, text: str) -> dict[str, Any]:
    given = {"file_path": "/d.py", "content": text}
    return {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Write", "input": given}]}


def shell(id: str, command: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}}],
    }


@pytest.mark.parametrize(
    ("first", "asked", "second", "is_one"),
    [
        (write("a", "x = 1"), "drop that file", shell("z", "rm d.py"), True),
        (write("a", "x = 1"), "remove e.py", shell("z", "rm e.py"), False),
        (edit("a", "x = 1", "x = 2"), "not that, please take it out", shell("z", "git checkout -- d.py"), True),
        (edit("a", "x = 1", "x = 2"), "not that, please take it out", shell("z", "git checkout -- e.py"), False),
        (edit("a", "x = 1", "x = 2"), "not that, please take it out", shell("z", "git restore ."), True),
        (edit("a", "x = 1", "x = 2"), "not that, please take it out", shell("z", "git reset --hard"), True),
        (edit("a", "x = 1", "x = 2"), "reset the counter when he logs out", shell("z", "git checkout d.py"), False),
        (edit("a", "x = 1", "x = 2"), "go back to the list when it is closed", shell("z", "git stash"), False),
        (edit("a", "x = 1", "x = 2"), "reset it please", shell("z", "git checkout HEAD -- d.py"), True),
        (edit("a", "x = 1", "x = 2"), "now y", edit("z", "y = 1", "y = 2"), False),
        (edit("a", "f()", "print(x); f()"), "and the log can go", edit("z", "print(x); f()", "f()"), False),
        (edit("a", "f()", "g()"), "as it was", edit("z", "g()", "f()"), True),
        (shell("a", "sed -i 's/x/y/' d.py"), "x was better", shell("z", "sed -i 's/y/x/' d.py"), True),
        (shell("a", "git apply p.diff"), "out with it", shell("z", "git apply -R p.diff"), True),
    ],
)
def test_how_an_edit_is_undone(first: Any, asked: str, second: Any, is_one: bool) -> None:
    before = [user(ASK), first, done("a"), said("Done."), user(asked), second]
    turn = {"client": "claude-code", "before": before, "now": [done("z")], "asked_model": "routed"}
    assert ("reverted" in found(turn)) is is_one


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        ("I've put the old one back. Next: the docs", True),
        ("hab es wieder zurückgesetzt", True),
        ("should I have it rolled back?", False),
        ("how can I revert it later", False),
        ("I set up the server again", False),
    ],
)
def test_who_says_that_he_has_undone_it(words: str, is_one: bool) -> None:
    before = [user(ASK), edit("a", "x", "y"), done("a"), said("Done.")]
    turn = {"client": "claude-code", "before": before, "now": [user(words)], "asked_model": "routed"}
    assert ("reverted" in found(turn)) is is_one


@pytest.mark.parametrize(("file", "is_one"), [("d.py", True), ("e.py", False), (".", True)])
def test_what_the_user_brings_back_by_himself(file: str, is_one: bool) -> None:
    before = [user(ASK), edit("a", "x", "y"), done("a"), said("Done.")]
    words = f"<bash-input>git checkout -- {file}</bash-input>\n<bash-stdout></bash-stdout><bash-stderr></bash-stderr>"
    turn = {"client": "claude-code", "before": before, "now": [user(words), user("now the docs")]}
    assert ("reverted" in found(turn | {"asked_model": "routed"})) is is_one


def test_of_several_edits_the_one_of_the_file_that_is_brought_back_is_meant() -> None:
    def edits(id: str, path: str) -> dict[str, Any]:
        given = {"file_path": path, "old_string": "x", "new_string": "y"}
        return {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Edit", "input": given}]}

    def back(command: str) -> int | None:
        thread = [user(ASK), edits("a", "/src/a.py"), done("a"), said(), user("b, too"), edits("b", "/src/b.py")]
        asked = [done("b"), said(), user("undo that"), shell("z", command), done("z")]
        conversation = conversation_of(messages=[*thread, *asked])
        return DETECTORS["reverted"](Next(conversation, intent.read(conversation, {})))

    assert [back(f"git checkout -- {path}") for path in ("src/a.py", "src/b.py", "src", ".", "docs")] == [
        2,
        1,
        1,
        1,
        None,
    ]
    assert [back(command) for command in ("git reset --hard", "cd src && git restore a.py", "cp b.py.bak b.py")] == [
        1,
        2,
        1,
    ]


def test_calls_that_are_no_json_are_no_edits() -> None:
    broken = {"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "Edit"}}]}
    broken["tool_calls"][0]["function"]["arguments"] = "[" * 5000  # type: ignore[index]
    gateway = gateway_of()
    messages = [user(ASK), broken, {"role": "tool", "tool_call_id": "t", "content": json.dumps("x")}]
    assert exchange_of(gateway, path="/v1/chat/completions", messages=messages, scores={"coding": 0.9}).told == ()
