"""DeepSeek."""

from router_service.providers.provider import ModelFacts, Provider

PROVIDER = Provider(
    name="deepseek",
    dialect="openai_chat",
    base_url="https://api.deepseek.com/v1",
    key_variable="DEEPSEEK_API_KEY",
    refuses_in_messages=frozenset({"developer"}),  # "unknown variant `developer`, expected one of `system`, `user`"
    models=(
        ModelFacts("deepseek-chat", 131_072, 8_192),
        ModelFacts("deepseek-coder", 128_000, 8_192),
        ModelFacts("deepseek-reasoner", 131_072, 65_536, sampling=False),
        ModelFacts("deepseek-flash", 1_000_000, 393_216, images=True),
        ModelFacts("deepseek-v4-flash", 1_000_000, 393_216, images=True),
        ModelFacts("deepseek-v4-pro", 1_000_000, 393_216),
    ),
)
