"""The messages of a chat completion's request, out of the neutral model.

Texts are joined into one string: many vendors of this dialect take no list of parts where there is only text.
Thinking goes back to the model that thought it, where its vendor has a place for it, and to nobody else. Where a
vendor wants a strict order, the model is made to say a word between the results of tools and the user, as opencode
and pi do it for Mistral; mere reminders go into the result before them, lest the model believes itself done.
"""

from collections.abc import Sequence

from router_service.conversation import (
    Conversation,
    Document,
    Image,
    Json,
    Opaque,
    Part,
    Search,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from router_service.dialects.dialect import Target
from router_service.dialects.openai import citations, details
from router_service.dialects.openai.request import NAME
from router_service.dialects.parts import cited, fit, plain
from router_service.dialects.parts.turns import Turn, split, without_orphans

ID_LENGTH = (1, 40)  # what OpenAI itself takes
# What Google gives for calls that no Gemini made: https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
UNSIGNED: Json = {"google": {"thought_signature": "skip_thought_signature_validator"}}
BRIDGE = "Done."


def render(conversation: Conversation, target: Target, warnings: list[str]) -> list[Json]:
    system = fit.system_words(conversation)
    role = "system" if target.system else "user"
    told: list[Json] = [{"role": role, "content": "\n\n".join(system)}] if system else []
    custom = {tool.name for tool in conversation.tools if tool.freeform} if conversation.dialect == NAME else set()
    for turn in split(conversation.messages):
        told += _turn(turn, target, custom, warnings)
    return _in_strict_order(told) if target.strict_order else told


def _in_strict_order(messages: list[Json]) -> list[Json]:
    ordered: list[Json] = []
    for message in messages:
        after_tool = bool(ordered) and ordered[-1]["role"] == "tool" and message["role"] == "user"
        if after_tool and str(message["content"]).startswith("<system-reminder>"):
            ordered[-1] = ordered[-1] | {"content": f"{ordered[-1]['content']}\n\n{message['content']}"}
            continue
        if after_tool:
            ordered.append({"role": "assistant", "content": BRIDGE})
        ordered.append(message)
    if ordered and ordered[-1]["role"] == "assistant":  # words put into the model's mouth, as Mistral calls them
        ordered[-1] = ordered[-1] | {"prefix": True}
    return ordered


def _turn(turn: Turn, target: Target, custom: set[str], warnings: list[str]) -> list[Json]:
    """`custom` are the names of the tools that take plain text."""
    length = target.tool_id_length or ID_LENGTH
    said = _assistant(turn.assistant, target, custom, warnings) if turn.assistant else {}
    messages = [said] if len(said) > 2 or said.get("content") else []  # more than a role and no words
    messages += [_tool(result, length, warnings) for result in turn.results]
    if seen := [part for result in turn.results for part in _visible(result)]:
        messages.append({"role": "user", "content": _content(seen, warnings)})
    inline = "system" if target.system and target.inline_system and not target.strict_order else ""
    for message in turn.rest:
        role = inline if message.role == "system" and inline else "user"
        parts = message.parts if role == "system" else fit.as_user(message, warnings)
        messages.append({"role": role, "content": _content(without_orphans(parts, warnings), warnings)})
    return messages


def _assistant(parts: Sequence[Part], target: Target, custom: set[str], warnings: list[str]) -> Json:
    length = target.tool_id_length or ID_LENGTH
    said = [part for part in cited.in_runs(parts) if isinstance(part, Text)]
    others = [part for part in parts if not isinstance(part, Text | Thinking)]
    calls = [made for part in others if (made := _tool_call(part, length, target, custom, warnings))]
    if target.signs_calls and calls:
        calls[0].setdefault("extra_content", UNSIGNED)
    message: Json = {"role": "assistant", **_said(said, target, warnings)}
    if calls:
        message |= {"content": message["content"] or None, "tool_calls": calls}
    if not target.thoughts:
        return message
    return message | own_thoughts([part for part in parts if isinstance(part, Thinking)], target, calls=bool(calls))


def _said(texts: Sequence[Text], target: Target, warnings: list[str]) -> Json:
    """The content, and what it rests on where the vendor reads that back. A refusal stands alone."""
    if len(texts) == 1 and not (texts[0].citations or texts[0].refusal):  # as most
        return {"content": texts[0].text}
    if texts and all(text.refusal for text in texts) and "refusal" in target.knows:
        return {"content": [{"type": "refusal", "refusal": "\n\n".join(text.text for text in texts)}]}
    whole = cited.joined(texts, "\n\n")
    made = [citations.render(one, len(whole.text)) for one in whole.citations if "annotations" in target.knows]
    known = [raw for raw in made if raw]
    if len(known) < len(whole.citations):
        warnings.append("citations left out: this model's vendor does not take them back")
    return {"content": whole.text} | ({"annotations": known} if known else {})


def signed(state: str) -> Json:
    return {"google": {"thought_signature": state}}


def own_thoughts(thoughts: Sequence[Thinking], target: Target, *, calls: bool) -> Json:
    """What the target itself thought, where it wants that back; for a call that somebody else made, a blank: vendors
    look for the field in every message that calls a tool."""
    if not target.thoughts:
        return {}
    own = [thought for thought in thoughts if thought.maker in (NAME, target.maker)]
    words = "".join(thought.text for thought in own)
    if target.thoughts == details.FIELD:
        held = details.of(own)
        return ({"reasoning": words} if words else {}) | ({details.FIELD: held} if held else {})
    return {target.thoughts: words or " "} if words or calls else {}


def _tool_call(
    part: Part, length: tuple[int, int], target: Target, custom: set[str], warnings: list[str]
) -> Json | None:
    match part:
        case ToolCall(call_id, name, arguments, state, maker):
            call = render_call(call_id, name, arguments, length, custom=name in custom)
            own = target.signs_calls and state and maker in (NAME, target.maker)
            return call | ({"extra_content": signed(state)} if own else {})
        case Opaque(dialect, _, raw) if dialect == NAME:
            return raw
        case Opaque(_, kind, _):
            warnings.append(f"{kind} left out: this model's vendor does not know it")
        case Search():
            warnings.append("a search of the web left out of the history: chat completions have no word for it")
    return None


def render_call(
    call_id: str, name: str, arguments: str, length: tuple[int, int] = ID_LENGTH, *, custom: bool = False
) -> Json:
    """Empty arguments become an empty object: clients parse them."""
    if custom:
        told = {"name": name, "input": plain.text(arguments)}
        return {"id": fit.tool_id(call_id, length), "type": "custom", "custom": told}
    function = {"name": name, "arguments": arguments or "{}"}
    return {"id": fit.tool_id(call_id, length), "type": "function", "function": function}


def _tool(result: ToolResult, length: tuple[int, int], warnings: list[str]) -> Json:
    """The words of a result; what can only be seen follows in a message of the user's."""
    seen = _visible(result)
    texts = [words for part in result.parts if part not in seen and (words := _text(part, warnings))]
    content = "\n".join(texts) or ("See the next message." if seen else "")
    if result.is_error and not content.lower().startswith("error"):
        content = f"Error: {content}"
    return {"role": "tool", "tool_call_id": fit.tool_id(result.call_id, length), "content": content}


def _visible(result: ToolResult) -> list[Part]:
    return [part for part in result.parts if isinstance(part, Image) or (isinstance(part, Document) and part.data)]


def _content(parts: Sequence[Part], warnings: list[str]) -> str | list[Json]:
    if len(parts) == 1 and isinstance(parts[0], Text):  # as most
        return parts[0].text
    made = [block for part in parts if (block := _part(part, warnings))]
    if all(block["type"] == "text" for block in made):
        return "\n\n".join(block["text"] for block in made)
    return made


def _part(part: Part, warnings: list[str]) -> Json | None:
    match part:
        case Image(media_type, data, url, detail):
            shown = {"url": url or f"data:{media_type};base64,{data}"} | ({"detail": detail} if detail else {})
            return {"type": "image_url", "image_url": shown}
        case Document(media_type, data) if data:
            name = part.title or "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": f"data:{media_type};base64,{data}"}}
        case Opaque(dialect, _, raw) if dialect == NAME:
            return raw
    words = _text(part, warnings)
    return {"type": "text", "text": words} if words else None


def _text(part: Part, warnings: list[str]) -> str:
    match part:
        case Text(words):
            return words
        case Document(text=words, title=title) if words:
            return f"{title}\n\n{words}" if title else words
        case Document(url=url):
            warnings.append("document given as its address: this model's vendor does not fetch files")
            return f"Document: {url}"
        case Opaque(_, kind, raw):
            if known := plain.words(kind, raw):
                return known
            warnings.append(f"{kind} left out: this model's vendor does not know it")
    return ""
