"""The soak, shortly: what is wrong is taken for wrong, what has a cause is not, and half a minute loses nothing."""

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from archgw.simulate import Simulator

BENCH = str(Path(__file__).parent.parent / "bench")
if BENCH not in sys.path:
    sys.path.append(BENCH)

from soak import Options, secrets, soak  # noqa: E402 - where it lies is known above
from soak_asks import Ask, Dialogue  # noqa: E402
from soak_report import slope  # noqa: E402
from soak_stack import VENDORS, holding  # noqa: E402
from soak_verdict import Observed, verdict  # noqa: E402
from soak_weather import Spell, Weather  # noqa: E402

OPENAI, CLAUDE, THINKER = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "openai/gpt-5.1"
SPOKEN = {label: label for label in (OPENAI, CLAUDE, THINKER)}
SPEAKS = {"messages": ("anthropic", CLAUDE), "chat": ("openai", OPENAI), "responses": ("openai", THINKER)}
ASKED = frozenset({OPENAI, CLAUDE})


def calm(**more: list[Spell]) -> Weather:
    plans = [(float("-inf"), ASKED)]
    return Weather({OPENAI: "openai", CLAUDE: "anthropic"}, plans=plans, **more)


async def answered(dialect: str, *, streamed: bool, tools: int = 0) -> Observed:
    """A good answer, from the vendor itself."""
    vendor, label = SPEAKS[dialect]
    dialogue = Dialogue(dialect, random.Random(f"{dialect} {streamed} {tools}"), "test")
    dialogue.ask(size=300, tool_turns=tools)
    ask = dialogue.request(label.partition("/")[2], streamed=streamed)
    own = {name: value for name, value in ask.headers.items() if name in ("content-type", "anthropic-version")}
    key = {"x-api-key": "k"} if vendor == "anthropic" else {"authorization": "Bearer k"}
    async with (
        Simulator(vendor) as sim,
        aiohttp.ClientSession() as client,
        client.post(f"{sim.url}{ask.path}", data=ask.body, headers=own | key) as reply,
    ):
        raw, kind = await reply.read(), reply.headers["content-type"]
    return Observed(ask, 0.0, 1.0, status=reply.status, headers={"content-type": kind, "x-arch-model": label}, raw=raw)


