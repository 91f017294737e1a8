"""config.yaml: what may be written, and what is said about everything else."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from router_service.config import (
    KEYS,
    Cache,
    CircuitBreakers,
    Client,
    Config,
    ConfigErrors,
    Dashboard,
    Failover,
    Ledger,
    Listener,
    Mistake,
    OwnCache,
    Place,
    Preference,
    PromptCache,
    RetryBudget,
    Routing,
    Secret,
    SelectionPolicy,
    State,
    Telemetry,
    Weights,
    parse,
    parse_dotenv,
    usable,
)
from router_service.config.keys import redact, redact_line
from router_service.config.providers import FIELDS
from router_service.plan import plan
from router_service.providers import ALIASES, PROVIDERS
from router_service.providers.provider import Provider

EXAMPLE = Path(__file__).parent.parent / "config.yaml"
SECRET = "sk-ant-aBcD1234efGH5678"
TWO = "llm_providers: [{model: openai/gpt-4o}, {model: openai/gpt-4o-mini}]\n"
OLLAMA = "llm_providers: [{model: ollama/llama3.1}]\n"


def read(text: str, **environment: str) -> Config:
    return parse(text, file="config.yaml", environment=environment)


def mistakes(text: str, **environment: str) -> list[Mistake]:
    with pytest.raises(ConfigErrors) as caught:
        read(text, **environment)
    return caught.value.mistakes


def headlines(text: str, **environment: str) -> list[str]:
    """What is told of each mistake in one line: place, message and hint."""
    return [str(mistake).splitlines()[0] for mistake in mistakes(text, **environment)]


# -- what may be written -------------------------------------------------------------------------------------


def test_preferences_below_a_provider_as_a_list() -> None:
    config = read(
        """\
llm_providers:
  - model: openai/gpt-4.1-2025-04-14
    access_key: $OPENAI_API_KEY
    default: true
    routing_preferences:
      - name: code generation
        description: generating new code snippets and functions
""",
        OPENAI_API_KEY=SECRET,
    )
    entry = config.providers[0]
    assert (entry.model, entry.provider, entry.default) == ("openai/gpt-4.1-2025-04-14", "openai", True)
    assert entry.access_key == Secret(SECRET, "$OPENAI_API_KEY")
    assert config.preferences == (
        Preference(
            Place("config.yaml", 6, "llm_providers[0].routing_preferences[0]"),
            "code generation",
            "generating new code snippets and functions",
            ("openai/gpt-4.1-2025-04-14",),
        ),
    )
    assert config.warnings == ()


def test_preferences_below_a_provider_as_one_mapping() -> None:
    config = read(
        """\
model_providers:
  - model: deepseek/deepseek-coder-v2
    routing_preferences:
      name: code generation
      description: generating new code
"""
    )
    assert [(p.name, p.models) for p in config.preferences] == [("code generation", ("deepseek/deepseek-coder-v2",))]


def test_clients_are_known_by_the_hashes_of_their_keys() -> None:
    """Several for one of them while they change; a day's last moment is midnight in UTC."""
    first, second = "0a" * 32, "0B" * 32
    text = f"""\
listeners: {{egress_traffic: {{address: 0.0.0.0}}}}
clients:
  - {{name: laptop, key: "sha256:{first}"}}
  - {{name: laptop, key: "sha256:{second}", expires: 1970-01-02}}
"""
    config = read(TWO + text)
    assert config.clients == (Client("laptop", first), Client("laptop", second.lower(), 2 * 86_400.0))
    assert config.warnings == (), "beyond loopback, keys are enough"
    assert first not in repr(config)


def test_by_what_names_and_for_whose_pages_it_is_called() -> None:
    listener = read(
        f"{TWO}listeners: {{egress_traffic: {{hosts: [Gate.example.com], origins: [http://localhost:3000]}}}}\n"
    ).listener
    assert (listener.hosts, listener.origins) == (("gate.example.com",), ("http://localhost:3000",))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", None),
        (", cache: true", OwnCache()),
        (", cache: no", OwnCache(enabled=False)),
        (", cache: {ttl: 10m}", OwnCache(ttl=600.0)),
    ],
)
@pytest.mark.parametrize("top", [True, False], ids=["at top level", "below a model"])
def test_a_preference_says_whether_its_answers_are_kept(said: str, found: OwnCache | None, top: bool) -> None:
    below = f"llm_providers: [{{model: ollama/a, routing_preferences: {{name: n, description: d{said}}}}}]"
    text = f"{OLLAMA}\nrouting_preferences: [{{name: n, description: d, models: [llama3.1]{said}}}]" if top else below
    (preference,) = read(text).preferences
    assert preference.cache == found


def test_one_name_below_several_providers_is_one_preference() -> None:
    config = read(
        """\
llm_providers:
  - model: openai/gpt-4o
    routing_preferences: {name: coding, description: writing code}
  - model: groq/llama-3.3-70b-versatile
    routing_preferences: [{name: chat, description: talk}, {name: " Coding ", description: Writing code}]
"""
    )
    assert [(p.name, p.models) for p in config.preferences] == [
        ("coding", ("openai/gpt-4o", "groq/llama-3.3-70b-versatile")),
        ("chat", ("groq/llama-3.3-70b-versatile",)),
    ]
    assert config.warnings == ()


def test_both_forms_mix_and_the_top_level_order_leads() -> None:
    config = read(
        """\
llm_providers:
  - model: openai/gpt-4o
    routing_preferences: {name: coding, description: something else}
  - model: groq/llama-3.3-70b-versatile
routing_preferences:
  - {name: coding, description: writing code, models: [llama-3.3-70b-versatile], selection_policy: listed}
"""
    )
    (preference,) = config.preferences
    assert preference.models == ("groq/llama-3.3-70b-versatile", "openai/gpt-4o")
    assert preference.description == "writing code"
    assert config.warnings == (
        "config.yaml:3: llm_providers[0].routing_preferences: "
        "'coding' is described otherwise on line 6, and that one holds",
    )


@pytest.mark.parametrize(
    ("policy", "read_as"),
    [
        ("cheapest", SelectionPolicy("cheapest")),
        ("{prefer: cheapest}", SelectionPolicy("cheapest")),
        ("balanced", SelectionPolicy("balanced", Weights(1, 1, 1))),
        ("{prefer: balanced, quality: 2, speed: 0}", SelectionPolicy("balanced", Weights(2, 1, 0))),
        ("{prefer: balanced, cost: 0.25}", SelectionPolicy("balanced", Weights(1, 0.25, 1))),
        ("{difficulty: auto}", SelectionPolicy("listed", difficulty="auto")),
        ("{prefer: best, difficulty: ignore}", SelectionPolicy("best", difficulty="ignore")),
    ],
)
def test_selection_policy_is_a_word_or_a_mapping(policy: str, read_as: SelectionPolicy) -> None:
    config = read(
        TWO + f"routing_preferences: [{{name: a, description: b, models: [gpt-4o], selection_policy: {policy}}}]"
    )
    assert config.preferences[0].policy == read_as
    assert not config.warnings


