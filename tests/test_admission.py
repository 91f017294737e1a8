"""Who may ask: clients by their keys; without keys, whoever is no web page of a stranger's."""

import hashlib
import json
import re
from typing import Any

import pytest
from dialogue import (
    CHAT,
    CLAUDE,
    MESSAGES,
    THREE,
    WALL,
    ask,
    exchange_of,
    gateway_of,
    headers,
    one,
    recorded,
)

from router_service import upstream
from router_service.effects import Proceed, Respond
from router_service.events import RequestHeaders
from router_service.gateway import Gateway
from router_service.selection import Selection

RESPONSES = "/v1/responses"
KEY, NEXT, OLD, OTHER = "archgw-laptop", "archgw-laptop-next", "archgw-laptop-old", "archgw-other"
DAY = "2023-11-14"  # on which WALL is


def hash_of(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


CLIENTS = f"""
clients:
  - {{name: laptop, key: "{hash_of(KEY)}"}}
  - {{name: laptop, key: "{hash_of(NEXT)}", expires: {DAY}}}
  - {{name: laptop, key: "{hash_of(OLD)}", expires: 2023-11-13}}
  - {{name: ci, key: "{hash_of(OTHER)}"}}
"""
PASSED = "llm_providers: [{model: anthropic/claude-sonnet-4-5, passthrough_auth: true}]\n"


def guarded() -> Gateway:
    return gateway_of(THREE + CLIENTS)


def refusal(gateway: Gateway, path: str = MESSAGES, **more: str) -> Respond | None:
    return one(Selection(gateway, wall=WALL).feed(RequestHeaders(headers(path) | more), 0), Respond)


def words(reply: Respond | None) -> str:
    assert reply
    return str(json.loads(reply.body)["error"]["message"])


# -- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "who"),
    [
        ({"x-api-key": KEY}, "laptop"),
        ({"authorization": f"Bearer {KEY}"}, "laptop"),
        ({"authorization": f"bearer  {KEY} "}, "laptop"),
        ({"api-key": KEY}, "laptop"),
        ({"x-arch-key": KEY}, "laptop"),
        ({"x-arch-key": KEY, "authorization": "Bearer sk-ant-oat-login"}, "laptop"),
        ({"x-api-key": "archgw", "authorization": f"Bearer {KEY}"}, "laptop"),
        ({"x-api-key": NEXT}, "laptop"),
        ({"x-api-key": OTHER}, "ci"),
    ],
    ids=["x-api-key", "bearer", "another case", "api-key", "x-arch-key", "beside a login", "one of two",
         "on its last day", "another"],
)  # fmt: skip
@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
def test_a_known_key_is_let_in_and_its_client_named(given: dict[str, str], who: str, path: str) -> None:
    exchange = exchange_of(guarded(), path=path, given=given, model=CLAUDE, input="hello")
    assert exchange.caller == who
    assert not [value for value in exchange.headers.values() if "archgw-" in value]
    assert exchange.outcome(now=1, status=200).caller == who


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "archgw"},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": f"{KEY}x"},
        {"x-api-key": KEY.upper()},
        {"x-api-key": hash_of(KEY)},
        {"x-api-key": hash_of(KEY).removeprefix("sha256:")},
        {"authorization": f"Basic {KEY}"},
        {"cookie": f"x-api-key={KEY}"},
        {"x-api-key": "\N{SNOWMAN}\udcff"},
    ],
    ids=["none", "empty", "any word", "too short", "too long", "another case", "the hash", "its digits",
         "another scheme", "a cookie", "odd letters"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", MESSAGES),
        ("POST", CHAT),
        ("POST", RESPONSES),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/embeddings"),
        ("GET", "/"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/gpt-4o-mini"),
        ("GET", "/archgw/sessions/s"),
        ("OPTIONS", MESSAGES),
    ],
)
def test_any_other_is_refused_everywhere_before_the_body_is_read(method: str, path: str, given: dict[str, str]) -> None:
    effects = Selection(guarded(), wall=WALL).feed(RequestHeaders(headers(path) | {":method": method} | given), 0)
    reply, outcome = one(effects, Respond), recorded(effects)
    assert reply and reply.status == 403, "on a 401 Claude Code hangs"
    assert "client key" in words(reply)
    assert outcome and outcome.kind == "refused" and outcome.caller == ""
    assert KEY not in reply.body.decode() + str(outcome)


def test_an_expired_key_is_told_to_be_one() -> None:
    assert "has expired" in words(refusal(guarded(), **{"x-api-key": OLD}))
    assert refusal(guarded(), **{"x-api-key": OLD, "authorization": f"Bearer {KEY}"}) is None


@pytest.mark.parametrize(("path", "shape"), [(MESSAGES, {"type", "error"}), (CHAT, {"error"}), (RESPONSES, {"error"})])
def test_the_refusal_is_in_the_clients_dialect(path: str, shape: set[str]) -> None:
    reply = refusal(guarded(), path)
    assert reply and set(json.loads(reply.body)) - {"request_id"} == shape
    assert json.loads(reply.body)["error"]["type"] in ("permission_error", "invalid_request_error")


def test_who_looks_after_the_process_needs_no_key() -> None:
    effects = Selection(guarded(), wall=WALL).feed(RequestHeaders(headers("/healthz") | {":method": "GET"}, True), 0)
    reply = one(effects, Respond)
    assert reply and reply.status == 200


