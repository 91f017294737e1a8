"""What Together refuses: more tokens, in and out, than the window holds, as text-generation-inference does.

Its words: github.com/bytedance/UI-TARS-desktop/issues/626.
"""

from archgw.simulate.openai_wire import pieces
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule
from archgw.simulate.tokens import total


def window(asked: Asked) -> None:
    used, most = total(pieces(asked.body)), asked.model.context
    wanted = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens") or 0
    if used + wanted > most:
        raise Refused(
            f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {most}. Given: {used} `inputs` "
            f"tokens and {wanted} `max_new_tokens`",
            status=422,
        )


TOGETHER: tuple[Rule, ...] = (window, *COMPATIBLE)
