"""What OpenRouter refuses: what none of a model's hosts can do.

Its words: github.com/evalstate/fast-agent/issues/122 (tools), github.com/github/app/issues/2163 (images).
"""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.openai_messages import parts
from archgw.simulate.rules.rule import Rule


def endpoints(asked: Asked) -> None:
    if "no_tools" in asked.model.flags and asked.body.get("tools"):
        words = "No endpoints found that support tool use. To learn more about provider routing, visit: "
        raise Refused(f"{words}https://openrouter.ai/docs/provider-routing", status=404)
    if "no_images" in asked.model.flags and any(part.get("type") == "image_url" for _, _, part in parts(asked)):
        raise Refused("No endpoints found that support image input", status=404)


OPENROUTER: tuple[Rule, ...] = (endpoints, *COMPATIBLE)
