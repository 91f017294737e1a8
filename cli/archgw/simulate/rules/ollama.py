"""What Ollama refuses: tools for a model whose template has none. Of what it does not know it takes no notice.

Its words: github.com/pydantic/pydantic-ai/issues/703.
"""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule


def tools(asked: Asked) -> None:
    if "no_tools" in asked.model.flags and asked.body.get("tools"):
        raise Refused(f"registry.ollama.ai/library/{asked.body['model']} does not support tools", kind="api_error")


OLLAMA: tuple[Rule, ...] = (tools, *COMPATIBLE)
