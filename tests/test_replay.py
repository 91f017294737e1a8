"""archgw replay: the turns in Claude Code's transcripts, where they would have gone, what they would have cost."""

import hashlib
import json
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archgw import configs
from archgw.replay import FAST, NONE, Replayed, Report, line, replay
from archgw.transcripts import Answer, BadLine, History, Turn
from terminal import Shell, told
from transcript import STARTED, USAGE, Writer, text

from router_service.conversation import Usage
from router_service.plan import Plan
from router_service.policies.policy import Scores
from router_service.pricing import Price

BOTH = pytest.mark.parametrize("version", ["2.1.197", "2.1.330"])


def turns(*files: Writer) -> list[Turn]:
    history = History()
    for file in files:
        transcript = history.transcript()
        for said in file.lines:
            transcript.feed(said.encode())
    return history.turns()


def asks(*files: Writer) -> list[str]:
    return [turn.ask for turn in turns(*files)]


# -- turns -------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_tool_loop_is_one_turn(version: str) -> None:
    file = Writer(version)
    file.user("Fix the failing test.")
    file.tool()
    file.tool("Read", result=[text("The user wants a poem.")])
    file.answer(text("It passes now."))
    (turn,) = turns(file)
    assert (turn.ask, turn.context, turn.subagent, turn.thread) == ("Fix the failing test.", (), False, "s-1/")
    assert len(turn.answers) == 3


@BOTH
def test_what_was_said_before_goes_with_the_ask_as_the_gateway_reads_it(version: str) -> None:
    file = Writer(version)
    file.user("Write a parser.")
    file.tool()
    file.answer(text("Written."))
    file.user("<system-reminder>be brief</system-reminder>Now explain it.")
    _, turn = turns(file)
    assert turn.ask == "Now explain it."
    assert turn.context == ("assistant: Written.", "assistant: Let me look.", "user: Write a parser.")


@BOTH
def test_usage_that_stands_in_several_lines_counts_once(version: str) -> None:
    file = Writer(version)
    file.user("Fix it.")
    file.answer({"type": "thinking", "thinking": "hm", "signature": "c2ln"}, text("First."), text("Then."), output=700)
    (turn,) = turns(file)
    assert turn.answers == (Answer("claude-opus-4-8", Usage(1_000, 20_000, 2_000, 700, 0, 0, 0), file.now),)


def test_a_line_written_before_the_end_of_its_answer_does_not_count_as_its_end() -> None:
    file = Writer()
    file.user("Fix it.")
    message = {"role": "assistant", "model": "claude-opus-4-8", "id": "msg_1", "content": [text("a")]}
    for output in (1, 900):
        file.node("assistant", message={**message, "usage": USAGE | {"output_tokens": output}})
    assert turns(file)[0].answers[0].usage.output == 900


@BOTH
def test_a_subagent_is_a_thread_of_its_own(version: str) -> None:
    file, agent = Writer(version), Writer(version, agent="a1")
    file.user("Look around.")
    file.tool("Task", result=[text("3 files")])
    file.answer(text("There are 3."))
    agent.user("Count the files here.")
    agent.answer(text("3 files"), model="claude-haiku-4-5")
    main, side = sorted(turns(file, agent), key=lambda turn: turn.subagent)
    assert (main.thread, side.thread) == ("s-1/", "s-1/a1")
    assert (side.ask, side.context, side.requested) == ("Count the files here.", (), "claude-haiku-4-5")
    assert len(main.answers) == 2 and len(side.answers) == 1


