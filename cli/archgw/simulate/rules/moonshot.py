"""What Moonshot refuses: a temperature of one's own, a forced tool while Kimi thinks, calls without what was thought.

Its words as users quote them: github.com/NousResearch/hermes-agent/pull/12668 (temperature),
github.com/iOfficeAI/gemini-cli-pro/pull/30 (top_p), github.com/UKGovernmentBEIS/inspect_ai/pull/5152 (tool_choice),
github.com/HKUDS/nanobot/issues/3939 (effort), github.com/mastra-ai/mastra/issues/12592 (reasoning_content).
"""

from archgw.simulate.openai_wire import pieces
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.openai_messages import calls, messages
from archgw.simulate.rules.rule import Rule
from archgw.simulate.tokens import total

ONLY = {"temperature": 1, "top_p": 0.95}


def sampling(asked: Asked) -> None:
    for name, only in ONLY.items():
        value = asked.body.get(name)
        if "fixed_sampling" in asked.model.flags and value not in (None, only):
            raise Refused(f"invalid {name}: only {only} is allowed for this model")
    if (asked.body.get("temperature") or 0) > 1:
        raise Refused("invalid temperature: must be less than or equal to 1")


def thinks(asked: Asked) -> bool:
    return "wants_thoughts" in asked.model.flags and (asked.body.get("thinking") or {}).get("type") != "disabled"


def thinking(asked: Asked) -> None:
    if asked.body.get("thinking") and asked.body.get("reasoning_effort"):
        raise Refused("cannot specify both 'thinking' and 'reasoning_effort'")
    if "always_thinks" in asked.model.flags and (asked.body.get("thinking") or {}).get("type") == "disabled":
        raise Refused("invalid thinking: only type=enabled is allowed for this model")


def forced(asked: Asked) -> None:
    choice = asked.body.get("tool_choice")
    word = "specified" if isinstance(choice, dict) else choice
    allowed = ("required",) if "forces_any" in asked.model.flags else ()
    if thinks(asked) and word in ("specified", "required") and word not in allowed:
        raise Refused(f"tool_choice '{word}' is incompatible with thinking enabled")


def thoughts(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        if thinks(asked) and calls(message) and not message.get("reasoning_content"):
            raise Refused(
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {index}"
            )


def context(asked: Asked) -> None:
    wanted = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens") or 0
    if total(pieces(asked.body)) + wanted > asked.model.context:
        raise Refused(f"Invalid request: Your request exceeded model token limit: {asked.model.context}")


MOONSHOT: tuple[Rule, ...] = (sampling, thinking, forced, thoughts, context, *COMPATIBLE)
