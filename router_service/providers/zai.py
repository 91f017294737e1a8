"""Z.ai, the international house of Zhipu, the maker of GLM."""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

# docs.z.ai/guides/capabilities/struct-output knows `json_object` and asks for the schema in words.
Model = partial(ModelFacts, structured=False)

PROVIDER = Provider(
    name="zai",
    dialect="openai_chat",
    base_url="https://api.z.ai/api/paas/v4",
    key_variable="ZAI_API_KEY",
    models=(
        Model("glm-4.5", 128_000, 32_000),
        Model("glm-4.5v", 128_000, 32_000, images=True),
        Model("glm-4.6", 200_000, 128_000),
        Model("glm-4.6v", 128_000, 32_000, images=True),
        Model("glm-4.7", 200_000, 128_000),
        Model("glm-5", 200_000, 128_000),
        Model("glm-5v", 200_000, 128_000, images=True),
        Model("glm-5.2", 1_000_000, 128_000),
        Model("glm-5.3", 1_000_000, 128_000),
        Model("glm-5.3-flash", 1_000_000, 128_000, images=True),
    ),
)
