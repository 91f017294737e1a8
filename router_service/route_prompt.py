"""What an LLM that routes is told, and what its answer means.

The form is that of Arch-Router-like models: the routes as JSON in <routes>, the conversation as JSON in <conversation>,
and {"route": "name"} as the answer, "other" when none fits.
"""

import json
import re
from collections.abc import Sequence

from router_service.plan import Route

OTHER = "other"
_TASK = """You choose the route of a request.
<routes>
{routes}
</routes>
<conversation>
{conversation}
</conversation>
The routes above are a JSON list; each has a name, and a description of the requests that belong to it. Decide which \
one the user's latest message in the conversation calls for, in the light of what was said before it.
If none of them fits, or nothing is left to do, the route is "other".
Answer with JSON alone, with the exact name of the route: {{"route": "name"}}"""
_ANSWER = re.compile(r"""["']route["']\s*:\s*(?:("(?:[^"\\]|\\.)*")|'([^']*)')""")


def messages(routes: Sequence[Route], ask: str, context: Sequence[str]) -> list[dict[str, str]]:
    """The chat to send. `context` is newest first, "role: words"."""
    listed = json.dumps([{"name": r.name, "description": r.description} for r in routes], ensure_ascii=False)
    said = [_message(turn) for turn in reversed(context)] + [{"role": "user", "content": ask}]
    task = _TASK.format(routes=listed, conversation=json.dumps(said, ensure_ascii=False))
    return [{"role": "user", "content": task}]


def chosen(answer: str, routes: Sequence[Route]) -> Route | None:
    """The route that the answer names; None for "other". Raises ValueError when it names neither."""
    found = _ANSWER.search(answer)
    if not found:
        raise ValueError("no route in the answer")
    try:
        name = str(json.loads(found[1], strict=False) if found[1] else found[2]).strip().casefold()
    except ValueError as error:
        raise ValueError("the route in the answer is not written as JSON is") from error
    if name == OTHER:
        return None
    for route in routes:
        if route.name.casefold() == name:
            return route
    raise ValueError("the answer names a route that there is not")


def _message(turn: str) -> dict[str, str]:
    role, _, words = turn.partition(": ")
    return {"role": role, "content": words}
