"""Amazon Bedrock: Claude in Anthropic's dialect, everybody else in OpenAI's.

docs.aws.amazon.com/bedrock/latest/userguide/inference-messages-api.html and inference-chat-completions.html beside it:
bedrock-runtime, the endpoint that is recommended there (endpoints.html), takes both below /anthropic and /openai/v1,
with an API key of its own or signed with AWS credentials (SigV4). The service that is signed for is `bedrock`, at the
endpoint bedrock-mantle it is `bedrock-mantle`: so do openai-python 3.54 and anthropic-sdk-python 2.12 (seen 2026-11).
A model may be named with the region that its inference profile is in: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`.
"""

from dataclasses import replace

from router_service.providers import anthropic
from router_service.providers.provider import THOUGHTS, Cloud, ModelFacts, Provider

PROFILES = ("", "us.", "eu.", "apac.", "jp.", "au.", "global.")

AWS = Cloud(
    name="aws",
    credentials="AWS credentials",
    library="botocore",
    extra="bedrock",
    variables=(
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    files=(".aws/credentials", ".aws/config"),
    service="bedrock",
    region="AWS_REGION",
)

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
    cloud=AWS,
    # What goes with a flag that it does not take: "safeguards: Extra inputs are not permitted". So it answers a mark of
    # the prompt cache on the whole request, too: github.com/UKGovernmentBEIS/inspect_ai/pull/3851.
    refuses=frozenset(
        {
            "cache_control",
            "compaction",
            "display updates",
            "fallback_credit_token",
            "fallbacks",
            "mcp_servers",
            "safeguards",
            "speed",
            "thread",
        }
    ),
    refuses_in_messages=THOUGHTS | {"output_config"},
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
        ModelFacts("openai.gpt-oss-", 128_000, 65_536, reasoning=True, dialect="openai_chat", tokenizer="o200k"),
    ),
)
