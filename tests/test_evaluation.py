"""archgw eval: the cases it reads, the figures it works out, and what it says about bad files."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from archgw.evaluation import BadCase, Case, Judgement, Report, auroc, cases, configs_of, tags_of
from router_models import own_model
from terminal import CONFIG, Shell, told

from router_service.shell.fingerprint import MODEL

CODE = {"name": "code", "description": "writing new functions and programs"}
MAIL = {"name": "mail", "description": "writing e-mails to customers"}
ASK = [{"role": "user", "content": "write a function that sorts a list"}]


def line(**changes: Any) -> str:
    return json.dumps({"conversation": ASK, "routes": [CODE, MAIL], "label": "code"} | changes)


def case(label: str = "code", **fields: Any) -> Case:
    (found,) = cases([line(label=label, **fields)], "x.jsonl")
    return found


def judged(label: str, *, code: float, mail: float, seconds: float = 0.001, **fields: Any) -> Judgement:
    return Judgement(case(label, **fields), {"code": code, "mail": mail}, 1 - code - mail, seconds)


# -- cases -------------------------------------------------------------------------------------------------------------


def test_a_case() -> None:
    found = case(config="team", tags=["hard"])
    assert found.routes == (("code", CODE["description"]), ("mail", MAIL["description"]))
    assert (found.label, found.config, found.tags, found.line) == ("code", "team", ("hard",), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "x.jsonl:2: not JSON"),
        ("[]", "x.jsonl:2: expected {"),
        (line(conversation=[]), "conversation: expected a list with at least one item"),
        (line(conversation=[{"role": "nobody", "content": "hi"}]), "x.jsonl:2: conversation: "),
        (line(routes="ALL"), "routes: expected a list with at least one item"),
        (line(routes=[{"description": "no name"}]), 'routes: expected {"name"'),
        (line(routes=[CODE, CODE]), "routes: 'code' stands there twice"),
        (line(routes=[CODE, {"name": "None", "description": "x"}]), "routes: 'None' is what a label says"),
        (line(tags=5), "tags: expected a list of texts"),
        (line(tags="hard"), 'tags: expected a list of texts, such as ["hard"]'),
        (line(tags=["hard", 5]), "tags: expected a list of texts"),
        (line(conversation=[{"role": "user", "content": "a \ud800 b"}]), "half of a character (\\ud800)"),
        ("[" * 100_000, "lists and objects too deep within each other"),
        ('{"label": 1%s}' % ("0" * 5000), "not JSON: "),
        (line(label="cod"), "label: expected the name of a route or 'none', found 'cod'"),
        (line(label=None), "label: expected the name of a route or 'none', found None"),
    ],
)
def test_a_line_that_is_no_case_is_named(text: str, said: str) -> None:
    with pytest.raises(BadCase) as error:
        list(cases([line(), text], "x.jsonl"))
    assert said in str(error.value) and str(error.value).startswith("x.jsonl:2: ")


def test_blank_lines_are_passed_over() -> None:
    assert [found.line for found in cases([line(), "", line()], "x")] == [1, 3]


# -- figures -----------------------------------------------------------------------------------------------------------

JUDGED = [
    judged("code", code=0.8, mail=0.1),  # right
    judged("code", code=0.3, mail=0.6),  # wrong
    judged("mail", code=0.1, mail=0.3),  # best, but "none" is likelier
    judged("none", code=0.1, mail=0.2),  # right
    judged("none", code=0.7, mail=0.1),  # wrong
]


def test_top1_counts_the_cases_that_have_a_preference() -> None:
    assert Report(JUDGED).top1 == pytest.approx(2 / 3)


def test_accuracy_with_none_counts_all() -> None:
    assert Report(JUDGED).accuracy_with_none == pytest.approx(2 / 5)


def test_none_auroc_is_the_chance_that_none_scores_higher_where_it_is_right() -> None:
    assert Report(JUDGED).none_auroc == pytest.approx((3 + 2) / 6)  # .7 beats all three; .2 beats .1 twice


@pytest.mark.parametrize(
    ("higher", "lower", "expected"),
    [([3, 4], [1, 2], 1.0), ([1, 2], [3, 4], 0.0), ([1, 1], [1, 1], 0.5), ([2, 1], [1, 0], 0.875)],
)
def test_auroc(higher: list[float], lower: list[float], expected: float) -> None:
    assert auroc(higher, lower) == pytest.approx(expected)


def test_what_cannot_be_said_is_not_a_number() -> None:
    assert math.isnan(auroc([0.5, math.nan], [0.1])) and math.isnan(auroc([0.5], [math.nan]))
    only_none = Report([judged("none", code=0.1, mail=0.1)])
    assert math.isnan(only_none.top1) and math.isnan(only_none.none_auroc)
    assert only_none.as_json()["top1"] is None


def test_calibration_error_is_the_gap_between_confidence_and_truth() -> None:
    sure = [judged("code", code=0.8, mail=0.1) for _ in range(8)] + [judged("mail", code=0.8, mail=0.1)] * 2
    assert Report(sure).calibration_error == pytest.approx(0.0)
    assert Report(sure[:8]).calibration_error == pytest.approx(0.2)


def test_latency_is_in_milliseconds() -> None:
    figures = Report([judged("code", code=0.8, mail=0.1, seconds=ms / 1000) for ms in range(1, 101)])
    assert (figures.latency(0.5), figures.latency(0.95)) == (pytest.approx(51), pytest.approx(96))


def test_what_was_not_answered_is_wrong_and_has_no_part_in_the_rest() -> None:
    lost = Judgement(case("none"), {}, 1.0, 60.0, "the router model could not be reached")
    figures = Report([*JUDGED, lost])
    assert figures.accuracy_with_none == pytest.approx(2 / 6) and figures.latency(0.95) == pytest.approx(1)
    assert figures.none_auroc == Report(JUDGED).none_auroc
    assert figures.calibration_error == Report(JUDGED).calibration_error
    assert figures.as_json()["unanswered"] == {"the router model could not be reached": 1}
    assert ("none", "no answer", 1) in figures.confusions


def test_below_the_threshold_the_answer_is_none() -> None:
    unsure = Judgement(case("code"), {"code": 0.5, "mail": 0.2}, 0.3, 0.001, threshold=0.6)
    assert (unsure.answer, unsure.best) == ("none", "code")


def test_parts_and_confusions() -> None:
    figures = Report([*JUDGED, judged("code", code=0.3, mail=0.6, config="team", tags=["hard", "first ask"])])
    assert list(figures.by(configs_of)) == ["team"]
    assert {name: len(part.judgements) for name, part in figures.by(tags_of).items()} == {"first ask": 6, "hard": 1}
    assert figures.confusions[0] == ("code", "mail", 2)


CALLED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
]}  # fmt: skip
RESULT = {"role": "tool", "tool_call_id": "1", "content": "a file"}


@pytest.mark.parametrize(
    ("conversation", "tag"),
    [
        (ASK, "first ask"),
        ([*ASK, CALLED, RESULT], "first ask"),
        ([*ASK, CALLED, RESULT, {"role": "assistant", "content": "done"}, *ASK], "follow-up"),
    ],
    ids=["an ask", "an ask and what tools gave", "two asks"],
)
def test_what_follows_up_is_what_the_user_says(conversation: list[dict[str, Any]], tag: str) -> None:
    assert tags_of(case(conversation=conversation)) == [tag]


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: str) -> str:
        path = tmp_path / "cases.jsonl"
        path.write_text("\n".join(lines))
        return str(path)

    return write


def test_eval_as_json(shell: Shell, written: Callable[..., str]) -> None:
    mail = line(conversation=[{"role": "user", "content": "mail to mrs. lee: her parcel is late"}], label="mail")
    result = shell.run("eval", written(line(tags=["x"]), mail), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["cases"] == 2 and found["top1"] == 1.0 and found["none_auroc"] is None
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    assert found["tags"]["x"]["cases"] == 1


def test_eval_for_people(shell: Shell, written: Callable[..., str]) -> None:
    stranger = line(conversation=[{"role": "user", "content": "write a function that adds"}], label="mail", config="c")
    result = shell.run("eval", written(line(), stranger), "--wrong", "5")
    said = told(result)
    assert result.exit_code == 0, result.output
    assert "2 conversations" in said and "top-1 50.0%" in said and "mail code 1" in said and "none AUROC -" in said
    assert "line 2: mail, answered" in said and "write a function that adds" in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [([], "holds no conversations"), (["{"], "cases.jsonl:1: not JSON"), ([line(label="x")], "found 'x'")],
)
def test_eval_of_a_bad_file(shell: Shell, written: Callable[..., str], lines: list[str], said: str) -> None:
    result = shell.run("eval", written(*lines))
    assert result.exit_code == 1 and said in told(result)


def test_a_file_may_begin_with_a_byte_order_mark(shell: Shell, written: Callable[..., str]) -> None:
    result = shell.run("eval", written("\ufeff" + line()), "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["cases"] == 1, result.output


def test_eval_names_the_line_at_which_a_model_fails(shell: Shell, written: Callable[..., str], tmp_path: Path) -> None:
    own = own_model(tmp_path / "own", least_tokens=6)
    short = line(conversation=[{"role": "user", "content": "hi"}])
    result = shell.run("eval", written(line(), short), "--model", str(own))
    assert result.exit_code == 1
    assert f"line 2: {own}/router.onnx: vector: expected numbers, found NaN" in told(result)


def test_eval_without_a_file(shell: Shell) -> None:
    assert "cannot read nowhere.jsonl" in told(shell.run("eval", "nowhere.jsonl"))


class Endpoint(BaseHTTPRequestHandler):
    """An LLM that routes everything to mail, unless `status` says otherwise."""

    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        answer = json.dumps({"choices": [{"message": {"content": '{"route": "mail"}'}}]}).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_eval_of_the_llm_that_a_config_routes_by(shell: Shell, written: Callable[..., str], endpoint: str) -> None:
    config = shell.config(f"{CONFIG}routing: {{deadline: 1ms, model: {{base_url: '{endpoint}', name: judge}}}}\n")
    result = shell.run("eval", written(line(), line(label="mail")), "--config", config, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["model"] == f"judge at {endpoint}"
    assert (found["cases"], found["top1"], found["unanswered"]) == (2, 0.5, {}), "its deadline does not hold here"
    assert found["confusions"] == [{"label": "code", "answered": "mail", "count": 1}]
    assert found["latency_ms"]["p50"] > 0


def test_eval_of_an_llm_that_does_not_answer(
    shell: Shell, written: Callable[..., str], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endpoint, "status", 503)
    config = shell.config(f"{CONFIG}routing: {{deadline: 1s, model: {{base_url: '{endpoint}', name: judge}}}}\n")
    result = shell.run("eval", written(*[line()] * 9), "--config", config)
    assert result.exit_code == 1 and f"nothing to measure by judge at {endpoint}: the router model" in told(result)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((), "the model that comes along"),
        (("--model", "english"), "english"),
        (("--model", str(MODEL / "multilingual")), str(MODEL / "multilingual")),
        (("--config",), "english"),
    ],
    ids=["as it is", "a part", "a folder", "a config"],
)
def test_eval_says_which_model_was_measured(
    shell: Shell, written: Callable[..., str], given: tuple[str, ...], name: str
) -> None:
    config = (shell.config(f"{CONFIG}routing: {{model: english, threshold: 30%}}\n"),) if given == ("--config",) else ()
    result = shell.run("eval", written(line()), "--json", *given, *config)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["model"], found["threshold"]) == (name, 0.3 if config else 0.0)
    assert told(shell.run("eval", written(line()), *given, *config)).startswith(name)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--model", "http://127.0.0.1:9/v1"), "is an address, which belongs into a config"),
        (("--model", "english", "--config", "config.yaml"), "--model and --config name a model each"),
    ],
)
def test_eval_of_a_model_that_is_not_named_so(
    shell: Shell, written: Callable[..., str], given: tuple[str, ...], said: str
) -> None:
    result = shell.run("eval", written(line()), *given)
    assert result.exit_code == 2 and said in told(result)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "router.json: there is no such file"),
        ({"router.json": "{}"}, "router.json: no scale; no tau"),
        ({"router.json": '{"scale": 1, "tau": 0}', "tokenizer.json": "x"}, "tokenizer.json: not a tokenizer.json"),
    ],
)
def test_eval_with_a_folder_that_holds_no_model(
    shell: Shell, written: Callable[..., str], tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    result = shell.run("eval", written(line()), "--model", str(tmp_path))
    assert result.exit_code == 1 and said in told(result)
