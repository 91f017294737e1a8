"""What a vendor looks at before it reads the request: the key, the version, the content type, the JSON, the model."""

import json
from collections.abc import Callable
from typing import Any

from archgw.simulate.models import Model
from archgw.simulate.received import Asked, Received, bare
from archgw.simulate.refusal import Json, Refused
from archgw.simulate.sigv4 import check_signature, is_signed
from archgw.simulate.vendors import Vendor
from archgw.simulate.vertex import check_call

LARGEST_BODY = 32 * 1024 * 1024  # https://docs.claude.com/en/api/overview#request-size-limits


# -- keys ----------------------------------------------------------------------------------------------------


def check_key(vendor: Vendor, received: Received, accept_keys: frozenset[str] | None) -> None:
    if vendor.keyless:
        return
    if vendor.signed_for and is_signed(received.header("authorization") or ""):
        check_signature(vendor.signed_for, received)
        return
    find, missing, wrong = TOKENS.get(vendor.name) or KEYS[vendor.dialect]
    key = (received.header(vendor.keys) or "") if vendor.keys else find(received)
    if not key:
        raise missing
    if accept_keys is not None and key not in accept_keys:
        raise wrong(vendor, received, key)


def bearer(received: Received) -> str:
    value = received.header("authorization") or ""
    return bare(value) if value.lower().startswith("bearer ") else ""


def anthropic_key(received: Received) -> str:
    return received.header("x-api-key") or bearer(received)


def wrong_anthropic_key(_: Vendor, received: Received, __: str) -> Refused:
    message = "invalid x-api-key" if received.header("x-api-key") else "Invalid bearer token"
    return Refused(message, status=401, kind="authentication_error")


def wrong_openai_key(vendor: Vendor, _: Received, key: str) -> Refused:
    masked = f"{key[:3]}***{key[-4:]}" if len(key) > 8 else "***"
    status, kind, code, message = WRONG_KEYS.get(vendor.name, WRONG_KEYS["openai"])
    return Refused(message.format(masked), status=status, kind=kind, code=code)


WRONG_KEYS: dict[str, tuple[int, str, str | None, str]] = {
    "openai": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    "deepseek": (
        401,
        "authentication_error",
        "invalid_request_error",
        "Authentication Fails, Your api key: {} is invalid",
    ),
    "xai": (
        400,
        "",
        None,
        "Incorrect API key provided: {}. You can obtain an API key from https://console.x.ai.",
    ),
    "gemini": (400, "", None, "API key not valid. Please pass a valid API key."),
    "mistral": (401, "", None, "Unauthorized"),
    "groq": (401, "invalid_request_error", "invalid_api_key", "Invalid API Key"),
}

OPENAI_KEYS = (
    bearer,
    Refused(
        "You didn't provide an API key. You need to provide your API key in an Authorization header "
        "using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        status=401,
    ),
    wrong_openai_key,
)


def wrong_token(*_: Any) -> Refused:
    return Refused(
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
        " authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        status=401,
        shape="google",
    )


NO_TOKEN = Refused(
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    status=401,
    shape="google",
)
Keys = tuple[Callable[[Received], str], Refused, Callable[[Vendor, Received, str], Refused]]
TOKENS: dict[str, Keys] = {"vertex": (bearer, NO_TOKEN, wrong_token)}
KEYS: dict[str, Keys] = {
    "anthropic_messages": (
        anthropic_key,
        Refused("x-api-key header is required", status=401, kind="authentication_error"),
        wrong_anthropic_key,
    ),
    "openai_chat": OPENAI_KEYS,
    "openai_responses": OPENAI_KEYS,
}


def check_version(vendor: Vendor, received: Received) -> None:
    if vendor.dialect != "anthropic_messages":
        return
    if received.outside:
        check_call(received.outside)
        return
    version = received.header("anthropic-version")
    if not version:
        raise Refused("anthropic-version: header is required")
    if version not in ANTHROPIC_VERSIONS:
        raise Refused(f'anthropic-version: "{version}" is not a valid version')


