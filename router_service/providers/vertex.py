"""Vertex AI of Google Cloud: Claude in Anthropic's dialect, Gemini and the others in OpenAI's.

Claude's name stands in the path, and the version in the body:
platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai. The others are named with their publisher,
`google/gemini-2.5-pro`, `meta/llama-3.3-70b-instruct-maas`:
docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/call-vertex-using-openai-library. The hosts are those of
anthropic-sdk-python 2.12, the beta flags those of LiteLLM 1.109.1; any other is "Unexpected value(s)"
(github.com/anthropics/claude-code/issues/21625). A token lasts for an hour; whoever has credentials gets the next.
"""

from dataclasses import replace

from router_service.providers import anthropic, gemini
from router_service.providers.provider import Call, Cloud, ModelFacts, Provider

GOOGLE = Cloud(
    name="google",
    credentials="Google credentials",
    library="google.auth",
    extra="vertex",
    variables=("GOOGLE_APPLICATION_CREDENTIALS",),
    files=(".config/gcloud/application_default_credentials.json",),
)
PROJECT = "/v1/projects/{GOOGLE_CLOUD_PROJECT}/locations/{GOOGLE_CLOUD_LOCATION}"


def _claude(facts: ModelFacts) -> ModelFacts:
    """Held to a schema from 4.6 on: .../vertex-ai/generative-ai/docs/partner-models/claude/structured_outputs."""
    return replace(facts, dialect="anthropic_messages", structured=facts.structured and facts.thinking == "adaptive")


PROVIDER = Provider(
    name="vertex",
    dialect="openai_chat",
    base_url="https://{GOOGLE_CLOUD_LOCATION}-aiplatform.googleapis.com",
    moved=(
        ("https://global-aiplatform.googleapis.com", "https://aiplatform.googleapis.com"),
        ("https://us-aiplatform.googleapis.com", "https://aiplatform.us.rep.googleapis.com"),
        ("https://eu-aiplatform.googleapis.com", "https://aiplatform.eu.rep.googleapis.com"),
    ),
    roots=(
        ("anthropic_messages", f"{PROJECT}/publishers/anthropic/models"),
        ("openai_chat", f"{PROJECT}/endpoints/openapi"),
    ),
    calls=(
        (
            "anthropic_messages",
            Call(
                whole="/{model}:rawPredict",
                streamed="/{model}:streamRawPredict",
                fields=(("model", None), ("anthropic_version", "vertex-2023-10-16")),
            ),
        ),
    ),
    key_variable="VERTEX_ACCESS_TOKEN",
    cloud=GOOGLE,
    # For a mark of the prompt cache on the whole request: github.com/vercel/ai/pull/13986
    refuses=gemini.PROVIDER.refuses | {"cache_control"},
    documents_as_images=gemini.PROVIDER.documents_as_images,
    schema_beside_tools=gemini.PROVIDER.schema_beside_tools,
    tokenizer="gemini",
    betas=(
        "compact-",
        "computer-use-",
        "context-1m-",
        "context-management-",
        "interleaved-thinking-",
        "per-turn-control-",
        "thinking-binding-controls-",
        "thinking-display-updates-",
        "tool-search-tool-",
        "web-search-",
    ),
    models=(
        *map(_claude, anthropic.PROVIDER.models),
        *(replace(facts, prefix=f"google/{facts.prefix}") for facts in gemini.PROVIDER.models),
    ),
)