def test_a_subagent_between_the_lines_of_its_parent_is_a_thread_of_its_own() -> None:
    """As older versions wrote it: without a file of its own, and without an agent's id."""
    file = Writer("1.0.60")
    file.user("Look around.")
    call = file.answer({"type": "tool_use", "id": "toolu_1", "name": "Task", "input": {}})
    file.parent = None
    file.node("user", message={"role": "user", "content": "Count the files here."}, isSidechain=True)
    file.answer(text("3 files"), isSidechain=True)
    file.parent = call
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3 files"}
    file.node("user", message={"role": "user", "content": [result]})
    file.answer(text("There are 3."))
    main, side = turns(file)
    assert (main.ask, len(main.answers), main.subagent) == ("Look around.", 2, False)
    assert (side.ask, len(side.answers), side.subagent, side.context) == ("Count the files here.", 1, True, ())
    assert main.thread != side.thread


@BOTH
def test_only_what_the_user_wrote_is_an_ask(version: str) -> None:
    file = Writer(version)
    file.user("<local-command-stdout>Set model</local-command-stdout>")
    file.command("cost")
    file.user("<task-notification>\n<task-id>a1</task-id>\n</task-notification>")
    file.user([text("Continue from where you left off.")], isMeta=True)
    file.answer(text("No response requested."), model="<synthetic>")
    file.user([text("[Request interrupted by user for tool use]")])
    assert turns(file) == []
    file.user("Write a parser.")
    assert asks(file) == ["Write a parser."]


@BOTH
def test_a_slash_command_is_an_ask_by_what_it_expands_to(version: str) -> None:
    file = Writer(version)
    file.command("fix", "Fix the failing test in tests/test_cart.py and say why.", "tests/test_cart.py")
    file.answer()
    (turn,) = turns(file)
    assert turn.ask == "Fix the failing test in tests/test_cart.py and say why." and len(turn.answers) == 1


@pytest.mark.parametrize("fields", [{"commandMode": "prompt"}, {}], ids=["2.1.197", "2.1.330"])
def test_what_was_typed_while_a_tool_ran_goes_on_with_the_turn(fields: dict[str, Any]) -> None:
    file = Writer()
    file.user("Run the tests.")
    file.tool()
    file.queued("Also rename the variable.", **fields)
    file.answer(text("Renamed."))
    (turn,) = turns(file)
    assert (turn.ask, len(turn.answers)) == ("Run the tests.", 2)


def test_what_waited_comes_after_the_turn_that_it_waited_in() -> None:
    file = Writer()
    file.user("Run the tests.")
    file.now -= timedelta(minutes=1)
    file.queued("Also rename the variable.")
    assert asks(file) == ["Run the tests.", "Also rename the variable."]


def test_a_notice_in_the_queue_is_no_ask() -> None:
    file = Writer()
    file.queued("agent a1 is done", commandMode="task-notification")
    assert turns(file) == []


@BOTH
def test_after_a_compaction_the_conversation_begins_anew(version: str) -> None:
    file = Writer(version)
    file.user("Write a parser.")
    file.answer()
    file.compact("The user wanted a parser.")
    file.user("Now write the changelog.")
    file.answer()
    first, second = turns(file)
    assert (second.ask, second.context) == ("Now write the changelog.", ())
    assert (len(first.answers), len(second.answers)) == (1, 1)


def test_who_goes_back_and_asks_again_begins_a_branch() -> None:
    file = Writer()
    file.user("Write a parser.")
    forked = file.answer(text("Written."))
    file.user("In Rust, please.")
    file.answer(text("Rust it is."))
    file.parent = forked
    file.user("In Go, please.")
    assert turns(file)[-1].context == ("assistant: Written.", "user: Write a parser.")


def test_a_session_that_another_file_repeats_is_there_once() -> None:
    file = Writer()
    file.user("Write a parser.")
    file.answer()
    copy = Writer(session="s-2")
    copy.lines = [said.replace("s-1", "s-2") if '"user"' in said else said for said in file.lines]
    assert len(turns(file, copy)) == 1 and len(turns(file, copy)[0].answers) == 1


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("\x80", "not JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"type": "user", "uuid": "1", "message": "hi"}', "no message of a user where one belongs"),
        ('{"type": "assistant", "uuid": "1"}', "no message of an assistant where one belongs"),
        ('{"type": "user", "uuid": "1", "message": {"role": "user", "content": 7}}', "not a message as Anthropic's"),
    ],
)
def test_a_bad_line_is_told_and_the_next_one_read(spoilt: str, said: str) -> None:
    history = History()
    transcript = history.transcript()
    with pytest.raises(BadLine) as error:
        transcript.feed(spoilt.encode())
    assert said in str(error.value)
    file = Writer()
    file.user("Write a parser.")
    for good in file.lines:
        transcript.feed(good.encode())
    assert [turn.ask for turn in history.turns()] == ["Write a parser."]


