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


_BY_PATH = {path: dialect for dialect in DIALECTS.values() for path in dialect.paths}
_BY_COUNT_PATH = {dialect.counter.path: dialect for dialect in DIALECTS.values() if dialect.counter}


def by_path(path: str) -> Dialect | None:
    """The dialect whose clients ask at this path, given without its query."""
    return _BY_PATH.get(path)


def by_count_path(path: str) -> Dialect | None:
    """The dialect whose clients ask at this path how many tokens a request comes to."""
    return _BY_COUNT_PATH.get(path)
