"""What the gateway answers itself, without a provider: health, models, token counts, and how to ask rightly."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from router_service.conversation import BadRequest
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Dialect
from router_service.exchange import Headers
from router_service.plan import FAST_MODELS, ROUTED_MODELS, Plan
from router_service.policies import explicit

COUNT_TOKENS = "/v1/messages/count_tokens"
BODY_PATHS = (COUNT_TOKENS,)
_SINCE = "2026-01-01T00:00:00Z"  # the models API wants a birthday; the gateway's models have none
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_IMAGE = 1600  # https://docs.anthropic.com/en/docs/build-with-claude/vision: width x height / 750


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def answer(plan: Plan, method: str, path: str, headers: Headers) -> Answer | None:
    """The answer to a request that needs no body; None where it is for somebody else. Raises BadRequest."""
    if method not in ("GET", "HEAD"):
        return None
    if path == "/":
        return _json({"name": "archgw", "paths": [*_paths(), "/healthz"]})
    if path == "/healthz":
        return _json({"status": "ok", "models": len(plan.candidates)})
    anthropic = "anthropic-version" in headers
    if path == "/v1/models":
        return _json(_listed(plan, anthropic=anthropic))
    if path.startswith("/v1/models/"):
        return _json(_model(plan, unquote(path.removeprefix("/v1/models/")), anthropic=anthropic))
    return None


def count_tokens(body: dict[str, Any]) -> Answer:
    """An estimate, about four characters a token: every vendor counts by a tokenizer of its own."""
    if not isinstance(body.get("messages"), list):
        raise BadRequest("messages: expected a list, as in POST /v1/messages")
    told = {key: body[key] for key in ("system", "messages", "tools") if key in body}
    characters, images = _weigh(told)
    return _json({"input_tokens": characters // _CHARACTERS_PER_TOKEN + images * _TOKENS_PER_IMAGE + 1})


def wrong_method(method: str, path: str) -> str:
    right = "GET" if path == "/v1/models" else "POST"
    return f"archgw does not answer {method} {path}; send a {right}"


def unknown_path(method: str, path: str) -> str:
    return f"archgw does not answer {method} {path}; it answers {', '.join(_paths())}"


def too_large(most: int) -> str:
    return f"the request is larger than {most // 2**20} MiB; shorten the conversation or its images"


def dialect_for(path: str, headers: Headers) -> Dialect:
    """The dialect in which to refuse a request whose path says none."""
    anthropic = path.startswith("/v1/messages") or "anthropic-version" in headers
    return DIALECTS["anthropic_messages" if anthropic else "openai_chat"]


def _paths() -> list[str]:
    dialects = [f"POST {path}" for dialect in DIALECTS.values() for path in dialect.paths]
    return [*dialects, f"POST {COUNT_TOKENS}", "GET /v1/models"]


def _ids(plan: Plan) -> list[str]:
    labels = [candidate.label for candidate in plan.candidates]
    return list(dict.fromkeys([*ROUTED_MODELS, *FAST_MODELS, *plan.aliases, *labels]))


def _listed(plan: Plan, *, anthropic: bool) -> dict[str, Any]:
    ids = _ids(plan)
    data = [_entry(id, anthropic=anthropic) for id in ids]
    if anthropic:
        return {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
    return {"object": "list", "data": data}


def _model(plan: Plan, id: str, *, anthropic: bool) -> dict[str, Any]:
    """Every name that a request would be accepted for exists, unknown claude-* names included."""
    explicit.resolve(plan, id, claude_code=False)
    return _entry(id, anthropic=anthropic)


def _entry(id: str, *, anthropic: bool) -> dict[str, Any]:
    if anthropic:
        return {"type": "model", "id": id, "display_name": id, "created_at": _SINCE}
    return {"id": id, "object": "model", "created": 1767225600, "owned_by": id.partition("/")[0]}


def _weigh(value: Any) -> tuple[int, int]:
    """(characters of text, number of images) anywhere in the value."""
    match value:
        case str():
            return len(value), 0
        case {"type": "image"} | {"type": "image_url"}:
            return 0, 1
        case dict():
            inner = [_weigh(item) for item in value.values()]
            return sum(c for c, _ in inner) + sum(map(len, value)), sum(i for _, i in inner)
        case list():
            inner = [_weigh(item) for item in value]
            return sum(c for c, _ in inner), sum(i for _, i in inner)
    return 1, 0


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(value).encode())