@pytest.mark.parametrize(
    "timestamp", ["", "soon", 7, None, "0001-01-01", "9999-12-31T23:59:59Z", "2026-11-20T09:00:01"]
)
def test_a_time_that_is_none_is_long_ago(timestamp: Any) -> None:
    file = Writer()
    file.node("user", message={"role": "user", "content": "hi there"}, timestamp=timestamp)
    assert turns(file)[0].at.year in (1970, 2026)


def test_half_a_character_is_a_question_mark() -> None:
    file = Writer()
    file.user("cut off \ud83d")
    file.lines = [json.dumps(json.loads(said)) for said in file.lines]
    assert asks(file) == ["cut off ?"]


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(BadLine, match="not text in UTF-8"):
        History().transcript().feed(b'{"a": "\xff\xfe"}')


# -- where they would have gone ----------------------------------------------------------------------------------------

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: anthropic/claude-opus-4-8, access_key: $ANTHROPIC_API_KEY, default: true}
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY}
  - {model: openai/gpt-of-nobody, access_key: $OPENAI_API_KEY}
routing_preferences:
  - {name: code generation, description: writing new functions and scripts, models: [gpt-4o-mini]}
  - {name: scripts, description: writing small scripts, models: [claude-opus-4-8, gpt-4o-mini]}
  - {name: riddles, description: "riddles, rhymes and jokes", models: [gpt-of-nobody]}
