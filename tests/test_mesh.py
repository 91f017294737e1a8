"""Another team's Envoy with our routing in it: merged, looked at, and asked while it runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from archgw.app import app
from archgw.machine import refusal
from archgw.mesh_check import whole
from archgw.reading import document
from archgw.render.envoy_pieces import Place
from archgw.render.mesh import TARGETS
from archgw.render.mesh.foreign import managers, read
from archgw.render.mesh.fragments import PREFIX, Fragments, fragments
from archgw.render.mesh.manifests import Site
from archgw.render.mesh.merge import CannotMerge, merge
from archgw.render.mesh.shapes import NotEnvoys, check
from archgw.simulate import Fault, Simulator
from dialogue import plan_of
from foreign import Edge, edge, envoy, fragments_for, theirs
from stack import free_port
from typer.testing import CliRunner

KEYS = {"openai": "key-of-openai", "anthropic": "key-of-anthropic"}
CONFIG = """
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
listeners: {egress_traffic: {hosts: [models.shop.example]}}
failover: {put_aside_after: 1000}
limits: {body: 1MiB}
"""
MODELS = "llm_providers: [{model: openai/gpt-4o-mini}, {model: anthropic/claude-sonnet-4-5}]"
HOSTS = "listeners: {egress_traffic: {hosts: [models.shop.example]}}\n"
PLAN = plan_of(f"{HOSTS}{MODELS}")
OURS = fragments(PLAN, Place(router_socket="/r.sock", prefix=PREFIX))

Json = dict[str, Any]


# -- while it runs -------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors() -> AsyncIterator[dict[str, Simulator]]:
    async with (
        Simulator("openai", accept_keys={KEYS["openai"]}) as openai,
        Simulator("anthropic", accept_keys={KEYS["anthropic"]}) as anthropic,
    ):
        yield {"openai": openai, "anthropic": anthropic}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, vendors: dict[str, Simulator]) -> Path:
    file = tmp_path_factory.mktemp("mesh") / "config.yaml"
    text = CONFIG
    for name, vendor in vendors.items():
        text = text.replace(f"$URL_{name.upper()}", vendor.url)
    file.write_text(text)
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(config: Path) -> AsyncIterator[Edge]:
    def merged(theirs: Json, socket: Path) -> Json:
        return merge(theirs, fragments_for(config, socket))

    environment = {f"{name.upper()}_API_KEY": key for name, key in KEYS.items()}
    async with edge(config.parent, config, environment, merged) as running:
        yield running


@pytest.fixture
def calm(vendors: dict[str, Simulator]) -> Any:
    yield
    for vendor in vendors.values():
        vendor.clear()
        assert not vendor.leaks, "a header reached a provider that it was not meant for"


def hello(*, stream: bool = False) -> Json:
    messages = [{"role": "user", "content": "hello"}]
    return {"model": "arch.main.v1", "max_tokens": 50, "stream": stream, "messages": messages}


in_module = pytest.mark.asyncio(loop_scope="module")


@in_module
@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/orders/1", 200, b"order of /orders/1"),
        ("/v1/inventory", 200, b"order of /orders/inventory"),
        ("/teapot", 418, b'{"code":418,"shop":"sorry"}\n'),
        ("/v1/elsewhere", 404, b'{"code":404,"shop":"sorry"}\n'),
    ],
    ids=["a route", "one below /v1", "a direct response", "nothing"],
)
async def test_what_is_theirs_answers_as_before(running: Edge, path: str, status: int, said: bytes) -> None:
    for forged in ({}, {"x-archgw-chain": f"{PREFIX}nobody", "x-archgw-provider": f"{PREFIX}nobody"}):
        found, headers, body = await running.get(path, **forged)
        assert (found, body) == (status, said)
        assert "x-arch-model" not in headers and ("x-shop-error" in headers) == (status >= 400)


@in_module
@pytest.mark.parametrize(
    ("path", "first", "last"),
    [
        ("/v1/messages", b"event: message_start", b'data: {"type":"message_stop"}\n\n'),
        ("/v1/chat/completions", b"data: {", b"data: [DONE]\n\n"),
    ],
    ids=["Anthropic's", "OpenAI's"],
)
async def test_a_stream_is_whole(running: Edge, calm: Any, path: str, first: bytes, last: bytes) -> None:
    status, headers, body = await running.ask(hello(stream=True), path)
    assert status == 200 and headers["x-arch-model"] == "openai/gpt-4o-mini"
    assert body.startswith(first) and body.endswith(last)


@in_module
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["status", "reset", "empty"])
async def test_another_model_steps_in(
    running: Edge, vendors: dict[str, Simulator], calm: Any, kind: str, stream: bool
) -> None:
    vendors["openai"].fail_next(Fault(kind, status=500 if kind == "status" else 0))
    status, headers, _ = await running.ask(hello(stream=stream))
    assert (status, headers["x-arch-model"], headers["x-arch-attempts"]) == (200, "anthropic/claude-sonnet-4-5", "2")


@in_module
async def test_tokens_are_counted(running: Edge, calm: Any) -> None:
    asked = {name: value for name, value in hello().items() if name in ("model", "messages")}
    status, headers, body = await running.ask(asked, "/v1/messages/count_tokens")
    assert status == 200 and json.loads(body)["input_tokens"] > 0 and headers["x-arch-model"] != "none"


@in_module
async def test_our_clusters_are_counted_under_one_word_each(running: Edge) -> None:
    """Envoy ends a cluster's name at the first dot where its metrics get their labels."""
    async with running.client.get(f"{running.admin}/stats?filter=^cluster\\..*archgw.*membership_total$") as reply:
        counted = {line.split(":")[0] for line in (await reply.text()).splitlines()}
    assert "cluster.archgw_router.membership_total" in counted and all(name.count(".") == 2 for name in counted)


