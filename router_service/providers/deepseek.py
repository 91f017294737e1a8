"""DeepSeek."""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

# "This response_format type is unavailable now" is its answer to json_schema.
Model = partial(ModelFacts, structured=False)
# "The `reasoning_content` in the thinking mode must be passed back to the API."
# "Thinking mode does not support this tool_choice": github.com/deepseek-ai/DeepSeek-V3/issues/1376
Thinker = partial(Model, thoughts="reasoning_content", forcing="unthinking")

PROVIDER = Provider(
    name="deepseek",
    dialect="openai_chat",
    base_url="https://api.deepseek.com/v1",
    key_variable="DEEPSEEK_API_KEY",
    refuses_in_messages=frozenset({"developer"}),  # "unknown variant `developer`, expected one of `system`, `user`"
    tokenizer="deepseek",
    models=(
        Model("deepseek-chat", 131_072, 8_192),
        Model("deepseek-coder", 128_000, 8_192),
        Thinker("deepseek-reasoner", 131_072, 65_536, sampling=False, forcing="never"),
        Thinker("deepseek-flash", 1_000_000, 393_216, images=True),
        Thinker("deepseek-v4-flash", 1_000_000, 393_216),  # "unknown variant `image_url`, expected `text`"
        Thinker("deepseek-v4-flash-vision", 1_000_000, 393_216, images=True),
        Thinker("deepseek-v4-pro", 1_000_000, 393_216),
    ),
)
