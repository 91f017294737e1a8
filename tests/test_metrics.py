"""The page for Prometheus, and all that is made of it: docs, dashboard, alerts, logs name what really is there."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import pytest_asyncio
import yaml
from archgw.simulate import Fault, Simulator
from collector import collector
from dialogue import gateway_of
from prometheus_client.parser import text_string_to_metric_families
from stack import gateway
from test_ledger import CLAUDE, outcome

from router_service.shell import hop, metrics, unix_http
from router_service.shell.journal import Journal
from router_service.shell.request_log import facts

ROOT = Path(__file__).parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "archgw.json").read_text("utf-8"))
PROMETHEUS = ROOT / "deploy" / "prometheus"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: deepseek/deepseek-chat, access_key: k, base_url: "$URL_DEEPSEEK"}
routing_preferences:
  - {name: Telling jokes, description: telling jokes and funny stories, models: [deepseek-chat]}
routing: {deadline: 10s}
failover: {cool_at_most: 0}
telemetry: {otlp: "$COLLECTOR"}
budgets: [{name: all, at_most: 1M tokens, per: day, then: warn}, {name: s, at_most: $9, per: session, then: warn}]
"""
SECRET = "zqsecretzq"
GPT, DEEPSEEK = "openai-gpt-4o-mini", "deepseek-deepseek-chat"


@dataclass
class Sample:
    """A page as it was scraped through the real Envoy after a few requests, all that Envoy itself would have told, and
    the logs that they left.
    """

    text: str
    envoy: str
    requests: list[str]
    access: list[str]

    @property
    def labels(self) -> dict[str, set[str]]:
        """By the name of a series, the labels that it has. The parser gives counters an ending; Envoy's have none."""
        written = set(re.findall(r"^(\w+)[{ ]", self.text, re.M))
        found: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                name = sample.name if sample.name in written else sample.name.removesuffix("_total")
                found.setdefault(name, set()).update(sample.labels)
        assert set(found) == written
        return found

    def value(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.text)
        (found,) = (
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        )
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sample(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sample]:
    folder = tmp_path_factory.mktemp("metrics")
    joke = [{"role": "user", "content": f"Tell me a joke about a parrot called {SECRET}"}]
    asked = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": joke, "stream": True}
    async with Simulator("openai") as one, Simulator("deepseek") as two:
        with collector() as there:
            config = CONFIG.replace("$COLLECTOR", there.url)
            async with gateway(folder, config, {"openai": one, "deepseek": two}) as running:
                two.fail_next(Fault("status", status=500, message=SECRET))
                headers = {"user-agent": f"{SECRET}/1", "x-claude-code-session-id": SECRET}
                for body in (asked, asked, asked | {"model": "gpt-4o-mini", "stream": False}):
                    assert (await running.ask(body, **headers)).status == 200
                assert (await running.ask(asked | {"model": SECRET}, **headers)).status == 404
                assert (await running.ask(b"", f"/{SECRET}", **headers)).status == 404
                explicit = asked | {"model": "gpt-4o-mini"}
                assert (await running.ask(explicit, "/routing/v1/messages", **headers)).status == 200
                async with running.client.get(f"{running.url}/archgw/metrics") as reply:
                    text = await reply.text()
                home = running.home
                _, envoy = await asyncio.to_thread(unix_http.ask, home.admin_socket, "/stats/prometheus")
            requests = [line for line in home.log("router").read_text().splitlines() if line.startswith("{")]
            yield Sample(text, envoy.decode(), requests, home.log("access").read_text().splitlines())


# -- the page ------------------------------------------------------------------------------------------------------


def test_requests_tokens_dollars_and_times_are_there(sample: Sample) -> None:
    value = sample.value
    assert value("archgw_requests_total", **{"class": "2xx", "route": "telling-jokes", "kind": "user turn"}) == 2
    assert value("archgw_requests_total", **{"class": "2xx", "route": "explicit", "kind": "user turn"}) == 1
    assert value("archgw_requests_total", **{"class": "4xx", "route": "", "kind": "refused"}) == 2
    assert value("archgw_decisions_total", **{"class": "2xx", "route": "explicit", "kind": "user turn"}) == 1
    assert value("archgw_tries_total", candidate=DEEPSEEK) == 2
    assert value("archgw_failures_total", candidate=DEEPSEEK) == value("archgw_answers_total", candidate=DEEPSEEK) == 1
    assert value("archgw_failovers_total", candidate=GPT) == 1
    assert value("archgw_tokens_total", candidate=GPT, kind="output") > 0
    assert value("archgw_cost_dollars_total", candidate=GPT) > 0
    assert value("archgw_baseline_dollars_total", candidate=GPT) > 0
    assert value("archgw_first_content_seconds_count", candidate=GPT) == 1, "the other answer was not streamed"
    assert value("archgw_request_seconds_count", candidate=GPT) == 2
    assert value("archgw_routing_seconds_count") == 1, "the second time the ask was remembered"
    assert value("archgw_envoy_answers") == 1


