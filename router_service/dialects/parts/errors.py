"""A vendor's error answer, whatever its shape, as a `Failure` in the words that clients act on.

Claude Code compacts on "prompt is too long: N tokens > M maximum" and asks for less on "input length and
`max_tokens` exceed context limit: A + B > C", so both are said in exactly these words.
"""

import html
import json
import re
from dataclasses import replace
from typing import Any

from router_service.conversation import KIND_BY_STATUS, TOO_LONG, Failure, ReplyFailed

LONGEST = 600  # characters of a vendor's words that are worth repeating
KINDS = {*KIND_BY_STATUS.values()}
KIND_BY_CODE = {
    # Z.ai's numbers: https://docs.z.ai/api-reference/api-code
    "1113": "billing_error",
    "1302": "rate_limit_error",
    "1303": "rate_limit_error",
    "1305": "overloaded_error",
    "billing_not_active": "billing_error",
    "context_length_exceeded": "invalid_request_error",
    "engine_overloaded": "overloaded_error",
    "engine_overloaded_error": "overloaded_error",
    "exceeded_current_quota_error": "billing_error",
    "insufficient_quota": "billing_error",
    "invalid_api_key": "authentication_error",
    "model_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
    "server_overloaded": "overloaded_error",
    "UNAVAILABLE": "overloaded_error",
}
# What vendors call by a status that says something else: Anthropic's 400 without credit, xAI's and Gemini's 400 for a
# key, OpenRouter's 403 and everybody's 429 where it is money that is missing.
KIND_BY_WORDS = (
    (
        "billing_error",
        r"credit balance is too low|insufficient balance|used all (?:of its )?available credits|requires more credits"
        r"|exceeded your current quota|reached its monthly spending limit|no resource package|monthly usage limit",
    ),
    ("authentication_error", r"incorrect api key|invalid api key|api key not valid|invalid x-api-key"),
)
USED, MOST, OUTPUT = (rf"(?P<{name}>\d[\d,]*)" for name in ("used", "most", "output"))
# How vendors say that it was too much; where the pattern has `output`, it is prompt and output together.
TOO_LONG_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # OpenAI before GPT-5, DeepSeek
        rf"context length is {MOST} tokens.*?\({USED} in (?:the|your) \w+.*?[,;] (?:and )?{OUTPUT} in the completion",
        # vLLM, Together
        rf"must be <= {MOST}\. Given: {USED} `inputs` tokens and {OUTPUT} `max_new_tokens`",
        # OpenAI, vLLM, OpenRouter
        rf"context length is {MOST} tokens.*?(?:resulted in|requested(?: about)?|has) {USED}",
        # OpenAI since GPT-5
        rf"configured limit of {MOST} tokens.*?resulted in {USED}",
        # xAI
        rf"maximum prompt length is {MOST} but the request contains {USED}",
        # Mistral
        rf"[Pp]rompt contains {USED} tokens.*?too large for model with {MOST}",
        # Gemini
        rf"input token count \(?{USED}\)? exceeds the maximum number of tokens allowed \(?{MOST}",
        # Groq and OpenAI: more than a whole minute's tokens
        rf"Request too large for .*?Limit {MOST}, Requested {USED}",
        # llama.cpp
        rf"request \({USED} tokens\) exceeds the available context size \({MOST}",
    )
)
# Where no figures are told.
TOO_LONG_CODES = ("1261", "context_length_exceeded", "exceed_context_size_error")  # the first is Z.ai's
TOO_LONG_WORDS = re.compile(
    "exceeded model token limit"  # Moonshot
    "|exceeds the context window"  # OpenAI's Responses
    "|Please reduce the length of the messages"  # Groq
    "|exceeds the available context size"  # llama.cpp
    "|larger than the context length|trying to keep the first"  # LM Studio
    "|input is too long for requested model",  # Bedrock
    re.IGNORECASE,
)


def parse_error(status: int, body: bytes) -> Failure:
    text = body.decode("utf-8", "replace").strip()
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        words = _plain(text) or f"The provider answered {status} without a word."
        return Failure(status, kind_of(status), words, odd=True)
    message, code, kind = _read(told)
    return replace(_failure(status, message or _plain(text), code, kind), odd=_is_odd(told))


