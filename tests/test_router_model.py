"""The models that route: the one that comes along, one of the user's own, an LLM; each under the deadline."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import pytest_asyncio
from aiohttp import web
from dialogue import gateway_of
from router_models import TOKENIZER, own_model
from terminal import CONFIG, Shell, told

from router_service.config import SHIPPED_PARTS, RemoteModel, Secret
from router_service.policies.policy import Reading, Scores
from router_service.shell import fingerprint, router_model
from router_service.shell.ensemble import Ensemble, opened
from router_service.shell.fingerprint import MODEL
from router_service.shell.llm_router import LlmRouter
from router_service.shell.onnx_model import BadModel, Judgement, OnnxModel
from router_service.shell.onnx_router import OnnxRouter
from router_service.shell.router_model import InThread, Remembered

PREFERENCES = [("a", "code generation", "writing new functions"), ("b", "mail", "writing e-mails to customers")]
ROUTES = gateway_of().plan.routes


@pytest.fixture(scope="module")
def router() -> OnnxRouter:
    return OnnxRouter(PREFERENCES)


# -- the ONNX model ----------------------------------------------------------------------------------------------------


def test_probabilities_of_all_and_none_add_up_to_one(router: OnnxRouter) -> None:
    scores = router.score("write a function that adds two numbers")
    assert scores.routes.keys() == {"a", "b"}
    assert sum(scores.routes.values()) + scores.none == pytest.approx(1)
    assert max(scores.routes, key=lambda id_: scores.routes[id_]) == "a"
    assert scores.seconds > 0


def test_a_preferences_score_does_not_depend_on_the_order(router: OnnxRouter) -> None:
    turned = OnnxRouter(PREFERENCES[::-1], router.model).score("mail to the customer about the delay")
    assert turned.routes == pytest.approx(router.score("mail to the customer about the delay").routes)


def test_the_context_counts(router: OnnxRouter) -> None:
    alone = router.score("same for the other one")
    told_before = router.score("same for the other one", ["assistant: sent", "user: mail to the customer, very polite"])
    assert told_before.routes["b"] > alone.routes["b"]


def test_long_texts_are_cut_to_what_the_model_reads(router: OnnxRouter) -> None:
    model = OnnxModel(MODEL / SHIPPED_PARTS[0])
    read = model.read("start " + "blah " * 3000 + "end", ["user: " + "before " * 3000])
    reading = router.reading("start " + "blah " * 3000 + "end", ["user: " + "before " * 3000])
    assert read.tokens + 3 == model.calibration.tokens
    assert reading.ask.startswith("start") and reading.ask.endswith("end")
    assert reading.context.startswith("user") and reading.tokens == read.tokens


def test_of_a_long_preference_the_beginning_is_read(router: OnnxRouter) -> None:
    words = [f"word{number}" for number in range(80)]
    reading = router.model.preference_reading("code_generation", " ".join(words))
    assert f"{reading.kept} {reading.lost}" == f"code generation: {' '.join(words)}"
    assert reading.kept.startswith("code generation: word0 ") and reading.tokens > reading.most == 64
    short = router.model.preference_reading("code", "writing functions")
    assert (short.kept, short.lost) == ("code: writing functions", "")


def test_without_preferences_nothing_is_scored() -> None:
    assert OnnxRouter([]).score("hello") == Scores()


# -- several as one ----------------------------------------------------------------------------------------------------


def _part(folder: Path, *, sees: int, none: float, width: int) -> Path:
    """A model whose preference `sees` fits every ask best by two, and that gives none a logit of `none`."""
    helper, kinds = onnx.helper, onnx.TensorProto
    rising = helper.make_tensor("rising", kinds.FLOAT, [1, 3], [2.0 if at == sees else 0.0 for at in range(3)])
    second = helper.make_tensor("second", kinds.INT64, [1], [1])
    first = helper.make_tensor("first", kinds.INT64, [1], [0])
    flat = helper.make_tensor("flat", kinds.FLOAT, [1, width], [1.0] * width)
    nothing = helper.make_tensor("nothing", kinds.FLOAT, [1, 1], [none])
    count = helper.make_node("Shape", ["preferences"], ["count"], start=0, end=1)
    sliced = helper.make_node("Slice", ["rising", "first", "count", "second"], ["logits"])
    unused = helper.make_node("Shape", ["input_ids"], ["long"])
    graph = helper.make_graph(
        [
            unused,
            count,
            sliced,
            *(helper.make_node("Identity", [a], [b]) for a, b in (("flat", "vector"), ("nothing", "none"))),
        ],
        "part",
        [
            helper.make_tensor_value_info("input_ids", kinds.INT64, ["n", "t"]),
            helper.make_tensor_value_info("preferences", kinds.FLOAT, ["p", width]),
        ],
        [
            helper.make_tensor_value_info("vector", kinds.FLOAT, [1, width]),
            helper.make_tensor_value_info("logits", kinds.FLOAT, [1, "p"]),
            helper.make_tensor_value_info("none", kinds.FLOAT, [1, 1]),
        ],
        [rising, first, second, flat, nothing],
    )
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "router.onnx"
    )
    shutil.copy(TOKENIZER, folder)
    (folder / "router.json").write_text('{"scale": 1, "tau": 0}')
    return folder


def test_a_group_answers_with_the_mean_of_its_parts(tmp_path: Path) -> None:
    parts = [_part(tmp_path / "a", sees=0, none=1, width=2), _part(tmp_path / "b", sees=2, none=0, width=5)]
    group = Ensemble(tmp_path, [OnnxModel(part) for part in parts], temperature=2.0, none=0.5)
    vectors = np.stack([group.preference(name, "") for name in "xyz"])
    assert vectors.shape == (3, 7) and group.width == 7
    assert group.judge("hello", (), vectors).logits == pytest.approx([0.5, 0, 0.5, 0.5])


@pytest.mark.parametrize("side_by_side", [False, True])
def test_parts_are_asked_on_threads_of_their_own_where_they_are_asked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, side_by_side: bool
) -> None:
    for name, sees, none in (("a", 0, 1), ("b", 2, 0)):
        _part(tmp_path / name, sees=sees, none=none, width=2)
    (tmp_path / "router.json").write_text('{"parts": ["a", "b"]}')
    threads: list[int] = []
    judge = OnnxModel.judge

    def watched(self: OnnxModel, *asked: Any) -> Judgement:
        threads.append(threading.get_ident())
        return judge(self, *asked)

    monkeypatch.setattr(OnnxModel, "judge", watched)
    group = opened(tmp_path, side_by_side=side_by_side)
    vectors = np.stack([group.preference(name, "") for name in "xyz"])
    assert group.judge("hello", (), vectors).logits == pytest.approx([1, 0, 1, 0.5])
    assert threading.get_ident() in threads and len(set(threads)) == 1 + side_by_side


def test_a_part_stays_out_of_letters_that_it_does_not_know(tmp_path: Path) -> None:
    parts = [_part(tmp_path / "a", sees=0, none=1, width=2), _part(tmp_path / "b", sees=2, none=0, width=2)]
    (parts[1] / "router.json").write_text('{"scale": 1, "tau": 0, "latin": true}')
    group = Ensemble(tmp_path, [OnnxModel(part) for part in parts])
    vectors = np.stack([group.preference(name, "") for name in "xyz"])
    assert group.judge("テストを書いて in Go", (), vectors).logits == pytest.approx([2, 0, 0, 1])
    for ask in ("schreib Tests für größer", "12 + 3?", "write it in 日本"):
        assert group.judge(ask, (), vectors).logits == pytest.approx([1, 0, 1, 0.5])


def test_a_folder_that_names_parts_is_a_group(tmp_path: Path) -> None:
    _part(tmp_path / "a", sees=1, none=0, width=2)
    (tmp_path / "router.json").write_text('{"parts": ["a", "a"], "none": -1}')
    scores = OnnxRouter([(x, x, x) for x in "pqr"], opened(tmp_path)).score("hello")
    assert max(scores.routes, key=lambda id_: scores.routes[id_]) == "q" and scores.none < min(scores.routes.values())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"parts": []}', "parts: expected a list of folders"),
        ('{"parts": "a"}', "parts: expected a list of folders"),
        ('{"parts": ["a"], "temperature": 0}', "temperature: expected a number from 0.01 to 100, found 0"),
        ('{"parts": ["a"], "tokens": 64}', "unknown key 'tokens'; known: parts, temperature, none"),
        ('{"parts": ["gone"]}', "gone/router.json: there is no such file"),
        ('{"parts": ["."]}', "router.json: parts: a group is no part of another"),
        ("[]", "expected a JSON object"),
    ],
)
def test_a_group_that_cannot_be(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "router.json").write_text(written)
    with pytest.raises(BadModel, match=said):
        opened(tmp_path)


@pytest.mark.parametrize("part", SHIPPED_PARTS)
def test_a_part_of_what_ships_can_be_used_by_itself(shell: Shell, part: str) -> None:
    result = shell.run(
        "route", "write a function", "-c", shell.config(CONFIG + f"routing: {{model: {part}}}\n"), "--explain", "--json"
    )
    assert json.loads(result.stdout)["read"]["model"] == str(MODEL / part), result.output


def test_a_model_that_was_optimized_is_run_as_it_is(tmp_path: Path) -> None:
    """Optimised once more, it would fuse what it did not, and round otherwise."""
    part = _part(tmp_path / "a", sees=0, none=0, width=2)

    def level() -> onnxruntime.GraphOptimizationLevel:
        found: onnxruntime.GraphOptimizationLevel = (
            OnnxModel(part)._session.get_session_options().graph_optimization_level
        )
        return found

    assert level() == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    (part / "router.json").write_text('{"scale": 1, "tau": 0, "optimized": true}')
    assert level() == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


@pytest.mark.parametrize(
    ("folder", "seen_as"),
    [
        (MODEL, "130ba0e730b2f5dc"),
        (MODEL / "multilingual", "392b3c952ca1f751"),
        (MODEL / "english", "af051e75d46d3388"),
    ],
    ids=["both", "multilingual", "english"],
)
def test_what_was_learned_before_the_graphs_were_made_lean_still_counts(folder: Path, seen_as: str) -> None:
    assert fingerprint.fingerprint(folder) == seen_as


# -- of others' making -------------------------------------------------------------------------------------------------


WRONG_JSON: dict[str, tuple[Any, str]] = {
    "no JSON": ("{scale: 1}", "not JSON: Expecting property name enclosed in double quotes on line 1, column 2"),
    "deep": ("[" * 100_000, "not JSON that can be read"),
    "no object": ("[]", "expected a JSON object with at least scale and tau"),
    "nothing": ({}, "no scale; no tau"),
    "text": ({"scale": "20", "tau": 0.3}, 'scale: expected a number, found "20"'),
    "null": ({"scale": None, "tau": 0.3}, "scale: expected a number, found null"),
    "true": ({"scale": True, "tau": 0.3}, "scale: expected a number, found true"),
    "NaN": ('{"scale": NaN, "tau": 0.3}', "scale: expected a number, found NaN"),
    "infinity": ('{"scale": 1, "tau": Infinity}', "tau: expected a number from -1e+06 to 1e+06, found Infinity"),
    "much": ('{"scale": 1, "tau": 1%s}' % ("0" * 400), "tau: expected a number from -1e+06 to 1e+06, found 1000"),
    "cold": ({"scale": 1, "tau": 0, "temperature": 0}, "temperature: expected a number from 0.01 to 100, found 0"),
    "one token": ({"scale": 1, "tau": 0, "tokens": 1}, "tokens: expected a whole number from 8 to 100000, found 1"),
    "fewer": ({"scale": 1, "tau": 0, "tokens": -3}, "tokens: expected a whole number from 8 to 100000, found -3"),
    "a part of one": ({"scale": 1, "tau": 0, "tokens": 128.0}, "tokens: expected a whole number"),
    "a number": ({"scale": 1, "tau": 0, "ask_prefix": 5}, "ask_prefix: expected text, found 5"),
    "a word": ({"scale": 1, "tau": 0, "latin": "yes"}, 'latin: expected true or false, found "yes"'),
    "a list": ({"scale": [1], "tau": 0}, "scale: expected a number, found a list"),
    "misspelt": ({"scale": 1, "tau": 0, "temprature": 2}, "unknown key 'temprature'; did you mean 'temperature'?"),
    "several": (
        {"scale": "1", "latin": 0},
        'no tau; scale: expected a number, found "1"; latin: expected true or false',
    ),
}


@pytest.mark.parametrize(("written", "said"), WRONG_JSON.values(), ids=WRONG_JSON)
def test_a_router_json_that_cannot_be(tmp_path: Path, written: str | dict[str, Any], said: str) -> None:
    with pytest.raises(BadModel) as error:
        opened(own_model(tmp_path / "own", written))
    assert str(error.value).startswith(f"{tmp_path}/own/router.json: ") and said in str(error.value)


def test_a_router_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert opened(own_model(tmp_path / "own", '\ufeff{"scale": 20, "tau": 0.3}')).width == 4


def test_a_router_json_in_no_utf_8(tmp_path: Path) -> None:
    own = own_model(tmp_path / "own")
    (own / "router.json").write_bytes('{"scale": 20}'.encode("utf-16"))
    with pytest.raises(BadModel, match="not text in UTF-8"):
        opened(own)


WRONG_MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"least_tokens": 100_000}, "vector: expected numbers, found NaN"),
    "logits that are no answer": ({"takes": ["p", 4], "logits": 3}, "logits: expected [1, 2], found [1, 3]"),
    "preferences of another width": ({"takes": ["p", 5], "by_length": True}, "cannot be run: "),
    "as wide as the text is long": ({"by_length": True}, "vector: expected as many numbers for every text"),
    "nowhere a width": (
        {"takes": ["p", "hidden"], "by_length": True},
        "the last dimension of preferences or of vector: expected a number, found hidden and length",
    ),
}


@pytest.mark.parametrize(("how", "said"), WRONG_MODELS.values(), ids=WRONG_MODELS)
def test_a_model_that_loads_but_cannot_run_is_told_when_it_is_loaded(
    shell: Shell, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    """In one line, and by every command that loads it."""
    own = own_model(tmp_path / "own", **how)
    with pytest.raises(BadModel) as error:
        opened(own)
    assert str(error.value).startswith(f"{own}/router.onnx: ") and said in str(error.value)
    assert "\n" not in str(error.value)
    config = shell.config(CONFIG + f"routing: {{model: {own}}}\n")
    for command in ("check", config), ("route", "write a function", "-c", config):
        result = shell.run(*command)
        assert result.exit_code == 1 and said in told(result), result.exception


@pytest.mark.parametrize("takes", [["p", 4], ["p", "hidden"]], ids=["said", "left open"])
def test_a_model_that_compares_may_leave_open_how_wide_preferences_are(tmp_path: Path, takes: list[str | int]) -> None:
    model = opened(own_model(tmp_path / "own", takes=takes))
    scores = OnnxRouter(PREFERENCES, model).score("write a function")
    assert model.width == 4 and sum(scores.routes.values()) + scores.none == pytest.approx(1)


@pytest.mark.parametrize(
    ("names", "first"), [(("vector", "sentence_embedding"), 1), (("sentence_embedding", "other"), 1), (("x", "y"), -1)]
)
def test_which_output_is_the_vector(tmp_path: Path, names: tuple[str, str], first: int) -> None:
    """`vector`, else `sentence_embedding`, else the first one."""
    model = opened(own_model(tmp_path / "own", vector=names[0], second=names[1]))
    assert np.sign(model.preference("any", "")[0]) == first


async def test_a_model_that_has_no_numbers_for_an_ask_has_failed(tmp_path: Path) -> None:
    """Else the first preference would win, as if it fitted."""
    own = own_model(tmp_path / "own", least_tokens=6)
    model = InThread(OnnxRouter(PREFERENCES, opened(own)), 5.0)
    assert (await model.score("hi", ())).trouble == "the router model failed"
    assert not (await model.score("write a function that adds two numbers", ())).trouble
    await model.close()


async def test_whatever_breaks_a_model_that_is_to_be_used_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = gateway_of(CONFIG.replace("$PORT", "12000") + f"routing: {{model: {own_model(tmp_path / 'own')}}}\n").plan
    monkeypatch.setattr(OnnxRouter, "score", lambda *_: 1 / 0)
    with pytest.raises(BadModel, match="it failed with ZeroDivisionError"):
        await router_model.warm(plan)


# -- off the loop, under a deadline ------------------------------------------------------------------------------------


class Slow:
    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds, self.error, self.threads = seconds, error, set[int]()

    def score(self, ask: str, context: Sequence[str] = ()) -> Scores:
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        return Scores({"a": 1.0}, 0.0)

    def reading(self, ask: str, context: Sequence[str] = ()) -> Reading:
        return Reading("slow", ask, "")


@pytest.mark.parametrize(
    ("slow", "trouble"),
    [
        (Slow(), ""),
        (Slow(seconds=0.5), "the router model took longer than 100 ms"),
        (Slow(error=ZeroDivisionError("a prompt")), "the router model failed"),
    ],
    ids=["in time", "late", "failing"],
)
async def test_a_model_in_a_thread(slow: Slow, trouble: str) -> None:
    model = InThread(slow, 0.1)  # type: ignore[arg-type]
    scores = await model.score("hi", ())
    await model.close()
    assert scores.trouble == trouble and (scores.routes == {"a": 1.0}) is not bool(trouble)
    assert slow.threads and threading.get_ident() not in slow.threads


async def test_who_asks_the_same_once_more_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    router = Slow()

    def score(ask: str, context: Sequence[str] = ()) -> Scores:
        asked.append((ask, *context))
        return Scores({"a": len(asked) / 10}, 0.0, seconds=0.2)

    monkeypatch.setattr(router, "score", score)
    model = InThread(router, 5.0)  # type: ignore[arg-type]
    first, again = await model.score("hi", ("before",)), await model.score("hi", ("before",))
    await model.score("hi", ())
    await model.score("hibefore", ())
    await model.close()
    assert asked == [("hi", "before"), ("hi",), ("hibefore",)]
    assert again.routes == first.routes and (first.seconds, again.seconds) == (0.2, 0.0)


def test_what_is_remembered_has_a_bound_and_holds_no_words() -> None:
    remembered = Remembered(most=2)
    asks = ("a secret", "another secret", "the last secret")
    for ask in asks:
        remembered.keep(ask, (ask,), Scores({"a": 1.0}))
    assert [remembered.get(ask, (ask,)) is not None for ask in asks] == [False, True, True]
    assert len(remembered) == 2 and "secret" not in str(vars(remembered))


async def test_a_failure_is_not_remembered() -> None:
    slow = Slow(error=ZeroDivisionError("a prompt"))
    model = InThread(slow, 5.0)  # type: ignore[arg-type]
    assert (await model.score("hi", ())).trouble
    slow.error = None
    assert not (await model.score("hi", ())).trouble
    await model.close()


# -- an LLM ------------------------------------------------------------------------------------------------------------


class Endpoint:
    """An OpenAI-compatible endpoint that says what it is told to."""

    def __init__(self) -> None:
        self.answer, self.status, self.wait = "", 200, 0.0
        self.heard: list[tuple[dict[str, object], str]] = []
        self.base_url = ""

    async def reply(self, request: web.Request) -> web.Response:
        self.heard.append((await request.json(), request.headers.get("authorization", "")))
        await asyncio.sleep(self.wait)
        return web.json_response({"choices": [{"message": {"content": self.answer}}]}, status=self.status)


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", found.reply)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield found
    await runner.cleanup()


@pytest.mark.parametrize(
    ("answer", "status", "wait", "trouble"),
    [
        (json.dumps({"route": ROUTES[1].name}), 200, 0.0, ""),
        ('{"route": "other"}', 200, 0.0, ""),
        ("no idea", 200, 0.0, "the router model's answer was of no use"),
        ('{"route": "x"}', 500, 0.0, "the router model answered 500"),
        ('{"route": "x"}', 503, 0.0, "the router model answered 503"),
        ('{"route": "x"}', 401, 0.0, "the router model answered 401: its key was refused"),
        ('{"route": "x"}', 403, 0.0, "the router model answered 403: its key was refused"),
        ('{"route": "x"}', 307, 0.0, "the router model answered 307"),
        ('{"route": "other"}', 200, 5.0, "the router model took longer than 500 ms"),
    ],
    ids=["a route", "none", "nonsense", "an error", "overloaded", "no key", "no right", "elsewhere", "late"],
)
async def test_an_llm_that_routes(endpoint: Endpoint, answer: str, status: int, wait: float, trouble: str) -> None:
    endpoint.answer, endpoint.status, endpoint.wait = answer, status, wait
    model = LlmRouter(ROUTES, RemoteModel(endpoint.base_url, "Arch-Router", Secret("k-1", "$K")), 0.5)
    scores = await model.score("write a test", ("user: hi",))
    await model.close()
    assert scores.trouble == trouble
    if not trouble:
        named = ROUTES[1].id if "other" not in answer else None
        assert scores.none == float(named is None)
        assert scores.routes == {route.id: float(route.id == named) for route in ROUTES}
    body, authorization = endpoint.heard[0]
    assert (body["model"], body["temperature"], authorization) == ("Arch-Router", 0, "Bearer k-1")


async def test_an_llm_can_choose_a_preference_that_is_called_other(endpoint: Endpoint) -> None:
    routes = [ROUTES[0], replace(ROUTES[1], id="other", name="other")]
    endpoint.answer = '{"route": "preference other"}'
    model = LlmRouter(routes, RemoteModel(endpoint.base_url, "Arch-Router"), 5.0)
    scores = await model.score("write a test", ())
    await model.close()
    assert (scores.trouble, scores.routes["other"], scores.none) == ("", 1.0, 0.0)
    assert '"name": "preference other"' in str(endpoint.heard[0][0]["messages"])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nk-1, ",
            " answered with something else than JSON",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", "'s answer was of no use"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", " broke off"),
        ("", " broke off"),
    ],
    ids=["plain text", "another shape", "torn", "nothing"],
)
async def test_what_an_endpoint_did_is_told_in_our_own_words(written: str, words: str) -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}]")
        writer.write(written.encode())
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = LlmRouter(ROUTES, RemoteModel(f"http://127.0.0.1:{port}/v1", "m", Secret("k-1", "$K")), 5.0)
        scores = await model.score("hi", ())
        await model.close()
    assert scores.trouble == f"the router model{words}"


async def test_an_llm_that_is_not_there() -> None:
    model = LlmRouter(ROUTES, RemoteModel("http://127.0.0.1:9/v1", "m"), 0.5)
    scores = await model.score("hi", ())
    await model.close()
    assert scores.trouble == "the router model could not be reached"


def test_without_preferences_no_llm_is_asked(shell: Shell) -> None:
    routing = "routing: {model: {base_url: 'http://127.0.0.1:9/v1', name: Arch-Router}}\n"
    config = shell.config(CONFIG.partition("routing_preferences")[0] + routing)
    assert "nothing was scored: no preferences are configured" in told(shell.run("route", "hello", "-c", config))


async def test_what_was_trained_anew_in_its_place_is_another_once_it_is_loaded(tmp_path: Path) -> None:
    own = _part(tmp_path / "own", sees=0, none=1, width=2)
    plan = gateway_of(CONFIG.replace("$PORT", "12000") + f"routing: {{model: {own}}}\n").plan
    old = router_model.of(plan)
    shutil.rmtree(own)
    _part(own, sees=0, none=0, width=2)
    like, new = router_model.of(plan, like=old), router_model.of(plan)
    assert old.seen_as == like.seen_as != new.seen_as == fingerprint.of(plan.routing)
    assert isinstance(like, InThread)
    assert OnnxRouter([(x, x, x) for x in "pqr"], like.judge, like.seen_as).score("hello").model == old.seen_as
    for model in (old, like, new):
        await model.close()


# -- as the config asks ------------------------------------------------------------------------------------------------


def test_a_model_of_ones_own(shell: Shell) -> None:
    shutil.copytree(MODEL, shell.folder / "mine")
    own = shell.config(CONFIG + "routing: {model: ./mine}\n")
    result = shell.run("route", "write a function", "-c", own, "--explain", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["read"]["model"] == str(shell.folder / "mine")
    (shell.folder / "mine" / "english" / "router.onnx").write_text("x")
    for command in (("route", "hi", "-c", own), ("check", own)):
        result = shell.run(*command)
        assert result.exit_code == 1 and "mine/english/router.onnx: no ONNX model" in told(result)


def test_a_model_at_home(shell: Shell) -> None:
    own = own_model(shell.folder / "mine")
    config = shell.config(CONFIG + "routing: {model: ~/mine}\n")
    result = shell.run("route", "write a function", "-c", config, "--explain", "--json", HOME=str(shell.folder))
    assert json.loads(result.stdout)["read"]["model"] == str(own), result.output


def test_check_says_where_asks_go_when_an_llm_routes(shell: Shell) -> None:
    config = CONFIG + "routing: {model: {base_url: 'http://127.0.0.1:9/v1', name: Arch-Router}}\n"
    said = told(shell.run("check", shell.config(config)))
    assert "Routed by Arch-Router at http://127.0.0.1:9/v1: what is asked is sent there, too." in said
    assert "an LLM seldom answers within 100 ms" in said
    patient = config.replace("routing: {", "routing: {deadline: 1s, ")
    assert "seldom answers" not in told(shell.run("check", shell.config(patient)))


def test_where_no_router_model_answers_nothing_is_said_to_be_scored(shell: Shell) -> None:
    config = shell.config(CONFIG + "routing: {model: {base_url: 'http://127.0.0.1:9/v1', name: Arch-Router}}\n")
    said = told(shell.run("route", "tell me a joke", "-c", config, "--explain"))
    assert "nothing was scored: the router model could not be reached" in said
    assert not [words for words in ("none of them", "1.00", "tokens", "took") if words in said]
    answer = json.loads(shell.run("route", "tell me a joke", "-c", config, "--explain", "--json").stdout)
    assert (answer["trouble"], answer["fits"]) == ("the router model could not be reached", {})
    assert (answer["read"]["tokens"], answer["read"]["ask"]) == (None, "tell me a joke")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("http://127.0.0.1:9/v1", "an endpoint needs the name of its model, too"),
        ("{name: x}", "no base_url"),
        ("{base_url: 'http://127.0.0.1:9/v1'}", "no name"),
        ("{base_url: 'http://127.0.0.1:9/v1', name: x, access_key: $NOT_SET_HERE}", "$NOT_SET_HERE is not set"),
        ("{base_url: nowhere, name: x}", "expected an address"),
        ("3", "expected text"),
    ],
)
def test_a_model_that_cannot_be(shell: Shell, model: str, said: str) -> None:
    result = shell.run("check", shell.config(CONFIG + f"routing: {{model: {model}}}\n"))
    assert result.exit_code == 1 and said in told(result) and "given.yaml:" in told(result)


def test_another_models_contract(tmp_path: Path) -> None:
    """A sentence-embedding model as others export it gives token states: their mean is taken."""
    helper, kinds = onnx.helper, onnx.TensorProto
    table = helper.make_tensor("table", kinds.FLOAT, [40000, 2], [float(i % 7) for i in range(80000)])
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "own",
        [helper.make_tensor_value_info("input_ids", kinds.INT64, ["n", "t"])],
        [helper.make_tensor_value_info("last_hidden_state", kinds.FLOAT, ["n", "t", 2])],
        [table],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "router.onnx")
    shutil.copy(TOKENIZER, tmp_path)
    (tmp_path / "router.json").write_text('{"scale": 10, "tau": 0.5}')
    scores = OnnxRouter(PREFERENCES, OnnxModel(tmp_path)).score("write a function")
    assert sum(scores.routes.values()) + scores.none == pytest.approx(1)
