"""What one vendor refuses and another may take: a window, eyes, hands, a state of reasoning, a size.

Such a refusal is nobody's failure and no mistake of the client's: whoever of the chain has what is lacking is asked.
Any other 400 is the client's own, and the same everywhere. The words are the vendors', as the simulated ones and the
issue trackers of the field have them.
"""

import re
from typing import Literal

from router_service.conversation import TOO_LONG, Failure
from router_service.needs import Needs, obstacle
from router_service.plan import Candidate

STATUSES = frozenset({400, 413, 422})  # by which vendors say that the request is what is wrong
Lack = Literal["window", "size", "images", "documents", "tools", "reasoning"]

WORDS: tuple[tuple[Lack, str], ...] = (
    ("window", rf"^{TOO_LONG}|^input length and `max_tokens` exceed context limit"),  # as every vendor's is told
    ("images", r"image_url is only supported by certain models"),  # OpenAI, Azure
    ("images", r"unknown variant `(image_url|image)`"),  # DeepSeek
    ("images", r"no endpoints found that support image input"),  # OpenRouter, as a 404
    ("images", r"image inputs? (modality )?(is|are) not (supported|enabled)"),  # llama.cpp, xAI, Mistral, Gemini
    ("images", r"models? (does not|doesn't|do not) support (image|vision|multimodal)"),  # Ollama, LM Studio, Bedrock
    ("images", r"at most 0 image\(?s?\)?|is not a multimodal model"),  # vLLM
    ("documents", r"unknown variant `(file|document)`|does(n't| not) support (pdf|document|file)"),
    ("tools", r"does not support (tools|function calling|tool use)"),  # Ollama, Together, Bedrock
    ("tools", r"no endpoints found that support tool use"),  # OpenRouter, as a 404
    ("tools", r"requires --enable-auto-tool-choice|tools param requires --jinja"),  # vLLM, llama.cpp (as a 500)
    ("reasoning", r"invalid `?(signature|data)`? in `?(redacted_)?thinking`? block"),  # Anthropic, Vertex, Bedrock
    ("reasoning", r"expected `thinking` or `redacted_thinking`, but found"),
    ("reasoning", r"`thinking` or `redacted_thinking` blocks .{0,60}cannot be modified"),
    ("reasoning", r"encrypted content .{0,80}could not be (verified|decrypted)"),  # OpenAI's Responses
    ("reasoning", r"thought signature is not valid|missing a `?thought_signature"),  # Gemini
    ("reasoning", r"reasoning_content.{0,60}(must be passed back|is missing)"),  # DeepSeek, Moonshot
)
_PATTERNS = tuple((lack, re.compile(words, re.IGNORECASE)) for lack, words in WORDS)
_TOLD = re.compile(r"(\d+)(?: \+ (\d+))?(?: tokens)? > \d+")
_NEEDS: dict[Lack, Needs] = {
    "images": Needs(images=True),
    "documents": Needs(documents=True),
    "tools": Needs(tools=True),
}


def lacking(failure: Failure) -> Lack | None:
    """What the vendor lacks by its own words; None where the request is what is wrong."""
    if failure.status == 413:
        return "size"
    return next((lack for lack, pattern in _PATTERNS if pattern.search(failure.message)), None)


def may_take(candidate: Candidate, lack: Lack, failure: Failure, refused_by: Candidate) -> bool:
    """Whether this one, after that one's refusal, is worth asking.

    A window must be known to be larger: some servers cut off what does not fit, and say nothing.
    """
    if lack == "window":
        window = candidate.facts.context
        return window is not None and window > max(_told(failure), refused_by.facts.context or 0)
    needed = _NEEDS.get(lack)
    return needed is None or not obstacle(candidate, needed)


def _told(failure: Failure) -> int:
    """The tokens that the vendor counted, the answer's included where it counted those; 0 where it did not say."""
    found = _TOLD.search(failure.message)
    return sum(int(number or 0) for number in found.groups()) if found else 0
