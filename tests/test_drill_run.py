"""The drill itself, with the real Envoy: on the example, on every kind of model, with vendors taken for real ones."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from archgw.drill.reading import CLIENTS, read
from archgw.drill.running import Asking, ask
from archgw.drill.scenarios import BY_NAME
from archgw.drill.verdict import judge
from archgw.simulate import Fault, Simulator
from dialogue import A_CLOSE, A_DELTA, A_OPEN, A_START, A_STOP, ANTHROPIC_EVENTS, CLAUDE, anthropic_event
from programs import finished
from stack import CODE
from terminal import Shell, told

ARCHGW = (sys.executable, "-c", "from archgw.app import app; app()")
PATIENCE = 400.0  # seconds for a drill: two cores are shared, and every gateway has to load its router model
MODELS = [name for name, scenario in BY_NAME.items() if not scenario.of_gateway]
PROCESSES = [name for name, scenario in BY_NAME.items() if scenario.of_gateway]
NOTHING_SET = dict.fromkeys(("AWS_REGION", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "AZURE_OPENAI_RESOURCE"))


def only(*scenarios: str) -> list[str]:
    return [word for name in scenarios for word in ("--scenario", name)]


def drilled(shell: Shell, *arguments: str) -> Any:
    result = shell.run("drill", *arguments, "--json", OPENAI_API_KEY=None, **NOTHING_SET)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


OF_EACH_VENDOR = (
    "anthropic/claude-sonnet-4-5", "openai/gpt-4o", "deepseek/deepseek-coder-v2", "xai/grok-2", "gemini/gemini-2.5-pro",
    "mistral/mistral-large-latest", "groq/llama-3.3-70b-versatile", "ollama/llama3.1",
)  # fmt: skip


def test_the_example_loses_nothing(shell: Shell) -> None:
    """A model of each vendor in it, in every way, asked by both clients; there is no config here, and no key."""
    each = [word for model in OF_EACH_VENDOR for word in ("--candidate", model)]
    found = drilled(shell, *only(*MODELS), *each, "--html", "drill.html", "--markdown", "drill.md")
    assert found["config"] == "the example config" and found["leaks"] == []
    assert len(found["rows"]) == len(OF_EACH_VENDOR) * len(MODELS) * 2
    assert [row for row in found["rows"] if row["verdict"] == "LOST"] == []
    by = {(row["candidate"], row["scenario"], row["client"]): row for row in found["rows"]}
    for (candidate, scenario, client), row in by.items():
        why = f"{candidate} {scenario} {client}: {row}"
        assert row["verdict"] in EXPECTED.get(scenario, ("nothing lost",)), why
        if scenario == "healthy":
            assert row["model"] == candidate and len(row["tries"]) == 1, why
        elif row["verdict"] == "nothing lost":
            assert row["model"] != candidate and row["tries"][0]["model"] == candidate, why
    generation = by["deepseek/deepseek-coder-v2", "529", "anthropic"]
    assert generation["model"] == "openai/gpt-4.1", "who steps in is who the preference names next"
    assert (shell.folder / "drill.html").read_text().startswith("<!doctype html>")
    assert "## ollama/llama3.1" in (shell.folder / "drill.md").read_text()


EXPECTED = {
    "late-error": ("told",),
    "cut": ("told",),
    "broken-line": ("cut off", "nothing lost"),  # where it breaks before Envoy has passed on its first words
    "all-down": ("told",),
}
EVERY_KIND = """
listeners: [{name: egress_traffic, port: 12345, timeout: 90s}]
model_providers:
  - {model: anthropic/claude-sonnet-4-5, passthrough_auth: true, default: true}
  - {model: vertex/claude-sonnet-4-5@20250929}
  - {model: google_vertex/google/gemini-2.5-pro, credentials: google}
  - {model: "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", credentials: aws}
  - {model: azure/gpt-4.1, name: our azure}
  - {model: openai/gpt-5-codex, access_key: sk-written-out}
  - {model: openai/a-model-of-tomorrow, access_key: $NOT_SET}
  - {model: google/gemini-2.5-flash, base_url: "https://proxy.test/v1beta/openai"}
  - {model: mine/one, base_url: "https://one.test/v1", provider_interface: openai}
  - {model: mine/two, base_url: "https://two.test/v1", provider_interface: anthropic, access_key: $NOT_SET}
  - {model: mine/three, base_url: "https://three.test", provider_interface: responses}
  - {model: openai/gpt-4o, access_key: $ONE}
  - {model: openai/gpt-4o, access_key: $OTHER, name: another account}
  - {model: "ollama/llama3.1"}
