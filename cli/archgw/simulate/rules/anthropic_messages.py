"""What Anthropic refuses in messages: roles, kinds of blocks, empty texts, images, cache marks."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.rules.anthropic_blocks import Block, blocks, blocks_of, messages
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.wire import listed


def some_messages(asked: Asked) -> None:
    if not asked.body["messages"]:
        raise Refused("messages: at least one message is required")
    for index, message in enumerate(asked.body["messages"]):
        if not isinstance(message, dict):
            raise Refused(f"messages.{index}: Input should be a valid dictionary or object to extract fields from")
        for name in ("role", "content"):
            if name not in message:
                raise Refused(f"messages.{index}.{name}: Field required")
        for name in set(message) - {"role", "content"}:
            gates = SYSTEM_FIELDS.get(name, ()) if message["role"] == "system" else ()
            if not any(asked.beta(gate) for gate in gates):
                raise Refused(f"messages.{index}.{name}: Extra inputs are not permitted")


# Seen in Claude Code 2.1.330, which asks for an effort by turn; clear_at is in Anthropic's SDK 2.12.
SYSTEM_FIELDS = {
    "output_config": ("per-turn-control-", "mid-conversation-output-config-"),
    "clear_at": ("mid-conversation-system-clear-at-",),
}


def roles(asked: Asked) -> None:
    for index, message in enumerate(messages(asked)):
        role = message["role"]
        if role == "system" and "system_messages" not in asked.model.flags:
            raise Refused(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                "parameter, "
                'not "system" as an input message role.'
            )
        if role not in ("user", "assistant", "system"):
            raise Refused(f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".')
        if index == 0 and role != "user":
            raise Refused('messages: first message must use the "user" role')


def content(asked: Asked) -> None:
    last = len(messages(asked)) - 1
    for index, message in enumerate(messages(asked)):
        value = message["content"]
        if not isinstance(value, str | list):
            raise Refused(f"messages.{index}.content: Input should be a valid list")
        if value or (message["role"] == "system" and message.get("output_config")):
            continue  # the beta per-turn-control: Claude Code 2.1.330 sets the effort anew and says nothing
        if message["role"] == "user":
            raise Refused(f"messages.{index}: user messages must have non-empty content")
        if index != last:
            raise Refused(
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )


def prefill(asked: Asked) -> None:
    last = messages(asked)[-1]
    if last["role"] != "assistant":
        return
    if "no_prefill" in asked.model.flags:
        raise Refused(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    words = [block for block in blocks_of(0, last) if block.kind == "text"]
    if words and str(words[-1].raw.get("text")).rstrip() != words[-1].raw.get("text"):
        raise Refused("messages: final assistant content cannot end with trailing whitespace")


# -- blocks --------------------------------------------------------------------------------

# The roles it may come from, the fields it must have, the fields it may have.
BLOCKS: dict[str, tuple[str, str, str]] = {
    "text": ("user assistant system", "text", "cache_control citations"),
    "image": ("user", "source", "cache_control transformations"),
    "document": ("user", "source", "cache_control citations context title"),
    "search_result": ("user", "content source title", "cache_control citations"),
    "thinking": ("assistant", "thinking signature", ""),
    "redacted_thinking": ("assistant", "data", ""),
    "tool_use": ("assistant", "id input name", "cache_control caller toolset_name"),
    "tool_result": ("user", "tool_use_id", "cache_control content is_error toolset_name"),
    "container_upload": ("user", "file_id", "cache_control"),
}
SERVER_BLOCK = re.compile(r"server_tool_use|\w+_tool_result|mcp_tool_use|tool_addition|tool_removal|compaction")
# these depend on betas too many to follow: taken as they come


def known_blocks(asked: Asked) -> None:
    for block in blocks(asked):
        if SERVER_BLOCK.fullmatch(block.kind):
            continue
        if block.kind not in BLOCKS:
            raise Refused(
                f"{block.place}: Input tag '{block.kind}' found using 'type' does not match any of the "
                "expected "
                f"tags: {', '.join(repr(kind) for kind in sorted(BLOCKS))}"
            )
        allowed, required, optional = BLOCKS[block.kind]
        if block.role not in allowed.split():
            index = block.place.split(".")[1]
            raise Refused(f"messages.{index}: `{block.kind}` blocks can only be in `{allowed}` messages")
        check_fields(block, required.split(), optional.split())


STRINGS = names("text thinking signature data id name tool_use_id title file_id")


def check_fields(block: Block, required: list[str], optional: list[str]) -> None:
    for name in required:
        if name not in block.raw:
            raise Refused(f"{block.place}.{block.kind}.{name}: Field required")
        if name in STRINGS and not isinstance(block.raw[name], str):
            raise Refused(f"{block.place}.{block.kind}.{name}: Input should be a valid string")
    for name in set(block.raw) - {"type", *required, *optional}:
        raise Refused(f"{block.place}.{block.kind}.{name}: Extra inputs are not permitted")


def texts(asked: Asked) -> None:
    system = asked.body.get("system")
    for index, raw in enumerate(listed(system)):
        if not raw.get("text"):
            raise Refused("system: text content blocks must be non-empty")
        for name in set(raw) - {"type", "text", "cache_control", "citations"}:
            raise Refused(f"system.{index}.{name}: Extra inputs are not permitted")
    for block in blocks(asked):
        if block.kind == "text" and block.raw.get("text") == "":
            raise Refused("messages: text content blocks must be non-empty")
        if block.kind == "text" and not str(block.raw.get("text")).strip():
            raise Refused("messages: text content blocks must contain non-whitespace text")


CITATIONS = {
    "char_location": "document_index start_char_index end_char_index",
    "page_location": "document_index start_page_number end_page_number",
    "content_block_location": "document_index start_block_index end_block_index",
    "web_search_result_location": "encrypted_index url",
    "search_result_location": "search_result_index source start_block_index end_block_index",
}


def citations(asked: Asked) -> None:
    """Those of the web refer to what Anthropic had found itself, and are checked against it."""
    for block in blocks(asked):
        if block.kind != "text":
            continue
        for at, raw in enumerate(listed(block.raw.get("citations"))):
            place, kind = f"{block.place}.text.citations.{at}", str(raw.get("type"))
            if kind not in CITATIONS:
                tags = ", ".join(repr(tag) for tag in CITATIONS)
                raise Refused(
                    f"{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
                )
            for name in ("cited_text", *CITATIONS[kind].split()):
                if name not in raw:
                    raise Refused(f"{place}.{kind}.{name}: Field required")
            if not raw.get("encrypted_index", "x") or str(raw.get("encrypted_index")).startswith("archgw"):
                raise Refused(f"{place}.{kind}.encrypted_index: Invalid encrypted_index")


def result_contents(asked: Asked) -> None:
    for block in blocks(asked):
        if block.kind != "tool_result":
            continue
        for at, raw in enumerate(listed(block.raw.get("content"))):
            kind = raw.get("type")
            if kind not in RESULT_CONTENTS:
                raise Refused(
                    f"{block.place}.tool_result.content.{at}: Input tag '{kind}' found using 'type' does not "
                    "match "
                    f"any of the expected tags: {', '.join(repr(tag) for tag in RESULT_CONTENTS)}"
                )
            if kind == "text" and raw.get("text") == "":
                raise Refused("messages: text content blocks must be non-empty")


RESULT_CONTENTS = ("document", "image", "search_result", "text", "tool_reference")


# -- images and documents -------------------------------------------------------------------

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
MAGIC = {
    b"\xff\xd8\xff": IMAGE_TYPES[0],
    b"\x89PNG": IMAGE_TYPES[1],
    b"GIF8": IMAGE_TYPES[2],
    b"RIFF": IMAGE_TYPES[3],
}


def media(asked: Asked) -> None:
    for block in blocks(asked):
        inner = listed(block.raw.get("content")) if block.kind == "tool_result" else []
        for raw in (block.raw, *inner):
            if raw.get("type") in ("image", "document"):
                check_source(block.place, str(raw["type"]), raw.get("source"))


def check_source(place: str, kind: str, source: Any) -> None:
    if not isinstance(source, dict) or str(source.get("type")) not in SOURCES:
        raise Refused(f"{place}.{kind}.source: Input should be a valid dictionary or object to extract fields from")
    place = f"{place}.{kind}.source.{source['type']}"
    for name in SOURCES[source["type"]]:
        if name not in source:
            raise Refused(f"{place}.{name}: Field required")
    if source["type"] == "base64":
        check_base64(place, kind, str(source["media_type"]), str(source["data"]))


SOURCES = {
    "base64": ("media_type", "data"),
    "url": ("url",),
    "file": ("file_id",),
    "text": ("data",),
    "content": (),
}


def check_base64(place: str, kind: str, media_type: str, data: str) -> None:
    if kind == "image" and media_type not in IMAGE_TYPES:
        raise Refused(f"{place}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'")
    if kind == "document" and media_type != "application/pdf":
        raise Refused(f"{place}.media_type: Input should be 'application/pdf'")
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{place}: invalid base64 data") from None
    looks = next((name for magic, name in MAGIC.items() if raw.startswith(magic)), media_type)
    if kind == "image" and looks != media_type:
        raise Refused(
            f"{place.removesuffix('.source.base64')}: The image was specified using the {media_type} media "
            "type, "
            f"but the image appears to be a {looks} image"
        )


# -- cache --------------------------------------------------------------------------------


def cache_marks(body: Json) -> Iterator[tuple[str, Json]]:
    places = [("system", body.get("system")), ("tools", body.get("tools"))]
    places += [
        (f"messages.{index}.content", message.get("content"))
        for index, message in enumerate(listed(body.get("messages")))
    ]
    for place, content in places:
        for at, raw in enumerate(listed(content)):
            if isinstance(raw.get("cache_control"), dict):
                yield f"{place}.{at}", raw["cache_control"]


def cache_control(asked: Asked) -> None:
    marks = list(cache_marks(asked.body))
    for place, mark in marks:
        if mark.get("type") != "ephemeral":
            raise Refused(f"{place}.cache_control.type: Input should be 'ephemeral'")
        if mark.get("ttl", "5m") not in ("5m", "1h"):
            raise Refused(f"{place}.cache_control.ttl: Input should be '5m' or '1h'")
    if len(marks) > 4:
        raise Refused(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}.")


MESSAGES: tuple[Rule, ...] = (
    some_messages,
    roles,
    content,
    known_blocks,
    texts,
    citations,
    result_contents,
    prefill,
    media,
    cache_control,
)
