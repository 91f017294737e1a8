"""The wire formats we speak. One file per dialect, one line in the table.

`dialect.py` says what a dialect must be able to do; `parts/` holds what they share, `anthropic/` and `openai/`
the pieces that one of them is put together from.
"""

from router_service.dialects.anthropic_messages import AnthropicMessages
from router_service.dialects.dialect import Dialect
from router_service.dialects.openai_chat import OpenAIChat
from router_service.dialects.openai_responses import OpenAIResponses

DIALECTS: dict[str, Dialect] = {
    "anthropic_messages": AnthropicMessages(),
    "openai_chat": OpenAIChat(),
    "openai_responses": OpenAIResponses(),
}


def by_path(path: str) -> Dialect | None:
    """The dialect whose clients ask at this path, given without its query."""
    return next((dialect for dialect in DIALECTS.values() if path in dialect.paths), None)


def by_count_path(path: str) -> Dialect | None:
    """The dialect whose clients ask at this path how many tokens a request comes to."""
    return next((one for one in DIALECTS.values() if one.counter and one.counter.path == path), None)
