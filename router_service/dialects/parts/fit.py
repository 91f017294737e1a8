"""Making a conversation fit a target that takes less than the client asked for, and saying so."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from router_service import fast_json
from router_service.conversation import Conversation, Document, Image, Json, Message, Part, Text, ToolResult
from router_service.dialects.dialect import Target
from router_service.dialects.parts import vendor_tools

# Fields that change nothing about the answer, or that the target's own vendor takes care of.
UNMISSED = frozenset(
    {
        "betas", "cache_control", "client_metadata", "context_management", "diagnostics", "include", "inference_geo",
        "metadata", "namespaces", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
        "safeguards", "safety_identifier", "service_tier", "speed", "store", "stream_options", "thinking", "user",
        "user_profile_id", "workspace_id",
    }
)  # fmt: skip


_LETTERS_AND_DIGITS, _LETTERS_DIGITS_AND_DASHES = re.compile(r"[a-zA-Z0-9]+"), re.compile(r"[a-zA-Z0-9_-]+")
BILLING = "x-anthropic-billing-header:"  # Claude Code's first system block; it differs with every request


def system_words(conversation: Conversation) -> list[str]:
    """The system's texts for a vendor that is not Anthropic."""
    return [part.text for part in conversation.system if not part.text.startswith(BILLING)]


def fingerprint(text: str) -> str:
    """Sixteen letters that stand for the text: an id where a vendor gave none."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def tool_id(given: str, length: tuple[int, int] = (1, 64)) -> str:
    """The id unchanged where both vendors take it, else the same valid one for call and result.

    Anthropic takes ^[a-zA-Z0-9_-]+$, OpenAI at most 40 characters, Mistral nine letters and digits.
    """
    shortest, longest = length
    allowed = _LETTERS_AND_DIGITS if shortest == longest else _LETTERS_DIGITS_AND_DASHES
    if shortest <= len(given) <= longest and allowed.fullmatch(given):
        return given
    if shortest == longest:
        return fingerprint(given)[:longest]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', given)[: longest - 17]}_{fingerprint(given)}"


_PREFIX = re.compile(r"^(chatcmpl-|msg_|resp_)")
_ODD = re.compile(r"[^a-zA-Z0-9_-]")


def reply_id(prefix: str, given: str) -> str:
    """The upstream's id under this dialect's prefix: chatcmpl-1 <-> msg_1."""
    if given.startswith(prefix):
        return given
    return prefix + _ODD.sub("_", _PREFIX.sub("", given))


def compact(value: Any) -> str:
    return fast_json.text(value)


def max_tokens(wanted: int, target: Target, warnings: list[str]) -> int:
    most = min(wanted, target.max_output or wanted, target.room or wanted)
    if most < wanted:
        why = (
            f"the most {target.model} writes"
            if most == target.max_output
            else f"what the window of {target.model} holds"
        )
        warnings.append(f"max_tokens lowered from {wanted} to {most}, {why}")
    return most


def sampling(conversation: Conversation, target: Target, warnings: list[str], *, hottest: float | None = None) -> Json:
    """temperature and top_p as far as the target takes them; 1 is every vendor's default."""
    asked = {"temperature": conversation.temperature, "top_p": conversation.top_p}
    wanted = {name: value for name, value in asked.items() if value is not None}
    if not target.sampling:
        warnings += [f"{name} left out: {target.model} does not take it" for name in wanted if wanted[name] != 1]
        return {}
    hottest = target.hottest if hottest is None else hottest
    if wanted.get("temperature", 0) > hottest:
        warnings.append(f"temperature lowered from {wanted['temperature']} to {hottest}")
        wanted["temperature"] = hottest
    return wanted


def thought(conversation: Conversation, target: Target, warnings: list[str]) -> None:
    """Says that nobody is asked to think who cannot."""
    reasoning = conversation.reasoning
    if reasoning and reasoning.enabled and not target.reasoning:
        warnings.append(f"thinking left out: {target.model} is not asked how hard to think")


def verbosity(conversation: Conversation, target: Target, warnings: list[str]) -> str:
    """How much to write, for models that can be told; `medium` is what all others do."""
    if not conversation.verbosity or target.verbosity:
        return conversation.verbosity
    if conversation.verbosity != "medium":
        warnings.append(f"verbosity left out: {target.model} cannot be told how much to write")
    return ""


def stop(conversation: Conversation, target: Target, warnings: list[str]) -> list[str]:
    if conversation.stop and not target.stop:
        warnings.append(f"stop sequences left out: {target.model} does not take them")
        return []
    return list(conversation.stop)


def refused(names: Iterable[str], target: Target, warnings: list[str]) -> list[str]:
    """Those of the fields that the target's vendor answers with an error."""
    found = [name for name in names if name in target.refuses]
    warnings += [f"{name} left out: {target.model} does not take it" for name in found if name not in UNMISSED]
    return found


