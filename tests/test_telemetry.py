"""OpenTelemetry: what reaches a collector, and that one who is away, slow or rude costs nobody an answer."""

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from archgw.simulate import Fault, Simulator
from collector import Collector, Told, collector
from dialogue import KEYS, THREE, plan_of
from prometheus_client.parser import text_string_to_metric_families
from stack import Gateway, gateway, until
from test_spans import DONE, SPAN, TRACE

from router_service import spans
from router_service.config import ConfigErrors
from router_service.config import Telemetry as Settings
from router_service.outcome import Outcome
from router_service.shell import files, otlp
from router_service.shell.otlp import Otlp
from router_service.shell.telemetry import Sent, Tally, Telemetry, of

SECRET = "zqheaderzq"
PARENT = f"00-{TRACE}-{SPAN}-01"


def awaited(true: threading.Event) -> None:
    assert true.wait(60)


class Sink:
    """Answers each message with the next of `answers`, once it is let; an error among them is raised."""

    def __init__(self, *answers: Sent | Exception, hold: bool = False) -> None:
        self._answers, self._last = iter(answers), Sent()
        self.sent: list[str] = []
        self.closed, self.taken, self.open = threading.Event(), threading.Event(), threading.Event()
        if not hold:
            self.open.set()

    def send(self, outcomes: Sequence[Outcome]) -> Sent:
        if not outcomes:
            return self._last
        self.taken.set()
        awaited(self.open)
        self.sent += [outcome.id for outcome in outcomes]
        answer = next(self._answers, Sent())
        if isinstance(answer, Exception):
            raise answer
        self._last = answer
        return answer

    def close(self) -> None:
        self.closed.set()


def told_to(sink: Sink, *ids: str) -> Telemetry:
    """All of it told, one message for each."""
    telemetry = Telemetry(sink, "http://c", gather=0.001)
    telemetry.start()
    for id in ids:
        sink.taken.clear()
        telemetry.record(outcome_of(id))
        awaited(sink.taken)
    telemetry.close(60)
    return telemetry


def outcome_of(id: str) -> Outcome:
    return Outcome(id, 1.0, "title", "", "", "", "", "", "", 200)


# -- behind the requests' backs ------------------------------------------------------------------------------------


def test_all_that_waits_is_told_before_the_end() -> None:
    sink = Sink()
    telemetry = Telemetry(sink, "http://c", gather=30.0)
    telemetry.start()
    for id in "abc":
        telemetry.record(outcome_of(id))
    telemetry.close(60)
    assert (sink.sent, sink.closed.is_set(), telemetry.tally) == (["a", "b", "c"], True, Tally(sent=3))


def test_what_finds_no_room_is_lost_and_counted_and_nobody_waits_for_it() -> None:
    sink = Sink(hold=True)
    telemetry = Telemetry(sink, "http://c", waiting=2, gather=0.001)
    telemetry.start()
    telemetry.record(outcome_of("first"))
    awaited(sink.taken)
    for id in "abcd":
        telemetry.record(outcome_of(id))
    assert telemetry.tally.lost == 2
    sink.open.set()
    telemetry.close(60)
    assert sink.sent == ["first", "a", "b"]


def test_a_collector_that_hangs_holds_up_no_end() -> None:
    sink = Sink(hold=True)
    telemetry = Telemetry(sink, "http://c", gather=0.001)
    telemetry.start()
    telemetry.record(outcome_of("a"))
    awaited(sink.taken)
    telemetry.close(0.01)
    assert not sink.closed.is_set()
    sink.open.set()


def test_trouble_is_told_once_until_it_is_well_again(caplog: pytest.LogCaptureFixture) -> None:
    ill = Sent(told=False, trouble="traces: it answered 401")
    with caplog.at_level(logging.WARNING, "archgw.telemetry"):
        telemetry = told_to(Sink(ill, ill, Sent(), ill), "a", "b", "c", "d")
    assert (telemetry.tally.sent, telemetry.tally.lost) == (1, 3)
    assert caplog.messages == [
        "telemetry cannot be sent to http://c (traces: it answered 401); requests go on, and are not told there",
        "telemetry is sent again; 2 requests were not told",
        "telemetry cannot be sent to http://c (traces: it answered 401); requests go on, and are not told there",
    ]


def test_an_error_of_the_library_is_trouble_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = told_to(Sink(RuntimeError(SECRET)), "a", "b")
    assert (telemetry.tally.sent, telemetry.tally.lost) == (1, 1)
    assert "RuntimeError" in caplog.text and SECRET not in caplog.text


# -- what a collector is told --------------------------------------------------------------------------------------


def told(address: str, *outcomes: Outcome) -> Sent:
    otlp = Otlp(address)
    sent = otlp.send(outcomes)
    otlp.close()
    return sent


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADERS", "ENDPOINT", "TRACES_ENDPOINT", "COMPRESSION"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def named(spans: list[Told], name: str) -> Told:
    (found,) = (span for span in spans if span.name == name)
    return found


