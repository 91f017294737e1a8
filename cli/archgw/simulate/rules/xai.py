"""What xAI refuses: stop sequences and penalties for models that reason, which Grok 4 always does, and often an effort.

Its words about an effort: github.com/BerriAI/litellm/pull/16265.
"""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule


def arguments(asked: Asked) -> None:
    for name in ("stop", "presence_penalty", "frequency_penalty"):
        if "no_stop" in asked.model.flags and asked.body.get(name) is not None:
            raise Refused(f"Argument not supported on this model: {name}")


def effort(asked: Asked) -> None:
    if "no_effort" in asked.model.flags and asked.body.get("reasoning_effort") is not None:
        raise Refused(f"Model {asked.body['model']} does not support parameter reasoningEffort.")


XAI: tuple[Rule, ...] = (arguments, effort, *COMPATIBLE)