@pytest.mark.parametrize(
    "listeners",
    [
        "{egress_traffic: {address: 127.0.0.2, port: 12001, timeout: 30s}}",
        "[{name: egress_traffic, address: 127.0.0.2, port: 12001, timeout: 30s}]",
    ],
    ids=["mapping", "list"],
)
def test_listeners_in_both_forms(listeners: str) -> None:
    assert read(f"{OLLAMA}listeners: {listeners}").listener == Listener("127.0.0.2", 12001, 30.0)


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("gpt-4o", "openai/gpt-4o"),
        ("Llama-3.3-70B", "together/meta-llama/Llama-3.3-70B"),
        ("mine", "mine"),
    ],
)
def test_a_model_is_referred_to_by_name_or_unique_ending(reference: str, meant: str) -> None:
    config = read(
        f"""\
llm_providers:
  - model: openai/gpt-4o
  - model: together/meta-llama/Llama-3.3-70B
  - {{model: openai/gpt-4o-mini, name: mine}}
model_aliases: {{short: {reference}, long: {{target: {reference}}}}}
failover: {{never: [{reference}]}}
"""
    )
    assert config.aliases == {"short": meant, "long": meant}
    assert config.failover.never == (meant,)


def test_the_sections_keep_what_they_are_told() -> None:
    config = read(
        f"""\
version: v0.1
{OLLAMA}
routing: {{deadline: 20ms, threshold: 30%, sticky: session, max_switch_spend: 0.5}}
failover: {{attempts: 5, first_content_timeout: 1.5, whole_answer_timeout: 4m, fall_back_to_default: no,
  stall_timeout: 30s}}
cache: {{enabled: true, ttl: 10m, at_most: 1GiB, tools: yes}}
learning: {{enabled: false}}
ledger: {{url: none, capture: asks, keep: 30d, at_most: 500 MiB}}
dashboard: {{port: 9999, enabled: false}}
state: {{url: memory}}
telemetry: {{otlp: 'http://127.0.0.1:4318/'}}
"""
    )
    assert config.routing == Routing(deadline=0.02, threshold=0.3, sticky="session", max_switch_spend=0.5)
    assert config.failover == Failover(5, 1.5, 240.0, False, stall_timeout=30.0)
    assert config.cache == Cache(enabled=True, ttl=600.0, at_most=2**30, tools=True)
    assert not config.learning.enabled
    assert config.ledger == Ledger("none", "asks", 30 * 86_400.0, 500 * 2**20)
    assert config.dashboard == Dashboard(enabled=False, port=9999)
    assert config.state == State("memory")
    assert config.telemetry == Telemetry("http://127.0.0.1:4318")


def test_a_section_without_anything_in_it_keeps_its_defaults() -> None:
    empty = "listeners:\nrouting:\nfailover: {}\nmodel_aliases:\nrouting_preferences:\ncache:\n"
    assert read(OLLAMA + empty) == read(OLLAMA)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("50ms", 0.05), ("60s", 60), ("10m", 600), ("1.5s", 1.5), ("1h", 3600), ("90", 90), ("0.5", 0.5)],
)
def test_durations(written: str, seconds: float) -> None:
    assert read(f"{OLLAMA}routing: {{deadline: {written}}}").routing.deadline == pytest.approx(seconds)


def test_an_endpoint_of_ones_own() -> None:
    config = read("llm_providers: [{model: vllm/qwen, base_url: 'http://10.0.0.7/v1/', provider_interface: openai}]")
    (entry,) = config.providers
    assert (entry.provider, entry.base_url, entry.missing_key) == ("openai", "http://10.0.0.7/v1", "")


# -- keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "key", "missing"),
    [
        ("model: openai/o, access_key: $MINE", Secret("mine", "$MINE"), ""),
        ("model: openai/o, access_key: '${MINE}'", Secret("mine", "$MINE"), ""),
        ("model: openai/o, access_key: $OTHER", None, "OTHER"),
        ("model: openai/o, access_key: $EMPTY", None, "EMPTY"),
        ("model: openai/o", Secret("usual", "$OPENAI_API_KEY"), ""),
        ("model: grok/grok-2", None, "XAI_API_KEY"),
        ("model: openai/o, base_url: 'http://localhost:8000'", None, ""),
        (
            "model: openai/o, base_url: 'http://localhost:8000', access_key: $MINE",
            Secret("mine", "$MINE"),
            "",
        ),
        ("model: ollama/llama3.1", None, ""),
        ("model: anthropic/claude-3-haiku-20240307, passthrough_auth: true", None, ""),
        ("model: openai/o, access_key: sk-written", Secret("sk-written", "config.yaml"), ""),
    ],
    ids=[
        "variable",
        "braces",
        "unset",
        "empty is unset",
        "usual variable",
        "usual variable unset",
        "own address gets no key unasked",
        "own address with a key",
        "keyless vendor",
        "client's login",
        "literal",
    ],
)
def test_where_a_key_comes_from(item: str, key: Secret | None, missing: str) -> None:
    variables = {"MINE": "mine\n", "OPENAI_API_KEY": "usual", "EMPTY": ""}
    config = read(f"llm_providers: [{{{item}}}]", **variables)
    assert (config.providers[0].access_key, config.providers[0].missing_key) == (key, missing)


def test_a_literal_key_is_advised_against_without_showing_it() -> None:
    config = read(f"llm_providers:\n  - model: openai/gpt-4o\n    access_key: {SECRET}\n")
    assert config.warnings == (
        "config.yaml:3: llm_providers[0].access_key: a key stands in the file itself; "
        "write $OPENAI_API_KEY and set that variable, here or in .env",
    )


def test_no_key_shows_in_a_config() -> None:
    config = read(
        f"""\
llm_providers:
  - {{model: openai/gpt-4o, access_key: {SECRET}}}
  - {{model: groq/llama-3.1-8b-instant}}
ledger: {{url: 'postgresql://me:hunter2@db/ledger'}}
state: {{url: 'redis://:hunter2@cache'}}
""",
        GROQ_API_KEY=SECRET,
    )
    for shown in (repr(config), str(config), *config.warnings):
        assert SECRET not in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    "text",
    [
        f"llm_providers:\n  - model: openai/gpt-4o\n    acces_key: {SECRET}\n",
        f"llm_providers:\n  - model: openai/gpt-4o\n    access_key: [{SECRET}]\n",
        f"llm_providers:\n  - model: openai/gpt-4o\n    access_key: {SECRET} {SECRET}\n",
        f"llm_providers:\n  - model: openai/gpt-4o\n    access_key:\n      x: {SECRET}\n",
        f"llm_providers:\n  - model: openai/gpt-4o\n      access_key: {SECRET}\n",
        f"llm_providers:\n  - model: openai/gpt-4o\n    access_key:{SECRET}\n    default: true\n",
        f"llm_providers:\n\t- model: openai/gpt-4o\n\t  access_key: {SECRET}\n",
        f"llm_providers: [{{mode: openai/gpt-4o, access_key: {SECRET}}}]\n",
        f"llm_providers: [{{model: {SECRET}}}]\n",
        f"llm_providers: [{{model: openai/gpt-4o, base_url: 'https://me:{SECRET}@host/?a'}}]\n",
        f"{OLLAMA}ledger: {{url: 'mysql://me:{SECRET}@host/'}}\n",
        "llm_providers:\n  - model: openai/gpt-4o\n    access_key: @aBcD1234\n".replace("aBcD1234", SECRET),
    ],
)
def test_no_key_shows_in_a_mistake(text: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.mistakes)