routing_preferences:
  - {name: "say \\"why\\"", description: explaining, models: [another account], selection_policy: {prefer: best}}
routing: {model: {base_url: "https://router.test/v1", name: it, access_key: $ROUTER_KEY}, threshold: 100%}
state: {url: "redis://nowhere.test:6379"}
failover: {attempts: 2, never: [mine/one]}
"""


def test_every_kind_of_model_is_played_without_a_key(shell: Shell) -> None:
    found = drilled(shell, shell.config(EVERY_KIND), *only("healthy", "529", "truncated"))
    assert found["leaks"] == [] and len(found["rows"]) == 14 * 3 * 2
    for row in found["rows"]:
        assert row["verdict"] == "nothing lost", row
        assert (row["model"] == row["candidate"]) is (row["scenario"] == "healthy"), row
    other = next(chain for chain in found["chains"] if chain["candidate"] == "another account")
    assert other["because"] == '“say "why"” is asked for'


def test_a_process_that_is_killed_is_told_or_cut_off_and_comes_back(shell: Shell) -> None:
    found = drilled(shell, *only(*PROCESSES))
    verdicts = {(row["scenario"], row["verdict"]) for row in found["rows"]}
    assert verdicts == {("router-early", "told"), ("router-late", "cut off"), ("envoy", "cut off")}
    assert all(row["back"] > 0 for row in found["rows"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "flood"], "no scenario 'flood' there are: healthy, kill"),
        (["--candidate", "gpt-9"], "no model 'gpt-9' to break there are: anthropic/claude-sonnet-4-5"),
        (["--client", "curl"], "no client 'curl' there are: anthropic, openai, both"),
        (["--spend", "1"], "--spend goes with --real"),
        (["--html", "nowhere/page.html"], "there is no folder"),
    ],
)
def test_misuse_is_told(shell: Shell, arguments: list[str], words: str) -> None:
    result = shell.run("drill", *arguments)
    assert result.exit_code == 2 and words in told(result)


def test_a_config_with_mistakes_is_told(shell: Shell) -> None:
    result = shell.run("drill", shell.config("llm_providers: [{model: opnai/x}]"))
    assert result.exit_code == 1 and "did you mean 'openai'" in result.output


def test_where_books_are_kept_is_no_question_of_a_drill(shell: Shell) -> None:
    config = shell.config("llm_providers: [{model: openai/gpt-4o}]\nstate: {url: $NOT_SET}\nledger: {url: $NOR_THIS}")
    result = shell.run("drill", config, "--scenario", "flood")
    assert result.exit_code == 2 and "no scenario 'flood'" in told(result)


# -- gateways that lose something ----------------------------------------------------------------------------------


Lose = Callable[[web.StreamResponse], Awaitable[None]]
OTHERS = anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "simulated other"})


async def spliced(reply: web.StreamResponse) -> None:
    """The beginning of one model's answer, and the whole of another's."""
    for event in (A_START, A_OPEN, OTHERS, *ANTHROPIC_EVENTS):
        await reply.write(event)


async def of_two_models(reply: web.StreamResponse) -> None:
    """In order as a stream; the words are those of two."""
    for event in (A_START, A_OPEN, ANTHROPIC_EVENTS[2], OTHERS, A_CLOSE, A_DELTA, A_STOP):
        await reply.write(event)


async def without_an_end(reply: web.StreamResponse) -> None:
    for event in ANTHROPIC_EVENTS[:3]:
        await reply.write(event)


async def never_ending(reply: web.StreamResponse) -> None:
    await reply.write(A_START)
    await asyncio.Event().wait()


async def well(reply: web.StreamResponse) -> None:
    for event in ANTHROPIC_EVENTS:
        await reply.write(event)


@asynccontextmanager
async def serving(lose: Lose) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-type": "text/event-stream", "x-arch-model": CLAUDE})
        await reply.prepare(request)
        await lose(reply)
        return reply

    application = web.Application()
    application.router.add_post("/v1/messages", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("lose", "verdict", "saw"),
    [
        (well, "nothing lost", "one clean answer"),
        (spliced, "LOST", "a second message_start"),
        (of_two_models, "LOST", "some of them other's"),
        (without_an_end, "LOST", "an answer without its end"),
        (never_ending, "LOST", "no end within"),
    ],
)
async def test_a_gateway_that_loses_something_is_found_out(lose: Lose, verdict: str, saw: str) -> None:
    client = CLIENTS["anthropic"]
    async with serving(lose) as url:
        limit = 0.5 if lose is never_ending else 60.0
        seen = await ask(url, Asking(client, "arch.main.v1", streamed=True), limit=limit)
    kind = seen.headers["content-type"]
    reading = read(client, status=seen.status, kind=kind, body=seen.body, streamed=True)
    judged = judge(seen, reading, {CLAUDE: "hi", "other": "simulated other"})
    assert judged.verdict == verdict and saw in judged.saw


SILENT = """
from router_service.effects import Send
from router_service.streaming import Stream