def test_envoys_figures_are_there_by_cluster(sample: Sample) -> None:
    families = {family.name: family for family in text_string_to_metric_families(sample.text)}
    answered = {
        one.labels["envoy_cluster_name"].rpartition(".")[0]: one.value
        for one in families["envoy_cluster_upstream_rq_xx"].samples
        if one.labels["envoy_response_code_class"] == "2"
    }
    assert answered == {f"provider.{GPT}": 2, f"provider.{DEEPSEEK}": 1}
    aside = families["envoy_cluster_outlier_detection_ejections_active"].samples
    assert {one.labels["envoy_cluster_name"]: one.value for one in aside} == {f"leaf.{GPT}": 0, f"leaf.{DEEPSEEK}": 0}
    assert sum(one.value for one in families["envoy_cluster_upstream_rq_retry"].samples) == 1


def test_no_model_is_part_of_the_name_of_what_envoy_counts(sample: Sample) -> None:
    """It is so by Envoy's own rule, where the name of a cluster has dots."""
    told = names(sample.envoy)
    assert len(told) > 200 and not [name for name in told if "gpt" in name or "deepseek" in name or "jokes" in name]


def test_the_page_stays_small_and_says_nothing_of_who_asked_what(sample: Sample) -> None:
    """A label that a client could fill would fill Prometheus."""
    assert len(sample.text.splitlines()) < 300
    assert SECRET not in sample.text and "parrot" not in sample.text
    assert {label for labels in sample.labels.values() for label in labels} == {
        "budget", "candidate", "class", "kind", "of", "le", "part", "result", "route", "unit", "version",
        "envoy_cluster_name", "envoy_http_conn_manager_prefix", "envoy_listener_address", "envoy_response_code_class",
    }  # fmt: skip


def test_no_series_is_told_twice(sample: Sample) -> None:
    series = [line.rpartition(" ")[0] for line in sample.text.splitlines() if not line.startswith("#")]
    families = re.findall(r"^# TYPE (\S+)", sample.text, re.M)
    assert len(series) == len(set(series)) and len(families) == len(set(families))


def test_a_histogram_cumulates() -> None:
    journal = Journal()
    for seconds in (0.05, 0.3, 700.0):
        journal.record(outcome(duration=seconds))
    page = metrics.page(gateway_of(), journal, {}, None, 0.0).decode()
    of = 'archgw_request_seconds_bucket{candidate="anthropic-claude-sonnet-4-5",le="%s"}'
    told = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in page.splitlines()}
    assert [told[of % le] for le in ("0.1", "0.25", "0.5", "600", "+Inf")] == ["1.0", "1.0", "2.0", "2.0", "3.0"]
    assert told['archgw_request_seconds_sum{candidate="anthropic-claude-sonnet-4-5"}'] == "700.35"


def test_who_is_no_longer_in_the_config_is_on_the_page_no_more() -> None:
    journal = Journal()
    journal.record(outcome(model_served="gone/model"))
    page = metrics.page(gateway_of(), journal, {}, None, 0.0).decode()
    assert "gone" not in page and f'candidate="{CLAUDE.replace("/", "-")}"' in page


def test_without_envoy_the_page_says_so(tmp_path: Path) -> None:
    told = hop.of_envoy(tmp_path / "nobody.sock")
    page = metrics.page(gateway_of(), Journal(), {}, told, 0.0).decode()
    assert "archgw_envoy_answers 0.0" in page and "envoy_cluster" not in page and "put_aside{" not in page


