"""What a whole request comes to: its texts, what stands around them, pictures and documents."""

import base64
import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_service import counting, tokens
from router_service.conversation import (
    Conversation,
    Document,
    Image,
    Message,
    Opaque,
    OutputSchema,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 800, 600)
GIF = b"GIF89a" + struct.pack("<HH", 800, 600)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 600, 800)
VP8 = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 800, 600)
VP8L = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 799 | 599 << 14)
VP8X = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + (799).to_bytes(3, "little") + (599).to_bytes(3, "little")
PROSE = "The gateway asks the next model when the first one fails. " * 20
WEATHER = Tool("get_weather", "Tells the weather of a city.", {"type": "object", "properties": {"city": {}}})


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def saying(*parts: Part) -> Conversation:
    return Conversation("m", (Message("user", parts),))


@pytest.mark.parametrize("data", [PNG, GIF, JPEG, VP8, VP8L, VP8X], ids=["png", "gif", "jpeg", "vp8", "vp8l", "vp8x"])
def test_a_picture_says_how_large_it_is(data: bytes) -> None:
    assert counting.image_size(encoded(data)) == (800, 600)


@pytest.mark.parametrize("data", [PNG[:18], GIF[:8], JPEG[:12], VP8[:27], VP8L[:22], VP8X[:28], b"", b"<svg/>"])
def test_a_picture_cut_off_does_not(data: bytes) -> None:
    assert counting.image_size(encoded(data)) is None


@given(st.binary(max_size=40), st.sampled_from([PNG[:8], GIF[:6], JPEG[:2], VP8[:16], VP8L[:16], VP8X[:16]]))
def test_any_bytes_are_read(rest: bytes, start: bytes) -> None:
    counting.image_size(encoded(start + rest))


@pytest.mark.parametrize(
    ("size", "family", "cost"),
    [
        ((1024, 1024), "o200k", 85 + 170 * 4),  # OpenAI's own examples
        ((2048, 4096), "o200k", 85 + 170 * 6),
        ((1000, 1000), "claude", 1334),  # Anthropic's
        ((200, 200), "claude", 54),
        ((8000, 8000), "claude", 1600),
        ((8000, 8000), "claude-4.7", 4784),
        ((1024, 1024), "mistral", 65 * 64),
        (None, "o200k", 1445),
        (None, "any", 4784),
        ((0, 5), "any", 4784),
    ],
)
def test_a_picture_costs_what_its_vendor_says(size: tuple[int, int] | None, family: str, cost: int) -> None:
    assert counting.image_tokens(size, family) == cost


def test_the_pages_of_a_document_are_counted() -> None:
    three = b"%PDF-1.4 << /Type /Pages /Count 3 >> " + b"<< /Type /Page >> <</Type/Page/Parent 1 0 R>> " * 3
    assert counting.pages(encoded(three)) == 6
    assert counting.pages(encoded(b"%PDF-1.7 packed" + bytes(20_000))) == 5
    assert counting.pages("") == 1


@pytest.mark.parametrize(
    "part",
    [
        Text(PROSE),
        Thinking(PROSE),
        Document(text=PROSE),
        ToolCall("1", "say", json.dumps({"words": PROSE})),
        ToolResult("1", (Text(PROSE),)),
        Opaque("anthropic_messages", "search_result", {"type": "search_result", "text": PROSE}),
    ],
    ids=lambda part: type(part).__name__,
)
@pytest.mark.parametrize("family", tokens.FAMILIES)
def test_every_part_with_words_counts_them(part: Part, family: str) -> None:
    words = tokens.estimate(PROSE, family=family)
    assert words <= counting.estimate(saying(part), family) <= words + 50


@pytest.mark.parametrize("part", [Image("image/png", encoded(PNG)), Image(url="https://x.y/z.png")])
def test_a_picture_in_a_result_counts_as_one_in_a_message(part: Image) -> None:
    shown, returned = counting.estimate(saying(part)), counting.estimate(saying(ToolResult("1", (part,))))
    assert 500 < shown <= returned <= shown + 10


def test_a_pdf_counts_its_pages_and_a_linked_one_a_page() -> None:
    page = counting.estimate(saying(Document(url="https://x.y/z.pdf")), "claude")
    assert 4_600 <= page <= 4_700
    two = Document("application/pdf", encoded(b"%PDF <</Type/Page>> <</Type/Page>>"))
    assert counting.estimate(saying(two), "claude") - page == 4_600


def test_tools_bring_claude_its_instructions() -> None:
    bare, equipped = saying(Text("hi")), replace(saying(Text("hi")), tools=(WEATHER,))
    added = {
        family: counting.estimate(equipped, family) - counting.estimate(bare, family) for family in tokens.FAMILIES
    }
    assert added["claude"] > 530
    assert 30 < added["o200k"] < 120
    assert max(added.values()) == added["any"]


def test_a_schema_for_the_answer_counts() -> None:
    bare = saying(Text("hi"))
    held = replace(bare, output_schema=OutputSchema("answer", {"type": "object", "description": PROSE}))
    assert counting.estimate(held) > counting.estimate(bare) + 200


def test_any_is_the_most_of_all() -> None:
    asked = replace(saying(Text(PROSE), Image(data=encoded(PNG))), tools=(WEATHER,), system=(Text(PROSE),))
    counts = {family: counting.estimate(asked, family) for family in tokens.FAMILIES}
    assert max(counts.values()) == counts["any"]