def failed(told: Any) -> ReplyFailed:
    """The same for an error inside a stream, where no status tells the kind."""
    message, code, kind = _read(told)
    status = int(code) if re.fullmatch(r"[45]\d\d", code) else 500
    failure = _failure(status, message or "The provider broke off without saying why.", code, kind)
    return ReplyFailed(failure.kind, failure.message, _is_odd(told))


def _is_odd(told: Any) -> bool:
    """OpenAI and Anthropic both have an object named error; their clients look for nothing else."""
    return not (isinstance(told, dict) and isinstance(told.get("error"), dict))


def kind_of(status: int) -> str:
    return KIND_BY_STATUS.get(status, "api_error" if status >= 500 or status < 400 else "invalid_request_error")


def _failure(status: int, message: str, code: str, kind: str) -> Failure:
    known = KIND_BY_CODE.get(code) or KIND_BY_CODE.get(kind) or (kind if kind in KINDS else kind_of(status))
    if kind == "invalid_request_error" and status not in (200, 400, 500):
        known = KIND_BY_CODE.get(code) or kind_of(status)  # OpenAI's word for nearly everything
    said = (kind for kind, words in KIND_BY_WORDS if re.search(words, message, re.IGNORECASE))
    known = next(said, known) if status in (400, 403, 429) else known
    words = message[:LONGEST].encode("utf-8", "replace").decode()  # JSON may hold half of a surrogate pair
    return Failure(status, known, _in_anthropics_words(words, code))


def _read(told: Any) -> tuple[str, str, str]:
    """Message, code and type of an error in any of the shapes that vendors of this field have."""
    if isinstance(told, list) and told:  # Gemini wraps its error into a list
        told = told[0]
    if isinstance(told, str):
        return told, "", ""
    if not isinstance(told, dict):
        return "", "", ""
    error = told.get("error")
    if isinstance(error, dict) and (inner := _within(error)):
        return _read(inner)
    if isinstance(error, dict):
        status = error.get("status")  # a word of Google's, a number of Azure's
        code = status if isinstance(status, str) else error.get("code")
        return _words(error), str(code or ""), str(error.get("type") or "")
    message = error if isinstance(error, str) else _words(told)
    kind = told.get("type")
    return message, str(told.get("code") or ""), str(kind if kind != "error" else "")


def _within(error: dict[str, Any]) -> Any:
    """The error that this one passes on: Gemini's in its message, that of OpenRouter's host in its metadata."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else error.get("message")
    if not isinstance(raw, str) or not raw.strip():
        return None
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return {"error": {"message": raw, "code": error.get("code")}} if metadata else None
    return told if isinstance(told, dict | list) else None


def _words(told: dict[str, Any]) -> str:
    """`message`, or FastAPI's `detail`: a string or a list of places and words."""
    for name in ("message", "Message", "detail", "msg"):
        match told.get(name):
            case str(words) if words:
                return words
            case dict(inner):
                return _words(inner)
            case list(items):
                return "; ".join(_place(item) for item in items if isinstance(item, dict))
    return ""


def _place(item: dict[str, Any]) -> str:
    place = ".".join(str(step) for step in item.get("loc", ()))
    return f"{place}: {_words(item)}" if place else _words(item)


def _plain(text: str) -> str:
    """Words as they are; of a page only what a reader would see."""
    if re.match(r"\s*<(!doctype|html|head|body|h1|center)", text, re.IGNORECASE):
        title = re.search(r"<(title|h1)[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
        text = title[2] if title else re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.S | re.I)
        text = html.unescape(" ".join(text.split()))
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _in_anthropics_words(message: str, code: str) -> str:
    found = next((match for pattern in TOO_LONG_PATTERNS if (match := pattern.search(message))), None)
    if found:
        told = {name: int(digits.replace(",", "")) for name, digits in found.groupdict().items()}
        used, most, output = told["used"], told["most"], told.get("output", 0)
        if output and used <= most:
            return f"input length and `max_tokens` exceed context limit: {used} + {output} > {most}"
        return f"{TOO_LONG}: {used} tokens > {most} maximum"
    if TOO_LONG not in message and (code in TOO_LONG_CODES or TOO_LONG_WORDS.search(message)):
        return f"{TOO_LONG}: {message}"
    return message