def as_user(message: Message, warnings: list[str]) -> tuple[Part, ...]:
    """What a system says in mid-conversation, in the words that Claude Code itself has for it."""
    if message.role != "system":
        return message.parts
    warnings.append("system message in mid-conversation given as a <system-reminder> of the user")
    return tuple(Text(_reminder(part.text)) if isinstance(part, Text) else part for part in message.parts)


def _reminder(words: str) -> str:
    if words.startswith("<system-reminder>"):
        return words
    return f"<system-reminder>\n{words}\n</system-reminder>"


def unseen(conversation: Conversation, target: Target) -> set[str]:
    """What is in the conversation that the target has no eyes for: images, documents."""
    if target.images and target.documents:
        return set()
    shown = {kind for message in conversation.messages for part in message.parts for kind in _kinds(part)}
    return shown - {name for name, taken in (("images", target.images), ("documents", target.documents)) if taken}


def _kinds(part: Part) -> Iterator[str]:
    match part:
        case Image():
            yield "images"
        case Document(data=data, url=url) if data or url:
            yield "documents"
        case ToolResult(parts=inner):
            for one in inner:
                yield from _kinds(one)


def without_unseen(conversation: Conversation, target: Target, warnings: list[str]) -> Conversation:
    """For a model that sees nothing: a picture of an earlier turn must not end the conversation with an error."""
    kinds = unseen(conversation, target)
    if not kinds:
        return conversation
    verbs = {"images": "see", "documents": "read"}
    warnings += [f"{kind} left out: {target.model} cannot {verbs[kind]} them" for kind in sorted(kinds)]

    def shown(part: Part) -> Part:
        match part:
            case ToolResult(parts=inner):
                return replace(part, parts=tuple(_instead(one) if kinds & {*_kinds(one)} else one for one in inner))
        return _instead(part) if kinds & {*_kinds(part)} else part

    def _instead(part: Part) -> Text:
        what = "an image, which {} cannot see" if isinstance(part, Image) else "a document, which {} cannot read"
        return Text(f"[{what.format(target.model)}]")

    messages = tuple(replace(m, parts=tuple(map(shown, m.parts))) for m in conversation.messages)
    return replace(conversation, messages=messages)


def with_documents_as_images(conversation: Conversation, target: Target) -> Conversation:
    """For vendors that read a PDF only where an image would be."""
    if not target.documents_as_images:
        return conversation

    def shown(part: Part) -> Part:
        match part:
            case Document(media_type, data) if data:
                return Image(media_type, data)
            case ToolResult(parts=inner):
                return replace(part, parts=tuple(map(shown, inner)))  # type: ignore[arg-type]  # no call is within
        return part

    messages = tuple(replace(m, parts=tuple(map(shown, m.parts))) for m in conversation.messages)
    return conversation if messages == conversation.messages else replace(conversation, messages=messages)


def described(conversation: Conversation, target: Target, warnings: list[str]) -> Conversation:
    """With descriptions of tools that are as short as the target wants them."""
    most = target.description_length
    if most is None or all(len(tool.description) <= most for tool in conversation.tools):
        return conversation
    warnings.append(f"descriptions of tools cut to {most} characters: {target.model} takes no more")
    tools = tuple(replace(tool, description=tool.description[:most]) for tool in conversation.tools)
    return replace(conversation, tools=tools)


def left_out(conversation: Conversation, target: Target) -> list[str]:
    """What of another dialect's own fields the client will miss, in words."""
    extras, searched = conversation.extras, vendor_tools.searches(conversation, target)
    tools = [tool for tool in extras.get("tools", ()) if not (searched and vendor_tools.kind(tool) == "web_search")]
    given = {"tools", *UNMISSED, *(("web_search_options", "max_tool_calls", "tool_choice") if searched else ())}
    fields = [name for name, value in extras.items() if name not in given and _says_much(name, value)]
    return [
        *map(vendor_tools.not_run, tools),
        *(f"{name} left out: this model's vendor does not know it" for name in fields),
        *_of_documents(conversation),
    ]


def _of_documents(conversation: Conversation) -> Iterator[str]:
    for message in conversation.messages:
        for part in message.parts:
            for one in part.parts if isinstance(part, ToolResult) else (part,):
                if isinstance(one, Document) and one.cited:
                    yield "citations of documents left out: this model's vendor gives none"
                if isinstance(one, Document) and one.context:
                    yield "context of a document left out: this model's vendor has no place for it"


def _says_much(name: str, value: Any) -> bool:
    return bool(value) and (name, value) not in (("n", 1), ("modalities", ["text"]))
