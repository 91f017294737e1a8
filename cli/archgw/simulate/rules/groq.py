"""What Groq refuses: properties it does not know, at the top and in messages."""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE, FIELDS, OPENAI_ONLY
from archgw.simulate.rules.openai_messages import messages
from archgw.simulate.rules.rule import Rule, names

KNOWN = (FIELDS - OPENAI_ONLY) | names("reasoning_format include_reasoning service_tier search_settings metadata store")
MESSAGE_FIELDS = names("role content tool_calls tool_call_id reasoning refusal")


def known_fields(asked: Asked) -> None:
    for name in asked.body:
        if name not in KNOWN:
            raise Refused(f"property '{name}' is unsupported")
    for index, message in enumerate(messages(asked)):
        for name in set(message) - MESSAGE_FIELDS:
            raise Refused(
                f"'messages.{index}' : for 'role:{message.get('role')}' the following must be satisfied"
                f"[('messages.{index}' : property '{name}' is unsupported)]"
            )


def max_tokens(asked: Asked) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        wanted, most = asked.body.get(name), asked.model.max_output
        if wanted is not None and wanted > most:
            raise Refused(
                f"`{name}` must be less than or equal to `{most}`, the maximum value for `{name}` is less "
                "than "
                "the `context_window` for this model",
                param=name,
            )


UNSUPPORTED = ("logprobs", "logit_bias", "top_logprobs")


def unsupported(asked: Asked) -> None:
    """https://console.groq.com/docs/openai: "will result in a 400 error (yikes) if they are supplied"."""
    for name in UNSUPPORTED:
        if asked.body.get(name) is not None:
            raise Refused(f"property '{name}' is unsupported", param=name)
    if (asked.body.get("n") or 1) != 1:
        raise Refused("'n' : number must be at most 1", param="n")
    if asked.body.get("response_format") and asked.body.get("tools"):  # github.com/vercel/ai/pull/16540
        raise Refused("json mode cannot be combined with tool/function calling")
    if asked.body.get("reasoning_effort") and "no_effort" in asked.model.flags:
        raise Refused("`reasoning_effort` is not supported with this model", param="reasoning_effort")


def response_format(asked: Asked) -> None:
    """https://console.groq.com/docs/structured-outputs#supported-models."""
    if (asked.body.get("response_format") or {}).get("type") == "json_schema" and "llama-3" in asked.body["model"]:
        words = "This model does not support response format `json_schema`. See supported models at"
        raise Refused(f"{words} https://console.groq.com/docs/structured-outputs#supported-models")


GROQ: tuple[Rule, ...] = (response_format, known_fields, unsupported, *COMPATIBLE, max_tokens)
