"""Z.ai, the international house of Zhipu, the maker of GLM: docs.z.ai/api-reference/llm/chat-completion.

What it does not take it answers with "Invalid API parameter, please check the documentation.", code 1210.
"""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

EFFORTS = ("low", "high", "max")
# docs.z.ai/guides/capabilities/struct-output knows `json_object` and asks for the schema in words.
Glm = partial(ModelFacts, structured=False, forcing="auto")

PROVIDER = Provider(
    name="zai",
    dialect="openai_chat",
    base_url="https://api.z.ai/api/paas/v4",
    key_variable="ZAI_API_KEY",
    hottest=1.0,
    most_stops=1,
    tokenizer="cl100k",
    models=(
        Glm("glm-4.5", 128_000, 32_000),
        Glm("glm-4.5v", 128_000, 32_000, images=True),
        Glm("glm-4.6", 200_000, 128_000),
        Glm("glm-4.6v", 128_000, 32_000, images=True),
        Glm("glm-4.7", 200_000, 128_000),
        Glm("glm-5", 200_000, 128_000),
        Glm("glm-5v", 200_000, 128_000, images=True),
        Glm("glm-5.2", 1_000_000, 128_000, reasoning=True, efforts=EFFORTS),
        Glm("glm-5.3", 1_000_000, 128_000, reasoning=True, efforts=EFFORTS),
        Glm("glm-5.3-flash", 1_000_000, 128_000, images=True, reasoning=True, efforts=EFFORTS),
    ),
)
