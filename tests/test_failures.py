"""Each kind of failure, with the real Envoy, for both clients and in both forms; and the page that tells of it."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from archgw.simulate import Fault, faults
from failures import HELD as EXPECTED
from failures import (
    PAGE,
    RACE,
    ROWS,
    SECOND,
    SECTIONS,
    Form,
    Row,
    Seen,
    Stack,
    explained,
    held,
    observe_row,
    page,
    stack,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Observed:
    """What was seen of each row, once."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.seen: dict[Form, Seen] = {}

    async def of(self, row: Row) -> dict[Form, Seen]:
        if not any(form.row is row for form in self.seen):
            self.seen |= await observe_row(self.stack, row)
        return {form: one for form, one in self.seen.items() if form.row is row}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def observed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    async with stack(tmp_path_factory.mktemp("failures")) as running:
        yield Observed(running)


@pytest.mark.parametrize("row", ROWS, ids=[f"{name}: {row.name}" for name, rows in SECTIONS.items() for row in rows])
async def test_what_becomes_of_a_failure(observed: Observed, row: Row) -> None:
    for form, seen in (await observed.of(row)).items():
        which = f"{form.client}, streamed: {form.streamed}, {form.vendor}: {seen}"
        assert row.words in f"{seen.recorded} {seen.error}", which
        assert held(seen) == (row.held or EXPECTED[row.then]), which
        assert (seen.again == "first") == (held(seen) == "nothing"), which
        match row.then:
            case "served":
                assert (seen.tried, seen.status, seen.ended) == (("first",), 200, "whole"), which
            case "next" | "lack":
                assert (seen.tried, seen.status, seen.ended) == (("first", "second"), 200, "whole"), which
                assert is_one_clean_answer(form, seen.told), which
            case "stays":
                assert (seen.tried, seen.status, seen.ended) == (("first",), 400, "refused"), which
                assert ("type" in json.loads(seen.told)) == (form.client == "Anthropic"), which
            case "ends":
                assert (seen.tried, seen.status, seen.ended) == (("first",), 200, "error event"), which
                assert ends_with_an_error(form, seen.told) and seen.heard, which
            case "torn":
                assert (seen.tried, seen.status, seen.ended) == (("first",), 200, "torn"), which


async def test_a_stream_torn_with_its_first_content_is_torn_for_the_client_or_answered_whole_by_the_second(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether Envoy has sent the first content on is a matter of luck; an error of ours it never is."""
    monkeypatch.setattr(faults, "ARRIVAL", 0.0)
    for form, seen in (await observed.of(RACE)).items():
        which = f"{form.client}, {form.vendor}: {seen}"
        assert (seen.tried, seen.ended) in ((("first",), "torn"), (("first", "second"), "whole")), which
        assert seen.ended == "torn" or is_one_clean_answer(form, seen.told), which
        assert (seen.status, seen.cools) == (200, True), which


async def test_a_client_that_leaves_is_not_held_against_the_model(observed: Observed) -> None:
    """To the service its stream ends as one does that a provider tears; Envoy's log tells them apart."""
    running = observed.stack.running
    running.providers["second"].fail_next(Fault("slow_events", delay_ms=200))
    body = {"model": SECOND, "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    async with running.client.post(f"{running.url}/v1/messages", json=body) as reply:
        await reply.content.readany()
    told = await explained(running, reply.headers["x-arch-request-id"])
    assert (told.request.status, told.request.error) == (499, "the stream was cut before its end")
    again = await running.ask(body | {"stream": False})
    assert again.headers["x-arch-model"] == SECOND and "broke off" not in again.headers["x-arch-reason"]


async def test_the_page_says_what_was_seen(observed: Observed) -> None:
    for row in ROWS:
        await observed.of(row)
    seen = {form: observed.seen[form] for row in ROWS for form in observed.seen if form.row is row}
    assert PAGE.read_text("utf-8") == page(seen), "run python tests/failures.py and read the difference"


def is_one_clean_answer(form: Form, told: bytes) -> bool:
    """One beginning and one end, and no error in between."""
    if not form.streamed:
        return "error" not in json.loads(told)
    if form.client == "Anthropic":
        begun, ended = told.count(b"event: message_start"), told.count(b"event: message_stop")
        return (begun, ended, told.startswith(b"event: message_start")) == (1, 1, True) and b"event: error" not in told
    ids = {chunk.get("id") for chunk in map(json.loads, chunks(told))}
    return len(ids) == 1 and told.count(b"data: [DONE]") == 1 and b'"error"' not in told


def ends_with_an_error(form: Form, told: bytes) -> bool:
    """The last event is the error; nothing says that the answer ended well."""
    last = told.strip().rpartition(b"\n\n")[2]
    if form.client == "Anthropic":
        return last.startswith(b"event: error") and b"message_stop" not in told
    return last.startswith(b'data: {"error"') and b"[DONE]" not in told


def chunks(told: bytes) -> list[bytes]:
    lines = [line.removeprefix(b"data: ") for line in told.splitlines() if line.startswith(b"data: ")]
    return [line for line in lines if line != b"[DONE]"]