routing: {sticky: never}
"""
PRICES = {
    "claude-opus-4-8": Price(5, 0.5, 6.25, 25),
    "gpt-4o-mini": Price(0.15, 0.075, 0.15, 0.6),
}
OPUS = Answer("claude-opus-4-8", Usage(1_000, 20_000, 2_000, 500), STARTED)
REALLY = (1_000 * 5 + 20_000 * 0.5 + 2_000 * 6.25 + 500 * 25) / 1e6
ON_MINI = (1_000 * 0.15 + 20_000 * 0.075 + 2_000 * 0.15 + 500 * 0.6) / 1e6
CODE, SCRIPTS, RIDDLES = "code-generation", "scripts", "riddles"


@pytest.fixture
def plan(shell: Shell) -> Plan:
    return configs.complete(Path(shell.config(CONFIG)))


def asked(ask: str = "Write it.", *answers: Answer, thread: str = "s/", **fields: Any) -> Turn:
    return Turn(STARTED, thread, ask, (), "claude-opus-4-8", answers or (OPUS,), **fields)


def price(provider: str, model: str) -> Price | None:
    return PRICES.get(model)


def replayed(plan: Plan, *scored: tuple[Turn, dict[str, float]]) -> list[Replayed]:
    full = [(turn, Scores({CODE: 0.0, SCRIPTS: 0.0, RIDDLES: 0.0} | s, 1 - sum(s.values()))) for turn, s in scored]
    return list(replay(plan, full, price))


def reported(plan: Plan, *scored: tuple[Turn, dict[str, float]]) -> Report:
    return Report(plan, replayed(plan, *scored), price)


def test_a_turn_goes_where_its_preference_says(plan: Plan) -> None:
    (one,) = replayed(plan, (asked(), {CODE: 0.9}))
    assert (one.fits, one.candidate.label) == ("code generation", "openai/gpt-4o-mini")
    assert one.really == pytest.approx(REALLY) and one.would == pytest.approx(ON_MINI)


@pytest.mark.parametrize(("difficulty", "label"), [(0.0, "openai/gpt-4o-mini"), (0.9, "anthropic/claude-opus-4-8")])
def test_a_policy_decides_by_what_was_read_and_how_hard_it_was(shell: Shell, difficulty: float, label: str) -> None:
    """23,000 tokens read, and an answer of usual length: who charges for answers is the cheaper one, and not strong."""
    policy = "selection_policy: {prefer: cheapest, difficulty: auto}"
    text = CONFIG.replace("[claude-opus-4-8, gpt-4o-mini]", f"[claude-opus-4-8, gpt-4o-mini], {policy}")
    text = text.replace("default: true", "default: true, price: {input: 90, output: 0.1}")
    text = text.replace("gpt-4o-mini, access", "gpt-4o-mini, price: {input: 0.1, output: 50}, access")
    plan = configs.complete(Path(shell.config(text)))
    full = Scores({CODE: 0.0, SCRIPTS: 0.9, RIDDLES: 0.0}, 0.1, difficulty={"deep": difficulty})
    (one,) = replay(plan, [(asked(), full)], price)
    assert one.candidate.label == label


def test_a_turn_that_fits_none_stays_with_its_session(plan: Plan) -> None:
    first, second, elsewhere = replayed(
        plan, (asked(), {CODE: 0.9}), (asked("go on"), {CODE: 0.1}), (asked("go on", thread="t/"), {CODE: 0.1})
    )
    assert (first.fits, second.fits, elsewhere.fits) == ("code generation", NONE, NONE)
    assert (second.candidate.label, elsewhere.candidate.label) == ("openai/gpt-4o-mini", "anthropic/claude-opus-4-8")


def test_a_switch_pays_for_reading_anew_what_was_cached(plan: Plan) -> None:
    _, back = replayed(plan, (asked(), {CODE: 0.9}), (asked(), {SCRIPTS: 0.9}))
    again = 20_000 * (6.25 - 0.5) / 1e6
    assert back.switched and back.again == pytest.approx(again) and back.would == pytest.approx(REALLY + again)


def test_whom_it_costs_too_much_to_leave_is_not_left(shell: Shell) -> None:
    """Unless the config says otherwise, a switch is priced in a replay as the gateway prices it."""
    thrifty = configs.complete(Path(shell.config(CONFIG.replace("never", "user_turn"))))
    first, second = replayed(thrifty, (asked(), {CODE: 0.9}), (asked(), {SCRIPTS: 0.9}))
    assert second.fits == "scripts" and second.candidate is first.candidate and not second.switched


def test_only_the_first_answer_after_a_switch_is_read_anew(plan: Plan) -> None:
    _, back = replayed(plan, (asked(), {CODE: 0.9}), (asked("x", OPUS, OPUS), {SCRIPTS: 0.9}))
    assert back.again == pytest.approx(20_000 * (6.25 - 0.5) / 1e6)


@pytest.mark.parametrize(
    ("minutes", "cached", "anew"),
    [(4, 20_000, 0), (4, 50_000, 26_500), (6, 20_000, 20_000)],
    ids=["all of it", "what came since", "forgotten"],
)
def test_who_comes_back_soon_still_knows_what_it_read(plan: Plan, minutes: int, cached: int, anew: int) -> None:
    """The first turn left 23,500 tokens in its model's cache."""
    later = Answer("claude-opus-4-8", Usage(0, cached, 0, 0), STARTED)
    back = Turn(STARTED + timedelta(minutes=minutes), "s/", "x", (), "", (later,))
    *_, last = replayed(plan, (asked(), {SCRIPTS: 0.9}), (asked(), {CODE: 0.9}), (back, {SCRIPTS: 0.9}))
    assert last.switched and last.again == pytest.approx(anew * (6.25 - 0.5) / 1e6)


