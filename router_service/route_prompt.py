"""What an LLM that routes is told, and what its answer means.

The form is that of Arch-Router-like models: the routes as JSON in <routes>, the conversation as JSON in <conversation>,
and {"route": "name"} as the answer, "other" when none fits. A preference of that name is told by another one.
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
_THINKING, _THOUGHT = re.compile(r"<think(?:ing)?>"), re.compile(r"</think(?:ing)?>")
_ANSWER = re.compile(r"""["']route["']\s*:\s*(?:("(?:[^"\\]|\\.)*")|'([^']*)')""")


def names(routes: Sequence[Route]) -> dict[str, Route]:
    """The routes by what each is called in the prompt: its name, unless that means none, or another of them."""
    called: dict[str, Route] = {}
    taken = {OTHER}
    for route in routes:
        name = route.name
        while _folded(name) in taken:
            name = f"preference {name}"
        taken.add(_folded(name))
        called[name] = route
    return called


def messages(routes: Sequence[Route], ask: str, context: Sequence[str]) -> list[dict[str, str]]:
    """The chat to send. `context` is newest first, "role: words"."""
    listed = [{"name": name, "description": route.description} for name, route in names(routes).items()]
    said = [_message(turn) for turn in reversed(context)] + [{"role": "user", "content": ask}]
    task = _TASK.format(routes=_json(listed), conversation=_json(said))
    return [{"role": "user", "content": task}]


def chosen(answer: str, routes: Sequence[Route]) -> Route | None:
    """The route that the answer names last, outside of its thinking; None for "other". Raises ValueError when it names
    neither.
    """
    routes_named = list(_ANSWER.finditer(_said(answer)))
    if not routes_named:
        raise ValueError("no route in the answer")
    found = routes_named[-1]
    try:
        name = str(json.loads(found[1], strict=False) if found[1] else found[2])
    except ValueError as error:
        raise ValueError("the route in the answer is not written as JSON is") from error
    called = {_folded(known): route for known, route in names(routes).items()} | {OTHER: None}
    if _folded(name) not in called:
        raise ValueError("the answer names a route that there is not")
    return called[_folded(name)]


def refused(status: int, *, keyed: bool) -> str:
    """What an endpoint's status says that is no answer, in words. `keyed`: it was shown a key."""
    if status in (401, 403):
        return f"{status}: its key was refused" if keyed else f"{status}: it wants a key"
    return str(status)


def _said(answer: str) -> str:
    """Without its thinking, the beginning of which may be in the prompt, and the end cut off."""
    return _THINKING.split(_THOUGHT.split(answer)[-1])[0]


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _message(turn: str) -> dict[str, str]:
    role, _, words = turn.partition(": ")
    return {"role": role, "content": words}
