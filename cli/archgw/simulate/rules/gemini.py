"""What Google's OpenAI endpoint refuses: names that its protocol buffers do not have."""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE, FIELDS, OPENAI_ONLY
from archgw.simulate.rules.rule import Rule, names

KNOWN = (FIELDS - OPENAI_ONLY - names("parallel_tool_calls logit_bias")) | {"extra_body"}


def known_fields(asked: Asked) -> None:
    for name in asked.body:
        if name not in KNOWN:
            raise Refused(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')


GEMINI: tuple[Rule, ...] = (known_fields, *COMPATIBLE)
