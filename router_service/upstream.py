"""What one candidate is sent: path, headers of its own, and the body in its dialect.

Same dialect, and a target that takes what the client sent: the client's bytes, with only the top-level fields
that must differ replaced, so that prompt caches and signatures stay valid. Otherwise: through the neutral model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from router_service import fast_json, needs, prompt_cache
from router_service.conversation import Conversation
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Dialect, Target
from router_service.exchange import Exchange
from router_service.model_field import replace_fields, replace_model
from router_service.plan import Candidate

# Headers of the client's that a provider of the same dialect may see. Everything else stays here.
_FORWARDED = {
    "anthropic_messages": ("anthropic-version", "anthropic-beta", "user-agent", "x-app"),
    "openai_chat": ("user-agent",),
    "openai_responses": ("user-agent",),
}
_CREDENTIALS = ("authorization", "x-api-key")
# Headers of the provider's that the client may see; where both speak one dialect; and where the account is his own.
# Nothing else comes back: cookies, names of organisations and limits of an account are not the client's business.
_PASSED_BACK = frozenset({"content-type", "date", "retry-after"})
_OF_ONE_DIALECT = frozenset({"request-id", "x-request-id", "openai-processing-ms", "openai-version"})
_OF_HIS_ACCOUNT = ("anthropic-ratelimit-", "anthropic-organization-id")


@dataclass(frozen=True, slots=True)
class Upstream:
    headers: dict[str, str]
    body: bytes
    dialect: Dialect
    warnings: tuple[str, ...] = ()


def render(exchange: Exchange, candidate: Candidate) -> Upstream:
    dialect = dialect_of(candidate, exchange.dialect.name, exchange.conversation)
    same = dialect is exchange.dialect
    body, warnings = _body(exchange, candidate, dialect, same=same)
    headers = _headers(exchange, candidate, dialect, dialect.upstream_path, same=same)
    headers |= prompt_cache.headers(exchange, candidate, dialect.name)
    return Upstream(headers, body, dialect, warnings)


def kept_back(headers: Iterable[str], candidate: Candidate, *, same: bool) -> tuple[str, ...]:
    """The names among the provider's response headers that the client is not told."""
    known = _PASSED_BACK | (_OF_ONE_DIALECT if same else frozenset())
    own = _OF_HIS_ACCOUNT if same and candidate.passthrough else ()
    return tuple(name for name in headers if not name.startswith((":", *own)) and name not in known)


def render_count(exchange: Exchange, candidate: Candidate) -> Upstream:
    """The question how many tokens the request comes to, as the candidate's vendor wants it asked."""
    dialect = DIALECTS[candidate.counts]
    counter = dialect.counter
    assert counter is not None
    same = dialect is exchange.dialect
    conversation, to = exchange.conversation, target(candidate)
    if same and dialect.takes(conversation, to):
        changes = {"model": to.model} | dialect.adapt(conversation, to, [])
        body = replace_fields(exchange.body, {name: value for name, value in changes.items() if name in counter.fields})
    else:
        rendered = dialect.render_request(conversation, to).body
        body = fast_json.dumps({name: value for name, value in rendered.items() if name in counter.fields})
    return Upstream(_headers(exchange, candidate, dialect, counter.upstream_path, same=same), body, dialect)


def dialect_of(candidate: Candidate, spoken: str, conversation: Conversation) -> Dialect:
    """What the candidate is asked in; OpenAI searches the web for those alone who ask in Responses."""
    asked, provider = candidate.dialect(spoken), candidate.provider
    searching = conversation.search and "web_search" in (provider.vendor_tools or ())
    if searching and asked != spoken and "openai_responses" in provider.also:
        asked = "openai_responses"
    return DIALECTS[asked]


def target(candidate: Candidate, room: int | None = None) -> Target:
    """`room`: what its window leaves for the answer, in tokens."""
    facts, provider = candidate.facts, candidate.provider
    return Target(
        model=candidate.model,
        maker=candidate.maker,
        max_output=facts.max_output,
        token_field=facts.token_field,
        reasoning=facts.reasoning,
        thinking=facts.thinking,
        sampling=facts.sampling,
        stop=facts.stop,
        system=facts.system,
        inline_system=facts.inline_system,
        tools=facts.tools,
        images=facts.images or not facts.prefix,  # of a model that nobody knows, the vendor is the judge
        documents=facts.documents or not facts.prefix,
        documents_as_images=provider.documents_as_images,
        refuses=provider.refuses | facts.refuses,
        forcing=facts.forcing,
        hottest=provider.hottest,
        most_stops=provider.most_stops,
        schema_beside_tools=provider.schema_beside_tools,
        prefill=facts.prefill,
        structured=facts.structured,
        verbosity=facts.verbosity or not facts.prefix,
        efforts=facts.efforts,
        thoughts=facts.thoughts,
        signs_calls=facts.signs_calls,
        description_length=facts.description_length,
        tool_id_length=provider.tool_id_length,
        strict_order=provider.strict_order,
        refuses_in_messages=provider.refuses_in_messages,
        knows=provider.knows,
        vendor_tools=provider.vendor_tools,
        accounts=provider.accounts,
        room=room,
    )


