"""How many tokens a request comes to, as a model of some family counts them; see `tokens` for texts.

What stands around the texts, and pictures, are counted by what the vendors publish, at the most that they say:

- OpenAI: 3 tokens a message and 3 for the reply's beginning (cookbook.openai.com, "How to count tokens with tiktoken");
  a picture is 85 and 170 for each tile of 512 pixels (platform.openai.com/docs/guides/images-vision).
- Anthropic: 346 tokens of instructions where there are tools, 530 on the oldest models
  (platform.claude.com/docs/en/agents-and-tools/tool-use/overview); a picture is width x height / 750, at most about
  1,600, and 4,784 on the models that see in high resolution (.../build-with-claude/vision); a page of a PDF is up to
  3,000 tokens of text and a picture (.../build-with-claude/pdf-support).
- Mistral: a token for 16 x 16 pixels, of 1,024 x 1,024 at most (docs.mistral.ai/capabilities/vision).

OpenAI's small models multiply what a picture costs (gpt-4o-mini by 33, for the same money); that is not in here.
"""

import base64
import binascii
import json
import math
import re
import struct
from collections.abc import Iterable

from router_service import tokens
from router_service.conversation import (
    Conversation,
    Document,
    Image,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_PER_REQUEST, _PER_MESSAGE, _PER_TOOL, _PER_CALL = 3, 4, 8, 8
_TOOL_INSTRUCTIONS = {"claude": 530, "claude-4.7": 530, "any": 530}
_TOOL_INSTRUCTIONS_ELSEWHERE = 60  # what chat templates of open models say about tools
_MOST_PER_IMAGE = {
    "claude": 1_600,
    "claude-4.7": 4_784,
    "any": 4_784,
    "gemini": 3_096,
    "mistral": 4_160,
    "o200k": 1_445,
}
_PER_PAGE = 3_000
_BYTES_PER_PAGE = 5_000  # of a PDF whose pages are packed away: a page of text alone is seldom smaller
_MOST_PAGES = 600  # more of them nobody takes
_HEADER = 4 * 16_384  # base64 letters in which a JPEG's dimensions are looked for
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def estimate(conversation: Conversation, family: str = "any") -> int:
    """Input tokens of the request, hardly ever too few; `family` is one of `tokens.FAMILIES`."""
    parts = [part for message in conversation.messages for part in _flat(message.parts)]
    overhead = _PER_REQUEST + _PER_MESSAGE * (len(conversation.messages) + bool(conversation.system))
    overhead += _PER_CALL * sum(isinstance(part, ToolCall | ToolResult) for part in _outer(conversation))
    if conversation.tools:
        overhead += _PER_TOOL * len(conversation.tools)
        overhead += _TOOL_INSTRUCTIONS.get(family, _TOOL_INSTRUCTIONS_ELSEWHERE)
    seen = sum(_seen(part, family) for part in parts)
    return overhead + seen + tokens.estimate(*_texts(conversation, parts), family=family)


def image_tokens(size: tuple[int, int] | None, family: str) -> int:
    """What a picture of (width, height) pixels costs; the most that one may where nobody knows how large it is."""
    most = _MOST_PER_IMAGE.get(family, 4_784)
    if not size or not all(size):
        return most
    if family == "o200k":
        return min(most, _tiles(*size))
    if family == "claude":
        return min(most, _area(*size, longest=1_568))
    if family == "claude-4.7":
        return min(most, _area(*size, longest=2_576))
    return min(most, max(_tiles(*size), _patches(*size), _area(*size, longest=2_576)))


def image_size(data: str) -> tuple[int, int] | None:
    """(width, height) in pixels out of base64 of a PNG, GIF, WebP or JPEG; None where it does not say."""
    head = _decoded(data[:_HEADER])
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", head, 16)
            return width, height
        if head.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", head, 6)
            return width, height
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return _webp_size(head)
        if head.startswith(b"\xff\xd8"):
            return _jpeg_size(head)
    except (struct.error, IndexError):  # the file ends within its header
        return None
    return None


def pages(data: str) -> int:
    """The pages of a PDF in base64, by its page objects; where these are packed away, a guess by its size."""
    document = _decoded(data)
    found = len(_PAGE.findall(document)) or math.ceil(len(document) / _BYTES_PER_PAGE)
    return max(1, min(found, _MOST_PAGES))


def _texts(conversation: Conversation, parts: list[Part]) -> Iterable[str]:
    yield from (part.text for part in conversation.system)
    for tool in conversation.tools:
        yield tool.name
        yield tool.description
        yield _compact(tool.freeform or tool.schema)
    if conversation.output_schema and conversation.output_schema.schema:
        yield _compact(conversation.output_schema.schema)
    for part in parts:
        match part:
            case Text(text) | Thinking(text):
                yield text
            case Document(text=text, title=title):
                yield title
                yield text
            case ToolCall(name=name, arguments=arguments):
                yield name
                yield arguments
            case Opaque(raw=raw):
                yield _compact(raw)


def _outer(conversation: Conversation) -> Iterable[Part]:
    return (part for message in conversation.messages for part in message.parts)


def _flat(parts: tuple[Part, ...]) -> list[Part]:
    return [inner for part in parts for inner in (part.parts if isinstance(part, ToolResult) else (part,))]


def _seen(part: Part, family: str) -> int:
    match part:
        case Image(data=data):
            return image_tokens(image_size(data), family)
        case Document(data=data, url=url) if data or url:
            return (pages(data) if data else 1) * (_PER_PAGE + image_tokens(None, family))
    return 0


def _tiles(width: int, height: int) -> int:
    """OpenAI: fit into 2,048 pixels, then the short side to 768; tiles of 512."""
    scale = min(1, 2_048 / max(width, height))
    scale *= min(1, 768 / max(1, min(width, height) * scale))
    return 85 + 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


def _area(width: int, height: int, *, longest: int) -> int:
    """Anthropic: fit the long side, then a token for 750 pixels."""
    scale = min(1, longest / max(width, height))
    return math.ceil(width * height * scale**2 / 750)


def _patches(width: int, height: int) -> int:
    """Mistral: fit into 1,024 pixels; a token for 16 x 16 of them, and one at each row's end."""
    scale = min(1, 1_024 / max(width, height))
    return (math.ceil(width * scale / 16) + 1) * math.ceil(height * scale / 16)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """developers.google.com/speed/webp/docs/riff_container: three kinds of frame, three places."""
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low = int.from_bytes(head[24:27], "little"), int.from_bytes(head[27:30], "little")
            return (low[0] + 1, low[1] + 1) if len(head) >= 30 else None
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """From segment to segment to the frame's header (ITU T.81, B.2.2)."""
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _decoded(data: str) -> bytes:
    """As much of it as is base64."""
    try:
        return base64.b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