def keep_quiet(self, trouble, now, *, first=b""):
    return [Send(first, end=True), self._progress.finish(now, status=200)]


Stream._break = keep_quiet
"""
HASTY = """
from router_service.judging import Judge


def let_go(self, chunk, *, end):
    self._events += self._retelling.read(chunk, end)
    return self._begun(end=end)


Judge._judge_stream = let_go
"""


@pytest.mark.parametrize(
    ("spoiled", "scenario", "verdict", "code"),
    [
        ("", "cut", "told", 0),
        (SILENT, "cut", "LOST", 1),
        (HASTY, "early-error", "told", 0),
    ],
    ids=["as it is", "it keeps quiet about a cut", "it lets go before the first content"],
)
async def test_our_own_gateway_is_found_out_when_it_is_spoiled(
    tmp_path: Path, spoiled: str, scenario: str, verdict: str, code: int
) -> None:
    """Python reads sitecustomize.py as it starts, and the router service is a process like any other."""
    (tmp_path / "sitecustomize.py").write_text(spoiled)
    (tmp_path / "config.yaml").write_text("llm_providers: [{model: openai/gpt-4o-mini}, {model: xai/grok-2}]\n")
    path = f"{tmp_path}:{CODE.get('PYTHONPATH', '')}"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": path}
    command = [
        *ARCHGW,
        "drill",
        "--candidate",
        "gpt-4o-mini",
        "--scenario",
        scenario,
        "--client",
        "anthropic",
        "--json",
    ]
    ended, out, err = await finished(command, tmp_path, environment, patience=PATIENCE)
    assert [row["verdict"] for row in json.loads(out)["rows"]] == [verdict], err
    assert ended == code


# -- with the real vendors -----------------------------------------------------------------------------------------


REAL = """
llm_providers:
  - {model: openai/gpt-4o-mini, base_url: "$OPENAI", access_key: $OPENAI_API_KEY, default: true}
  - {model: deepseek/deepseek-chat, base_url: "$DEEPSEEK", access_key: $DEEPSEEK_API_KEY}
  - {model: anthropic/claude-sonnet-4-5, passthrough_auth: true}
  - {model: xai/grok-2}