# -- headers ---------------------------------------------------------------------------------------------------


def _headers(exchange: Exchange, candidate: Candidate, dialect: Dialect, path: str, *, same: bool) -> dict[str, str]:
    address = candidate.address
    own = {} if candidate.provider.call(dialect.name) else dict(dialect.headers)
    unasked = dict(dialect.headers).keys() - own.keys()
    passed = [name for name in _FORWARDED.get(dialect.name, ()) if same and name not in unasked]
    return {
        ":method": "POST",
        ":scheme": address.scheme,
        ":authority": address.authority,
        ":path": _path(exchange, candidate, dialect, path, same=same),
        "user-agent": "archgw",
        **own,
        **{name: value for name in passed if (value := _passed(name, exchange, candidate))},
        **_credential(exchange, candidate),
        "content-type": "application/json",
        "accept": "text/event-stream" if exchange.conversation.stream else "application/json",
        "accept-encoding": "identity",
    }


def _path(exchange: Exchange, candidate: Candidate, dialect: Dialect, path: str, *, same: bool) -> str:
    provider = candidate.provider
    root = candidate.address.path or provider.root(dialect.name)
    if call := provider.call(dialect.name):
        return f"{root}{call.path(candidate.model, streamed=exchange.conversation.stream)}"
    query = f"?{exchange.query}" if same and exchange.query else ""
    return f"{root}{path}{query}"


def _passed(name: str, exchange: Exchange, candidate: Candidate) -> str:
    """A header of the client's as this provider is to see it: of the beta flags only those that it takes."""
    value = exchange.headers.get(name, "")
    if name != "anthropic-beta":
        return value
    flags = [flag.strip() for flag in value.split(",")]
    taken = candidate.provider.betas
    kept = [flag for flag in flags if (taken is None or flag.startswith(taken)) and _is_meant(flag, candidate)]
    return value if kept == flags else ",".join(kept)


def _is_meant(flag: str, candidate: Candidate) -> bool:
    """A login's flag goes with the login alone."""
    return candidate.passthrough or not flag.startswith("oauth-")


def _credential(exchange: Exchange, candidate: Candidate) -> dict[str, str]:
    """The candidate's key; or, where the user said so, the client's own login for this one vendor."""
    if candidate.passthrough:
        return {name: exchange.headers[name] for name in _CREDENTIALS if name in exchange.headers}
    if candidate.key is None:
        return {}
    provider = candidate.provider
    return {provider.auth_header: f"{provider.auth_scheme}{candidate.key.value}"}


# -- body ------------------------------------------------------------------------------------------------------


def _body(exchange: Exchange, candidate: Candidate, dialect: Dialect, *, same: bool) -> tuple[bytes, tuple[str, ...]]:
    conversation = exchange.conversation
    to = target(candidate, needs.room(candidate, exchange.needs))
    call = candidate.provider.call(dialect.name)
    fixed: dict[str, str | None] = dict(call.fields) if call else {}
    together, claude = prompt_cache.fields(exchange, candidate, dialect.name), dialect.name == "anthropic_messages"
    if same and dialect.takes(conversation, to):
        warnings: list[str] = []
        changes = {"model": to.model} | dialect.adapt(conversation, to, warnings) | fixed
        changes |= prompt_cache.in_clients_bytes(exchange, candidate, changes) if claude else {}
        changes |= {name: value for name, value in together.items() if name not in conversation.extras}
        return _changed(exchange.body, conversation.model, changes), tuple(warnings)
    rendered = dialect.render_request(conversation, to)
    changes = prompt_cache.rewritten(rendered.body, conversation, candidate, exchange.needs) if claude else {}
    fields = together | rendered.body | changes | fixed
    return fast_json.dumps({name: value for name, value in fields.items() if value is not None}), rendered.warnings


def _changed(body: bytes, model: str, changes: Mapping[str, Any]) -> bytes:
    """Many requests need nothing but another name for the model, which is found sooner than all fields are."""
    only_model = changes.keys() == {"model"}
    return replace_model(body, model, changes["model"]) if only_model else replace_fields(body, changes)