@pytest.mark.parametrize("tools", [0, 1], ids=["words", "call"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", SPEAKS)
async def test_a_good_answer_is_whole(dialect: str, streamed: bool, tools: int) -> None:
    found = verdict(await answered(dialect, streamed=streamed, tools=tools), calm(), SPOKEN)
    assert (found.end, found.why) == ("whole", ())
    assert bool(found.heard.calls) == bool(tools)


def halved(raw: bytes) -> bytes:
    """Only the first half of its events."""
    events = raw.split(b"\n\n")
    return b"\n\n".join(events[: len(events) // 2]) + b"\n\n"


def begun_twice(raw: bytes) -> bytes:
    first, _, rest = raw.partition(b"\n\n")
    return b"\n\n".join((first, first, rest))


def without_last(raw: bytes) -> bytes:
    return raw[: raw.rstrip(b"\n").rfind(b"\n\n") + 2]


def spoilt_text(raw: bytes) -> bytes:
    """A letter of the checksum is another one; it stands before the name of the model."""
    at = raw.find(b'"text_delta","text":"') + 21 if b"text_delta" in raw else 0
    at = at or raw.find(b'"content":"', raw.find(b'"delta":{"content"')) + 11
    return raw[:at] + (b"0" if raw[at : at + 1] != b"0" else b"1") + raw[at + 1 :]


def of_another_model(raw: bytes) -> bytes:
    return raw.replace(b"gpt-4o-mini;", b"gpt-5.1;").replace(b"sonnet-4-5;", b"opus-4-1;")


def an_event_doubled(raw: bytes) -> bytes:
    events = raw.split(b"\n\n")
    at = next(at for at, event in enumerate(events) if b"_delta" in event or b'"delta":{"content":"' in event[:400])
    return b"\n\n".join([*events[: at + 1], *events[at:]])


def half_an_event(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


@pytest.mark.parametrize(
    "spoil", [halved, begun_twice, without_last, spoilt_text, an_event_doubled, half_an_event], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("dialect", ["messages", "chat"])
async def test_a_spoilt_stream_is_wrong(dialect: str, spoil: Callable[[bytes], bytes]) -> None:
    seen = await answered(dialect, streamed=True)
    spoilt = spoil(seen.raw)
    assert spoilt != seen.raw
    assert verdict(replace(seen, raw=spoilt), calm(), SPOKEN).end == "WRONG"


@pytest.mark.parametrize("spoil", [halved, begun_twice, without_last, half_an_event], ids=lambda f: f.__name__)
async def test_a_spoilt_stream_of_responses_is_wrong(spoil: Callable[[bytes], bytes]) -> None:
    seen = await answered("responses", streamed=True, tools=1)
    assert verdict(replace(seen, raw=spoil(seen.raw)), calm(), SPOKEN).end == "WRONG"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", SPEAKS)
async def test_the_words_of_another_model_are_wrong(dialect: str, streamed: bool) -> None:
    seen = await answered(dialect, streamed=streamed)
    other = OPENAI if SPEAKS[dialect][1] == CLAUDE else CLAUDE
    headers = {**seen.headers, "x-arch-model": other}
    assert verdict(replace(seen, headers=headers), calm(), SPOKEN).end == "WRONG"
    assert verdict(replace(seen, headers={"content-type": seen.headers["content-type"]}), calm(), SPOKEN).end == "WRONG"


async def test_an_answer_to_another_request_is_wrong() -> None:
    one, other = await answered("chat", streamed=False), await answered("chat", streamed=False, tools=1)
    assert verdict(replace(one, ask=other.ask), calm(), SPOKEN).end == "WRONG"
    assert verdict(replace(one, ask=replace(one.ask, streamed=True)), calm(), SPOKEN).end == "WRONG"


SAID_SO = b'{"type":"error","error":{"type":"overloaded_error","message":"archgw: no model could answer"}}'
BOTH = [Spell("openai", "hang", 0.2, 0.3), Spell("anthropic", "status", 0.8)]


def refused(ask: Ask, raw: bytes = SAID_SO, status: int = 503) -> Observed:
    return Observed(ask, 0.0, 1.0, status=status, headers={"content-type": "application/json"}, raw=raw)


@pytest.mark.parametrize(
    ("weather", "end"),
    [
        pytest.param(calm(), "WRONG", id="nothing was wrong"),
        pytest.param(calm(faults=BOTH), "all down", id="all were down"),
        pytest.param(calm(faults=BOTH[:1]), "WRONG", id="one was down"),
        pytest.param(calm(faults=[BOTH[0], Spell("anthropic", "gzip", 0)]), "WRONG", id="one was down, one odd"),
        pytest.param(calm(faults=[BOTH[0], Spell("anthropic", "hang", 1.5)]), "WRONG", id="the other was down later"),
        pytest.param(
            calm(faults=BOTH[:1], aside=[Spell(CLAUDE, "aside", -3, 0.5)]), "all down or aside", id="the other aside"
        ),
        pytest.param(calm(kills=[Spell("router", "killed", 0.5, 4)]), "killed", id="the router was killed"),
        pytest.param(calm(kills=[Spell("router", "killed", -5, -1)]), "WRONG", id="it was back"),
    ],
)
async def test_an_error_needs_a_cause(weather: Weather, end: str) -> None:
    seen = await answered("messages", streamed=True)
    assert verdict(refused(seen.ask), weather, SPOKEN).end == end


async def test_an_error_of_another_dialect_or_of_the_clients_doing_is_wrong() -> None:
    seen = await answered("messages", streamed=True)
    weather = calm(faults=BOTH)
    assert verdict(refused(seen.ask, b'{"error":{"message":"down","type":"x"}}'), weather, SPOKEN).end == "WRONG"
    assert verdict(refused(seen.ask, b"upstream error"), weather, SPOKEN).end == "WRONG"
    assert verdict(refused(seen.ask, status=400), weather, SPOKEN).end == "WRONG"


async def test_who_was_not_in_every_plan_is_not_waited_for() -> None:
    """Claude came with a reload in the middle, and may not have been asked."""
    seen = await answered("messages", streamed=True)
    weather = calm(faults=BOTH[:1])
    weather.plans = [(float("-inf"), frozenset({OPENAI})), (0.5, ASKED)]
    assert verdict(refused(seen.ask), weather, SPOKEN).end == "all down"


ERROR = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"archgw: broke off"}}\n\n'


@pytest.mark.parametrize(
    ("how", "raw", "fault", "end"),
    [
        pytest.param("answered", ERROR, "stall_after_content", "broke off", id="told"),
        pytest.param("answered", ERROR, "hang", "WRONG", id="told without a cause"),
        pytest.param("answered", b"", "reset_after_content", "WRONG", id="a clean end without a word"),
        pytest.param("cut", b"", "reset_after_content", "cut", id="cut with its provider"),
        pytest.param("cut", b"", "stall_after_content", "WRONG", id="cut without a cause"),
        pytest.param("silent", b"", "stall_after_content", "HANG", id="silent"),
        pytest.param("left", b"", "hang", "left", id="the client's own doing"),
    ],
)
async def test_what_breaks_off_after_content_says_so(how: str, raw: bytes, fault: str, end: str) -> None:
    seen = await answered("messages", streamed=True)
    seen = replace(seen, how=how, raw=halved(seen.raw) + raw)
    assert verdict(seen, calm(faults=[Spell("anthropic", fault, 0.1)]), SPOKEN).end == end


async def test_two_models_in_one_stream_are_wrong_though_both_broke_off() -> None:
    seen = await answered("messages", streamed=True)
    mixed = spoilt_text(halved(seen.raw)) + ERROR
    weather = calm(faults=[Spell("anthropic", "stall_after_content", 0.1)])
    assert verdict(replace(seen, raw=mixed), weather, SPOKEN).end == "WRONG"


@pytest.mark.parametrize("leaked", [vendor.key for vendor in VENDORS] + ["Bearer sk-proj-the-clients-own-login"])
def test_a_key_in_a_log_is_found(tmp_path: Path, leaked: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/envoy.log").write_text("nothing")
    assert holding(tmp_path, secrets()) == []
    (tmp_path / "run/router.log").write_text(f"asked with {leaked}\n")
    (found,) = holding(tmp_path, secrets())
    assert found.startswith("run/router.log holds the ")


def test_words_of_a_prompt_in_a_log_are_found(tmp_path: Path) -> None:
    dialogue = Dialogue("chat", random.Random(1), "test")
    dialogue.ask(size=100)
    (tmp_path / "router.log").write_bytes(dialogue.request("m", streamed=True).body)
    assert holding(tmp_path, secrets()) == ["router.log holds words of a prompt"]


def test_memory_that_grows_has_a_slope() -> None:
    assert slope([(0, 100.0), (1, 110.0), (2, 120.0)]) == 10.0
    assert slope([(0, 100.0), (1, 110.0)]) is None


async def test_half_a_minute_of_trouble_loses_nothing(tmp_path: Path) -> None:
    options = Options(seconds=25, streams=6, seed=11, kill_router=16, kill_envoy=20, reload=7, black_out=10)
    found = await soak(options, tmp_path)
    assert not found["failed"], found["text"]
    ends = [end for by in found["ends"].values() for end in by]
    assert {"whole", "killed"} <= set(ends), found["text"]
    assert found["failovers"] and found["faults"] > 6 and all(found["kills"].values())
    assert set(found["ends"]) == set(SPEAKS)
    assert all(found["memory"][name]["peak"] > 10 for name in ("router", "envoy"))
