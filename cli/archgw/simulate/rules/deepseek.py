"""What DeepSeek refuses: it ignores what it does not know, and says no as Rust's serde does."""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.openai_messages import calls, messages, parts
from archgw.simulate.rules.rule import Rule

DESERIALIZE = "Failed to deserialize the JSON body into the target type: "


def roles(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            raise Refused(
                f"{DESERIALIZE}messages[{index}].role: unknown variant `{message.get('role')}`, expected one "
                "of "
                "`system`, `user`, `assistant`, `tool` at line 1 column 1",
                status=422,
            )


def only_text(asked: Asked) -> None:
    for place, _, part in parts(asked):
        seen = part.get("type") == "image_url" and "no_images" not in asked.model.flags
        if part.get("type") != "text" and not seen:
            raise Refused(
                f"{DESERIALIZE}{place.split('.')[0]}: unknown variant `{part.get('type')}`, expected `text` "
                "at "
                "line 1 column 1"
            )


def max_tokens(asked: Asked) -> None:
    wanted, most = asked.body.get("max_tokens"), asked.model.max_output
    if wanted is not None and not 1 <= wanted <= most:
        raise Refused(f"Invalid max_tokens value, the valid range of max_tokens is [1, {most}]")


def no_empty_tools(asked: Asked) -> None:
    if asked.body.get("tools") == []:
        raise Refused("[] is too short - 'tools'")


def thinking(asked: Asked) -> None:
    """On by default: github.com/deepseek-ai/DeepSeek-V3/issues/1376, api-docs.deepseek.com/guides/thinking_mode"""
    if "wants_thoughts" not in asked.model.flags or (asked.body.get("thinking") or {}).get("type") == "disabled":
        return
    if asked.body.get("tool_choice") not in (None, "auto", "none"):
        raise Refused("Thinking mode does not support this tool_choice")
    for message in messages(asked):
        if calls(message) and not message.get("reasoning_content"):
            raise Refused("The `reasoning_content` in the thinking mode must be passed back to the API.")


def response_format(asked: Asked) -> None:
    if (asked.body.get("response_format") or {}).get("type") == "json_schema":
        raise Refused("This response_format type is unavailable now")


DEEPSEEK: tuple[Rule, ...] = (response_format, roles, only_text, no_empty_tools, *COMPATIBLE, thinking, max_tokens)
