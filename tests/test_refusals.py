"""What one vendor refuses and another may take, in the vendors' own words; and what is wrong everywhere."""

import json

import pytest
from dialogue import CLAUDE, DEEPSEEK, GPT, plan_of

from router_service.conversation import Failure
from router_service.dialects.parts.errors import parse_error
from router_service.refusals import Lack, lacking, may_take

GPTS_WINDOW = "This model's maximum context length is 128000 tokens."
SAID: list[tuple[int, str, Lack | None]] = [
    (400, f"{GPTS_WINDOW} However, your messages resulted in 130000 tokens.", "window"),
    (400, "prompt is too long: 210000 tokens > 200000 maximum", "window"),
    (400, "The input token count (130000) exceeds the maximum number of tokens allowed (128000).", "window"),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease it", "window"),
    (400, "Invalid content type. image_url is only supported by certain models.", "images"),
    (400, "Failed to deserialize the JSON body: messages[0]: unknown variant `image_url`, expected `text`", "images"),
    (404, "No endpoints found that support image input", "images"),
    (400, "this model does not support image input (ref: 1)", "images"),
    (400, "Model does not support images. Please use a model that does.", "images"),
    (400, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", "images"),
    (400, "At most 0 image(s) may be provided in one request.", "images"),
    (400, "registry.ollama.ai/library/x does not support tools", "tools"),
    (404, "No endpoints found that support tool use. To learn more about provider routing, visit: x", "tools"),
    (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tools"),
    (400, "messages.1.content.0: Invalid `signature` in `thinking` block", "reasoning"),
    (400, "The encrypted content gAAA...DQ== could not be verified.", "reasoning"),
    (400, "Thought signature is not valid.", "reasoning"),
    (400, "Function call is missing a thought_signature in functionCall parts.", "reasoning"),
    (400, "The `reasoning_content` in the thinking mode must be passed back to the API.", "reasoning"),
    (413, "Request exceeds the maximum size", "size"),
    (400, "messages: at least one message is required", None),
    (400, "You uploaded an unsupported image. Please make sure your image is one of png, jpeg, gif, webp.", None),
    (400, "messages.0.content.0: The image was specified using the image/png media type", None),
    (400, "Unsupported value: 'temperature' does not support 0.2 with this model.", None),
    (400, "Your request was rejected as a result of our safety system.", None),
    (400, "tools.0.name: String should match pattern", None),
    (400, "No tool output found for function call call_1.", None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "lack"), SAID, ids=[words[:48] for _, words, _ in SAID])
def test_what_is_lacking_by_the_vendors_words(status: int, words: str, lack: Lack | None) -> None:
    body = '{"error": {"type": "invalid_request_error", "message": %s}}'
    assert lacking(parse_error(status, (body % json.dumps(words)).encode())) == lack


PLAN = plan_of()


@pytest.mark.parametrize(
    ("lack", "words", "by", "who", "may"),
    [
        ("window", "prompt is too long: 130000 tokens > 128000 maximum", GPT, CLAUDE, True),
        ("window", "prompt is too long: 1300000 tokens > 128000 maximum", GPT, CLAUDE, False),
        ("window", "prompt is too long: Your input exceeds", GPT, CLAUDE, True),
        ("window", "prompt is too long: Your input exceeds", CLAUDE, GPT, False),
        ("window", "input length and `max_tokens` exceed context limit: 120000 + 90000 > 128000", GPT, CLAUDE, False),
        ("images", "", GPT, CLAUDE, True),
        ("images", "", GPT, DEEPSEEK, False),
        ("tools", "", GPT, DEEPSEEK, True),
        ("reasoning", "", CLAUDE, GPT, True),
        ("size", "", CLAUDE, GPT, True),
    ],
)
def test_who_may_take_it(lack: Lack, words: str, by: str, who: str, may: bool) -> None:
    failure = Failure(400, "invalid_request_error", words)
    assert may_take(PLAN.names[who], lack, failure, PLAN.names[by]) is may


def test_a_window_that_nobody_knows_is_not_hoped_for() -> None:
    """Some servers cut off what does not fit, and answer the rest."""
    own = '{model: own/m, base_url: "http://x/v1", provider_interface: openai}'
    plan = plan_of(f"llm_providers: [{{model: openai/gpt-4o-mini}}, {own}]")
    failure = Failure(400, "invalid_request_error", "prompt is too long: 130000 tokens > 128000 maximum")
    assert not may_take(plan.names["own/m"], "window", failure, plan.names[GPT])
    assert may_take(plan.names["own/m"], "images", failure, plan.names[GPT])
