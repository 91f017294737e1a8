"""How each vendor says no, and what a client of each dialect hears: the status that it acts on, and the vendor's words.

Each row is an error as the vendor writes it, in the shapes that users quote. tests/dialects/test_errors.py reads the
shapes one by one; here they go through a whole attempt, with nobody else to step in.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from dialogue import CHAT, MESSAGES, attempt_of, exchange_of, gateway_of, one, recorded

from router_service.effects import Respond
from router_service.events import ResponseBody, ResponseHeaders
from router_service.outcome import Outcome
from router_service.providers import PROVIDERS

RESPONSES = "/v1/responses"
MODELS = {
    "openai": "openai/gpt-4.1",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "deepseek": "deepseek/deepseek-v4-pro",
    "xai": "xai/grok-4",
    "gemini": "gemini/gemini-2.5-flash",
    "mistral": "mistral/mistral-small-latest",
    "groq": "groq/llama-3.3-70b-versatile",
    "together": "together/Qwen/Qwen2.5-Coder-32B-Instruct",
    "ollama": "ollama/llama3.1",
    "openrouter": "openrouter/anthropic/claude-sonnet-4.5",
    "moonshot": "moonshot/kimi-k3",
    "zai": "zai/glm-5.3",
    "azure_openai": "azure_openai/gpt-4.1",
    "amazon_bedrock": "amazon_bedrock/openai.gpt-oss-120b",
    "vertex": "vertex/claude-sonnet-4-5@20250929",
}
KEYS = {f"{name.upper()}_API_KEY": "k" for name in MODELS}
KEYS |= {"AZURE_OPENAI_RESOURCE": "r", "AWS_REGION": "r", "AWS_BEARER_TOKEN_BEDROCK": "k"}
KEYS |= {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "eu", "VERTEX_ACCESS_TOKEN": "k"}


@dataclass(frozen=True)
class No:
    """What the vendor said, and what a client is to hear: Anthropic's status and kind, words, when to come back."""

    status: int
    body: Any
    heard: int
    kind: str
    words: str
    wait: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def openai(message: str, kind: str | None = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(code: int, status: str, message: str, *details: Any) -> list[Any]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


TOO_MUCH = "context_length_exceeded"
LONG = "prompt is too long: 130000 tokens > 128000 maximum"
CONTEXT = "This model's maximum context length is 128000 tokens. However, "
OPENAI_TPM = (
    "Request too large for gpt-4.1 in organization org-1 on tokens per min (TPM): Limit 30000, Requested 41000."
)
GROQ_TPM = (
    "Request too large for model `llama` in organization `org_1` service tier `on_demand` on tokens per minute (TPM)"
)
GROQ_TPM += ": Limit 6000, Requested 8192, please reduce your message size and try again."
GROQ_DAY = "Rate limit reached for model `llama` on tokens per day (TPD): Limit 100000, Used 99000, Requested 2000. "
GROQ_DAY += "Please try again in 14m24.5s."
FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.4s"}
SAID: dict[str, dict[str, No]] = {
    "openai": {
        "rate": No(429, openai("Slow. Please try again in 486ms.", "tokens", "rate_limit_exceeded"),
                   429, "rate_limit_error", "Slow.", "1"),
        "rate by header": No(429, openai("Slow.", "requests", "rate_limit_exceeded"), 429, "rate_limit_error", "Slow.",
                             "2", {"retry-after-ms": "1500"}),
        "too large for a minute": No(429, openai(OPENAI_TPM, "tokens", "rate_limit_exceeded"), 400,
                                     "invalid_request_error", "prompt is too long: 41000 tokens > 30000 maximum"),
        "no money": No(429, openai("You exceeded your current quota, please check your plan.", "insufficient_quota",
                                   "insufficient_quota"), 402, "billing_error", "exceeded your current quota"),
        "key": No(401, openai("Incorrect API key provided: sk-1.", code="invalid_api_key"), 403, "permission_error",
                  "Incorrect API key"),
        "model": No(404, openai("The model `x` does not exist.", code="model_not_found"), 503, "overloaded_error",
                    "does not exist"),
        "too long": No(400, openai(CONTEXT + "your messages resulted in 130000 tokens.", code=TOO_MUCH),
                       400, "invalid_request_error", LONG),
        "window of GPT-5": No(400, openai("Your input exceeds the context window of this model.", code=
                                          TOO_MUCH), 400, "invalid_request_error",
                              "prompt is too long: Your input exceeds"),
        "overloaded": No(503, openai("The engine is currently overloaded, please try again later", "server_error"), 503,
                         "overloaded_error", "currently overloaded"),
        "content": No(400, openai("Your request was rejected as a result of our safety system.", code=
                                  "content_policy_violation"), 400, "invalid_request_error", "safety system"),
    },
    "anthropic": {
        "rate": No(429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit."), 429,
                   "rate_limit_error", "would exceed", "17", {"retry-after": "17"}),
        "no money": No(400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic "
                                      "API."), 402, "billing_error", "credit balance is too low"),
        "key": No(401, anthropic("authentication_error", "invalid x-api-key"), 403, "permission_error", "x-api-key"),
        "model": No(404, anthropic("not_found_error", "model: claude-9"), 503, "overloaded_error", "model: claude-9"),
        "too long": No(400, anthropic("invalid_request_error", LONG), 400, "invalid_request_error", LONG),
        "overloaded": No(529, anthropic("overloaded_error", "Overloaded"), 503, "overloaded_error", "Overloaded"),
        "too large": No(413, anthropic("request_too_large", "Request exceeds the maximum size"), 413,
                        "request_too_large", "maximum size"),
    },
    "deepseek": {
        "no money": No(402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), 402,
                       "billing_error", "Insufficient Balance"),
        "key": No(401, openai("Authentication Fails, Your api key: ****1 is invalid", "authentication_error"), 403,
                  "permission_error", "Authentication Fails"),
        "model": No(400, openai("Model Not Exist"), 503, "overloaded_error", "Model Not Exist"),
        "too long": No(400, openai(CONTEXT + "you requested 138000 tokens (130000 in the messages, 8000 in the "
                                   "completion)."), 400, "invalid_request_error", LONG),
        "with the answer": No(400, openai(CONTEXT + "you requested 130000 tokens (120000 in the messages, 10000 in the "
                                          "completion)."), 400, "invalid_request_error",
                              "input length and `max_tokens` exceed context limit: 120000 + 10000 > 128000"),
        "rate": No(429, openai("Rate limit reached"), 429, "rate_limit_error", "Rate limit reached"),
    },
    "xai": {
        "key": No(400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***1."},
                  403, "permission_error", "Incorrect API key"),
        "no money": No(403, {"code": "The caller does not have permission to execute the specified operation", "error":
                             "Your team has used all available credits."}, 402, "billing_error", "credits"),
        "rate": No(429, {"code": "Some resource has been exhausted", "error": "Too many requests for team."}, 429,
                   "rate_limit_error", "Too many requests"),
        "too long": No(400, {"code": "x", "error": "This model's maximum prompt length is 128000 but the request "
                             "contains 130000 tokens."}, 400, "invalid_request_error", LONG),
    },
    "gemini": {
        "rate": No(429, google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.", RETRY), 429,
                   "rate_limit_error", "Resource has been exhausted", "37"),
        "no money": No(429, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan "
                                   "and billing details."), 402, "billing_error", "exceeded your current quota"),
        "key": No(400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), 403,
                  "permission_error", "API key not valid"),
        "overloaded": No(503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), 503,
                         "overloaded_error", "The model is overloaded"),
        "too long": No(400, google(400, "INVALID_ARGUMENT", "The input token count (130000) exceeds the maximum number "
                                   "of tokens allowed (128000)."), 400, "invalid_request_error", LONG),
        "an error in an error": No(400, {"error": {"code": 400, "status": "Bad Request", "message": json.dumps(
            {"error": {"code": 400, "message": "Bad things", "status": "INVALID_ARGUMENT"}})}}, 400,
            "invalid_request_error", "Bad things"),
    },
    "mistral": {
        "rate": No(429, {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited", "param":
                         None, "code": "1300"}, 429, "rate_limit_error", "Requests rate limit exceeded"),
        "key": No(401, {"detail": "Unauthorized"}, 403, "permission_error", "Unauthorized"),
        "model": No(400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"},
                    503, "overloaded_error", "Invalid model: x"),
        "too long": No(400, {"object": "error", "message": "Prompt contains 130000 tokens and 0 draft tokens, "
                             "too large for model with 128000 maximum context length", "type": "x"}, 400,
                       "invalid_request_error", LONG),
        "field": No(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "n"], "msg": "Extra inputs are not "
                                      "permitted"}]}, 422, "invalid_request_error", "body.n: Extra inputs"),
    },
    "groq": {
        "rate": No(429, openai(GROQ_DAY, "tokens", "rate_limit_exceeded"), 429, "rate_limit_error", "tokens per day",
                   "865"),
        "too large for a minute": No(413, openai(GROQ_TPM, "tokens", "rate_limit_exceeded"), 400,
                                     "invalid_request_error", "prompt is too long: 8192 tokens > 6000 maximum"),
        "too long": No(400, openai("Please reduce the length of the messages or completion.", code=
                                   "context_length_exceeded"), 400, "invalid_request_error", "prompt is too long: "),
        "model": No(404, openai("The model `x` does not exist.", code="model_not_found"), 503, "overloaded_error", "x"),
        "overloaded": No(503, openai("x is currently over capacity.", "internal_server_error"), 503, "overloaded_error",
                         "over capacity"),
    },
    "together": {
        "too long": No(422, openai("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: "
                                   "8000 `inputs` tokens and 1000 `max_new_tokens`"), 422, "invalid_request_error",
                       "input length and `max_tokens` exceed context limit: 8000 + 1000 > 8193"),
        "model": No(404, openai("Unable to access model x.", code="model_not_available"), 503, "overloaded_error",
                    "Unable to access model"),
        "rate": No(429, openai("You have been rate limited.", "rate_limit"), 429, "rate_limit_error", "rate limited"),
    },
    "ollama": {
        "model": No(404, openai("model 'x' not found", "api_error"), 503, "overloaded_error", "model 'x' not found"),
        "tools": No(400, openai("registry.ollama.ai/library/x does not support tools", "api_error"), 400, "api_error",
                    "does not support tools"),
    },
    "openrouter": {
        "of its host": No(429, {"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw":
                          "x is temporarily rate-limited upstream. Please retry shortly.", "provider_name": "Y"}}}, 429,
                          "rate_limit_error", "temporarily rate-limited upstream"),
        "JSON of its host": No(400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw":
                               json.dumps(openai(CONTEXT + "your request has 130000 input tokens.")), "provider_name":
                               "Y"}}}, 400, "invalid_request_error", LONG),
        "no money": No(402, {"error": {"message": "This request requires more credits, or fewer max_tokens.", "code":
                             402}}, 402, "billing_error", "requires more credits"),
        "too long": No(400, {"error": {"message": CONTEXT + "you requested about 130,000 tokens (12 of text input).",
                                       "code": 400}}, 400, "invalid_request_error", LONG),
    },
    "moonshot": {
        "rate": No(429, openai("Your account is rate limited, please try again after 1 seconds",
                               "rate_limit_reached_error"), 429, "rate_limit_error", "rate limited", "1"),
        "overloaded": No(429, openai("The engine is currently overloaded, please try again later",
                                     "engine_overloaded_error"), 503, "overloaded_error", "currently overloaded"),
        "no money": No(429, openai("Your account is suspended, please check your plan. exceeded your current quota",
                                   "exceeded_current_quota_error"), 402, "billing_error", "suspended"),
        "too long": No(400, openai("Invalid request: Your request exceeded model token limit: 8192"), 400,
                       "invalid_request_error", "prompt is too long: "),
        "key": No(401, openai("Invalid Authentication", "invalid_authentication_error"), 403, "permission_error",
                  "Invalid Authentication"),
    },
    "zai": {
        "no money": No(429, {"error": {"code": "1113", "message": "Insufficient balance or no resource package. Please "
                                       "recharge."}}, 402, "billing_error", "Please recharge"),
        "rate": No(429, {"error": {"code": "1302", "message": "High concurrency usage of this API"}}, 429,
                   "rate_limit_error", "High concurrency"),
        "overloaded": No(429, {"error": {"code": "1305", "message": "The service may be temporarily overloaded"}}, 503,
                         "overloaded_error", "temporarily overloaded"),
        "field": No(400, {"code": "1210", "message": "Invalid API parameter, please check the documentation."}, 400,
                    "invalid_request_error", "Invalid API parameter"),
        "too long": No(400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}, 400,
                       "invalid_request_error", "prompt is too long: Prompt exceeds max length"),
    },
    "azure_openai": {
        "content": No(400, {"error": {"message": FILTERED, "type": None, "param": "prompt", "code": "content_filter",
                                      "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, 400,
                      "invalid_request_error", FILTERED),
        "rate": No(429, openai("Requests have exceeded token rate limit. Please retry after 26 seconds.", None, "429"),
                   429, "rate_limit_error", "exceeded token rate limit", "26"),
        "deployment": No(404, openai("The API deployment does not exist.", None, "DeploymentNotFound"),
                         503, "overloaded_error", "does not exist"),
    },
    "amazon_bedrock": {
        "rate": No(429, {"message": "Too many requests, please wait before trying again."}, 429, "rate_limit_error",
                   "Too many requests"),
        "too long": No(400, {"message": "Input is too long for requested model."}, 400, "invalid_request_error",
                       "prompt is too long: Input is too long"),
        "permission": No(403, {"Message": "User is not authorized to perform: bedrock:InvokeModel"}, 403,
                         "permission_error", "not authorized"),
    },
    "vertex": {  # Google's words before Claude's door, Anthropic's behind it
        "rate": No(429, google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")[0], 429,
                   "rate_limit_error", "Resource has been exhausted"),
        "permission": No(403, google(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied")[0],
                         403, "permission_error", "denied"),
        "too long": No(400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
                       400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        "overloaded": No(529, anthropic("overloaded_error", "Overloaded"), 503, "overloaded_error", "Overloaded"),
    },
}  # fmt: skip
ROWS = [pytest.param(vendor, no, id=f"{vendor}: {name}") for vendor, said in SAID.items() for name, no in said.items()]


def answered(vendor: str, no: No, path: str) -> tuple[Respond, Outcome | None]:
    config = f'llm_providers: [{{model: "{MODELS[vendor]}"}}]'
    gateway = gateway_of(config, keys=KEYS)
    asked: dict[str, Any] = {"path": path, "model": MODELS[vendor]}
    if path == RESPONSES:
        asked["body"] = json.dumps({"model": MODELS[vendor], "input": "hello"}).encode()
    exchange = exchange_of(gateway, **asked)
    attempt = attempt_of(gateway, exchange)
    headers = {"content-type": "application/json", **no.headers}
    effects = attempt.feed(ResponseHeaders(no.status, headers), 1.0)
    effects += attempt.feed(ResponseBody(json.dumps(no.body).encode(), end=True), 1.0)
    reply = one(effects, Respond)
    assert reply is not None
    return reply, recorded(effects)


def test_every_vendor_says_no() -> None:
    assert set(SAID) == set(PROVIDERS) == set(MODELS)


@pytest.mark.parametrize(("vendor", "no"), ROWS)
def test_a_client_of_anthropic_hears_what_it_acts_on(vendor: str, no: No) -> None:
    reply, outcome = answered(vendor, no, MESSAGES)
    error = json.loads(reply.body)["error"]
    said = error["message"]
    assert no.words in said
    same = vendor == "anthropic" and reply.body == json.dumps(no.body).encode()  # the vendor's own bytes
    assert (reply.status, error["type"]) == (no.heard, no.kind) or same
    assert reply.headers.get("retry-after", "") == no.wait
    assert outcome is not None and no.words in outcome.error
    if no.words.startswith("prompt is too long") and no.status == 400:
        assert said.startswith(no.words), "Claude Code compacts when it begins so"


# OpenAI's SDK chooses its exception by the status alone, and Codex looks at the code.
CODES = {"rate_limit_error": "rate_limit_exceeded", "billing_error": "insufficient_quota"}


@pytest.mark.parametrize(("vendor", "no"), ROWS)
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_client_of_openai_hears_it_in_openais_shape(vendor: str, no: No, path: str) -> None:
    reply, _ = answered(vendor, no, path)
    error = json.loads(reply.body)["error"]
    assert isinstance(error["message"], str)
    if reply.body == json.dumps(no.body).encode():  # the vendor's own, in a shape that clients read
        assert reply.status == no.status and "message" in no.body["error"]
        return
    assert no.words in error["message"]
    assert reply.status == no.heard
    assert reply.headers.get("retry-after", "") == no.wait
    if no.words.startswith(("prompt is too long",)):
        assert error["code"] == "context_length_exceeded"
    elif no.kind in CODES:
        assert error["code"] == CODES[no.kind]
