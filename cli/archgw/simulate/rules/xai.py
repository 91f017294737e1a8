"""What xAI refuses: stop sequences and penalties for models that reason, which Grok 4 always does."""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule


def arguments(asked: Asked) -> None:
    for name in ("stop", "presence_penalty", "frequency_penalty"):
        if "no_stop" in asked.model.flags and asked.body.get(name) is not None:
            raise Refused(f"Argument not supported on this model: {name}")


XAI: tuple[Rule, ...] = (arguments, *COMPATIBLE)
