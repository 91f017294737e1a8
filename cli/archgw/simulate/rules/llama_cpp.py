"""What llama.cpp's server refuses: tools where it was started without --jinja, and more than its context holds.

Its words: github.com/containers/ramalama/issues/988 (tools), and its own source (tools/server).
"""

from archgw.simulate.openai_wire import pieces
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule
from archgw.simulate.tokens import total


def tools(asked: Asked) -> None:
    if "no_parser" in asked.model.flags and asked.body.get("tools"):
        raise Refused("tools param requires --jinja flag", status=500, kind="server_error", code="500")


def window(asked: Asked) -> None:
    used, most = total(pieces(asked.body)), asked.model.context
    if used > most:
        raise Refused(
            f"request ({used} tokens) exceeds the available context size ({most} tokens), try increasing it",
            kind="exceed_context_size_error",
            code="400",
        )


LLAMA_CPP: tuple[Rule, ...] = (tools, window, *COMPATIBLE)
