"""A routing prompt, and what an Arch-Router-like model would answer to it: docs/simulate.md has the rule.

The form is that of https://huggingface.co/katanemo/Arch-Router-1.5B: a JSON list of routes between <routes> tags, the
conversation as JSON between <conversation> tags, {"route": "name"} as the answer, "other" when no route fits. Nothing
here is the gateway's own code, so that a mistake in its prompt is seen.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from archgw.simulate.refusal import Json, Refused
from archgw.simulate.script import Said

OTHER = "other"
SECTION = r"^<{0}>[ \t]*\n(.*?)\n[ \t]*</{0}>[ \t]*$"
ROUTES, CONVERSATION = (re.compile(SECTION.format(tag), re.DOTALL | re.MULTILINE) for tag in ("routes", "conversation"))
FORM = re.compile(r'\{\s*"route"\s*:')
WORD = re.compile(r"[^\W_]+")
SHORT = 2  # letters that are no word yet
IDLE = frozenset(
    ("the", "and", "for", "with", "that", "this", "from", "your", "you", "are", "not", "but", "can", "how", "what")
)


def answered(conversation: Sequence[Said]) -> str:
    """The route that the last message asks for, as JSON; empty where it is no routing prompt. Raises Refused."""
    prompt = conversation[-1].text if conversation and conversation[-1].role == "user" else ""
    routes, said = ROUTES.search(prompt), CONVERSATION.search(prompt)
    if not (routes and said and FORM.search(prompt)):
        return ""
    return json.dumps({"route": best(parse_routes(routes[1]), last_ask(said[1]))}, ensure_ascii=False)


def best(routes: dict[str, str], ask: str) -> str:
    """The route of whose words the ask has the most, the first of several; "other" where it has none of any."""
    asked = words(ask)
    name = max(routes, key=lambda name: len(asked & words(f"{name} {routes[name]}")))
    return name if asked & words(f"{name} {routes[name]}") else OTHER


def words(text: str) -> set[str]:
    """In small letters, without idle and very short ones, and without the s at the end."""
    found = (word.casefold() for word in WORD.findall(text))
    return {word.removesuffix("s") for word in found if len(word) > SHORT and word not in IDLE}


# -- what is refused -----------------------------------------------------------------------------------------


def parse_routes(text: str) -> dict[str, str]:
    """Descriptions by name."""
    found: dict[str, str] = {}
    for route in objects(text, "routes", {"name", "description"}):
        name = route["name"]
        if not name.strip():
            raise flawed("a route has no name")
        if name.strip().casefold() == OTHER:
            raise flawed(f'no route can be called "{OTHER}", which says that none fits')
        if name.casefold() in map(str.casefold, found):
            raise flawed(f'two routes are called "{name}"')
        found[name] = route["description"]
    return found


def last_ask(text: str) -> str:
    turns = objects(text, "conversation", {"role", "content"})
    strange = [turn["role"] for turn in turns if turn["role"] not in ("user", "assistant")]
    if strange:
        raise flawed(f'in a conversation nobody is "{strange[0]}"')
    if turns[-1]["role"] != "user" or not turns[-1]["content"].strip():
        raise flawed("the conversation does not end with words of the user")
    return str(turns[-1]["content"])


def objects(text: str, section: str, fields: set[str]) -> list[Json]:
    """The objects of a section, each with these fields and no others, all of them text."""
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise flawed(f"<{section}> is not JSON") from error
    if not isinstance(found, list) or not found:
        raise flawed(f"<{section}> is not a list with something in it")
    for one in found:
        if not isinstance(one, dict) or one.keys() != fields or not all(isinstance(one[key], str) for key in fields):
            raise flawed(f"<{section}> holds something else than objects of the texts {' and '.join(sorted(fields))}")
    return found


def flawed(words: str) -> Refused:
    return Refused(f"the routing prompt: {words}")