@in_module
async def test_our_words_go_through_their_reply_mapping(
    running: Edge, vendors: dict[str, Simulator], calm: Any
) -> None:
    for vendor in vendors.values():
        vendor.fail_next(Fault("status", status=500), times=5)
    status, headers, body = await running.ask(hello())
    said = json.loads(body)
    assert status == 503 and said["error"]["type"] == "overloaded_error" and "answered 500" in said["error"]["message"]
    assert "x-shop-error" not in headers
    status, headers, body = await running.ask({"model": "arch.main.v1"})
    said = json.loads(body)
    assert status == 400 and said["error"]["type"] == "invalid_request_error" and "messages" in said["error"]["message"]
    assert "x-shop-error" not in headers


@in_module
async def test_what_envoy_says_on_our_routes_is_said_in_the_clients_dialect(running: Edge) -> None:
    """A body without a length, which Envoy alone can find too long."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"model": "arch.main.v1", "messages": "'
        for _ in range(40):
            yield b"x" * 65536

    sent = {"content-type": "application/json"}
    async with running.client.post(f"{running.url}/v1/messages", data=endless(), headers=sent) as reply:
        said = await reply.json()
    assert reply.status == 413 and said["error"]["type"] == "request_too_large"
    assert "x-shop-error" not in reply.headers


@in_module
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-archgw-chain", f"{PREFIX}nobody"),
        ("x-archgw-provider", f"{PREFIX}nobody"),
        ("x-archgw-exchange", "0123456789abcdef"),
        ("x-envoy-upstream-rq-timeout-ms", "1"),
    ],
)
async def test_a_forged_header_steers_nothing(running: Edge, calm: Any, header: str, value: str) -> None:
    status, headers, _ = await running.ask(hello(), **{header: value})
    assert (status, headers["x-arch-attempts"]) == (200, "1")


@in_module
@pytest.mark.parametrize("chain", ["orders_svc_v2", f"{PREFIX}router", f"{PREFIX}chain.none"])
@pytest.mark.parametrize("path", ["/v1/messages", "/llm/v1/messages"], ids=["as asked", "by a path that they change"])
async def test_a_made_up_chain_reaches_no_cluster_of_theirs(running: Edge, calm: Any, path: str, chain: str) -> None:
    """Which filters are on, Envoy decides by the route that it finds first: what they change later finds ours off."""
    status, headers, body = await running.ask(hello(), path, **{"x-archgw-chain": chain, "x-archgw-exchange": "x"})
    assert b"order of" not in body and "grpc-status" not in headers
    assert status == (200 if path == "/v1/messages" else 503), body


@in_module
@pytest.mark.parametrize("chain", ["orders_svc_v2", f"{PREFIX}chain.none"])
async def test_nor_does_one_on_a_websocket_which_has_filters_of_its_own(running: Edge, chain: str) -> None:
    opening = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "a"}
    assert (await running.get("/orders/1", **opening))[0] == 200, "which is no 101, but it was asked"
    status, _, _ = await running.get("/v1/messages", **opening, **{"x-archgw-chain": chain})
    assert status == 503


@in_module
async def test_a_stream_outlives_their_bound_of_all_streams(
    running: Edge, vendors: dict[str, Simulator], calm: Any
) -> None:
    """Which theirs.yaml has, and which goes on to hold for what is theirs."""
    for vendor in vendors.values():
        vendor.fail_next(Fault("slow_first", delay_ms=1500))
    status, headers, body = await running.ask(hello(stream=True))
    assert status == 200 and body.endswith(b'data: {"type":"message_stop"}\n\n')
    assert headers["x-arch-attempts"] == "1"


@in_module
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/routing/v1/decide", {"prompt": "hello"}),
        ("/routing/v1/messages", {"model": "arch.main.v1", "max_tokens": 50, "messages": "$HELLO"}),
        ("/routing/v1/chat/completions", {"model": "arch.main.v1", "messages": "$HELLO"}),
        ("/routing/v1/responses", {"model": "arch.main.v1", "input": "hello"}),
    ],
)
async def test_a_decision_alone_is_told_and_sent_nowhere(
    running: Edge, vendors: dict[str, Simulator], calm: Any, path: str, body: Json
) -> None:
    asked = {name: hello()["messages"] if value == "$HELLO" else value for name, value in body.items()}
    before = [len(vendor.requests) for vendor in vendors.values()]
    status, headers, said = await running.ask(asked, path, **{"x-archgw-chain": "orders_svc_v2"})
    assert status == 200, said
    assert json.loads(said)["models"][0]["model"] == "openai/gpt-4o-mini"
    assert [len(vendor.requests) for vendor in vendors.values()] == before
    assert b"key-of" not in said and "key-of" not in str(headers)


@in_module
@pytest.mark.parametrize(
    "call",
    ["archgw.v1.Decisions/Decide", "archgw.v1.Router/Adopt", "envoy.service.ext_proc.v3.ExternalProcessor/Process"],
)
async def test_nothing_of_the_socket_is_to_be_had_through_their_envoy(running: Edge, call: str) -> None:
    sent = {"content-type": "application/grpc", "te": "trailers", "x-archgw-role": "selection", "x-archgw-caller": "me"}
    async with running.client.post(f"{running.url}/{call}", data=b"\0" * 5, headers=sent) as reply:
        assert reply.headers.get("grpc-status") == "12" or reply.status == 404, (reply.status, reply.headers)


@in_module
async def test_the_service_answers_what_needs_no_model(running: Edge) -> None:
    status, _, body = await running.get("/v1/models")
    assert status == 200 and "anthropic/claude-sonnet-4-5" in {one["id"] for one in json.loads(body)["data"]}


@in_module
async def test_the_check_says_what_is_missing_before_and_in_order_after(
    running: Edge, config: Path, tmp_path: Path
) -> None:
    """On their file, on what `--into` makes of it, and on what the running Envoy says of itself."""
    socket = ["--router-socket", str(config.parent / "router.sock")]
    before, after, dump = (tmp_path / name for name in ("before.yaml", "after.json", "dump.json"))
    before.write_text(yaml.safe_dump(theirs()))
    dump.write_text(json.dumps(await running.dump()))

    def archgw(*arguments: object) -> Any:
        return CliRunner().invoke(app, [*map(str, arguments)])

    refused = archgw("check-mesh", before, config, *socket)
    assert refused.exit_code == 1
    for lacking in ("envoy.bootstrap.internal_listener", "archgw.attempt", "8 of 8 clusters", "filters", "our routes"):
        assert lacking in refused.output
    merged = archgw("render", "mesh", "--for", "plain", config, "--into", before, *socket)
    assert merged.exit_code == 0, merged.output
    after.write_text(merged.stdout)
    for file, more in ((after, ["--validate"]), (dump, [])):
        good = archgw("check-mesh", file, config, *socket, *more)
        assert good.exit_code == 0 and "Everything is in order" in good.output, good.output


@in_module
async def test_the_service_hears_of_a_stream_that_its_provider_tore(
    running: Edge, vendors: dict[str, Simulator], calm: Any
) -> None:
    """By a log of Envoy's that finds its way to it; whoever broke off is not asked first for a while."""
    vendors["openai"].fail_next(Fault("reset_after_content"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await running.ask(hello(stream=True))
    for _ in range(100):
        _, headers, _ = await running.ask(hello())
        if headers["x-arch-model"] != "openai/gpt-4o-mini":
            break
        await asyncio.sleep(0.05)
    assert (headers["x-arch-model"], headers["x-arch-attempts"]) == ("anthropic/claude-sonnet-4-5", "1")
    assert "broke off" in headers["x-arch-reason"]


@in_module
async def test_without_the_service_only_models_are_away(running: Edge) -> None:
    running.router.kill()
    await running.router.wait()
    assert (await running.get("/orders/2"))[0] == 200
    status, headers, body = await running.ask(hello())
    assert status == 503 and "router service is not answering" in json.loads(body)["error"]["message"]
    assert "x-shop-error" not in headers


# -- merging -------------------------------------------------------------------------------------------------------


def without_ours(bootstrap: Json) -> Json:
    """What is theirs of a merged one."""
    left = deepcopy(bootstrap)
    assert left.pop("bootstrap_extensions") == [OURS.extension]
    static = left["staticResources"]
    for field in ("listeners", "clusters"):
        static[field] = [one for one in static[field] if not one["name"].startswith(PREFIX)]
    manager = next(managers(static["listeners"][0]))
    manager["http_filters"] = [one for one in manager["http_filters"] if not one["name"].startswith(PREFIX)]
    said = manager["local_reply_config"]
    said["mappers"] = [one for one in said["mappers"] if one not in OURS.replies]
    for host in manager["route_config"]["virtual_hosts"]:
        host["routes"] = [route for route in host["routes"] if not route["name"].startswith(PREFIX)]
    return left


def test_what_is_theirs_stays_as_it_was() -> None:
    assert without_ours(merge(theirs(), OURS)) == theirs()


def test_merging_again_changes_nothing_and_another_config_replaces_ours() -> None:
    once = merge(theirs(), OURS, host="llm.shop.internal")
    assert merge(once, OURS, host="llm.shop.internal") == once
    other = fragments(plan_of("llm_providers: [{model: deepseek/deepseek-chat}]"), Place(prefix=PREFIX))
    assert merge(once, other) == merge(theirs(), other)


def test_what_an_earlier_config_names_stays_beside_the_new_one_where_that_is_wanted() -> None:
    """Each service goes on to find its own clusters, whichever config it serves."""
    place = Place(router_socket="/r.sock", prefix=PREFIX)
    new = plan_of(f"{HOSTS}llm_providers: [{{model: anthropic/claude-sonnet-4-5}}, {{model: deepseek/deepseek-chat}}]")
    both = merge(MERGED, fragments(new, place, beside=PLAN))
    assert troubles(both) == [] and not [
        one for one in whole.findings(read(both), fragments(new, place), new) if one.weight != "note"
    ]
    alone = merge(both, fragments(new, place))
    assert any(one.startswith("missing: 4 of 8 clusters") for one in troubles(alone))


def test_two_services_with_two_configs_stand_beside_one_envoy(tmp_path: Path) -> None:
    other = plan_of("llm_providers: [{model: deepseek/deepseek-chat}, {model: anthropic/claude-sonnet-4-5}]")
    seconds = fragments(other, Place(router_socket="/r2.sock", prefix="second."))
    both = merge(merge(theirs(), OURS), seconds, host="second.shop.internal")
    assert troubles(both) == []
    assert [one for one in whole.findings(read(both), seconds, other) if one.weight != "note"] == []
    file = tmp_path / "both.json"
    file.write_text(json.dumps(both))
    assert refusal(file) == ""


def test_replies_of_a_config_with_other_limits_are_replaced_too() -> None:
    other = fragments(plan_of("llm_providers: [{model: openai/gpt-4o}]\nlimits: {body: 1MiB}"), Place(prefix=PREFIX))
    assert other.replies != OURS.replies
    assert merge(merge(theirs(), OURS), other) == merge(theirs(), other)


def test_an_internal_listener_of_theirs_stays_as_they_set_it() -> None:
    own = deepcopy(OURS.extension)
    own["typed_config"]["buffer_size_kb"] = 64
    merged = merge(theirs() | {"bootstrap_extensions": [own]}, OURS)
    assert merged["bootstrap_extensions"] == [own] and troubles(merged) == []


def test_what_yaml_says_once_of_two_listeners_is_changed_in_one() -> None:
    """Aliases are one object to PyYAML: our routes would stand in a listener that has no filters of ours."""
    twice = theirs()
    second = {**listeners(twice)[0], "name": "edge_other"}
    listeners(twice).append(second)
    merged = listeners(merge(twice, OURS, listener="edge_http"))
    assert PREFIX in json.dumps(merged[0]) and PREFIX not in json.dumps(merged[1])
    assert merged[1] == listeners(theirs())[0] | {"name": "edge_other"}


def chained(*names: list[str]) -> Json:
    """Theirs, with a filter chain for each of these lists of names in TLS."""

    def split(document: Json) -> None:
        (chain,) = listeners(document)[0]["filter_chains"]
        chains = [deepcopy(chain) | ({"filter_chain_match": {"server_names": each}} if each else {}) for each in names]
        for at, one in enumerate(chains):
            one["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["domains"] = [f"{at}.shop"]
        listeners(document)[0]["filter_chains"] = chains

    return changed(split)


@pytest.mark.parametrize(
    ("names", "host", "chosen"),
    [
        ([["llm.shop"], ["*.shop"], []], "llm.shop", [0]),
        ([["api.shop"], ["*.shop"], []], "llm.shop", [1]),
        ([["api.shop"], [], ["*.store"]], "llm.shop", [1]),
        ([["llm.shop"], ["*.shop"], []], "1.shop", [1]),
        ([[], []], "llm.shop", [0, 1]),
    ],
    ids=["by its name", "by a wildcard", "the one for all others", "whoever has the host", "all of them"],
)
def test_models_are_asked_through_the_chain_that_is_for_their_host(
    names: list[list[str]], host: str, chosen: list[int]
) -> None:
    """In another they would be reached without what this one asks for, such as a certificate."""
    theirs = chained(*names)
    merged = merge(theirs, OURS, host=host)
    found = list(managers(listeners(merged)[0]))
    wired = ["asked" in json.dumps(manager["route_config"]) for manager in found]
    assert [at for at, one in enumerate(wired) if one] == chosen
    assert merge(merged, OURS, host=host) == merged
    assert all(
        manager["route_config"] == before["route_config"]
        for manager, before, one in zip(found, managers(listeners(theirs)[0]), wired, strict=True)
        if not one
    )


def test_a_chain_is_not_guessed() -> None:
    with pytest.raises(CannotMerge, match="hosts of their own: say by --host"):
        merge(chained(["a.shop"], []), OURS)
    with pytest.raises(CannotMerge, match=r"no filter chain of it takes llm\.store: add it to the server_names"):
        merge(chained(["a.shop"], ["*.shop"]), OURS, host="llm.store")


def test_what_is_there_and_empty_is_filled() -> None:
    def empty(document: Json) -> None:
        put(manager_of(document), local_reply_config=None)
        put(manager_of(document)["route_config"], virtual_hosts=None)
        put(document, bootstrap_extensions=None)

    merged = merge(changed(empty), OURS, host="llm.shop.internal")
    assert troubles(merged) == []


def test_a_host_of_its_own_takes_nothing_from_theirs() -> None:
    manager = next(managers(merge(theirs(), OURS, host="llm.shop.internal")["staticResources"]["listeners"][0]))
    shop, models = manager["route_config"]["virtual_hosts"]
    assert [route["name"] for route in shop["routes"]] == ["orders", "inventory", "teapot"]
    assert models["domains"] == ["llm.shop.internal"] and models["routes"] == list(OURS.routes)


def test_every_name_of_ours_has_the_prefix() -> None:
    named = [OURS.listener, *OURS.clusters, *OURS.filters, *OURS.routes]
    assert [one["name"] for one in named if not one["name"].startswith(PREFIX)] == []
    mentioned = json.dumps([OURS.listener, OURS.clusters, OURS.routes, OURS.filters])
    for name in ("cluster_name", "cluster", "server_listener_name"):
        for value in mentioned.split(f'"{name}": "')[1:]:
            assert value.startswith((PREFIX, "%UPSTREAM_CLUSTER%")), name


def changed(change: Callable[[Json], Any], bootstrap: Json | None = None) -> Json:
    document = deepcopy(bootstrap or theirs())
    change(document)
    return document


def listeners(document: Json) -> Any:
    return document["staticResources"]["listeners"]


def manager_of(document: Json) -> Any:
    return next(managers(listeners(document)[0]))


def first_host(document: Json) -> Any:
    return manager_of(document)["route_config"]["virtual_hosts"][0]


def put(of: Json, **fields: Any) -> None:
    of.update(fields)


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        (lambda d: listeners(d).append({**listeners(d)[0], "name": "second"}), {}, "there are: edge_http, second"),
        (lambda d: None, {"listener": "edge_https"}, "no listener edge_https .* there are: edge_http"),
        (lambda d: manager_of(d)["http_filters"].pop(), {}, "no router filter"),
        (lambda d: put(manager_of(d), route_config=None, rds={"route_config_name": "r7"}), {}, r"\(r7\).* RDS"),
        (
            lambda d: manager_of(d)["route_config"]["virtual_hosts"].append(
                {"name": "b", "domains": ["b.shop"], "routes": []}
            ),
            {},
            r"--host, .* there are: \*, b.shop",
        ),
        (lambda d: d.pop("staticResources"), {}, "over LDS, serve xds"),
        (lambda d: put(d, staticResources=[]), {}, "staticResources: expected an object, found a list"),
        (lambda d: put(d, configs=[]), {}, "says of itself at /config_dump"),
        (lambda d: put(manager_of(d), http_filters=[]), {}, "no router filter"),
    ],
    ids=[
        "two listeners",
        "no such listener",
        "no router filter",
        "over RDS",
        "two hosts",
        "over LDS",
        "a list",
        "a dump",
        "no filters",
    ],
)
def test_what_cannot_be_merged_is_said(change: Callable[[Json], Any], options: dict[str, str], why: str) -> None:
    with pytest.raises(CannotMerge, match=why):
        merge(changed(change), OURS, **options)


# -- looking -------------------------------------------------------------------------------------------------------


def found(document: Json, ours: Fragments = OURS, **options: str) -> list[str]:
    return [f"{one.weight}: {one.what}" for one in whole.findings(read(document), ours, PLAN, **options)]


def troubles(document: Json) -> list[str]:
    return [one for one in found(document) if not one.startswith("note")]


MERGED = merge(theirs(), OURS)


def filter_named(document: Json, name: str) -> Any:
    return next(one for one in manager_of(document)["http_filters"] if one["name"] == name)


def cluster_named(document: Json, name: str) -> Any:
    return next(one for one in document["staticResources"]["clusters"] if one["name"] == name)


def route_named(document: Json, name: str) -> Any:
    return next(one for one in first_host(document)["routes"] if one["name"] == name)


def add_filter(type: str, at: int = 0, **config: Any) -> Callable[[Json], Any]:
    typed = {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{type}", **config}
    return lambda d: manager_of(d)["http_filters"].insert(at, {"name": "theirs", "typed_config": typed})


def to(action: Json, **match: Any) -> Json:
    return {"name": "theirs", "match": match or {"prefix": "/theirs"}, "route": action}


CHOSEN = f"{PREFIX}chosen/v1/messages"
WRONG: dict[str, tuple[Callable[[Json], Any], str]] = {
    "no extension": (lambda d: d.pop("bootstrap_extensions"), "missing: the bootstrap extension"),
    "no attempt listener": (lambda d: listeners(d).pop(), "missing: the listener archgw.attempt"),
    "their own listener of that name": (
        lambda d: put(listeners(d)[-1], internal_listener=None),
        "clash: the listener archgw.attempt is another one",
    ),
    "a cluster is missing": (
        lambda d: d["staticResources"]["clusters"].remove(cluster_named(d, f"{PREFIX}router")),
        "missing: 1 of 8 clusters: archgw.router",
    ),
    "their own cluster of that name": (
        lambda d: put(cluster_named(d, f"{PREFIX}router"), load_assignment={"endpoints": []}),
        "clash: the cluster archgw.router is not the one",
    ),
    "no filters": (
        lambda d: put(manager_of(d), http_filters=theirs_filters()),
        "missing: the filters archgw.headers and archgw.selection",
    ),
    "one filter": (
        lambda d: manager_of(d)["http_filters"].remove(filter_named(d, f"{PREFIX}headers")),
        "missing: edge_http: the filter archgw.headers",
    ),
    "on for every request": (
        lambda d: filter_named(d, f"{PREFIX}selection").pop("disabled"),
        "clash: edge_http: the filter archgw.selection is on for every request",
    ),
    "the wrong order": (
        lambda d: manager_of(d)["http_filters"].insert(0, manager_of(d)["http_filters"].pop(-2)),
        "clash: edge_http: our filters stand in the wrong order",
    ),
    "theirs behind ours": (
        add_filter("rbac.v3.RBAC", at=-1),
        "clash: edge_http: theirs stands behind ours",
    ),
    "a buffer": (
        add_filter("buffer.v3.Buffer", max_request_bytes=1000),
        "clash: edge_http: theirs refuses requests that are longer than it buffers",
    ),
    "another processor that holds answers": (
        add_filter("ext_proc.v3.ExternalProcessor", processing_mode={"response_body_mode": "BUFFERED"}),
        "clash: edge_http: theirs holds each answer to its end",
    ),
    "their reply mapping first": (
        lambda d: put(manager_of(d), local_reply_config={"body_format": {"json_format": {}}}),
        "clash: edge_http: its local_reply_config rewrites our answers",
    ),
    "streams are cut": (
        lambda d: route_named(d, CHOSEN)["route"].pop("max_stream_duration"),
        "clash: edge_http: max_stream_duration cuts every stream after 1 s",
    ),
    "a filter is switched off on a route": (
        lambda d: put(route_named(d, CHOSEN)["typed_per_filter_config"][f"{PREFIX}headers"], disabled=True),
        "missing: edge_http, shop: the route archgw.chosen/v1/messages: it does not switch on archgw.headers",
    ),
    "theirs leads to the service": (
        lambda d: first_host(d)["routes"].append(to({"cluster": f"{PREFIX}router"})),
        "clash: edge_http, shop: the route theirs leads to archgw.router",
    ),
    "theirs leads to the service now and then": (
        lambda d: first_host(d)["routes"].append(
            to(
                {
                    "weighted_clusters": {
                        "clusters": [{"name": "a", "weight": 1}, {"name": f"{PREFIX}router", "weight": 1}]
                    }
                }
            )
        ),
        "clash: edge_http, shop: the route theirs leads to archgw.router",
    ),
    "a path of theirs is taken": (
        lambda d: first_host(d)["routes"].append(to({"cluster": "orders_svc_v2"}, path="/v1/messages/inbox")),
        "clash: edge_http, shop: the route theirs gets nothing: /v1/messages/inbox is ours now",
    ),
    "theirs takes our paths by a regular expression": (
        lambda d: first_host(d)["routes"].insert(0, to({"cluster": "a"}, safe_regex={"regex": "/v[0-9]+/chat/.*"})),
        "clash: edge_http, shop: the route theirs stands before ours and takes /v1/chat/completions",
    ),
    "two models at once": (
        lambda d: put(first_host(d), hedge_policy={"hedge_on_per_try_timeout": True}),
        "clash: edge_http, shop: its hedge_policy",
    ),
    "no routes": (
        lambda d: put(first_host(d), routes=[]),
        "missing: edge_http: our routes",
    ),
    "a route is missing": (
        lambda d: first_host(d)["routes"].remove(route_named(d, CHOSEN)),
        f"missing: edge_http, shop: 1 of our routes: {CHOSEN}",
    ),
    "theirs takes our paths": (
        lambda d: first_host(d)["routes"].insert(0, {"name": "all", "match": {"prefix": "/"}}),
        "clash: edge_http, shop: the route all stands before ours and takes /v1/messages",
    ),
    "no body limit": (
        lambda d: route_named(d, CHOSEN).pop("request_body_buffer_limit"),
        "missing: edge_http, shop: the route archgw.chosen/v1/messages: request_body_buffer_limit is not set",
    ),
    "no retries": (
        lambda d: route_named(d, CHOSEN)["route"].pop("retry_policy"),
        "missing: edge_http, shop: the route archgw.chosen/v1/messages: its retry_policy",
    ),
    "a short timeout": (
        lambda d: put(route_named(d, CHOSEN)["route"], timeout="15s"),
        "clash: edge_http, shop: the route archgw.chosen/v1/messages: its timeout cuts streams",
    ),
    "the filters are not switched on": (
        lambda d: route_named(d, CHOSEN)["typed_per_filter_config"].clear(),
        "missing: edge_http, shop: the route archgw.chosen/v1/messages: it does not switch on archgw.headers",
    ),
    "a host that the service does not know": (
        lambda d: put(first_host(d), domains=["llm.example.com"]),
        "clash: edge_http, shop: the service refuses what is asked of llm.example.com",
    ),
}


KEY = "{name: app, key: 'sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae'}"
LETS_IN = "clash: edge_http, shop: it lets in "


@pytest.mark.parametrize(
    ("domain", "more", "said"),
    [
        ("*", "", [f"{LETS_IN}any host (*), and the service refuses all but bare addresses"]),
        ("*.example.com", "", [f"{LETS_IN}hosts (*.example.com)"]),
        ("*.example.com", "listeners: {egress_traffic: {hosts: [llm.example.org]}}", [f"{LETS_IN}hosts (*.e"]),
        ("llm.*", "", [f"{LETS_IN}hosts (llm.*)"]),
        ("*", "listeners: {egress_traffic: {hosts: [llm.example.org]}}", []),
        ("*.example.com", "listeners: {egress_traffic: {hosts: [llm.example.com]}}", []),
        ("llm.*", "listeners: {egress_traffic: {hosts: [llm.example.com]}}", []),
        ("*", f"clients: [{KEY}]", []),
        ("*.svc.internal", "", []),
    ],
)
def test_hosts_that_are_let_in_by_a_star_are_known_to_the_service(domain: str, more: str, said: list[str]) -> None:
    looked_at = read(changed(lambda d: put(first_host(d), domains=[domain]), MERGED))
    found = [one for one in whole.findings(looked_at, OURS, plan_of(f"{MODELS}\n{more}")) if one.weight != "note"]
    assert len(found) == len(said)
    for one, words in zip(found, said, strict=True):
        assert f"{one.weight}: {one.what}".startswith(words) and "egress_traffic.hosts" in one.mend


def theirs_filters() -> Any:
    return manager_of(theirs())["http_filters"]


def test_a_merged_one_is_in_order() -> None:
    assert troubles(MERGED) == []


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(change: Callable[[Json], Any], said: str) -> None:
    assert [one for one in troubles(changed(change, MERGED)) if one.startswith(said)] != []


def test_a_listener_with_our_filters_and_none_of_our_routes_has_no_need_of_them() -> None:
    """Istio adds filters to each listener of a gateway."""

    def plain_too(document: Json) -> None:
        second = deepcopy(listeners(document)[0]) | {"name": "edge_plain"}
        host = next(managers(second))["route_config"]["virtual_hosts"][0]
        host["routes"] = [route for route in host["routes"] if not route["name"].startswith(PREFIX)]
        listeners(document).insert(0, second)

    both = changed(plain_too, MERGED)
    assert troubles(both) == []
    assert any("edge_plain: our routes" in one for one in found(both, listener="edge_plain"))


def test_a_note_is_no_reason_to_stop() -> None:
    notes = found(changed(add_filter("compressor.v3.Compressor"), MERGED))
    assert any(one.startswith("note: edge_http: theirs may compress answers") for one in notes)
    assert [one for one in notes if not one.startswith("note")] == []


@pytest.mark.parametrize(
    ("add", "per_route"),
    [
        (add_filter("buffer.v3.Buffer", max_request_bytes=1000), {"disabled": True}),
        (
            add_filter("ext_proc.v3.ExternalProcessor", processing_mode={"response_body_mode": "BUFFERED"}),
            {"disabled": True},
        ),
        (add_filter("rbac.v3.RBAC", at=-1), {"disabled": True}),
    ],
    ids=["a buffer", "a processor", "behind ours"],
)
def test_what_was_switched_off_as_we_said_is_in_nobodys_way(add: Callable[[Json], Any], per_route: Json) -> None:
    """Where it is ours, that is: at the virtual host that was made for it, which merging again leaves in place."""
    with_it = changed(add, merge(theirs(), OURS, host="llm.localhost"))
    assert troubles(with_it) != []
    manager_of(with_it)["route_config"]["virtual_hosts"][-1]["typed_per_filter_config"] = {"theirs": per_route}
    assert troubles(with_it) == []
    assert troubles(merge(with_it, OURS, host="llm.localhost")) == []


def test_a_cluster_that_a_client_may_name_is_worth_a_note() -> None:
    """The service's own is one of their clusters now."""
    by_header = to({"cluster_header": "x-team"})
    said = "note: edge_http, shop: the route theirs goes to whatever cluster the header x-team names"
    assert said in found(changed(lambda d: first_host(d)["routes"].append(by_header), MERGED))
    by_header["match"]["headers"] = [{"name": "x-team", "string_match": {"prefix": "team-"}}]
    assert said not in found(changed(lambda d: first_host(d)["routes"].append(by_header), MERGED))
    assert troubles(MERGED) == [] and "x-archgw-chain" not in "".join(found(MERGED))


def test_a_timeout_of_none_cuts_nothing() -> None:
    assert troubles(changed(lambda d: put(route_named(d, CHOSEN)["route"], timeout="0s"), MERGED)) == []


def test_an_older_envoy_says_so_in_its_dump() -> None:
    build = {"version": {"major_number": 1, "minor_number": 38, "patch": 2}}
    part = {
        "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
        "bootstrap": {"node": {"user_agent_build_version": build}},
    }
    assert "clash: it is Envoy 1.38.2" in found({"configs": [part]})


def test_what_comes_over_xds_is_found_in_a_dump() -> None:
    """As a control plane would have served it: nothing is static, and routes have their own place."""
    static = MERGED["staticResources"]
    edge_listener = deepcopy(static["listeners"][0])
    manager = next(managers(edge_listener))
    routes = manager.pop("route_config")
    manager["rds"] = {"route_config_name": "edge_routes"}
    admin = "type.googleapis.com/envoy.admin.v3"
    dump = [
        {"@type": f"{admin}.BootstrapConfigDump", "bootstrap": {"bootstrap_extensions": [OURS.extension]}},
        {
            "@type": f"{admin}.ListenersConfigDump",
            "dynamic_listeners": [
                {"name": one["name"], "active_state": {"listener": one}}
                for one in (edge_listener, *static["listeners"][1:])
            ],
        },
        {
            "@type": f"{admin}.ClustersConfigDump",
            "dynamic_active_clusters": [{"cluster": one} for one in static["clusters"]],
        },
        {"@type": f"{admin}.RoutesConfigDump", "dynamic_route_configs": [{"route_config": routes}]},
    ]
    assert troubles({"configs": dump}) == []
    unknown = [{"@type": f"{admin}.EcdsConfigDump", "ecds_filters": [{}]}, {"@type": 7}, {}, "nothing"]
    assert troubles({"configs": [*unknown, *dump]}) == []
    assert troubles({"configs": dump[:-1]}) == ["missing: edge_http: its routes (edge_routes) are not in here"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("render mesh --for plain c.yaml", 2, "--out DIR"),
        ("render mesh --for istio c.yaml --into e.yaml", 2, "--into is for plain alone"),
        ("render mesh --for plain c.yaml --into e.yaml --out d", 2, "no --out"),
        ("render mesh --for plain c.yaml --out d --prefix ", 2, "must not be empty"),
        ("render mesh --for plain c.yaml --into nothing.yaml", 1, "cannot read nothing.yaml: No such file"),
        ("render mesh --for plain c.yaml --into broken.yaml", 1, "neither JSON nor YAML"),
        ("render mesh --for plain c.yaml --into list.yaml", 1, "holds no object"),
        ("check-mesh empty.yaml c.yaml", 1, "holds no object"),
        ("check-mesh cut.json c.yaml", 1, "neither JSON nor YAML: Expecting value"),
        ("check-mesh deep.json c.yaml", 1, "nested too deeply"),
        ("check-mesh binary.yaml c.yaml", 1, "neither JSON nor YAML: Object of type bytes"),
        ("check-mesh circle.yaml c.yaml", 1, "neither JSON nor YAML: Circular reference"),
        ("check-mesh . c.yaml", 1, "cannot read ."),
        ("render mesh --for plain c.yaml --into e.yaml --listener other", 1, "there are: edge_http"),
        ("check-mesh dump.json c.yaml --validate", 2, "wants a bootstrap"),
        ("check-mesh bad.json c.yaml --validate", 1, "Envoy does not accept"),
        ("check-mesh timeout.json c.yaml", 1, "typed_config.request_timeout: expected seconds such as 15s, found '1"),
        ("check-mesh null.json c.yaml", 1, "null.json: this is not as Envoy's API has it: configs[0]: expected an"),
        ("render mesh --for plain c.yaml --into timeout.json", 1, "expected seconds such as 15s, found '100ms'"),
        ("render mesh --for plain c.yaml --into words.yaml", 1, "static_resources: expected an object, found 'x'"),
    ],
)
def test_what_the_commands_cannot_do_is_said(
    arguments: str, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = changed(lambda d: put(manager_of(d), codec_type="HTTP9"), MERGED)
    for name, content in {
        "c.yaml": "llm_providers: [{model: openai/gpt-4o-mini}]",
        "e.yaml": yaml.safe_dump(theirs()),
        "broken.yaml": "a: [",
        "list.yaml": "[1]",
        "empty.yaml": "",
        "cut.json": '{"configs": [',
        "deep.json": '{"configs": ' + "[" * 100_000,
        "binary.yaml": "static_resources: !!binary aGk=",
        "circle.yaml": "static_resources: &a [*a]",
        "dump.json": '{"configs": []}',
        "bad.json": json.dumps(bad),
        "timeout.json": json.dumps(changed(lambda d: put(manager_of(d), request_timeout="100ms"))),
        "null.json": '{"configs": [null]}',
        "words.yaml": "static_resources: x",
    }.items():
        Path(name).write_text(content)
    result = CliRunner().invoke(app, arguments.split(" "))
    assert (result.exit_code, said in " ".join(result.output.split())) == (code, True), result.output


@pytest.mark.parametrize("bytes", [32768, 32768.0, "32768"])
def test_a_number_may_be_written_as_envoy_reads_it(bytes: Any) -> None:
    with_it = changed(lambda d: put(listeners(d)[0], per_connection_buffer_limit_bytes=bytes), MERGED)
    check(with_it)
    assert any("per_connection_buffer_limit_bytes is 32,768" in one for one in found(with_it))


def test_a_duration_may_be_an_object() -> None:
    with_it = changed(lambda d: put(manager_of(d), request_timeout={"seconds": 15}), MERGED)
    check(with_it)
    assert "note: edge_http: request_timeout gives a request 15 s to arrive" in found(with_it)


def places(of: Any) -> Iterator[tuple[Any, Any]]:
    """All that holds something in a document, each with where in it that stands; of a list, its first and its last."""
    for at, one in list(of.items()) if isinstance(of, dict) else list(enumerate(of))[:: max(len(of) - 1, 1)]:
        yield of, at
        if isinstance(one, dict | list):
            yield from places(one)


@pytest.mark.parametrize("odd", [None, "x", 7], ids=str)
@pytest.mark.parametrize("dumped", [False, True], ids=["a bootstrap", "a dump"])
def test_whatever_stands_anywhere_is_looked_at_or_refused_in_words(dumped: bool, odd: Any) -> None:
    """And one that Envoy takes is refused nowhere."""
    document = changed(lambda d: put(manager_of(d), request_timeout="30s"), MERGED)
    put(listeners(document)[0], per_connection_buffer_limit_bytes=1000)
    add_filter("buffer.v3.Buffer", max_request_bytes=1000)(document)
    looked_at: Json = {"configs": [{"@type": "a.BootstrapConfigDump", "bootstrap": deepcopy(document)}]}
    static = document["staticResources"]
    of_listeners = {"static_listeners": [{"listener": one} for one in static["listeners"]]}
    of_clusters = {"dynamic_active_clusters": [{"cluster": one} for one in static["clusters"]]}
    looked_at["configs"] += [{"@type": "a.ListenersConfigDump"} | of_listeners]
    looked_at["configs"] += [{"@type": "a.ClustersConfigDump"} | of_clusters]
    looked_at = looked_at if dumped else document
    check(looked_at)
    tried = refused = 0
    for holder, at in places(looked_at):
        kept, holder[at] = holder[at], odd
        tried += 1
        try:
            if dumped:
                check(looked_at)
                whole.findings(read(looked_at), OURS, PLAN)
            else:
                merge(looked_at, OURS)
        except NotEnvoys as error:
            refused += "expected " in str(error)
        except ValueError as error:
            assert isinstance(error, CannotMerge) or "neither a bootstrap" in str(error)
        finally:
            holder[at] = kept
    assert tried > 100 and (refused or not dumped)


async def test_envoy_takes_all_of_it_over_xds(tmp_path: Path) -> None:
    """As files, which it reads like what a control plane serves; filters stand in a listener of theirs."""
    models = "llm_providers: [{model: ollama/llama3.1, base_url: 'http://127.0.0.1:1'}]"
    plan, admin = plan_of(f"{HOSTS}{models}"), free_port()
    ours = fragments(plan, Place(router_socket=str(tmp_path / "r.sock"), prefix=PREFIX))
    for name, content in TARGETS["plain"](ours, plan, Site()).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    def from_file(name: str) -> Json:
        return {"path_config_source": {"path": str(tmp_path / "xds" / name)}, "resource_api_version": "V3"}

    bootstrap = theirs(edge=free_port(), admin=admin) | {
        "bootstrap_extensions": json.loads((tmp_path / "bootstrap.json").read_text())["bootstrap_extensions"],
        "dynamic_resources": {"lds_config": from_file("listeners.json"), "cds_config": from_file("clusters.json")},
    }
    pasted = json.loads((tmp_path / "manager.json").read_text())
    manager = manager_of(bootstrap)
    manager["http_filters"][-1:-1] = pasted["http_filters"]
    manager["local_reply_config"] = pasted["local_reply_config"]
    del manager["route_config"]
    manager["rds"] = {"route_config_name": f"{PREFIX}models", "config_source": from_file("routes.json")}
    async with envoy(tmp_path, bootstrap, f"http://127.0.0.1:{admin}") as dump:
        found = whole.findings(read(dump), ours, plan)
    assert [one for one in found if one.weight != "note"] == []


@pytest.mark.parametrize(
    "text",
    [
        "{static_resources: {}, node: {metadata: {built: 2026-01-01}}}",
        "static_resources: {}\nnode: {metadata: {built: 2026-01-01}}",
        '\ufeff{"static_resources": {}, "node": {"metadata": {"built": "2026-01-01"}}}',
    ],
    ids=["braces of YAML's", "a date", "a byte order mark"],
)
def test_a_file_is_read_as_envoy_reads_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "edge").write_text(text)
    read_so = {"static_resources": {}, "node": {"metadata": {"built": "2026-01-01"}}}
    assert document(tmp_path / "edge") == read_so


def test_certificates_are_where_their_envoy_has_them(tmp_path: Path) -> None:
    """It starts with none that is not there."""
    (tmp_path / "c.yaml").write_text("llm_providers: [{model: openai/gpt-4o-mini}]")
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(theirs()))
    command = ["render", "mesh", "--for", "plain", str(tmp_path / "c.yaml"), "--into", str(tmp_path / "e.yaml")]
    printed = CliRunner().invoke(app, [*command, "--ca-file", "/etc/pki/tls/certs/ca-bundle.crt"]).stdout
    assert "/etc/pki/tls/certs/ca-bundle.crt" in printed and "/etc/ssl/certs" not in printed


def test_what_is_no_configuration_of_envoy_is_said(tmp_path: Path) -> None:
    file, config = tmp_path / "values.yaml", tmp_path / "config.yaml"
    file.write_text("replicas: 3\n")
    config.write_text("llm_providers: [{model: openai/gpt-4o-mini}]")
    refused = CliRunner().invoke(app, ["check-mesh", str(file), str(config)])
    assert refused.exit_code == 1 and "neither a bootstrap" in refused.output