def test_which_archgw_it_is_is_not_looked_up_for_each_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait while the disk is read."""
    monkeypatch.setattr(Distribution, "from_name", None)
    page = metrics.page(gateway_of(), Journal(), {}, None, 0.0).decode()
    assert f'archgw_build_info{{version="{metrics.VERSION}"}} 1.0' in page


# -- what is written about it --------------------------------------------------------------------------------------


def table(heading: str) -> list[str]:
    """The first column of the table below a heading."""
    section = OPERATIONS.partition(f"\n{heading}\n")[2]
    assert section, heading
    rows = re.search(r"^\|.*?\n(?=[^|]|\Z)", section, re.S | re.M)
    assert rows
    return re.findall(r"^\| `([^`]+)` \|", rows[0], re.M)


def names(text: str) -> list[str]:
    """As they are asked for: a histogram by its own name, a counter with its ending."""
    return [str(name) for name in re.findall(r"^# TYPE (\S+)", text, re.M)]


def test_the_docs_name_each_figure_and_no_other(sample: Sample) -> None:
    present = names(sample.text)
    assert sorted(table("## Figures")) == sorted(name for name in present if name.startswith("archgw_"))
    assert sorted(table("### Envoy's")) == sorted(name for name in present if name.startswith("envoy_"))


def test_the_docs_name_each_field_of_the_services_log_and_no_other(sample: Sample) -> None:
    logged = [json.loads(line) for line in sample.requests]
    assert len(logged) == 6
    fields = list(facts(outcome(caller="laptop", decided=True)))
    assert table("### A request, as the router service logs it") == fields
    assert all(set(fields) - set(line) <= {"caller", "decided"} for line in logged)


def test_the_docs_name_each_field_of_envoys_log_and_no_other(sample: Sample) -> None:
    logged = [json.loads(line) for line in sample.access]
    documented = table("### A request or a try, as Envoy logs it")
    assert len(logged) > 8 and all(sorted(line) == sorted(documented) for line in logged)


def test_both_logs_know_a_request_by_the_same_id(sample: Sample) -> None:
    services = [json.loads(line) for line in sample.requests]
    envoys = [json.loads(line) for line in sample.access]
    for told in services:
        front = [line for line in envoys if line["hop"] == "front" and line["request"] == told["id"]]
        tries = [line for line in envoys if line["hop"] == "attempt" and line["request"] == told["id"]]
        assert ([line["status"] for line in front], len(tries)) == ([told["status"]], len(told["attempts"]))


# -- dashboard and alerts ------------------------------------------------------------------------------------------


def panels() -> list[Any]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Where it stands, the query, and what a line of its picture is called."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for rule in rules():
        yield rule["alert"], rule["expr"], " ".join(rule["annotations"].values())


def rules() -> list[Any]:
    groups = yaml.safe_load((PROMETHEUS / "archgw.rules.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def parsed(query: str) -> Any:
    """Raises ValueError where it is no PromQL. Grafana's own words stand for times."""
    return promql_parser.parse(re.sub(r"\$__(rate_interval|range)", "5m", query))


def parts(node: Any) -> Iterator[Any]:
    yield node
    inner = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for one in [*inner, *getattr(node, "args", [])]:
        if one is not None:
            yield from parts(one)


@pytest.mark.parametrize(("query", "called"), [pytest.param(*asked, id=where) for where, *asked in queries()])
def test_a_query_asks_for_what_is_there(sample: Sample, query: str, called: str) -> None:
    known = sample.labels | {"up": {"job", "instance"}}
    asked = [part for part in parts(parsed(query)) if isinstance(part, promql_parser.VectorSelector)]
    assert asked
    for selector in asked:
        assert selector.name in known
        assert {matcher.name for matcher in selector.matchers.matchers} <= known[selector.name]
    usable = {label for selector in asked for label in known[selector.name]} | {"instance"}
    grouped = [part.modifier for part in parts(parsed(query)) if isinstance(part, promql_parser.AggregateExpr)]
    assert {label for modifier in grouped if modifier for label in modifier.labels} <= usable
    shown = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", called))
    assert shown <= usable
    by = {label for modifier in grouped if modifier for label in modifier.labels if "By" in str(modifier.type)}
    assert not by or shown <= by, "what was summed over has no name any more"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_no_panel_is_dead(panel: Any) -> None:
    assert panel["targets"] and all(parsed(target["expr"]) for target in panel["targets"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {
        "${datasource}"
    }


def test_panels_lie_beside_each_other_and_have_ids_of_their_own() -> None:
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(places) == len(set(places)) and max(x for x, _ in places) < 24
    assert len(ids) == len(set(ids))


def test_every_figure_is_on_the_dashboard(sample: Sample) -> None:
    """But for what is no figure of its own, or says when a process began."""
    shown = {part.name for _, query, _ in queries() for part in parts(parsed(query)) if hasattr(part, "matchers")}
    series = {name.removesuffix("_bucket") for name in shown if name}
    assert set(names(sample.text)) - series == {"envoy_server_uptime"}


def test_prometheus_scrapes_the_page_that_there_is_and_reads_the_alerts() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("archgw", "/archgw/metrics")
    assert job["static_configs"] == [{"targets": ["127.0.0.1:12000"]}]
    assert [(PROMETHEUS / file).is_file() for file in config["rule_files"]] == [True]


def test_an_alert_says_what_it_means_and_what_to_do() -> None:
    told = rules()
    assert len({rule["alert"] for rule in told}) == len(told)
    for rule in told:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]


PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(sample: Sample) -> None:
    """Envoy's own names are Envoy's: it has no help and not always an ending."""
    assert PROMTOOL
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=sample.text, capture_output=True, text=True, check=False
    )
    told = (checked.stdout + checked.stderr).splitlines()
    assert [line for line in told if not line.startswith("envoy_")] == []
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "archgw.rules.test.yml"]):
        done = subprocess.run([PROMTOOL, *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