def test_a_trace_arrives_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=attic")
    with collector() as there:
        assert told(there.url, DONE) == Sent()
    arrived = there.spans()
    server, route = named(arrived, "POST /v1/messages"), named(arrived, "route")
    failed, answered = named(arrived, "chat gpt-4o-mini"), named(arrived, "chat gemini-2.5-pro")
    assert [span.kind for span in (server, route, failed, answered)] == ["server", "internal", "client", "client"]
    assert server.parent == "" and {span.parent for span in (route, failed, answered)} == {server.id}
    assert {span.trace for span in arrived} == {server.trace}
    wanted = spans.of(DONE)
    assert server.attributes == wanted.attributes and answered.attributes == wanted.children[2].attributes
    assert (server.start, server.end) == pytest.approx((wanted.start, wanted.end))
    assert (failed.error, answered.error, server.error) == ("answered 429 (rate_limit_error)", None, None)
    assert server.resource["service.name"] == "archgw" and server.resource["deployment.environment"] == "attic"


def test_a_trace_of_the_clients_own_goes_on() -> None:
    outcome = Outcome(**{name: getattr(DONE, name) for name in DONE.__slots__} | {"parent": PARENT})
    with collector() as there:
        told(there.url, outcome)
    server = named(there.spans(), "POST /v1/messages")
    assert (server.trace, server.parent) == (TRACE, SPAN)


def test_the_standard_variables_say_who_it_is_and_how_it_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway-in-the-attic")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    with collector() as there:
        told(there.url, DONE)
    assert {span.resource["service.name"] for span in there.spans()} == {"gateway-in-the-attic"}
    assert {headers["content-encoding"] for headers in there.headers} == {"gzip"}


def test_what_the_client_does_not_sample_is_not_told() -> None:
    outcome = Outcome(**{name: getattr(DONE, name) for name in DONE.__slots__} | {"parent": PARENT[:-2] + "00"})
    with collector() as there:
        assert told(there.url, outcome) == Sent()
    assert there.spans() == []


def test_metrics_have_the_names_units_and_buckets_of_the_conventions() -> None:
    with collector() as there:
        told(there.url, DONE)
    metrics = there.metrics()
    assert sorted(metrics) == sorted([spans.DURATION, spans.FIRST_CHUNK, spans.TOKENS])
    by_kind = {attributes["gen_ai.token.type"]: point for attributes, point in metrics[spans.TOKENS]}
    assert (by_kind["input"].sum, by_kind["output"].sum) == (17, 7)
    assert list(by_kind["input"].explicit_bounds) == [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576,
                                                      4194304, 16777216, 67108864]  # fmt: skip
    ((attributes, first),) = metrics[spans.FIRST_CHUNK]
    assert (first.sum, attributes["gen_ai.provider.name"]) == (1.5, "gcp.gemini")
    assert list(first.explicit_bounds) == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48,
                                           40.96, 81.92]  # fmt: skip
    errors = {attributes.get("error.type") for attributes, _ in metrics[spans.DURATION]}
    assert errors == {"429", None}


def test_headers_come_from_the_standard_variable_and_are_logged_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What of them is no header the SDK would tell in its log, with its value."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={SECRET},nonsense {SECRET}")
    with caplog.at_level(logging.DEBUG, "opentelemetry"), collector() as there:
        there.status = 401
        sent = told(there.url, DONE)
    assert {headers["x-key"] for headers in there.headers} == {SECRET}
    assert (sent.told, SECRET in caplog.text, SECRET in sent.trouble) == (False, False, False)


@pytest.mark.parametrize(("signal", "left"), [("TRACES", {"/v1/metrics"}), ("METRICS", {"/v1/traces"})])
def test_the_standard_way_to_have_only_one_of_both(
    monkeypatch: pytest.MonkeyPatch, signal: str, left: set[str]
) -> None:
    monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    with collector() as there:
        assert told(there.url, DONE) == Sent()
    assert {path for path, _ in there.bodies} == left


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_how_a_collector_refuses_is_told(status: int) -> None:
    with collector() as there:
        there.status = status
        assert told(there.url, DONE) == Sent(told=False, trouble=f"traces: it answered {status}")


def test_nobody_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with collector() as gone:
        pass
    assert told(gone.url, DONE) == Sent(told=False, trouble="nobody takes traces there")


# -- the config ----------------------------------------------------------------------------------------------------


def test_workers_of_one_gateway_do_not_count_as_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7")
    told = [otlp._resource(worker).attributes["service.instance.id"] for worker in ("", "router", "router-1")]
    assert told == ["pod-7", "pod-7/router", "pod-7/router-1"]


