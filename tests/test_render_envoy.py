"""The Envoy configuration of a plan: its parts, and what must never be among them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from archgw.render.envoy import Place, render
from dialogue import KEYS, THREE, plan_of

MIXED = """
listeners: {egress_traffic: {port: 4321}}
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: anthropic/claude-sonnet-4-5, passthrough_auth: true}
  - {model: ollama/llama3.1, base_url: "http://10.0.0.7:11434"}
  - {model: deepseek/deepseek-chat, base_url: "https://[::1]:8443/v1"}
failover: {first_content_timeout: 7s, put_aside_after: 5, put_aside_for: 20s, attempts: 2}
routing_preferences:
  - {name: coding, description: writing code, models: [claude-sonnet-4-5, llama3.1]}
"""
PLAN = plan_of(MIXED)
PLACE = Place(router_socket="/r.sock", admin_port=99, ca_file="/ca.pem", access_log="/a.log")
RENDERED = render(PLAN, PLACE)
CLUSTERS: dict[str, Any] = {cluster["name"]: cluster for cluster in RENDERED["static_resources"]["clusters"]}
FRONT, ATTEMPT = RENDERED["static_resources"]["listeners"]


def manager(listener: Any) -> Any:
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def endpoint(cluster: str) -> Any:
    (locality,) = CLUSTERS[cluster]["load_assignment"]["endpoints"]
    (only,) = locality["lb_endpoints"]
    return only


def provider(candidate: str) -> str:
    found = PLAN.candidate(candidate)
    assert found
    return found.cluster


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from members(inner)
    if isinstance(value, list):
        for inner in value:
            yield from members(inner)


# -- clusters ------------------------------------------------------------------------------------------------------


def test_there_are_a_leaf_and_a_provider_for_each_candidate_and_a_chain_for_each_first_one() -> None:
    assert sorted(CLUSTERS) == sorted(
        [
            "router",
            "nobody",
            *(candidate.leaf for candidate in PLAN.candidates),
            *(candidate.cluster for candidate in PLAN.candidates),
            *(PLAN.chain(route, first).name for route in (*PLAN.routes, PLAN.default) for first in route.candidates),
        ]
    )
    assert len(CLUSTERS) == len(RENDERED["static_resources"]["clusters"]), "each name stands once"


@pytest.mark.parametrize("chain", PLAN.chains.values(), ids=map("/".join, PLAN.chains))
def test_a_chain_leads_to_its_leaves_in_order(chain: Any) -> None:
    kind = CLUSTERS[chain.name]["cluster_type"]
    assert kind["name"] == "envoy.clusters.aggregate"
    assert kind["typed_config"]["clusters"] == [candidate.leaf for candidate in chain.candidates]


@pytest.mark.parametrize("candidate", PLAN.candidates, ids=lambda candidate: candidate.id)
def test_a_leaf_is_a_door_to_the_attempt_hop_that_tells_whose_turn_it_is(candidate: Any) -> None:
    only = endpoint(candidate.leaf)
    assert only["endpoint"]["address"]["envoy_internal_address"]["server_listener_name"] == ATTEMPT["name"]
    assert only["metadata"]["filter_metadata"]["archgw"] == {"candidate": candidate.id}
    outliers = CLUSTERS[candidate.leaf]["outlier_detection"]
    assert (outliers["consecutive_5xx"], outliers["base_ejection_time"]) == (5, "20s")


@pytest.mark.parametrize(
    ("candidate", "address", "port", "kind"),
    [
        ("openai-gpt-4o-mini", "api.openai.com", 443, "STRICT_DNS"),
        ("ollama-llama3-1", "10.0.0.7", 11434, "STATIC"),
        ("deepseek-deepseek-chat", "::1", 8443, "STATIC"),
    ],
    ids=["a name", "an address", "an IPv6 address"],
)
def test_a_provider_is_reached_at_its_address(candidate: str, address: str, port: int, kind: str) -> None:
    where = endpoint(provider(candidate))["endpoint"]["address"]["socket_address"]
    assert where == {"address": address, "port_value": port}
    assert CLUSTERS[provider(candidate)]["type"] == kind


@pytest.mark.parametrize(
    ("candidate", "kind", "name", "sni"),
    [
        ("openai-gpt-4o-mini", "DNS", "api.openai.com", {"sni": "api.openai.com"}),
        ("deepseek-deepseek-chat", "IP_ADDRESS", "::1", {}),
    ],
    ids=["a name", "an address"],
)
def test_a_provider_must_prove_who_it_is(candidate: str, kind: str, name: str, sni: dict[str, str]) -> None:
    tls = CLUSTERS[provider(candidate)]["transport_socket"]["typed_config"]
    context = tls["common_tls_context"]["validation_context"]
    assert context["trusted_ca"] == {"filename": "/ca.pem"}
    assert context["match_typed_subject_alt_names"] == [{"san_type": kind, "matcher": {"exact": name}}]
    assert {key: value for key, value in tls.items() if key == "sni"} == sni


def test_a_provider_without_tls_has_none() -> None:
    assert "transport_socket" not in CLUSTERS[provider("ollama-llama3-1")]


def test_every_cluster_that_is_named_exists() -> None:
    hops = [RENDERED["static_resources"], *(manager(listener)["route_config"] for listener in (FRONT, ATTEMPT))]
    named = {value for name, value in members(hops) if name in ("cluster", "cluster_name") and "%" not in value}
    assert {"nobody", "router"} <= named <= set(CLUSTERS)


# -- what must never be --------------------------------------------------------------------------------------------


def test_no_key_is_in_it() -> None:
    written = json.dumps(render(plan_of(THREE), PLACE))
    assert [name for name, key in KEYS.items() if key in written or name in written] == []


def test_it_listens_where_the_plan_says_and_on_loopback_alone() -> None:
    assert FRONT["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 4321}
    assert RENDERED["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 99}
    assert ATTEMPT["internal_listener"] == {} and "address" not in ATTEMPT


@pytest.mark.parametrize("listener", [FRONT, ATTEMPT], ids=["front", "attempt"])
def test_the_log_has_neither_queries_nor_credentials(listener: Any) -> None:
    log = manager(listener)["access_log"][0]
    fields = log["typed_config"]["log_format"]["json_format"]
    headers = [value for value in fields.values() if value.startswith(("%REQ", "%RESP("))]
    assert headers == ["%RESP(X-ARCH-REQUEST-ID)%", "%REQ(:METHOD)%"], "the one header is ours"
    assert fields["path"] == "%PATH(NQ)%"


def test_the_service_hears_at_once_of_streams_that_a_provider_tore_and_of_no_others() -> None:
    assert len(manager(FRONT)["access_log"]) == 1
    log = manager(ATTEMPT)["access_log"][1]
    assert "upstream_reset_after_response_started" in log["filter"]["extension_filter"]["typed_config"]["expression"]
    told = log["typed_config"]["common_config"]
    assert (told["grpc_service"]["envoy_grpc"]["cluster_name"], told["buffer_size_bytes"]) == ("router", 0)


@pytest.mark.parametrize("listener", [FRONT, ATTEMPT], ids=["front", "attempt"])
def test_nobody_gets_past_the_service(listener: Any) -> None:
    service, *_, last = manager(listener)["http_filters"]
    assert service["name"] == "envoy.filters.http.ext_proc" and last["name"] == "envoy.filters.http.router"
    assert not service["typed_config"].get("failure_mode_allow")
    assert service["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] == "router"


def test_headers_that_steer_us_are_taken_from_clients() -> None:
    (early,) = manager(FRONT)["early_header_mutation_extensions"]
    mutations = early["typed_config"]["mutations"]
    prefixes = [m["remove_on_match"]["key_matcher"]["prefix"] for m in mutations if "remove_on_match" in m]
    assert prefixes == ["x-archgw-", "x-envoy-"]


def test_headers_that_steer_us_are_not_shown_to_providers() -> None:
    to_provider, _ = manager(ATTEMPT)["route_config"]["virtual_hosts"][0]["routes"]
    assert "x-archgw-provider" in to_provider["request_headers_to_remove"]


# -- what the config decides ---------------------------------------------------------------------------------------


def test_envoys_own_timers_are_bounds_and_the_service_sets_the_limit_of_an_attempt() -> None:
    to_chain, _, _ = manager(FRONT)["route_config"]["virtual_hosts"][0]["routes"]
    assert to_chain["route"]["retry_policy"]["per_try_timeout"] == to_chain["route"]["timeout"]
    assert manager(ATTEMPT)["http_filters"][0]["typed_config"]["message_timeout"] == to_chain["route"]["timeout"]


def test_between_the_hops_nobody_waits_before_a_broken_connection_is_told() -> None:
    """And the client no longer than Envoy's own second: at 30 s, so that slow readers who ask for the connection to be
    closed get all of their answer, a torn stream was told half a minute late."""
    assert manager(ATTEMPT)["delayed_close_timeout"] == "0s" and "delayed_close_timeout" not in manager(FRONT)


def test_a_route_keeps_the_idle_timeout_of_the_one_before_it_unless_it_has_its_own() -> None:
    to_chain, _, unrouted = manager(FRONT)["route_config"]["virtual_hosts"][0]["routes"]
    assert unrouted["route"]["idle_timeout"] == "30s"
    assert to_chain["route"]["idle_timeout"] == to_chain["route"]["timeout"] == "605s"


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("cluster.leaf.gpt-4o.outlier_detection.ejections_active", True),
        ("cluster.leaf.gpt-4o.outlier_detection.ejections_enforced_total", True),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_rq_retry", True),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_rq_retry_overflow", True),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_rq_timeout", True),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_rq_per_try_timeout", True),
        ("cluster.provider.gpt-4o.1f2e3d.upstream_cx_total", True),
        ("cluster.provider.gpt-4o.1f2e3d.upstream_rq_2xx", True),
        ("cluster.router.upstream_rq_total", True),
        ("http.front.downstream_rq_active", True),
        ("cluster.leaf.gpt-4o.upstream_cx_total", False),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_cx_length_ms", False),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_rq_total", False),
        ("cluster.chain.coding.gpt-4o.1f2e3d.upstream_rq_503", False),
    ],
)
def test_of_leaves_and_chains_is_counted_what_is_told_of_them(name: str, counted: bool) -> None:
    (excluded,) = RENDERED["stats_config"]["stats_matcher"]["exclusion_list"]["patterns"]
    assert (re.fullmatch(excluded["safe_regex"]["regex"], name) is None) == counted


def test_the_attempt_listener_names_no_candidate() -> None:
    """A changed listener would cut the streams that it carries."""
    other = render(plan_of("llm_providers: [{model: openai/gpt-4o}]\nfailover: {first_content_timeout: 7s}"), PLACE)
    assert other["static_resources"]["listeners"][1] == ATTEMPT


def test_the_place_is_used() -> None:
    assert endpoint("router")["endpoint"]["address"] == {"pipe": {"path": "/r.sock"}}
    assert manager(FRONT)["access_log"][0]["typed_config"]["path"] == "/a.log"


def test_one_plan_has_one_rendering() -> None:
    assert json.dumps(render(plan_of(MIXED), PLACE)) == json.dumps(RENDERED)


# -- limits --------------------------------------------------------------------------------------------------------


def test_limits_stand_where_an_overflow_can_be_mended() -> None:
    """Of an overflow of a leaf nobody hears; retries are counted on the chain alone."""
    limits = "{max_requests: 7, max_connections: 5, max_pending_requests: 3, max_retries: 2}"
    rendered = render(plan_of(f"{THREE}failover: {{limits: {limits}}}"), PLACE)
    thresholds = {
        cluster["name"].partition(".")[0]: tuple(cluster["circuit_breakers"]["thresholds"][0].values())
        for cluster in rendered["static_resources"]["clusters"]
        if "circuit_breakers" in cluster
    }
    free = 8192
    assert thresholds == {
        "router": (free, free, free, free),
        "leaf": (free, free, free, free),
        "provider": (5, 3, 7, free),
        "chain": (free, free, free, 2),
    }
