"""What Anthropic refuses: the fields and limits of a Messages request, and the order of its rule book.

The words are those that users quote in public issue trackers.
"""

from archgw.simulate.anthropic_wire import pieces
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.anthropic_messages import MESSAGES
from archgw.simulate.rules.anthropic_thinking import THINKING, THINKING_LIMITS
from archgw.simulate.rules.anthropic_tools import TOOLS
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.tokens import total

# -- fields --------------------------------------------------------------------------------

FIELDS = names(
    "model messages max_tokens system tools tool_choice metadata stop_sequences stream temperature top_k "
    "top_p "
    "thinking output_config cache_control container inference_geo service_tier diagnostics"
)
BETA_FIELDS = {
    "context_management": ("context-management-", "compact-"),
    "safeguards": ("dangerous-tool-use-",),
    "mcp_servers": ("mcp-client-",),
    "speed": ("fast-mode-",),
    "fallbacks": ("server-side-fallback-",),
    "fallback_credit_token": ("fallback-credit-",),
    "compaction": ("compact-",),
    "thread": ("message-threads-",),
    "output_format": ("structured-outputs-",),
}


# They know the prompt cache, but no mark of it on the whole request: github.com/vercel/ai/pull/13986.
MARKS_ON_BLOCKS = ("amazon_bedrock", "vertex")


def known_fields(asked: Asked) -> None:
    for name in asked.body:
        gates = BETA_FIELDS.get(name, ())
        if name == "cache_control" and asked.vendor.name in MARKS_ON_BLOCKS:
            raise Refused(f"{name}: Extra inputs are not permitted")
        if name not in FIELDS and not any(asked.beta(gate) for gate in gates):
            raise Refused(f"{name}: Extra inputs are not permitted")


def required_fields(asked: Asked) -> None:
    for name in ("messages", "max_tokens"):
        if name not in asked.body:
            raise Refused(f"{name}: Field required")


TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "messages": (list, "Input should be a valid list"),
    "max_tokens": (int, "Input should be a valid integer"),
    "stream": (bool, "Input should be a valid boolean"),
    "temperature": ((int, float), "Input should be a valid number"),
    "top_p": ((int, float), "Input should be a valid number"),
    "top_k": (int, "Input should be a valid integer"),
    "stop_sequences": (list, "Input should be a valid list"),
    "tools": (list, "Input should be a valid list"),
    "tool_choice": (dict, "Input should be a valid dictionary or object to extract fields from"),
    "thinking": (dict, "Input should be a valid dictionary or object to extract fields from"),
    "metadata": (dict, "Input should be a valid dictionary or object to extract fields from"),
    "output_config": (dict, "Input should be a valid dictionary or object to extract fields from"),
    "system": ((str, list), "Input should be a valid list"),
}
OPTIONAL = ("temperature", "top_p", "top_k", "output_config")


def field_types(asked: Asked) -> None:
    for name, (kind, complaint) in TYPES.items():
        value = asked.body.get(name)
        if name not in asked.body or (value is None and name in OPTIONAL):
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refused(f"{name}: {complaint}")


def metadata(asked: Asked) -> None:
    for name in asked.body.get("metadata", {}):
        if name != "user_id":
            raise Refused(f"metadata.{name}: Extra inputs are not permitted")


# -- limits --------------------------------------------------------------------------------


def max_tokens(asked: Asked) -> None:
    wanted, most = asked.body["max_tokens"], asked.model.max_output
    if wanted < 1:
        raise Refused("max_tokens: Input should be greater than or equal to 1")
    if wanted > most:
        raise Refused(
            f"max_tokens: {wanted} > {most}, which is the maximum allowed number of output tokens for "
            f"{asked.body['model']}"
        )


def context(asked: Asked) -> None:
    size = asked.model.context
    if asked.beta("context-1m-"):
        size = max(size, 1_000_000)
    prompt = total(pieces(asked.body))
    if prompt > size:
        raise Refused(f"prompt is too long: {prompt} tokens > {size} maximum")
    wanted = asked.body.get("max_tokens", 0)
    if prompt + wanted > size:
        raise Refused(
            f"input length and `max_tokens` exceed context limit: {prompt} + {wanted} > {size}, "
            "decrease input length or `max_tokens` and try again"
        )


def temperature(asked: Asked) -> None:
    value = asked.body.get("temperature")
    if value is not None and value > 1:
        raise Refused("temperature: Input should be less than or equal to 1")
    if value is not None and value < 0:
        raise Refused("temperature: Input should be greater than or equal to 0")


def top_p(asked: Asked) -> None:
    value = asked.body.get("top_p")
    if value is not None and not 0 <= value <= 1:
        raise Refused("top_p: Input should be less than or equal to 1")


def sampling(asked: Asked) -> None:
    given = [name for name in ("temperature", "top_p", "top_k") if asked.body.get(name) is not None]
    if "no_sampling" in asked.model.flags and given:
        raise Refused(f"`{given[0]}` is deprecated for this model.")
    if "one_sampling" in asked.model.flags and {"temperature", "top_p"} <= set(given):
        raise Refused("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")


def stop_sequences(asked: Asked) -> None:
    for stop in asked.body.get("stop_sequences", []):
        if not isinstance(stop, str) or not stop.strip():
            raise Refused("stop_sequences: each stop sequence must contain non-whitespace")


# -- the books -----------------------------------------------------------------------------

COMMON: tuple[Rule, ...] = (*MESSAGES, *THINKING, *TOOLS, context)
ANTHROPIC: tuple[Rule, ...] = (
    known_fields,
    required_fields,
    field_types,
    metadata,
    max_tokens,
    temperature,
    top_p,
    sampling,
    stop_sequences,
    *THINKING_LIMITS,
    *COMMON,
)

COUNT_FIELDS = FIELDS - names("max_tokens stream metadata stop_sequences temperature top_k top_p service_tier")


def known_count_fields(asked: Asked) -> None:
    for name in asked.body:
        if name in BETA_FIELDS and any(asked.beta(gate) for gate in BETA_FIELDS[name]):
            continue
        if name not in COUNT_FIELDS:
            raise Refused(f"{name}: Extra inputs are not permitted")
    if "messages" not in asked.body:
        raise Refused("messages: Field required")


COUNT_TOKENS: tuple[Rule, ...] = (known_count_fields, field_types, *COMMON)
