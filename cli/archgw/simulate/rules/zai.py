"""What Z.ai refuses: any choice of a tool but auto, two stop words, heat; nearly always without saying what it was.

docs.z.ai/api-reference/llm/chat-completion; the code is the one that users quote (github.com/cline/cline/issues/9939),
the words about messages are from github.com/anomalyco/opencode/issues/2557.
"""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.openai_messages import messages
from archgw.simulate.rules.rule import Rule

EFFORTS = ("low", "high", "max")


def invalid() -> Refused:
    return Refused("Invalid API parameter, please check the documentation.", code="1210")


def parameters(asked: Asked) -> None:
    body = asked.body
    stops = body.get("stop")
    if body.get("tool_choice") not in (None, "auto"):
        raise invalid()
    if isinstance(stops, list) and len(stops) > 1:
        raise invalid()
    if not 0 <= (body.get("temperature") or 0) <= 1:
        raise invalid()
    if "three_efforts" in asked.model.flags and body.get("reasoning_effort") not in (None, *EFFORTS):
        raise invalid()


def max_tokens(asked: Asked) -> None:
    wanted, most = asked.body.get("max_tokens"), asked.model.max_output
    if wanted is not None and not 1 <= wanted <= most:
        raise Refused(f"max_tokens is out of range, the valid range is [1,{most}]", code="1210")


def somebody_speaks(asked: Asked) -> None:
    if not any(message.get("role") in ("user", "tool") for message in messages(asked)):
        raise Refused("The messages parameter is illegal. Please check the documentation.", code="1214")


ZAI: tuple[Rule, ...] = (parameters, max_tokens, somebody_speaks, *COMPATIBLE)
