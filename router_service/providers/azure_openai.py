"""Azure OpenAI through its v1 API: learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle.

The model is the name of a deployment; one that is named as its model is known by it.
"""

from router_service.providers import openai
from router_service.providers.provider import Provider

PROVIDER = Provider(
    name="azure_openai",
    dialect="openai_chat",
    also=("openai_responses",),
    base_url="https://{AZURE_OPENAI_RESOURCE}.openai.azure.com/openai/v1",
    key_variable="AZURE_OPENAI_API_KEY",
    auth_header="api-key",
    auth_scheme="",
    tool_id_length=openai.PROVIDER.tool_id_length,
    refuses_in_messages=openai.PROVIDER.refuses_in_messages,
    tokenizer=openai.PROVIDER.tokenizer,
    affinity="prompt_cache_key",  # learn.microsoft.com/azure/foundry/openai/how-to/prompt-caching
    vendor_tools=openai.PROVIDER.vendor_tools,
    knows=openai.PROVIDER.knows - {"service_tier"},
    models=openai.PROVIDER.models,
)