@pytest.mark.parametrize(
    ("line", "above", "shown"),
    [
        ("access_key: abc", "", "access_key: ***"),
        ("access_key: $ABC  # mine", "", "access_key: $ABC  # mine"),
        ("- {access_key: abc, model: openai/gpt-4o}", "", "- {access_key: ***, model: openai/gpt-4o}"),
        ("  abc", "access_key: >-", "***"),
        ("url: redis://:pass@word@host/0", "", "url: redis://***@host/0"),
        ("model: anthropic/claude-3-5-sonnet-20241022", "", "model: anthropic/claude-3-5-sonnet-20241022"),
    ],
)
def test_a_line_is_shown_without_its_key(line: str, above: str, shown: str) -> None:
    assert redact_line(line, above=above) == shown


@pytest.mark.parametrize("key", [SECRET, "gsk_aBcD1234efGH", "AIzaSyA1234567890abcdefg", "0123456789abcdef" * 2])
def test_what_looks_like_a_key_is_hidden_anywhere(key: str) -> None:
    assert redact(f"no model '{key}'") == "no model '***'"


def test_without_any_key_every_variable_is_named() -> None:
    config = read("llm_providers:\n  - model: openai/gpt-4o\n  - model: openai/o1\n  - model: groq/llama\n")
    with pytest.raises(ConfigErrors) as caught:
        usable(config)
    assert str(caught.value).splitlines() == [
        "config.yaml:2: llm_providers[0]: $OPENAI_API_KEY is not set, and no other model has its key; "
        "export OPENAI_API_KEY=...",
        "config.yaml:4: llm_providers[2]: $GROQ_API_KEY is not set, and no other model has its key; "
        "export GROQ_API_KEY=...",
    ]


STORES = f"{OLLAMA}state: {{url: $CACHE}}\nledger: {{url: '${{BOOKS}}'}}\n"


def test_where_books_are_may_stand_in_a_variable() -> None:
    config = read(STORES, CACHE="rediss://:hunter2@cache/0", BOOKS="postgresql://archgw@db/archgw")
    assert usable(config) is config
    assert (config.state.url, config.ledger.url) == ("rediss://:hunter2@cache/0", "postgresql://archgw@db/archgw")


def test_a_variable_of_a_store_that_is_not_set_is_named_when_it_is_needed() -> None:
    config = read(STORES, CACHE=" ")
    with pytest.raises(ConfigErrors) as caught:
        usable(config)
    assert str(caught.value).splitlines() == [
        "config.yaml:2: state.url: $CACHE is not set; export CACHE=...",
        "config.yaml:3: ledger.url: $BOOKS is not set; export BOOKS=...",
    ]


def test_what_is_wrong_in_the_variable_of_a_store_is_not_shown() -> None:
    assert headlines(STORES, CACHE="hunter2", BOOKS="mysql://me:hunter2@db") == [
        "config.yaml:2: state.url: expected sqlite, memory or redis://..., found something else in $CACHE",
        "config.yaml:3: ledger.url: expected sqlite, none or postgresql://..., found something else in $BOOKS",
    ]


ENCODE = "in a password, write %23 for #, %2F for /, %3F for ?, %40 for @, %5B for [, %5D for ]"
NO_URLS = [
    ("state", "redis://:pa[hunter2@127.0.0.1:6379/0"),
    ("state", "redis://:hunter2/x@h"),
    ("state", "redis://:12/hunter2@h"),
    ("state", "redis://:12?hunter2@h"),
    ("state", "redis://u:12#hunter2@h"),
    ("state", "redis://u:p#hunter2@h:6379"),
    ("state", "redis://h:hunter2"),
    ("state", "redis://:p hunter2/x@h"),
    ("state", "redis://h:0"),
    ("ledger", "postgresql://u:p#hunter2@h/db"),
    ("ledger", "postgresql://u:p@hunter2@h/db"),
    ("ledger", "postgresql://h:hunter2/db"),
    ("ledger", "postgres://u:p?hunter2@h/db"),
]


@pytest.mark.parametrize(("section", "url"), NO_URLS)
def test_a_url_that_no_client_can_read_is_a_mistake_that_shows_no_password(section: str, url: str) -> None:
    for written, held in ((f"'{url}'", "what stands here"), ("$STORE", "what $STORE holds")):
        with pytest.raises(ConfigErrors) as caught:
            read(f"{OLLAMA}{section}:\n  url: {written}\n", STORE=url)
        place = f"config.yaml:3: {section}.url"
        begins = url.partition(":")[0] + "://"
        assert str(caught.value) == f"{place}: {held} begins with {begins} but cannot be read as a URL; {ENCODE}"


@pytest.mark.parametrize(("section", "url"), [row for row in NO_URLS if " " not in row[1] and "#" not in row[1]])
def test_no_password_of_a_broken_url_shows_in_another_mistake(section: str, url: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(f"{OLLAMA}{section}: {{url: '{url}', foo: 1}}\n")
    assert "unknown key 'foo'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "url"),
    [
        ("state", "redis://"),
        ("state", "redis://h"),
        ("state", "redis://:6379/0"),
        ("state", "redis://:pass@word@h:6379/1?socket_keepalive=yes"),
        ("state", "rediss://u:p%23%2F%5B%40@[::1]:6379/0"),
        ("ledger", "postgresql:///db?host=/run/postgresql"),
        ("ledger", "postgresql://h1,h2/db?user=me@there"),
        ("ledger", "postgres://u:p%23%40@h:5432/db"),
        ("ledger", "sqlite:////srv/archgw/a#b@c.sqlite"),
    ],
)
def test_a_url_that_clients_can_read_is_taken(section: str, url: str) -> None:
    config = read(f"{OLLAMA}{section}: {{url: '{url}'}}\n")
    assert url in (config.state.url, config.ledger.url)


def test_that_workers_lack_a_redis_is_not_said_where_its_variable_is_not_set() -> None:
    with pytest.raises(ConfigErrors) as caught:
        usable(read(f"{OLLAMA}workers: 3\nstate: {{url: $REDIS_URL}}\n"))
    assert str(caught.value) == "config.yaml:3: state.url: $REDIS_URL is not set; export REDIS_URL=..."