"""
KEYS = {"OPENAI_API_KEY": "the-users-openai", "DEEPSEEK_API_KEY": "the-users-deepseek"}


@asynccontextmanager
async def taken_for_real(folder: Path) -> AsyncIterator[dict[str, Simulator]]:
    """Two vendors that only the user's keys open, and a config that leads to them; the .env beside it holds a key."""
    async with (
        Simulator("openai", accept_keys={KEYS["OPENAI_API_KEY"]}) as openai,
        Simulator("deepseek", accept_keys={KEYS["DEEPSEEK_API_KEY"]}) as deepseek,
    ):
        (folder / "config.yaml").write_text(
            REAL.replace('$OPENAI"', openai.url + '"').replace('$DEEPSEEK"', deepseek.url + '"')
        )
        (folder / ".env").write_text(f"DEEPSEEK_API_KEY={KEYS['DEEPSEEK_API_KEY']}\n")
        yield {"openai": openai, "deepseek": deepseek}


async def run(folder: Path, *arguments: str, said: str = "") -> tuple[int, str, str]:
    environment = {
        **CODE,
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "ARCHGW_HOME": str(folder / "home"),
        "OPENAI_API_KEY": KEYS["OPENAI_API_KEY"],
        "COLUMNS": "200",
    }
    command = [*ARCHGW, "drill", "--real", "--client", "anthropic", *arguments]
    return await finished(command, folder, environment, patience=PATIENCE, said=said)


async def test_with_real_vendors_only_the_broken_one_is_simulated(tmp_path: Path) -> None:
    async with taken_for_real(tmp_path) as real:
        code, out, err = await run(tmp_path, "--spend", "1", "--json", *only("kill", "529", "all-down", "envoy"))
        assert code == 0, err
        found = json.loads(out)
        served = [(row["candidate"], row["scenario"], row["model"]) for row in found["rows"]]
        assert served == [
            ("openai/gpt-4o-mini", "kill", "deepseek/deepseek-chat"),
            ("openai/gpt-4o-mini", "529", "deepseek/deepseek-chat"),
            ("deepseek/deepseek-chat", "kill", "openai/gpt-4o-mini"),
            ("deepseek/deepseek-chat", "529", "openai/gpt-4o-mini"),
            ("openai/gpt-4o-mini", "envoy", "openai/gpt-4o-mini"),
        ]
        assert "asked, 5 times at most" in err and "openai: 2" in err and "deepseek: 3" in err
        assert {name: len(vendor.requests) for name, vendor in real.items()} == {"openai": 2, "deepseek": 2}
        assert not [leak for vendor in real.values() for leak in vendor.leaks] and found["leaks"] == []
        assert not [key for key in KEYS.values() if key in out + err]


async def test_a_real_vendor_that_fails_as_well_is_no_loss_but_told(tmp_path: Path) -> None:
    async with taken_for_real(tmp_path) as real:
        real["deepseek"].fault = Fault("status", status=503)
        code, out, err = await run(tmp_path, "--spend", "1", "--json", "--candidate", "gpt-4o-mini", *only("kill"))
        assert code == 0, err
        assert [row["verdict"] for row in json.loads(out)["rows"]] == ["told"]


@pytest.mark.parametrize(
    ("arguments", "said", "code", "words"),
    [
        ([], "", 1, "Ask them?"),
        ([], "n\n", 1, "Ask them?"),
        ([], "y\nyes\n", 1, "nothing was asked, nothing was spent"),
        (["--spend", "0.00001"], "", 1, "which is more than $1e-05"),
    ],
    ids=["nobody there", "no", "the wrong word", "too much"],
)
async def test_nothing_is_spent_that_was_not_agreed_to_twice(
    tmp_path: Path, arguments: list[str], said: str, code: int, words: str
) -> None:
    async with taken_for_real(tmp_path) as real:
        ended, _, err = await run(tmp_path, *arguments, *only("kill"), said=said)
        assert (ended, words in " ".join(err.split())) == (code, True), err
        assert not [request for vendor in real.values() for request in vendor.requests]


async def test_two_answers_are_an_agreement(tmp_path: Path) -> None:
    async with taken_for_real(tmp_path) as real:
        code, out, err = await run(tmp_path, "--candidate", "gpt-4o-mini", *only("kill"), said="y\nspend\n")
        assert code == 0, err
        assert "one clean answer by deepseek/deepseek-chat" in " ".join(out.split())
        assert len(real["deepseek"].requests) == 1
