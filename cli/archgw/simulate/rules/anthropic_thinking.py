"""What Anthropic refuses about thinking and effort: which model, which budget, what else, whose signature."""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.anthropic_blocks import blocks, turns
from archgw.simulate.rules.rule import Rule
from archgw.simulate.signature import verify

DOCS = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"


def thinking_kind(asked: Asked) -> str:
    return str((asked.body.get("thinking") or {}).get("type", ""))


def thinking_supported(asked: Asked) -> None:
    kind, flags = thinking_kind(asked), asked.model.flags
    if asked.body.get("thinking") is None or kind == "disabled":
        return
    if kind not in ("enabled", "adaptive"):
        raise Refused(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'disabled', 'enabled'"
        )
    if not flags & {"thinking_budget", "thinking_adaptive"}:
        raise Refused(f"'{asked.body['model']}' does not support thinking.")
    if kind == "adaptive" and "thinking_adaptive" not in flags:
        raise Refused("adaptive thinking is not supported on this model")
    if kind == "enabled" and "thinking_budget" not in flags:
        raise Refused(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )


THINKING_FIELDS = {
    "enabled": {"type", "budget_tokens", "display"},
    "adaptive": {"type", "display"},
    "disabled": {"type"},
}


def thinking_fields(asked: Asked) -> None:
    kind, given = thinking_kind(asked), asked.body.get("thinking") or {}
    for name in set(given) - THINKING_FIELDS.get(kind, set(given)):
        raise Refused(f"thinking.{kind}.{name}: Extra inputs are not permitted")
    displays = [None, "summarized", "omitted"]
    if asked.beta("thinking-display-updates-"):
        displays.append("updates")
    if given.get("display") not in displays:
        raise Refused(f"thinking.{kind}.display: Input should be 'summarized' or 'omitted'")


def thinking_budget(asked: Asked) -> None:
    if thinking_kind(asked) != "enabled":
        return
    budget = asked.body["thinking"].get("budget_tokens")
    if not isinstance(budget, int):
        raise Refused("thinking.enabled.budget_tokens: Field required")
    if budget < 1024:
        raise Refused("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget >= asked.body.get("max_tokens", budget + 1):
        raise Refused(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            f"{DOCS}#max-tokens-and-context-window-size-considerations"
        )


def thinking_company(asked: Asked) -> None:
    """What cannot be combined with thinking."""
    if thinking_kind(asked) not in ("enabled", "adaptive"):
        return
    if (asked.body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise Refused("Thinking may not be enabled when tool_choice forces tool use.")
    if asked.body.get("temperature") not in (None, 1):
        raise Refused(
            "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation "
            "at "
            f"{DOCS}#important-considerations-when-using-extended-thinking"
        )
    if asked.body.get("top_k") is not None:
        raise Refused(f"`top_k` must be unset when thinking is enabled. Please consult our documentation at {DOCS}")
    if asked.body.get("top_p") is not None and asked.body["top_p"] < 0.95:
        raise Refused("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")


def effort(asked: Asked) -> None:
    given = asked.body.get("output_config") or {}
    for name in set(given) - {"effort", "format", "task_budget"}:
        raise Refused(f"output_config.{name}: Extra inputs are not permitted")
    if given.get("effort") is None:
        return
    if "effort_beta" in asked.model.flags and not asked.beta("effort-"):
        raise Refused("output_config.effort: Extra inputs are not permitted")
    if not asked.model.flags & {"effort", "effort_beta"}:
        raise Refused("This model does not support the effort parameter.")
    if given["effort"] not in ("low", "medium", "high", "xhigh", "max"):
        raise Refused("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")


def signatures(asked: Asked) -> None:
    for block in blocks(asked):
        if block.kind == "thinking" and not verify(str(block.raw["thinking"]), str(block.raw["signature"])):
            raise Refused(f"{block.place}: Invalid `signature` in `thinking` block")


def thinking_first(asked: Asked) -> None:
    """With a thinking budget, no tool loop goes on that began without thinking; adaptive thinking allows it.

    Its further rounds need none: without interleaved thinking the model itself thinks at the start of a loop alone.
    """
    if (asked.body.get("thinking") or {}).get("type") != "enabled":
        return
    first = None
    for role, _, said in reversed(turns(asked)):
        if role == "user" and not any(block.kind == "tool_result" for block in said):
            break
        if role == "assistant" and any(block.kind == "tool_use" for block in said):
            first = said[0]
    if first is None:
        return
    if first.kind in ("thinking", "redacted_thinking"):
        return
    raise Refused(
        f"{first.place}.type: Expected `thinking` or `redacted_thinking`, but found `{first.kind}`. When "
        "`thinking` "
        "is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost "
        "set of "
        "`tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. "
        "To "
        "avoid this requirement, disable `thinking`. Please consult our documentation at "
        "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
    )


THINKING: tuple[Rule, ...] = (thinking_supported, thinking_fields, effort, signatures, thinking_first)
THINKING_LIMITS: tuple[Rule, ...] = (thinking_budget, thinking_company)