@pytest.mark.parametrize(
    "model",
    [
        "ollama/hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "amazon_bedrock/arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "vertex/publishers/google/models/gemini-2.5-pro@001",
        "openai/ft:gpt-4o-2024-08-06:acme::9abc",
        "openrouter/~anthropic/claude-sonnet-latest",
        "zai/glm-4.5+air_x",
    ],
)
def test_what_vendors_call_their_models_is_a_name(model: str) -> None:
    assert read(f"llm_providers: [{{model: '{model}'}}]\n").providers[0].model == model


def test_one_key_is_enough() -> None:
    config = read("llm_providers: [{model: openai/gpt-4o}, {model: groq/llama}]", GROQ_API_KEY="k")
    assert usable(config) is config


def test_dotenv() -> None:
    text = """\
# keys
PLAIN=one
export EXPORTED = two # why
SINGLE='three # $x'
DOUBLE="fo\\"ur\\n"  # a comment
EMPTY=
HASH=a#b
this belongs to another tool
"""
    assert parse_dotenv(f"\ufeff{text}") == {
        "PLAIN": "one",
        "EXPORTED": "two",
        "SINGLE": "three # $x",
        "DOUBLE": 'fo"ur\n',
        "EMPTY": "",
        "HASH": "a#b",
    }


# -- what is wrong, where, and what to do about it -----------------------------------------------------------

KNOWN = "known: " + ", ".join(PROVIDERS)
OWN = "an endpoint of your own needs base_url and provider_interface: openai, responses, anthropic"
POOL = "list at least one of llm_providers under 'models'"
NOTHING = "name one, as in 'llm_providers: [{model: openai/gpt-4o}]'"
METADATA = "is where a cloud tells a machine its own credentials, and no model"
NAMES = "write it with letters, digits and . _ - : / @ +"
URL = "expected an address such as http://localhost:8000/v1, found"


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("model: opnai/gpt-4o", ".model: no provider 'opnai'; did you mean 'openai'?"),
        ("model: qwest/x", f".model: no provider 'qwest'; {KNOWN}; {OWN}"),
        (
            "model: opnai/x, base_url: 'http://h'",
            f".model: no provider 'opnai'; did you mean 'openai'?; {OWN}",
        ),
        ("model: gpt-4o", ".model: expected vendor/name, found 'gpt-4o'; did you mean 'openai/gpt-4o'?"),
        ("model: x", ".model: expected vendor/name, found 'x'; such as openai/gpt-4o"),
        ("model: 'openai/[/x]'", f".model: a square bracket in the name of a model; {NAMES}"),
        ('model: "openai/\\ax"', f".model: a control sign in the name of a model; {NAMES}"),
        ("model: openai/a, name: '[red]'", f".name: a square bracket in a name; {NAMES}"),
        ('model: openai/a, name: "\\e[2J"', f".name: a control sign in a name; {NAMES}"),
        ("model: 17", ".model: expected text, found the number 17; put it in quotes"),
        ("model: yes", ".model: expected text, found yes (true or false to YAML); put it in quotes"),
        ("model: [a]", ".model: expected text, found a list"),
        ("name: a", ": no model; say which, as in 'model: openai/gpt-4o'"),
        ("", ": no model; say which, as in 'model: openai/gpt-4o'"),
        ("model: openai/a, api_key: $A", ": unknown key 'api_key'; did you mean 'access_key'?"),
        ("model: openai/a, defualt: true", ": unknown key 'defualt'; did you mean 'default'?"),
        ("model: openai/a, default: maybe", ".default: expected true or false, found 'maybe'"),
        (
            "model: openai/a, default: 'true'",
            ".default: expected true or false, found 'true'; without quotes",
        ),
        ("model: openai/a, model: openai/b", ": 'model' is given twice; first on line 2"),
        (
            "model: openai/a, access_key: $A-B",
            ".access_key: neither a variable nor a key; write $OPENAI_API_KEY and set that variable",
        ),
        (
            "model: openai/a, access_key: 123456",
            ".access_key: expected text, found a value that is not shown here; put it in quotes",
        ),
        (
            "model: openai/a, access_key: $BROKEN",
            ".access_key: what $BROKEN holds is no key; it has spaces, line breaks or non-ASCII letters in it",
        ),
        (
            "model: anthropic/a, passthrough_auth: true, access_key: $A",
            ".passthrough_auth: passthrough_auth and access_key exclude each other; keep one of them",
        ),
        (
            "model: openai/a, passthrough_auth: true",
            ".passthrough_auth: the client's own login is for anthropic alone; write access_key instead",
        ),
        ("model: ollama/a, base_url: localhost", f".base_url: {URL} 'localhost'"),
        ("model: ollama/a, base_url: 'ftp://h'", f".base_url: {URL} 'ftp://h'"),
        ("model: ollama/a, base_url: 'http://[::1'", f".base_url: {URL} 'http://[::1'"),
        ("model: ollama/a, access_key: $KEY, base_url: 'http://[::1'", f".base_url: {URL} 'http://[::1'"),
        ("model: ollama/a, base_url: 'http://h:99999'", f".base_url: {URL} 'http://h:99999'"),
        (
            "model: ollama/a, base_url: 'http://u:p@h'",
            ".base_url: only scheme, host, port and path belong here; the key goes under access_key",
        ),
        *(
            (f"model: ollama/a, base_url: 'http://{host}/v1'", f".base_url: {host.strip('[]')} {METADATA}")
            for host in ("169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[fe80::1]", "100.100.100.200")
        ),
        (
            "model: ollama/a, base_url: 'http://metadata.google.internal.'",
            f".base_url: metadata.google.internal {METADATA}",
        ),
        ("model: ollama/a, base_url: 'http://METADATA'", f".base_url: metadata {METADATA}"),
        (
            "model: ollama/a, base_url: 'http://[::ffff:169.254.169.254]'",
            f".base_url: ::ffff:169.254.169.254 {METADATA}",
        ),
        *(
            (f"model: ollama/a, base_url: 'http://{host}'", f".base_url: '{host}' is no IP address as they are written")
            for host in ("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0xa9.254.169.254")
        ),
        ("model: ollama/a, base_url: 'http://hü'", f".base_url: {URL} 'http://hü'"),
        (
            "model: ollama/a, base_url: 'http://h/v1/chat/completions'",
            ".base_url: the address goes on to one endpoint; leave off /chat/completions, /responses or /messages",
        ),
        (
            "model: ollama/a, prompt_cache: {breakpoints: off}",
            ".prompt_cache.breakpoints: expected never, agents or always, found off (true or false to YAML)",
        ),
        (
            "model: mine/a, provider_interface: openai",
            ".provider_interface: provider_interface without base_url; say where it is reached",
        ),
        (
            "model: mine/a, base_url: 'http://h', provider_interface: opnai",
            ".provider_interface: expected openai, responses or anthropic, found 'opnai'; did you mean 'openai'?",
        ),
    ],
)
def test_a_mistake_in_a_provider(item: str, told: str) -> None:
    text = f"llm_providers:\n  - {{{item}}}\n"
    assert headlines(text, BROKEN="a b") == [f"config.yaml:2: llm_providers[0]{told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", f"1: nothing is configured; {NOTHING}"),
        ("# all commented out\n", f"1: nothing is configured; {NOTHING}"),
        ("version: v0.1\n", f"1: no models are listed; {NOTHING}"),
        ("version: v0.1\nllm_providers:\n", f"2: llm_providers: no models are listed; {NOTHING}"),
        ("just words\n", "1: expected a mapping (key: value), found 'just words'"),
        ("llm_providers: openai/o\n", "1: llm_providers: expected a list, found 'openai/o'"),
        (
            "llm_providers:\n  - model:openai/o\n",
            "2: llm_providers[0]: expected a mapping (key: value), found 'model:openai/o'; put a space after 'model:'",
        ),
        (f"version: v9\n{OLLAMA}", "1: version: expected v0.1, found 'v9'"),
        (f"{OLLAMA}llm_provider: []", "2: unknown key 'llm_provider'; did you mean 'llm_providers'?"),
        (
            f"{OLLAMA}model_providers: []",
            "2: model_providers: llm_providers and model_providers are one thing; keep one of them",
        ),
        (
            "llm_providers:\n  - model: openai/a\n  - model: openai/a\n",
            "3: llm_providers[1]: 'openai/a' is listed twice; first on line 2; give one of them a 'name' of its own",
        ),
        (
            "llm_providers:\n  - {model: openai/a, default: true}\n  - {model: openai/b, default: true}\n",
            "3: llm_providers[1]: there can be only one default; the items on lines 2 and 3 both say 'default: true'",
        ),
    ],
    ids=[
        "empty",
        "comments",
        "no providers",
        "null providers",
        "words",
        "no list",
        "no space",
        "version",
        "unknown key",
        "both words",
        "twice",
        "two defaults",
    ],
)
def test_a_mistake_in_the_whole(text: str, told: str) -> None:
    assert headlines(text) == [f"config.yaml:{told}"]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("name: a, models: [gpt-4o]", ": no description; say in a few words which requests belong here"),
        ("description: a, models: [gpt-4o]", ": no name; name the preference"),
        ("name: a, description: '', models: [gpt-4o]", ".description: expected text, found nothing"),
        (
            "name: Default, description: b, models: [gpt-4o]",
            ".name: 'Default' is a reserved name; choose another",
        ),
        (
            "name: ' none ', description: b, models: [gpt-4o]",
            ".name: 'none' is a reserved name; choose another",
        ),
        ("name: a, description: b", f": no models for 'a'; {POOL}"),
        ("name: a, description: b, models: []", f".models: no models listed; {POOL}"),
        ("name: a, description: b, models: gpt-4o", ".models: expected a list, found 'gpt-4o'"),
        (
            "name: a, description: b, models: [gpt-4p]",
            ".models[0]: no model 'gpt-4p' in llm_providers; did you mean 'gpt-4o'?",
        ),
        (
            "name: a, description: b, models: [sonnet]",
            ".models[0]: no model 'sonnet' in llm_providers; listed are openai/gpt-4o, openai/gpt-4o-mini",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: cheap",
            ".selection_policy: expected listed, cheapest, fastest, best or balanced, found 'cheap'; "
            "did you mean 'cheapest'?",
        ),
        (
            "name: a, description: b, models: [gpt-4o], cache: sometimes",
            ".cache: expected true or false, found 'sometimes'",
        ),
        (
            "name: a, description: b, models: [gpt-4o], cache: {tll: 1h}",
            ".cache: unknown key 'tll'; did you mean 'ttl'?",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {prefer: 1}",
            ".selection_policy.prefer: expected listed, cheapest, fastest, best or balanced, found the number 1",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {preferr: best}",
            ".selection_policy: unknown key 'preferr'; did you mean 'prefer'?",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {prefer: cheapest, quality: 2}",
            ".selection_policy.quality: goes with prefer: balanced, and here it is cheapest; "
            "write prefer: balanced, or leave it out",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {speed: 2}",
            ".selection_policy.speed: goes with prefer: balanced, and here it is listed; "
            "write prefer: balanced, or leave it out",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {prefer: balanced, cost: -1}",
            ".selection_policy.cost: expected a number such as 2 or 0.5, found the number -1",
        ),
        (
            "name: a, description: b, models: [gpt-4o], "
            "selection_policy: {prefer: balanced, quality: 0, cost: 0, speed: 0.0}",
            ".selection_policy: quality, cost and speed weigh nothing at all; give one of them more than 0",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {prefer: balansed, cost: 1}",
            ".selection_policy.prefer: expected listed, cheapest, fastest, best or balanced, found 'balansed'; "
            "did you mean 'balanced'?",
        ),
        (
            "name: a, description: b, models: [gpt-4o], selection_policy: {difficulty: yes}",
            ".selection_policy.difficulty: expected auto or ignore, found yes (true or false to YAML)",
        ),
    ],
)
def test_a_mistake_in_a_preference(item: str, told: str) -> None:
    text = f"{TWO}routing_preferences:\n  - {{{item}}}\n"
    assert headlines(text) == [f"config.yaml:3: routing_preferences[0]{told}"]


