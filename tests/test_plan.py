"""The config, resolved: candidates, routes, chains, names."""

import pytest
from dialogue import CLAUDE, DEEPSEEK, GPT, THREE, plan_of

from router_service.plan import Address, Plan, address, slug
from router_service.pricing import FREE, Price


def labels(plan: Plan, chain: tuple[str, str]) -> list[str]:
    """`chain`: the ids of the route and of the first candidate."""
    return [candidate.label for candidate in plan.chains[chain].candidates]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("code generation", "code-generation"),
        ("  C++ & Rust! ", "c-rust"),
        ("openai/gpt-4.1", "openai-gpt-4-1"),
        ("Übung", "ufcbung"),
        ("日本", "u65e5u672c"),
    ],
)
def test_a_slug_is_safe_in_names(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.mark.parametrize(
    ("url", "like", "expected", "authority"),
    [
        ("https://a.test/v1", "", Address("https", "a.test", 443, "/v1"), "a.test"),
        ("https://a.test", "https://api.openai.com/v1", Address("https", "a.test", 443, "/v1"), "a.test"),
        ("https://a.test/", "https://api.openai.com/v1", Address("https", "a.test", 443, "/v1"), "a.test"),
        ("https://a.test/x/", "https://api.openai.com/v1", Address("https", "a.test", 443, "/x"), "a.test"),
        ("http://a.test:8000", "", Address("http", "a.test", 8000, ""), "a.test:8000"),
        ("http://a.test:443", "", Address("http", "a.test", 443, ""), "a.test:443"),
        ("http://[::1]:11434/v1", "", Address("http", "::1", 11434, "/v1"), "[::1]:11434"),
    ],
)
def test_an_address(url: str, like: str, expected: Address, authority: str) -> None:
    found = address(url, like=like)
    assert (found, found.authority) == (expected, authority)


def test_a_candidate_is_provider_model_and_key() -> None:
    candidate = plan_of().candidates[1]
    assert (candidate.id, candidate.label, candidate.model) == ("anthropic-claude-sonnet-4-5", CLAUDE, CLAUDE[10:])
    assert candidate.leaf == "leaf.anthropic-claude-sonnet-4-5"
    assert candidate.cluster.startswith("provider.anthropic-claude-sonnet-4-5.")
    assert candidate.key and candidate.key.value == "key-of-anthropic"
    assert candidate.provider.name == "anthropic" and candidate.facts.max_output == 64_000


def test_one_model_twice_is_two_candidates() -> None:
    plan = plan_of(
        "llm_providers: [{model: openai/gpt-4o}, {model: openai/gpt-4o, name: my.gpt}, {model: x/y, name: my gpt,"
        " provider_interface: openai, base_url: 'http://x.test/v1'}]"
    )
    assert [candidate.id for candidate in plan.candidates] == ["openai-gpt-4o", "my-gpt", "my-gpt-2"]
    assert [candidate.label for candidate in plan.candidates] == ["openai/gpt-4o", "my.gpt", "my gpt"]


def test_the_default_leads_and_everybody_follows() -> None:
    assert [candidate.label for candidate in plan_of().default.candidates] == [GPT, CLAUDE, DEEPSEEK]


def test_the_default_leads_wherever_it_stands() -> None:
    plan = plan_of("llm_providers: [{model: openai/gpt-4o}, {model: deepseek/deepseek-chat, default: true}]")
    assert [candidate.label for candidate in plan.default.candidates] == [DEEPSEEK, "openai/gpt-4o"]


def test_a_chain_goes_through_its_route_and_then_the_default() -> None:
    assert labels(plan_of(), ("coding", "anthropic-claude-sonnet-4-5")) == [CLAUDE, DEEPSEEK, GPT]


def test_a_chain_may_begin_with_any_candidate_of_its_route() -> None:
    assert labels(plan_of(), ("coding", "deepseek-deepseek-chat")) == [DEEPSEEK, CLAUDE, GPT]


@pytest.mark.parametrize(
    ("failover", "chain", "attempts"),
    [
        ("{fall_back_to_default: false}", [CLAUDE, DEEPSEEK], 2),
        ("{never: [deepseek-chat]}", [CLAUDE, GPT], 2),
        ("{never: [claude-sonnet-4-5]}", [CLAUDE, DEEPSEEK, GPT], 3),
        ("{attempts: 2}", [CLAUDE, DEEPSEEK, GPT], 2),
        ("{attempts: 9}", [CLAUDE, DEEPSEEK, GPT], 3),
    ],
    ids=["only its own", "one never steps in", "but may be first", "fewer tries", "more tries than candidates"],
)
def test_what_failover_allows(failover: str, chain: list[str], attempts: int) -> None:
    plan = plan_of(f"{THREE}failover: {failover}\n")
    name = ("coding", "anthropic-claude-sonnet-4-5")
    assert (labels(plan, name), plan.chains[name].attempts) == (chain, attempts)


def test_there_is_a_chain_for_each_route_and_each_of_its_candidates() -> None:
    plan = plan_of()
    assert sorted(plan.chains) == sorted(
        (route.id, candidate.id) for route in (*plan.routes, plan.default) for candidate in route.candidates
    )


def test_who_is_not_in_a_route_leads_the_defaults_chain() -> None:
    plan = plan_of()
    assert plan.chain(plan.routes[0], plan.candidates[0]).name.startswith("chain.default.openai-gpt-4o-mini.")


def test_what_changes_its_address_or_its_order_has_another_name() -> None:
    """So that a reload puts the new beside the old, and a request that is under way ends where it was meant to."""
    one = plan_of("llm_providers: [{model: openai/gpt-4o}, {model: deepseek/deepseek-chat}]")
    moved = plan_of(
        "llm_providers: [{model: openai/gpt-4o, base_url: 'https://eu.test/v1'}, {model: deepseek/deepseek-chat}]"
    )
    assert one.candidates[0].leaf == moved.candidates[0].leaf
    assert one.candidates[0].cluster != moved.candidates[0].cluster
    assert one.candidates[1].cluster == moved.candidates[1].cluster
    alone = plan_of("llm_providers: [{model: openai/gpt-4o}]")
    assert one.chain(one.default, one.candidates[0]).name != alone.chain(alone.default, alone.candidates[0]).name
    assert one.chain(one.default, one.candidates[0]).name == moved.chain(moved.default, moved.candidates[0]).name


@pytest.mark.parametrize(
    ("models", "aliases", "fast"),
    [
        (["openai/gpt-4o", "openai/gpt-4o-mini"], "", "openai/gpt-4o-mini"),
        (["gemini/gemini-2.5-pro", "openai/gpt-4o-mini"], "", "openai/gpt-4o-mini"),
        (["openai/gpt-4o", "gemini/gemini-2.5-flash"], "", "gemini/gemini-2.5-flash"),
        (["openai/gpt-4o", "anthropic/claude-haiku-4-5"], "", "anthropic/claude-haiku-4-5"),
        (["openai/gpt-4o", "openai/gpt-4.1"], "", "openai/gpt-4o"),
        (["openai/gpt-4o-mini", "openai/gpt-4.1"], "{arch.fast.v1: gpt-4.1}", "openai/gpt-4.1"),
        (["openai/gpt-4o-mini", "openai/gpt-4.1"], "{arch.claude.code.small.fast: gpt-4.1}", "openai/gpt-4.1"),
    ],
    ids=["called mini", "gemini is not mini", "called flash", "called haiku", "none", "by alias", "by the other alias"],
)
def test_who_answers_side_requests(models: list[str], aliases: str, fast: str) -> None:
    entries = ", ".join(f"{{model: {model}}}" for model in models)
    plan = plan_of(f"llm_providers: [{entries}]\n" + (f"model_aliases: {aliases}" if aliases else ""))
    assert plan.fast.label == fast


def test_models_without_a_key_are_left_out_and_named() -> None:
    plan = plan_of(
        """
llm_providers: [{model: openai/gpt-4o}, {model: xai/grok-2}]
routing_preferences:
  - {name: jokes, description: jokes, models: [grok-2]}
  - {name: both, description: both, models: [grok-2, gpt-4o]}
model_aliases: {funny: grok-2}
"""
    )
    assert [candidate.label for candidate in plan.candidates] == ["openai/gpt-4o"]
    assert [(route.name, len(route.candidates)) for route in plan.routes] == [("both", 1)]
    assert plan.aliases == {}
    assert [(item.label, item.reason) for item in plan.disabled] == [
        ("xai/grok-2", "$XAI_API_KEY is not set"),
        ("preference “jokes”", "none of its models is usable; default answers instead"),
    ]


def test_a_bare_name_means_a_model_only_where_it_is_unique() -> None:
    plan = plan_of(
        "llm_providers: [{model: openai/gpt-4o}, {model: openrouter/gpt-4o}, {model: deepseek/deepseek-chat}]",
        OPENROUTER_API_KEY="k",
    )
    assert sorted(plan.names) == ["deepseek-chat", DEEPSEEK, "openai/gpt-4o", "openrouter/gpt-4o"]


def test_preferences_of_like_names_have_ids_of_their_own() -> None:
    plan = plan_of(
        """
llm_providers: [{model: openai/gpt-4o}]
routing_preferences:
  - {name: c++, description: one, models: [gpt-4o]}
  - {name: C, description: two, models: [gpt-4o]}
"""
    )
    assert [route.id for route in plan.routes] == ["c", "c-2"]
    assert set(plan.chains) >= {("c", "openai-gpt-4o"), ("c-2", "openai-gpt-4o")}


@pytest.mark.parametrize(
    ("model", "variable", "value", "host"),
    [
        ("bedrock/openai.gpt-oss-120b", "AWS_REGION", "eu-west-1", "bedrock-runtime.eu-west-1.amazonaws.com"),
        ("azure/gpt-4.1", "AZURE_OPENAI_RESOURCE", "ours", "ours.openai.azure.com"),
        ("vertex/google/gemini-2.5-pro", "GOOGLE_CLOUD_LOCATION", "us-east5", "us-east5-aiplatform.googleapis.com"),
        ("vertex/google/gemini-2.5-pro", "GOOGLE_CLOUD_LOCATION", "global", "aiplatform.googleapis.com"),
        ("vertex/google/gemini-2.5-pro", "GOOGLE_CLOUD_LOCATION", "eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_an_address_with_a_variable_is_filled_or_the_model_left_out(
    model: str, variable: str, value: str, host: str
) -> None:
    text = f"llm_providers: [{{model: {model}}}, {{model: openai/gpt-4o-mini}}]"
    keys = {"AWS_BEARER_TOKEN_BEDROCK": "k", "AZURE_OPENAI_API_KEY": "k", "VERTEX_ACCESS_TOKEN": "k"}
    keys |= {"GOOGLE_CLOUD_PROJECT": "ours"}
    assert plan_of(text, **keys, **{variable: value}).candidates[0].address.host == host
    without = plan_of(text, **keys)
    assert [candidate.label for candidate in without.candidates] == ["openai/gpt-4o-mini"]
    assert without.disabled[0].reason == f"${variable} is not set"


@pytest.mark.parametrize(
    ("base_url", "price"),
    [
        ("http://127.0.0.1:8000/v1", FREE),
        ("http://localhost:8000/v1", FREE),
        ("http://[::1]:8000/v1", FREE),
        ("http://10.0.0.7/v1", None),
        ("https://127.example.com/v1", None),
    ],
)
def test_an_endpoint_of_ones_own_costs_nothing_on_ones_own_machine(base_url: str, price: Price | None) -> None:
    own = f"llm_providers: [{{model: mine/m, provider_interface: openai, base_url: '{base_url}'}}]"
    assert plan_of(own).candidates[0].price == price
    priced = plan_of(own.replace("}]", ", price: {input: 1, output: 2}}]"))
    assert priced.candidates[0].price == Price.of(input=1, output=2), "the user knows better"