def test_a_login_is_passed_on_without_the_clients_key() -> None:
    login = {"authorization": "Bearer sk-ant-oat-login", "x-arch-key": KEY}
    exchange = exchange_of(gateway_of(PASSED + CLIENTS), given=login)
    sent = upstream.render(exchange, exchange.decision.first).headers
    assert sent["authorization"] == "Bearer sk-ant-oat-login"
    assert KEY not in str(sent)


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "x-arch-key"])
@pytest.mark.parametrize("key", [KEY, OLD])
def test_a_clients_key_is_no_login_wherever_it_stands(name: str, key: str) -> None:
    given = {"x-arch-key": KEY, name: f"Bearer {key}" if name == "authorization" else key}
    if name == "x-arch-key":
        given |= {"x-api-key": KEY}
    exchange = exchange_of(gateway_of(PASSED + CLIENTS), given=given)
    assert "archgw-" not in str(upstream.render(exchange, exchange.decision.first).headers)


def test_without_clients_a_key_for_the_gateway_still_goes_nowhere() -> None:
    exchange = exchange_of(gateway_of(PASSED), given={"x-arch-key": KEY, "x-api-key": "sk-ant-login"})
    assert upstream.render(exchange, exchange.decision.first).headers["x-api-key"] == "sk-ant-login"
    assert KEY not in str(exchange.headers)


def test_all_keys_are_compared_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of four fits, and the other three are looked at all the same."""
    compared: list[str] = []

    def compare(kept: str, given: str) -> bool:
        compared.append(kept)
        return kept == given

    monkeypatch.setattr("router_service.admission.hmac.compare_digest", compare)
    assert refusal(guarded(), **{"x-api-key": KEY}) is None
    assert len(compared) == 4


# -- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:12000", "127.0.0.1", "[::1]:12000", "localhost:12000", "LOCALHOST", "localhost.:80", "archgw:12000",
     "host.docker.internal:12000", "gateway.localhost", "printer.local", "archgw.ns.svc.cluster.local:80", "10.0.0.7"],
)  # fmt: skip
def test_a_name_that_no_stranger_can_have_is_ours(host: str) -> None:
    assert refusal(gateway_of(), **{":authority": host}) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:12000", "127.0.0.1.evil.example", "localhost.evil.example", "",
     "127.0.0.1@evil.example", "[::1", "xlocalhost.com", "a.local.evil.example"],
)  # fmt: skip
def test_any_other_name_is_a_strangers(host: str) -> None:
    reply = refusal(gateway_of(), **{":authority": host})
    assert reply and reply.status == 403 and "hosts" in words(reply)


def test_names_of_ones_own_can_be_listed() -> None:
    gateway = gateway_of(f"{THREE}listeners: {{egress_traffic: {{hosts: [gate.example.com]}}}}\n")
    assert refusal(gateway, **{":authority": "Gate.Example.com:12000"}) is None
    assert refusal(gateway, **{":authority": "x.gate.example.com"}) is not None


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        ("http://127.0.0.1:12000", True),
        ("https://evil.example", False),
        ("http://localhost:3000", False),
        ("http://127.0.0.1:3000", False),
        ("null", False),
        ("https://chat.example.com", True),
        ("https://chat.example.com.evil.example", False),
        ("http://chat.example.com", False),
    ],
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT, "/v1/models"])
def test_a_page_asks_only_where_it_is_listed(origin: str, admitted: bool, path: str) -> None:
    gateway = gateway_of(f"{THREE}listeners: {{egress_traffic: {{origins: [https://chat.example.com]}}}}\n")
    selection = Selection(gateway, wall=WALL)
    method = "GET" if path == "/v1/models" else "POST"
    effects = selection.feed(RequestHeaders(headers(path) | {":method": method, "origin": origin}, method == "GET"), 0)
    reply = one(effects, Respond)
    if admitted:
        assert effects == [Proceed()] or (reply and reply.status == 200)
    else:
        assert reply and reply.status == 403 and "origins" in words(reply)


def test_with_keys_no_page_is_looked_at() -> None:
    given = {"x-api-key": KEY, "origin": "https://evil.example", ":authority": "gateway.example.com"}
    assert refusal(guarded(), **given) is None


# -- what is made --------------------------------------------------------------------------------------------------


def test_the_key_that_is_made_is_the_one_that_the_line_lets_in(shell: Any) -> None:
    said = shell.run("client-key", "laptop", "--expires", "2999-01-31").output
    key, line = re.search(r"archgw-[0-9a-f]{64}", said), re.search(r"clients:\n  - .*", said)
    assert key and line
    gateway = gateway_of(f"{THREE}{line[0]}\n")
    assert exchange_of(gateway, given={"x-api-key": key[0]}).caller == "laptop"
    assert ask(gateway, given={"x-api-key": f"{key[0]}0"})[1]
    again = shell.run("client-key").output
    assert key[0] not in again and 'name: "me"' in again


@pytest.mark.parametrize(
    ("arguments", "told"), [(["a b"], "expected a name"), (["a", "--expires", "soon"], "last day")]
)
def test_a_name_that_is_none_is_misuse(shell: Any, arguments: list[str], told: str) -> None:
    result = shell.run("client-key", *arguments)
    assert result.exit_code == 2 and told in result.output