def test_a_preference_stands_once_in_a_list() -> None:
    twice = "{name: a, description: b, models: [gpt-4o]}"
    assert headlines(f"{TWO}routing_preferences:\n  - {twice}\n  - {twice}\n") == [
        "config.yaml:4: routing_preferences[1]: the preference 'a' stands here twice; first on line 3"
    ]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "model_aliases: {a: qwen}",
            "model_aliases.a: no model 'qwen' in llm_providers; listed are openai/gpt-4o, openai/gpt-4o-mini",
        ),
        (
            "model_aliases: {a: {targt: gpt-4o}}",
            "model_aliases.a: unknown key 'targt'; did you mean 'target'?",
        ),
        (
            "model_aliases: {a.b: gpt-4o, a.b: gpt-4o}",
            "model_aliases: 'a.b' is given twice; first on line 2",
        ),
        ("model_aliases: {[a]: gpt-4o}", "model_aliases: a list or mapping as a key; a key is one word"),
        ("model_aliases: {a: 2026-01-01}", "model_aliases.a: expected text, found '2026-01-01'; put it in quotes"),
        ("model_aliases: {a: {}}", "model_aliases.a: no target; say which model it stands for"),
        ("listeners: {ingress: {}}", "listeners: unknown key 'ingress'; known: egress_traffic"),
        (
            "listeners: {egress_traffic: {port: 0}}",
            "listeners.egress_traffic.port: expected a whole number from 1 to 65535, found the number 0",
        ),
        (
            "listeners: {egress_traffic: {address: localhost}}",
            "listeners.egress_traffic.address: expected an IP address, found 'localhost'; "
            "127.0.0.1 is this machine alone",
        ),
        (
            "listeners: {egress_traffic: {address: 0.0.0.0}}",
            "listeners.egress_traffic.address: whoever reaches 0.0.0.0 spends your keys; "
            "give clients keys (archgw client-key), or say 'open: true' if that is meant",
        ),
        (
            "listeners: {egress_traffic: {address: '::', open: false}}",
            "listeners.egress_traffic.address: whoever reaches :: spends your keys; "
            "give clients keys (archgw client-key), or say 'open: true' if that is meant",
        ),
        (
            "listeners: {egress_traffic: {hosts: ['http://a.b']}}",
            "listeners.egress_traffic.hosts[0]: expected the name of a host, found 'http://a.b'; "
            "without scheme and port",
        ),
        (
            "listeners: {egress_traffic: {origins: ['*']}}",
            "listeners.egress_traffic.origins[0]: expected an origin such as http://localhost:3000, found '*'; "
            "without a path",
        ),
        ("clients: []", "clients: nobody is listed; leave clients out, or make one: archgw client-key"),
        ("clients: [{name: a}]", "clients[0]: no key; make one: archgw client-key"),
        (f"clients: [{{key: 'sha256:{'0' * 64}'}}]", "clients[0]: no name; make one: archgw client-key"),
        (
            f"clients: [{{name: a b, key: 'sha256:{'0' * 64}'}}]",
            "clients[0].name: expected a name, found 'a b'; up to 63 letters, digits, dots, hyphens, underscores and @",
        ),
        (
            f"clients: [{{name: a, key: {SECRET}}}]",
            "clients[0].key: expected sha256: and 64 hex digits; "
            "the hash of a key belongs here, not the key; make one: archgw client-key",
        ),
        (
            f"clients: [{{name: a, key: 'sha256:{'0' * 64}'}}, {{name: b, key: 'sha256:{'0' * 64}'}}]",
            "clients[1]: a key that stands here twice; each client, and each key, has an item of its own",
        ),
        (
            f"clients: [{{name: a, key: 'sha256:{'0' * 64}', expires: soon}}]",
            "clients[0].expires: expected the last day on which the key is taken, such as 2027-01-31",
        ),
        (
            "listeners: [{name: egress_trafic}]",
            "listeners[0].name: expected egress_traffic, found 'egress_trafic'; did you mean 'egress_traffic'?",
        ),
        (
            "listeners: [{port: 1}, {port: 2}]",
            "listeners[1]: a second listener; there is only egress_traffic",
        ),
        (
            "routing: {deadline: soon}",
            "routing.deadline: expected a duration such as 50ms, 60s or 10m, found 'soon'",
        ),
        (
            "routing: {deadline: 0}",
            "routing.deadline: expected a duration such as 50ms, 60s or 10m, found the number 0",
        ),
        (
            "routing: {threshold: 20}",
            "routing.threshold: expected a share such as 20% or 0.2, found the number 20",
        ),
        (
            "routing: {baseline: gpt-5}",
            "routing.baseline: no model 'gpt-5' in llm_providers; did you mean 'gpt-4o'?",
        ),
        (
            "routing: {sticky: turn}",
            "routing.sticky: expected user_turn, session or never, found 'turn'; did you mean 'user_turn'?",
        ),
        ("routing: on", "routing: expected a mapping (key: value), found on (true or false to YAML)"),
        (
            "failover: {attempts: many}",
            "failover.attempts: expected a whole number from 1 to 10, found 'many'",
        ),
        ("failover: {never: gpt-4o}", "failover.never: expected a list, found 'gpt-4o'"),
        (
            "failover: {cool_for: a while}",
            "failover.cool_for: expected a duration such as 50ms, 60s or 10m, found 'a while'",
        ),
        (
            "failover: {limits: {max_requests: 0}}",
            "failover.limits.max_requests: expected a whole number from 1 to 8192, found the number 0",
        ),
        (
            "failover: {limits: {requests: 10}}",
            "failover.limits: unknown key 'requests'; did you mean 'max_requests'?",
        ),
        (
            "failover: {limits: {retry_budget: 20%}}",
            "failover.limits.retry_budget: expected a mapping (key: value), found '20%'",
        ),
        ("cache: {tll: 1h}", "cache: unknown key 'tll'; did you mean 'ttl'?"),
        ("ledger: {url: mysql://h}", "ledger.url: expected sqlite, none or postgresql://..., found 'mysql://h'"),
        ("ledger: {keep: long}", "ledger.keep: expected a duration such as 50ms, 60s or 10m, found 'long'"),
        (
            "ledger: {at_most: 2 GB}",
            "ledger.at_most: expected a size such as 64KiB or 32MiB, from 1 MiB to 1048576 GiB, found '2 GB'",
        ),
        ("ledger: {capture: all}", "ledger.capture: expected nothing or asks, found 'all'"),
        ("dashboard: {port: 0}", "dashboard.port: expected a whole number from 1 to 65535, found the number 0"),
        ("dashboard: {port: none}", "dashboard.port: expected a whole number from 1 to 65535, found 'none'"),
        ("dashboard: {port: 12000}", "dashboard: port 12000 is the listener's; give one of the two another"),
        ("dashboard: {enable: false}", "dashboard: unknown key 'enable'; did you mean 'enabled'?"),
        ("dashboard: off", "dashboard: expected a mapping (key: value), found off (true or false to YAML)"),
        ("state: {url: disk}", "state.url: expected sqlite, memory or redis://..., found 'disk'"),
        ("learning: {enabled: 1}", "learning.enabled: expected true or false, found the number 1"),
        ("learning: {explore: 30%}", "learning.explore: expected a share of 25% at most, found 30%; 5% is a good deal"),
        ("learning: {cost: 2}", "learning.cost: expected a share such as 20% or 0.2, found the number 2"),
        (
            "learning: {half_life: 0s}",
            "learning.half_life: expected a duration such as 50ms, 60s or 10m, found '0s'",
        ),
        (
            "telemetry: {otlp: 'localhost:4318'}",
            "telemetry.otlp: expected an address such as http://127.0.0.1:4318, found 'localhost:4318'",
        ),
        (
            "telemetry: {otlp: 'http://host:4318/v1/traces'}",
            "telemetry.otlp: the address goes on to one kind of telemetry; leave off /v1/traces",
        ),
        (
            "telemetry: {otlp: 'https://me:secret@host'}",
            "telemetry.otlp: only scheme, host, port and path belong here; "
            "headers come from OTEL_EXPORTER_OTLP_HEADERS",
        ),
        ("telemetry: {endpoint: 'http://h'}", "telemetry: unknown key 'endpoint'; known: otlp"),
        (
            "prompt_cache: {breakpoints: agent}",
            "prompt_cache.breakpoints: expected never, agents or always, found 'agent'; did you mean 'agents'?",
        ),
        ("prompt_cache: {affinity: 1}", "prompt_cache.affinity: expected true or false, found the number 1"),
        ("prompt_cache: {ttl: 1h}", "prompt_cache: unknown key 'ttl'; known: affinity, breakpoints"),
    ],
)
def test_a_mistake_in_a_section(section: str, told: str) -> None:
    assert headlines(f"{TWO}{section}\n") == [f"config.yaml:2: {told}"]


