"""Google Gemini through its OpenAI-compatible endpoint (ai.google.dev/gemini-api/docs/openai)."""

from router_service.providers.provider import OPENAIS_OWN, ModelFacts, Provider

PROVIDER = Provider(
    name="gemini",
    dialect="openai_chat",
    base_url="https://generativelanguage.googleapis.com/v1beta/openai",
    key_variable="GEMINI_API_KEY",
    refuses=OPENAIS_OWN | {"logit_bias", "parallel_tool_calls"},  # 'Unknown name "store": Cannot find field.'
    schema_beside_tools=False,  # "Function calling with a response mime type: 'application/json' is unsupported"
    documents_as_images=True,  # "Invalid content part type: file"
    tokenizer="gemini",
    models=(
        ModelFacts("gemini-", images=True, documents=True),
        ModelFacts("gemini-1.5-flash", 1_048_576, 8_192, images=True, documents=True),
        ModelFacts("gemini-1.5-pro", 2_097_152, 8_192, images=True, documents=True),
        ModelFacts("gemini-2.0-flash", 1_048_576, 8_192, images=True, documents=True),
        ModelFacts("gemini-2.5-", 1_048_576, 65_536, reasoning=True, images=True, documents=True),
        ModelFacts("gemini-3", 1_048_576, 65_536, reasoning=True, images=True, documents=True, signs_calls=True),
    ),
)