def test_nothing_is_told_unless_the_config_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the variables of another program's telemetry are set."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert plan_of().telemetry == Settings("") and of(plan_of()) is None


def test_a_variable_that_the_library_cannot_read_costs_nobody_the_gateway(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", SECRET)
    telemetry = of(plan_of(f"{THREE}telemetry: {{otlp: 'http://127.0.0.1:9'}}"))
    assert telemetry
    telemetry.start()
    telemetry.record(outcome_of("a"))
    telemetry.close(60)
    assert (telemetry.tally.lost, SECRET in caplog.text) == (1, False)
    assert "failed with ValueError; is an OTEL_ variable amiss?" in telemetry.tally.trouble


def test_without_the_library_the_config_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is started or taken over: a gateway that runs goes on with what it had."""
    monkeypatch.setattr(files, "find_spec", lambda name: None if name.startswith("opentelemetry") else find_spec(name))
    (tmp_path / "config.yaml").write_text(f"{THREE}telemetry: {{otlp: 'http://127.0.0.1:4318'}}")
    with pytest.raises(ConfigErrors, match=r"telemetry.otlp: OTLP needs a library; pip install 'archgw\[otel\]'"):
        files.load(tmp_path / "config.yaml", KEYS)
    (tmp_path / "config.yaml").write_text(THREE)
    assert not files.load(tmp_path / "config.yaml", KEYS).telemetry.otlp


def test_whoever_does_not_want_it_does_not_load_it() -> None:
    code = "import sys, router_service.shell.grpc_server; sys.exit('opentelemetry.sdk.trace' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- a whole gateway -----------------------------------------------------------------------------------------------

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: deepseek/deepseek-chat, access_key: k, base_url: "$URL_DEEPSEEK"}
routing_preferences:
  - {name: jokes, description: telling jokes and funny stories, models: [deepseek-chat]}
routing: {deadline: 10s}
failover: {cool_at_most: 0}
telemetry: {otlp: "$COLLECTOR"}
"""
JOKE = {"role": "user", "content": "Tell me a joke about a parrot"}
ASKED = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": [JOKE], "stream": True}


async def test_requests_are_told_and_go_on_when_the_collector_is_away(tmp_path: Path) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={SECRET}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }
    async with Simulator("openai") as one, Simulator("deepseek") as two:
        providers = {"openai": one, "deepseek": two}
        with collector() as there:
            config = CONFIG.replace("$COLLECTOR", there.url)
            async with gateway(tmp_path, config, providers, environment) as up:
                await _told(up, there)
                there.leave()
                for _ in range(3):
                    assert (await up.ask(ASKED)).status == 200
                await until(lambda: "telemetry cannot be sent to" in up.home.log("router").read_text())
                figures = await _figures(up)
                assert (figures["archgw_degraded", "telemetry"], figures["archgw_telemetry_sent_total", ""]) == (1, 1)
                log = up.home.log("router").read_text()
                assert log.count("telemetry cannot be sent to") == 1
                for file in (file for file in up.home.run.rglob("*") if file.is_file()):
                    assert SECRET not in file.read_text("utf-8", "replace"), file


async def _told(up: Gateway, there: Collector) -> None:
    up.providers["deepseek"].fail_next(Fault("status", status=429))
    answer = await up.ask(ASKED, traceparent=PARENT)
    assert answer.headers["x-arch-model"] == "openai/gpt-4o-mini"
    await until(there.spans)
    arrived = there.spans()
    server = named(arrived, "POST /v1/messages")
    assert (server.trace, server.parent, server.attributes["archgw.request.id"]) == (
        TRACE,
        SPAN,
        answer.headers["x-arch-request-id"],
    )
    failed, answered = named(arrived, "chat deepseek-chat"), named(arrived, "chat gpt-4o-mini")
    route = named(arrived, "route")
    assert (failed.attributes["error.type"], answered.error) == ("429", None)
    assert answered.attributes["gen_ai.usage.output_tokens"] > 0
    assert answered.attributes["gen_ai.response.model"]
    assert (answered.attributes["server.address"], answered.attributes["gen_ai.request.stream"]) == ("127.0.0.1", True)
    order = [server.start, route.start, route.end, failed.start, failed.end, answered.start, answered.end]
    assert order == sorted(order) and answered.end == pytest.approx(server.end)
    await until(lambda: spans.TOKENS in there.metrics())
    assert {headers["x-key"] for headers in there.headers} == {SECRET}
    for provider in up.providers.values():
        assert not [request for request in provider.requests if "traceparent" in request.headers]
    assert "parrot" not in str([there.bodies, there.headers])


async def _figures(up: Gateway) -> dict[tuple[str, str], float]:
    async with up.client.get(f"{up.url}/archgw/metrics") as reply:
        page = await reply.text()
    samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}