def test_a_bare_model_that_several_have_is_not_guessed() -> None:
    text = "llm_providers: [{model: groq/llama}, {model: ollama/llama}]\nmodel_aliases: {fast: llama}\n"
    assert headlines(text) == [
        "config.yaml:2: model_aliases.fast: 'llama' could be groq/llama or ollama/llama; write the one that is meant"
    ]


def test_all_mistakes_are_told_at_once_like_a_compiler_does() -> None:
    text = """\
version: v0.2
llm_providers:
  - model: opnai/gpt-4.1
    routing_preferences:
      - name: code generation
          description: generating new code
  - model: gpt-4o
    acess_key: $OPENAI_API_KEY
routing_preferences:
  - {name: none, description: x, models: [openai/gpt-4o]}
routing: {deadline: soon}
"""
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    assert str(caught.value) == (
        """\
config.yaml:1: version: expected v0.1, found 'v0.2'; did you mean 'v0.1'?
     1 | version: v0.2
config.yaml:3: llm_providers[0].model: no provider 'opnai'; did you mean 'openai'?
     3 |   - model: opnai/gpt-4.1
config.yaml:6: not valid YAML: 'description' stands deeper than 'name' above it; align them (column 9)
     6 |           description: generating new code
mended:
     6 |         description: generating new code
config.yaml:7: llm_providers[1].model: expected vendor/name, found 'gpt-4o'; did you mean 'openai/gpt-4o'?
     7 |   - model: gpt-4o
config.yaml:8: llm_providers[1]: unknown key 'acess_key'; did you mean 'access_key'?
     8 |     acess_key: $OPENAI_API_KEY
config.yaml:10: routing_preferences[0].name: 'none' is a reserved name; choose another
    10 |   - {name: none, description: x, models: [openai/gpt-4o]}
config.yaml:11: routing.deadline: expected a duration such as 50ms, 60s or 10m, found 'soon'
    11 | routing: {deadline: soon}"""
    )


