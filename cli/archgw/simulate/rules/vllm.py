"""What vLLM refuses: tools where the server was started without a parser for them, and more than its window holds.

Its words: github.com/langchain4j/langchain4j/issues/3475 (tools), and those of OpenAI before GPT-5 (window).
"""

from archgw.simulate.openai_wire import pieces
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule
from archgw.simulate.tokens import total


def tools(asked: Asked) -> None:
    chosen = asked.body.get("tool_choice", "auto")
    if "no_parser" in asked.model.flags and asked.body.get("tools") and chosen == "auto":
        words = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        raise Refused(words, kind="BadRequestError", code="400")


def window(asked: Asked) -> None:
    used, most = total(pieces(asked.body)), asked.model.context
    wanted = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens") or 0
    if used + wanted > most:
        raise Refused(
            f"This model's maximum context length is {most} tokens. However, you requested {used + wanted} tokens "
            f"({used} in the messages, {wanted} in the completion). Please reduce the length of the messages or "
            "completion.",
            kind="BadRequestError",
            code="400",
        )


VLLM: tuple[Rule, ...] = (tools, window, *COMPATIBLE)
