"""How many router services stand behind the one Envoy, and what they need to be one gateway."""

from router_service.config.keys import variable
from router_service.config.reading import Value
from router_service.config.sections import State

MOST = 64


def workers(value: Value | None, state: State) -> int:
    count = (1 if value is None else value.whole(least=1, most=MOST)) or 1
    if value is not None and (told := trouble(count, state)):
        value.wrong(*told)
    return count


def trouble(count: int, state: State) -> tuple[str, str] | None:
    """Why so many cannot be one gateway, and what to write; None where they can.

    Which of them a request comes to is chance: who serves a session must be known to all.
    """
    if count == 1 or state.url.startswith(("redis://", "rediss://")):
        return None
    if variable(state.url):  # that it is not set is said by itself, see `settled`
        return None
    kept = "in memory" if state.url == "memory" else "in a file of one process"
    return (
        f"{count} router services share sessions, budgets and answers through Redis; state.url keeps them {kept}",
        "state: {url: redis://127.0.0.1:6379}",
    )