# -- what is no YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "message", "mended"),
    [
        (
            "llm_providers:\n  - model: ollama/a\n    routing_preferences:\n      - name: code\n"
            "          description: new code\n",
            5,
            "'description' stands deeper than 'name' above it",
            "        description: new code",
        ),
        (
            "llm_providers:\n  - model: ollama/a\n   default: true\n",
            3,
            "'default' does not stand below 'model', the first key of its list item",
            "    default: true",
        ),
        (
            "llm_providers:\n\t- model: ollama/a\n",
            2,
            "a tab indents this line",
            "  - model: ollama/a",
        ),
        (
            "llm_providers:\n  - model:ollama/a\n    default: true\n",
            2,
            "no space after 'model:'",
            "  - model: ollama/a",
        ),
        (
            "llm_providers:\n  - model: ollama/a\n    default:true\n    name: a\n",
            3,
            "no space after 'default:'",
            "    default: true",
        ),
        (
            OLLAMA + "routing_preferences:\n  - models: [llama3.1]\n    name: a\n    description: b: c # why\n",
            5,
            "':' has a meaning in YAML",
            '    description: "b: c" # why',
        ),
        (
            OLLAMA + "routing_preferences:\n  - name: @code\n",
            3,
            "'@' has a meaning in YAML",
            '  - name: "@code"',
        ),
        (
            OLLAMA + "routing_preferences:\n  - name: a\n    description new code\n    models: [a]\n",
            4,
            "a key without its colon",
            "",
        ),
        (
            OLLAMA + "routing:\n    deadline: 1s\n  sticky: none\n",
            4,
            "the indentation fits nothing above",
            "",
        ),
        (
            "llm_providers: [{model: ollama/a}\nrouting: {}\n",
            2,
            "the list that opens on line 1 goes wrong here",
            "",
        ),
        (OLLAMA + "routing: {deadline: 1s\n", 2, "the mapping that opens on this line goes wrong here", ""),
        (OLLAMA + "routing: {deadline 1s]\n", 2, "the mapping that opens on this line goes wrong here", ""),
        (OLLAMA + "version: 'v0.1\n", 2, "the quote that opens on this line is not closed", ""),
        ("llm_providers:\n  - a\n   - b: c\n", 3, "a key where none can stand", ""),
        ("llm_providers: *a\n", 1, "'*' has a meaning in YAML", ""),
        (OLLAMA + "---\na: 1\n", 2, "'---' begins another document", ""),
        (OLLAMA + "routing: \x00\n", 2, "special characters are not allowed", ""),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else None,
)
def test_a_line_that_is_no_yaml(text: str, line: int, message: str, mended: str) -> None:
    first = mistakes(text)[0]
    assert (first.place.line, first.message, first.mended) == (line, f"not valid YAML: {message}", mended)


def test_who_indents_with_tabs_is_told_once() -> None:
    (mistake,) = mistakes("llm_providers:\n\t- model: ollama/a\n\t  default: true\n\t  name: b\n")
    assert mistake.hint == "indent with spaces (here and on 2 more lines)"


def test_whatever_is_cut_off_is_a_config_or_a_list_of_mistakes() -> None:
    text = EXAMPLE.read_text("utf-8")
    for end in range(0, len(text), 97):
        try:
            read(text[:end])
        except ConfigErrors as error:
            assert error.mistakes


# -- what is odd ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "warning"),
    [
        (
            "listeners: {egress_traffic: {open: true, address: 0.0.0.0}}",
            "listeners.egress_traffic.address: whoever reaches 0.0.0.0 spends your keys; "
            "127.0.0.1 is this machine alone",
        ),
        (
            "routing_preferences: [{name: a, description: X, models: [gpt-4o]}, "
            "{name: b, description: x, models: [gpt-4o]}]",
            "routing_preferences[1]: 'b' and 'a' have one description: no request tells them apart; "
            "list their models in one of them, or say in each what the other is not for",
        ),
        (
            "routing: {model: {base_url: 'http://127.0.0.1:9/v1', name: m}}",
            "routing.model: an LLM seldom answers within 100 ms, which holds where no deadline is written: "
            "write one, such as deadline: 1s",
        ),
        (
            "telemetry: {otlp: 'http://127.0.0.1:4317'}",
            "telemetry.otlp: 4317 is where collectors take OTLP over gRPC; archgw speaks it over HTTP, which is 4318",
        ),
        (
            "telemetry: {otlp: 'http://otlp.example.com'}",
            "telemetry.otlp: what is told goes there unencrypted; write https://",
        ),
    ],
)
def test_a_warning(section: str, warning: str) -> None:
    assert read(f"{TWO}{section}\n").warnings == (f"config.yaml:2: {warning}",)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "http://8.8.8.8",
        "http://[2606:4700::1]",
        "http://localhost.example.com",
        "http://a.local.com",
    ],
)
@pytest.mark.parametrize(
    "item",
    [
        "llm_providers: [{model: openai/gpt-4o, access_key: $KEY, base_url: 'URL'}]",
        "llm_providers: [{model: anthropic/claude-sonnet-4-5, passthrough_auth: true, base_url: 'URL'}]",
        f"{TWO}routing: {{deadline: 1s, model: {{base_url: 'URL', name: m, access_key: $KEY}}}}",
    ],
    ids=["key", "login", "router model"],
)
def test_a_key_that_travels_unencrypted_is_a_warning(item: str, url: str) -> None:
    (warning,) = read(item.replace("URL", url), KEY=SECRET).warnings
    assert "unencrypted; write https://" in warning and SECRET not in warning