ANTHROPIC_VERSIONS = (
    "2023-01-01",
    "2023-06-01",
    "2026-10-21",
)  # the last is what anthropic 2.12 for Python sends


def check_betas(vendor: Vendor, received: Received) -> None:
    strange = [beta for beta in betas(received) if vendor.betas is not None and not beta.startswith(vendor.betas)]
    if vendor.dialect == "anthropic_messages" and strange:
        raise Refused(
            f"Unexpected value(s) {', '.join(f'`{beta}`' for beta in strange)} for the `anthropic-beta` header. Please"
            " consult our documentation at docs.anthropic.com or try again without the header."
        )


# -- body ----------------------------------------------------------------------------------------------------


def check_size(_: Vendor, received: Received) -> None:
    if len(received.body) > LARGEST_BODY:
        raise Refused("Request exceeds the maximum size", status=413, kind="request_too_large")


def check_content_type(_: Vendor, received: Received) -> None:
    kind = received.header("content-type") or ""
    if kind.split(";")[0].strip().lower() == "application/json":
        return
    raise Refused(
        f"Unsupported content type: '{kind}'. This API method only accepts 'application/json' requests, but "
        "you "
        f"specified the header 'Content-Type: {kind}'. Please try again with a supported content type.",
        code="unsupported_content_type",
    )


def check_json(vendor: Vendor, received: Received) -> None:
    if received.json is not None:
        return
    if vendor.dialect == "anthropic_messages":
        raise Refused(f"The request body is not valid JSON: {flaw(received.body)}")
    raise Refused(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
        "HTTP "
        "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
    )


def flaw(body: bytes) -> str:
    try:
        json.loads(body)
    except ValueError as error:
        return str(error)
    return "expected an object"


CHECKS: tuple[Callable[[Vendor, Received], None], ...] = (
    check_version,
    check_betas,
    check_size,
    check_content_type,
    check_json,
)


def enter(vendor: Vendor, received: Received, accept_keys: frozenset[str] | None) -> Asked:
    """Raises Refused, in the order in which the vendors look."""
    check_key(vendor, received, accept_keys)
    for check in CHECKS:
        check(vendor, received)
    body = received.json or {}
    return Asked(vendor, named_model(vendor, body), body, betas(received), dict(received.headers))


def betas(received: Received) -> tuple[str, ...]:
    listed = ",".join(value for name, value in received.headers if name == "anthropic-beta")
    return tuple(beta.strip() for beta in listed.split(",") if beta.strip())


def named_model(vendor: Vendor, body: Json) -> Model:
    name = body.get("model")
    if not isinstance(name, str) or not name:
        if vendor.dialect == "anthropic_messages":
            raise Refused("model: Field required" if name is None else "model: Input should be a valid string")
        raise Refused("you must provide a model parameter")
    found = vendor.model(name)
    if found is None:
        status, kind, code, message = UNKNOWN_MODELS.get(vendor.name, UNKNOWN_MODELS["openai"])
        raise Refused(message.format(name), status=status, kind=kind, code=code)
    return found


UNKNOWN_MODELS: dict[str, tuple[int, str, str | None, str]] = {
    "openai": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `{}` does not exist or you do not have access to it.",
    ),
    "anthropic": (404, "not_found_error", None, "model: {}"),
    "deepseek": (400, "invalid_request_error", "invalid_request_error", "Model Not Exist"),
    "xai": (404, "", None, "The model {} does not exist or your team does not have access to it."),
    "gemini": (
        404,
        "",
        None,
        "models/{} is not found for API version v1main, or is not supported for generateContent.",
    ),
    "vertex": (
        404,
        "not_found_error",
        None,
        "Publisher Model `{}` was not found or your project does not have access to it.",
    ),
    "mistral": (400, "invalid_model", "1500", "Invalid model: {}"),
    "ollama": (404, "not_found_error", None, "model '{}' not found"),
    "together": (
        404,
        "invalid_request_error",
        "model_not_available",
        "Unable to access model {}. Please visit https://api.together.ai/models to view the list of supported models.",
    ),
}
