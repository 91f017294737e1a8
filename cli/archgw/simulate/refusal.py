"""How each vendor says no: one exception for the rules, five shapes for the wire."""

from collections.abc import Callable
from typing import Any

from archgw.simulate.vendors import ErrorShape, Vendor

Json = dict[str, Any]


class Refused(Exception):  # says what the vendor did; nothing of ours went wrong
    """The vendor answers `status` and `message`; `kind`, `param` and `code` go where its error has them.

    `shape` is the error's, where whoever says it stands before the vendor.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        details: list[Json] | None = None,
        shape: ErrorShape | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.details = details
        self.shape = shape


def anthropic(refused: Refused, request_id: str) -> Json:
    error = {"type": refused.kind, "message": refused.message}
    return {"type": "error", "error": error, "request_id": request_id}


def openai(refused: Refused, _: str) -> Json:
    error = {"message": refused.message, "type": refused.kind, "param": refused.param, "code": refused.code}
    return {"error": error}


def mistral(refused: Refused, _: str) -> Json:
    """Validation errors carry pydantic's list, all others OpenAI's fields without the envelope."""
    if refused.details is not None:
        return {"detail": refused.details}
    return {
        "object": "error",
        "message": refused.message,
        "type": refused.kind,
        "param": refused.param,
        "code": refused.code,
    }


def xai(refused: Refused, _: str) -> Json:
    return {
        "code": XAI_CODES.get(refused.status, "The service is currently unavailable"),
        "error": refused.message,
    }


def gemini(refused: Refused, _: str) -> list[Json]:
    """Google's OpenAI endpoint wraps its error in a list."""
    status = GEMINI_STATUSES.get(refused.status, "INTERNAL")
    return [{"error": {"code": refused.status, "message": refused.message, "status": status}}]


def google(refused: Refused, _: str) -> Json:
    """Without the list around it that its OpenAI endpoint has."""
    return gemini(refused, "")[0]


def aws(refused: Refused, _: str) -> Json:
    return {"message": refused.message}


def zai(refused: Refused, _: str) -> Json:
    """Numbers for codes: https://docs.z.ai/api-reference/api-code"""
    return {"error": {"code": refused.code or "1210", "message": refused.message}}


def openrouter(refused: Refused, _: str) -> Json:
    return {"error": {"message": refused.message, "code": refused.status}}


def lm_studio(refused: Refused, _: str) -> Json:
    return {"error": refused.message}


def llama_cpp(refused: Refused, _: str) -> Json:
    return {"error": {"code": refused.status, "message": refused.message, "type": refused.kind}}


SHAPES: dict[ErrorShape, Callable[[Refused, str], Json | list[Json]]] = {
    "anthropic": anthropic,
    "openai": openai,
    "mistral": mistral,
    "xai": xai,
    "gemini": gemini,
    "google": google,
    "aws": aws,
    "zai": zai,
    "openrouter": openrouter,
    "lm_studio": lm_studio,
    "llama_cpp": llama_cpp,
}

XAI_CODES = {
    400: "Client specified an invalid argument",
    401: "Unauthenticated",
    403: "The caller does not have permission to execute the specified operation",
    404: "Some requested entity was not found",
    429: "Some resource has been exhausted",
}

GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def render(vendor: Vendor, refused: Refused, request_id: str) -> Json | list[Json]:
    return SHAPES[refused.shape or vendor.errors](refused, request_id)


def by_status(vendor: Vendor, status: int) -> Refused:
    """What the vendor says on a bad day that is not the request's fault."""
    table = ANTHROPIC_DAYS if vendor.errors == "anthropic" else OPENAI_DAYS
    kind, code, message = table.get(status, table[400 if status < 500 else 500])
    return Refused(message, status=status, kind=kind, code=code)


# By status: the error's type, its code, and what it says.
ANTHROPIC_DAYS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Error"),
    401: ("authentication_error", None, "invalid x-api-key"),
    402: (
        "billing_error",
        None,
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    403: ("permission_error", None, "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", None, "model: the-model"),
    408: ("timeout_error", None, "Request timed out"),
    413: ("request_too_large", None, "Request exceeds the maximum size"),
    429: ("rate_limit_error", None, "This request would exceed your organization's rate limit."),
    500: ("api_error", None, "Internal server error"),
    502: ("api_error", None, "Bad gateway"),
    503: ("overloaded_error", None, "Service unavailable"),
    504: ("timeout_error", None, "Request timed out"),
    529: ("overloaded_error", None, "Overloaded"),
}

OPENAI_DAYS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Bad request"),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "Insufficient Balance"),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for requests. Please try again in 20s. "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    500: (
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    502: ("server_error", None, "Bad gateway."),
    503: (
        "server_error",
        None,
        "The server is currently overloaded with other requests. Sorry about that! You can retry your request.",
    ),
    504: ("server_error", None, "Gateway timeout."),
}