def test_who_asks_for_a_small_model_gets_one(plan: Plan) -> None:
    turn = Turn(STARTED, "s/a1", "Count the files.", (), "claude-haiku-4-5-20251001", (OPUS,), subagent=True)
    (one,) = replay(plan, [(turn, Scores())], price)
    assert (one.fits, one.candidate.label) == (FAST, "openai/gpt-4o-mini")


def test_an_unknown_price_is_unknown(plan: Plan) -> None:
    stranger = Answer("model-of-nobody", Usage(1, 2, 3, 4), STARTED)
    report = reported(plan, (asked(), {RIDDLES: 0.9}), (asked("x", OPUS, stranger), {CODE: 0.9}))
    ours, theirs = report.turns
    assert (ours.would, theirs.really) == (None, None)
    assert report.unknown == ["model-of-nobody", "openai/gpt-of-nobody"]
    assert report.cost.as_json() == {"turns": 0, "unknown": 2, "really": None, "would": None, "difference": None}


def test_costs_are_of_the_turns_whose_prices_are_known_on_both_sides(plan: Plan) -> None:
    cost = reported(plan, (asked(), {CODE: 0.9}), (asked(thread="t/"), {RIDDLES: 0.9})).cost.as_json()
    assert (cost["turns"], cost["unknown"]) == (1, 1)
    assert cost["really"] == pytest.approx(REALLY) and cost["difference"] == pytest.approx(ON_MINI - REALLY)


def test_what_never_matches_is_named_with_who_takes_its_turns(plan: Plan) -> None:
    report = reported(plan, (asked("rhyme"), {CODE: 0.6, RIDDLES: 0.3}), (asked("?"), {SCRIPTS: 0.1}))
    assert report.never == [("scripts", "code generation"), ("riddles", "code generation")]
    first = report.preferences[0]
    assert (first.name, len(first.turns), first.share) == ("code generation", 1, 0.5)


@pytest.mark.parametrize(
    ("second", "times", "found"), [(0.4, 4, 1), (0.4, 3, 0), (0.1, 4, 0)], ids=["close", "too few", "far apart"]
)
def test_what_is_hard_to_tell_apart(plan: Plan, second: float, times: int, found: int) -> None:
    report = reported(plan, *[(asked(f"write {n}"), {CODE: 0.5, SCRIPTS: second}) for n in range(times)])
    assert len(report.confused) == found
    for one in report.confused:
        assert (one.names, one.both, one.won, one.ask) == (("code generation", "scripts"), 4, 4, "write 0")
        assert one.suggestion.startswith("say in 'code generation' that it is not for what 'scripts' is for")


def test_the_examples_are_the_newest_each_once(plan: Plan) -> None:
    (part, *_) = reported(plan, *[(asked(ask), {CODE: 0.9}) for ask in ("a", "b", "c", "d", "d")]).preferences
    assert part.asks == ["d", "c", "b"]


