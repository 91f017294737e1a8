"""Amazon Bedrock with an API key of its own: Claude in Anthropic's dialect, everybody else in OpenAI's.

docs.aws.amazon.com/bedrock/latest/userguide/inference-messages-api.html and inference-chat-completions.html beside it.
A model may be named with the region that its inference profile is in: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`.
"""

from dataclasses import replace

from router_service.providers import anthropic
from router_service.providers.provider import THOUGHTS, ModelFacts, Provider

PROFILES = ("", "us.", "eu.", "apac.", "jp.", "au.", "global.")

PROVIDER = Provider(
    name="amazon_bedrock",
    dialect="openai_chat",
    also=("openai_responses",),
    base_url="https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
    roots=(
        ("anthropic_messages", "/anthropic/v1"),
        ("openai_chat", "/openai/v1"),
        ("openai_responses", "/openai/v1"),
    ),
    key_variable="AWS_BEARER_TOKEN_BEDROCK",
    refuses_in_messages=THOUGHTS,
    betas=(  # any other is "invalid beta flag"
        "computer-use-",
        "context-1m-",
        "context-management-",
        "dev-full-thinking-",
        "effort-",
        "fine-grained-tool-streaming-",
        "interleaved-thinking-",
        "output-128k-",
        "token-efficient-tools-",
        "tool-examples-",
        "tool-search-tool-",
    ),
    vendor_tools=frozenset({"tool_search_tool_regex"}),  # code and the web are Anthropic's own API's
    models=(
        *(
            replace(facts, prefix=f"{profile}anthropic.{facts.prefix}", dialect="anthropic_messages")
            for profile in PROFILES
            for facts in anthropic.PROVIDER.models
        ),
        ModelFacts("openai.gpt-oss-", 128_000, 65_536, reasoning=True, dialect="openai_chat"),
    ),
)