@pytest.mark.parametrize(
    "url",
    ["https://api.example.com", "http://localhost:1", "http://127.0.0.1", "http://10.0.0.7", "http://192.168.1.2:8000",
     "http://[::1]", "http://[fd12::1]", "http://100.64.0.1", "http://ollama:11434", "http://gpu.local", "http://a.internal",
     "http://host.docker.internal:8000"],
)  # fmt: skip
def test_a_key_within_ones_own_network_is_none(url: str) -> None:
    assert (
        read(f"llm_providers: [{{model: openai/gpt-4o, access_key: $KEY, base_url: '{url}'}}]", KEY=SECRET).warnings
        == ()
    )


def test_without_a_key_nothing_is_unencrypted() -> None:
    assert read("llm_providers: [{model: ollama/a, base_url: 'http://api.example.com'}]").warnings == ()


@pytest.mark.parametrize("section", ["cache: {enabled: true}", "learning: {enabled: false}"])
def test_no_warning_about_what_is_there_or_stays_off(section: str) -> None:
    assert read(TWO + section).warnings == ()


# -- the example that users copy -----------------------------------------------------------------------------


@pytest.fixture
def example() -> Config:
    return read(EXAMPLE.read_text("utf-8"))


def test_the_example_has_nothing_odd(example: Config) -> None:
    assert example.warnings == ()


@pytest.mark.parametrize(
    ("preference", "first"),
    [
        ("code generation", "deepseek/deepseek-coder-v2"),
        ("architecture", "anthropic/claude-3-5-sonnet-20241022"),
        ("simple fixes", "openai/gpt-4o-mini"),
    ],
)
def test_the_example_prefers_as_promised(example: Config, preference: str, first: str) -> None:
    assert {p.name: p.models[0] for p in example.preferences}[preference] == first


def test_the_example_fails_over_to_another_vendor(example: Config) -> None:
    provider = {entry.known_as: entry.provider for entry in example.providers}
    for preference in example.preferences:
        assert len({provider[model] for model in preference.models[:2]}) == 2, preference.name


def test_the_example_names_every_promised_vendor(example: Config) -> None:
    promised = {"openai", "anthropic", "deepseek", "xai", "gemini", "mistral", "groq", "ollama"}
    assert {entry.provider for entry in example.providers} == promised


def test_the_example_has_the_small_fast_names(example: Config) -> None:
    assert example.aliases == {
        "arch.fast.v1": "openai/gpt-4o-mini",
        "arch.claude.code.small.fast": "openai/gpt-4o-mini",
    }


# -- limits ------------------------------------------------------------------------------------------------------------


def test_limits_are_everybodys_but_for_those_of_a_model() -> None:
    config = read(
        """\
llm_providers:
  - {model: ollama/one, limits: {max_requests: 2}}
  - {model: ollama/two}
failover: {limits: {max_requests: 9, max_pending_requests: 4, max_retries: 5, retry_budget: {share: 30%}}}
"""
    )
    budget = RetryBudget(share=0.3, least=3)
    two = CircuitBreakers(max_pending_requests=4, max_requests=9, max_retries=5, retry_budget=budget)
    assert [candidate.limits for candidate in plan(config).candidates] == [replace(two, max_requests=2), two]


def test_prompt_caches_are_everybodys_but_for_those_of_a_model() -> None:
    config = read(
        """\
llm_providers:
  - {model: ollama/one, prompt_cache: {breakpoints: always}}
  - {model: ollama/two, prompt_cache: {affinity: true}}
  - {model: ollama/three}
prompt_cache: {affinity: false, breakpoints: never}
"""
    )
    found = [candidate.prompt_cache for candidate in plan(config).candidates]
    assert found == [PromptCache(False, "always"), PromptCache(True, "never"), PromptCache(False, "never")]
    assert plan(read("llm_providers: [{model: ollama/one}]")).candidates[0].prompt_cache == PromptCache(True, "agents")


def test_retries_belong_to_no_model() -> None:
    with pytest.raises(ConfigErrors, match=r"llm_providers\[0\].limits: unknown key 'max_retries'"):
        read("llm_providers: [{model: ollama/one, limits: {max_retries: 2}}]")


@pytest.mark.parametrize(("written", "seconds"), [("0", 0.0), ("0s", 0.0), ("2m", 120.0)])
def test_cooling_can_be_turned_off(written: str, seconds: float) -> None:
    assert read(f"{OLLAMA}\nfailover: {{cool_at_most: {written}}}").failover.cool_at_most == seconds


# -- the page about it -------------------------------------------------------------------------------------------------

PAGE = (EXAMPLE.parent / "docs" / "configuration.md").read_text("utf-8")


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.name)
def test_the_page_lists_every_vendor(provider: Provider) -> None:
    also = ", ".join(f"`{alias}`" for alias, name in ALIASES.items() if name == provider.name)
    key = f"`{provider.key_variable}`" if provider.key_variable else "none needed"
    assert f"| `{provider.name}` | {also}{' ' if also else ''}| {key} |" in PAGE


@pytest.mark.parametrize("key", [*KEYS, *FIELDS])
def test_the_page_says_every_key(key: str) -> None:
    assert f"`{key}" in PAGE


@pytest.mark.parametrize(
    "snippet", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL), ids=lambda text: text.split(":")[0]
)
def test_a_snippet_of_the_page_is_a_config_or_part_of_one(snippet: str) -> None:
    models = "llm_providers: [" + ", ".join(
        f"{{model: {model}}}" for model in ("openai/gpt-4.1", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5")
    )
    whole = snippet if "llm_providers" in snippet else f"{models}]\n{snippet}"
    assert read(whole, ROUTER_KEY=SECRET).warnings == ()


@pytest.mark.parametrize("deep", ["[" * 3000, "{a: " * 3000, "[" * 200 + "]" * 200], ids=["lists", "mappings", "whole"])
def test_what_is_nested_without_end_is_a_mistake_like_others(deep: str) -> None:
    with pytest.raises(ConfigErrors) as told:
        read(f"llm_providers: {deep}")
    assert str(told.value).startswith("config.yaml:1: nested too deeply")
