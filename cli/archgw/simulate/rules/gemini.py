"""What Google's OpenAI endpoint refuses: names that its protocol buffers do not have."""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE, FIELDS, OPENAI_ONLY
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.signature import verify
from archgw.simulate.wire import listed

KNOWN = (FIELDS - OPENAI_ONLY - names("parallel_tool_calls logit_bias")) | {"extra_body"}


def known_fields(asked: Asked) -> None:
    for name in asked.body:
        if name not in KNOWN:
            raise Refused(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')


UNSIGNED = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


def signatures(asked: Asked) -> None:
    """Of each message that calls, the first call: as it was signed, or with the word for calls from elsewhere."""
    if "signs_calls" not in asked.model.flags:
        return
    for index, message in enumerate(listed(asked.body.get("messages"))):
        for call in listed(message.get("tool_calls"))[:1]:
            name = call["function"]["name"]
            given = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
            if not given:
                raise Refused(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                    f"work correctly, and missing thought_signature may lead to degraded model performance. Function "
                    f"call `{name}`, position {index}.",
                )
            if given not in UNSIGNED and not verify(name, given):
                raise Refused("Thought signature is not valid.")


def schema_alone(asked: Asked) -> None:
    """github.com/googleapis/js-genai/issues/601"""
    if asked.body.get("tools") and (asked.body.get("response_format") or {}).get("type") not in (None, "text"):
        raise Refused("Function calling with a response mime type: 'application/json' is unsupported")


GEMINI: tuple[Rule, ...] = (known_fields, schema_alone, *COMPATIBLE, signatures)