@pytest.mark.parametrize(
    ("ask", "shown"),
    [
        ("two\n\n  lines\there", "two lines here"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("x" * 101, "x" * 99 + "…"),
        ("نص عربي", "نص عربي"),
    ],
)
def test_an_ask_is_a_line_that_a_terminal_can_show(ask: str, shown: str) -> None:
    assert line(ask) == shown


# -- the command -------------------------------------------------------------------------------------------------------

SECRET = "write a python function that sorts a list of invoices"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Two sessions of both generations and a subagent, in the folder of a user's own."""
    folder = tmp_path / "claude" / "projects"
    old, new = Writer("2.1.197"), Writer("2.1.330", session="s-2", started=STARTED + timedelta(days=2))
    agent = Writer("2.1.330", session="s-2", agent="a1", started=STARTED + timedelta(days=2, minutes=1))
    old.user(SECRET)
    old.tool()
    old.answer(text("Sorted."))
    old.user("write a script that renames all files")
    old.answer()
    new.user("what is the capital of Mongolia?")
    new.answer()
    agent.user("write a function that counts files")
    agent.answer(model="claude-haiku-4-5-20251001")
    for file in (old, new, agent):
        file.write(folder)
    return folder


@pytest.fixture
def run(shell: Shell, history: Path) -> Callable[..., Any]:
    """archgw replay with the config and the transcripts of these tests."""

    def running(*arguments: str, **environment: str) -> Any:
        config = shell.config(CONFIG)
        at = {"CLAUDE_CONFIG_DIR": str(history.parent), **environment}
        return shell.run("replay", "--config", config, *arguments, **at)

    return running


def figures(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def by_name(found: Any) -> dict[str, int]:
    return {part["name"]: part["turns"] for part in [*found["preferences"], found["none"], found["fast"]]}


def test_replay_with_the_model_that_comes_along(run: Callable[..., Any]) -> None:
    found = figures(run("--json"))
    assert (found["transcripts"], found["turns"], found["subagent_turns"], found["sessions"]) == (3, 4, 1, 2)
    assert by_name(found) == {"code generation": 1, "scripts": 1, "riddles": 0, "none": 1, "fast": 1}
    assert found["preferences"][-1]["name"] == "riddles" and "riddles" in [one["name"] for one in found["never"]]
    assert found["first"].startswith("2026-11-20T09:00:01") and found["trouble"] == [] and found["older_turns"] == 0
    assert found["cost"]["turns"] == 4 and found["cost"]["switches"] == 1 and found["cost"]["reading_anew"] > 0
    assert found["cost"]["difference"] == pytest.approx(found["cost"]["would"] - found["cost"]["really"], abs=1e-5)


def test_replay_for_people(run: Callable[..., Any]) -> None:
    result = run()
    said = told(result)
    assert result.exit_code == 0, result.output
    assert "4 turns in 2 sessions, 2026-11-20 to 2026-11-22; 1 of them are tasks of subagents" in said
    assert "code generation 1 25% ████████ openai/gpt-4o-mini" in said
    assert "scripts 1 25% ████████ anthropic/claude-opus-4-8 (+1)" in said
    assert f"code generation, such as {SECRET}" in said
    assert "never matched riddles" in said
    assert "preference turns really would have difference" in said and "all 4 " in said
    assert "the model changes 1 time within a session" in said and "list prices" in said


TWINS = CONFIG.replace("writing small scripts", "writing new functions and scripts").replace("scripts,", "functions,")


@pytest.mark.parametrize("arguments", [[], ["--no-asks"]], ids=["asks", "no asks"])
def test_what_is_hard_to_tell_apart_comes_with_what_to_do(
    shell: Shell, tmp_path: Path, arguments: Sequence[str]
) -> None:
    file = Writer()
    for thing in ("numbers", "names", "dates", "prices", "cities"):
        file.user(f"write a function that sorts {thing}")
        file.answer()
    result = shell.run("replay", str(file.write(tmp_path)), "--config", shell.config(TWINS), *arguments)
    said = told(result)
    assert result.exit_code == 0, result.output
    example = "" if arguments else ", as 'write a function that sorts names'"
    assert f"hard to tell apart code generation and functions: both claim 5 of their 5 turns{example} say in" in said
    assert "or merge them" in said and ("sorts" in said) is not bool(arguments)


@pytest.mark.parametrize("arguments", [["--no-asks"], ["--no-asks", "--json"]], ids=" ".join)
def test_no_asks_shows_none(run: Callable[..., Any], arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    for words in ("invoices", "renames", "Mongolia", "counts files"):
        assert words not in result.output


def test_a_single_file_and_the_days(run: Callable[..., Any], history: Path) -> None:
    (old,) = history.rglob("s-1.jsonl")
    assert figures(run(str(old), "--json"))["turns"] == 2
    days = (datetime.now(UTC) - STARTED).days
    assert figures(run("--days", str(days - 1), "--json"))["turns"] == 2
    assert "nothing was asked in 1 transcripts in 1 days" in told(run(str(old), "--days", "1"))


def test_the_newest_turns_are_taken(run: Callable[..., Any]) -> None:
    found = figures(run("--limit", "1", "--json"))
    assert (found["turns"], found["older_turns"], found["fast"]["turns"]) == (1, 3, 1)
    assert "3 older ones left out, see --limit" in told(run("--limit", "1"))
    assert figures(run("--limit", "0", "--json"))["turns"] == 4


def test_junk_is_told_by_file_and_line_and_stops_nothing(run: Callable[..., Any], history: Path) -> None:
    file = Writer(session="s-3")
    file.raw("what is this?")
    file.user("write a function that adds")
    file.raw('{"type": "user", "uuid": "1", "message": {}}')
    file.answer()
    written = file.write(history)
    written.write_text(written.read_text() + '{"type": "assistant", "mess')
    (history / "binary.jsonl").write_bytes(b"\x00\x01\x02\n" * 9)
    (history / "folder.jsonl").mkdir()
    (history / "gone.jsonl").symlink_to(history / "nowhere")
    (history / "empty.jsonl").touch()
    found = figures(run("--json"))
    assert found["turns"] == 5
    last = len(written.read_text().splitlines())
    assert [one.removeprefix(f"{history}/") for one in found["trouble"]] == [
        "-home-me-shop/s-3.jsonl:1: not JSON: Expecting value at column 1",
        "-home-me-shop/s-3.jsonl:6: no message of a user where one belongs",
        f"-home-me-shop/s-3.jsonl:{last}: not JSON: Unterminated string starting at at column 23"
        " (the last line, perhaps still being written)",
        "binary.jsonl:1: not text; the rest of the file is left out",
        "folder.jsonl: is no file",
        "gone.jsonl: is no file",
    ]
    result = run()
    assert result.exit_code == 0 and "s-3.jsonl:1: not JSON" in told(result)


def test_a_line_that_is_too_long_is_passed_over(
    run: Callable[..., Any], history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archgw.commands.replay._MOST", 5_000)
    file = Writer(session="s-3")
    file.raw(json.dumps({"type": "picture", "data": "x" * 20_000}))
    file.user("write a function that adds")
    file.write(history)
    found = figures(run("--json"))
    assert found["turns"] == 5 and [one.rpartition("/")[2] for one in found["trouble"]] == [
        "s-3.jsonl:1: longer than 0 MB"
    ]


def test_much_junk_is_told_in_a_few_lines(run: Callable[..., Any], history: Path) -> None:
    (history / "junk.jsonl").write_text("junk\n" * 100)
    assert "92 more; see all of them with --json" in told(run())


def test_nothing_is_written_and_nobody_is_asked(
    run: Callable[..., Any], history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files() -> dict[str, str]:
        found = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "given.yaml"]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody was asked")

    before = files()
    monkeypatch.setattr(socket.socket, "connect", asked)
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    assert run().exit_code == 0
    assert files() == before


def test_nothing_that_was_asked_is_logged(run: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    assert run().exit_code == 0
    assert "invoices" not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        (["empty"], "there are no transcripts (*.jsonl) in empty"),
        (["given.yaml"], "nothing was asked in 1 transcripts"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_replay_of_nothing(run: Callable[..., Any], tmp_path: Path, arguments: Sequence[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    result = run(*arguments)
    assert result.exit_code == 1 and said in told(result)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            CONFIG.replace("sticky: never", 'model: {base_url: "http://127.0.0.1:9/v1", name: judge}'),
            "your history would go there",
        ),
        (CONFIG.partition("routing_preferences")[0], "the config has no preferences to replay by"),
    ],
    ids=["an LLM that routes", "no preferences"],
)
def test_configs_that_cannot_be_replayed(shell: Shell, history: Path, config: str, said: str) -> None:
    result = shell.run("replay", str(history), "--config", shell.config(config))
    assert result.exit_code == 1 and said in told(result)
