"""What a user says of an answer: that it was good or bad, and who should have answered instead.

The ledger keeps it as signals: `good` or `bad`, and `should be`, which tells `preference:NAME` or `model:LABEL`. There
is one of each kind at most for a request, and a newer one takes its place.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from router_service.conversation import BadRequest, Failure
from router_service.evidence import NONE, SHOULD_BE, THUMBS, Target, target
from router_service.plan import Plan

PATH = "/v1/feedback"
LARGEST = 16 * 1024  # bytes of what is sent there
LAST = "last"
_NOBODYS = (NONE, "none")  # no preference: the default answers
_KINDS = ("preference", "model")
_LONGEST = 200  # characters of a name or an id; longer ones take long to be compared
_SHOWN = 60  # of a stranger's words in an error
_FIELDS = ("request", "session", "rating", "should_be")
_EXAMPLE = '{"request": "last", "rating": "bad", "should_be": {"preference": "NAME"}}'

EMPTY = f"the request has no body; send JSON such as {_EXAMPLE}"

Said = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Names:
    """What may be named: preferences, and models by every name of theirs, to their label."""

    preferences: tuple[str, ...]
    models: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Feedback:
    """`said` of one request: signals, each with what it tells. `gone`: those that are taken back.

    `request` is an id, or `last`: the last answered user turn. `session`: of this one alone, by how its id begins.
    """

    request: str
    session: str = ""
    said: Said = ()
    gone: tuple[str, ...] = ()


def names(plan: Plan) -> Names:
    aliases = {alias: candidate.label for alias, candidate in plan.aliases.items()}
    models = {name: candidate.label for name, candidate in plan.names.items()}
    return Names(tuple(route.name for route in plan.routes), aliases | models)


def resolve(word: str, known: Names) -> Target:
    """`NAME`, or `preference:NAME` and `model:NAME` where both have it. Raises ValueError, with words for the user."""
    kind, _, rest = word.strip().partition(":")
    kinds, name = ((kind,), rest.strip()) if kind in _KINDS and rest.strip() else (_KINDS, word.strip())
    if len(name) > _LONGEST:
        raise ValueError(f"a name of {len(name):,} characters; nothing has one")
    found = [one for kind in kinds if (one := _named(kind, name, known))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"'{name}' is a preference and a model; write {found[0].told} or {found[1].told}")
    raise ValueError(_unknown(name, kinds, known))


def check_length(length: int) -> None:
    """Raises BadRequest."""
    if length > LARGEST:
        words = f"archgw: feedback of {length:,} bytes; it takes {LARGEST:,}"
        raise BadRequest(words, status=413, kind="request_too_large")


def parse(body: Mapping[str, Any], known: Names) -> Feedback:
    """What was sent to PATH. Raises BadRequest."""
    for field in body:
        if field not in _FIELDS:
            raise BadRequest(f"{json.dumps(field[:_SHOWN])} is no field of feedback; it has {', '.join(_FIELDS)}")
    request, session = _id(body, "request", needed=True), _id(body, "session")
    said: list[tuple[str, str | None]] = []
    gone: list[str] = []
    if "rating" in body:
        rating = body["rating"]
        if rating is None:
            gone += THUMBS
        elif rating in THUMBS:
            said.append((rating, None))
        else:
            raise BadRequest('rating: expected "good", "bad", or null to take it back')
    if "should_be" in body:
        meant = _target(body["should_be"], known)
        if meant:
            said.append((SHOULD_BE, meant.told))
        else:
            gone.append(SHOULD_BE)
    if not said and not gone:
        raise BadRequest(f"nothing is said: send a rating, a should_be, or both, such as {_EXAMPLE}")
    return Feedback(request, session, tuple(said), tuple(gone))


def kept(feedback: Feedback, request: str, model: str, preference: str) -> bytes:
    """The answer to it, as JSON: of which request it is kept, who had answered it, and what was said."""
    told: dict[str, Any] = {"request": request, "model": model, "preference": preference}
    for signal, more in feedback.said:
        meant = target(more)
        told |= {"should_be": {meant.kind: meant.name}} if meant else {"rating": signal}
    if SHOULD_BE in feedback.gone:
        told["should_be"] = None
    if THUMBS[0] in feedback.gone:
        told["rating"] = None
    return json.dumps(told).encode()


def refused(failure: Failure) -> bytes:
    """The answer to feedback that cannot be kept, as JSON."""
    return json.dumps({"error": {"type": failure.kind, "message": failure.message}}).encode()


def unknown(feedback: Feedback) -> BadRequest:
    """There is no such request, or it is somebody else's, which is told alike."""
    if feedback.request == LAST:
        where = "in this session yet" if feedback.session else "yet"
        words = f"nothing has been answered {where}"
    else:
        words = f"there is no request '{feedback.request[:_SHOWN]}'; send the x-arch-request-id of an answer"
    return BadRequest(f"archgw: {words}", status=404, kind="not_found_error")


def _named(kind: str, name: str, known: Names) -> Target | None:
    if kind == "model":
        return Target("model", known.models[name]) if name in known.models else None
    if _folded(name) in _NOBODYS:
        return Target("preference", NONE)
    found = next((one for one in known.preferences if _folded(one) == _folded(name)), None)
    return Target("preference", found) if found else None


def _unknown(name: str, kinds: Iterable[str], known: Names) -> str:
    preferences = [*known.preferences, NONE] if "preference" in kinds else []
    models = list(known.models) if "model" in kinds else []
    there = {_folded(one): one for one in [*models, *preferences]}
    close = difflib.get_close_matches(_folded(name), there, n=1)
    hint = f"; did you mean '{there[close[0]]}'?" if close else ""
    listed = [f"preferences: {', '.join(preferences)}"] if preferences else []
    listed += [f"models: {', '.join(sorted(set(known.models.values())))}"] if models else []
    return f"no {' or '.join(kinds)} '{name}'{hint} ({'; '.join(listed)})"


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _id(body: Mapping[str, Any], field: str, *, needed: bool = False) -> str:
    value = body.get(field)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        what = 'an id (x-arch-request-id), or "last"' if needed else "the id of a session, or how it begins"
        raise BadRequest(f"{field}: expected {what}; such as {_EXAMPLE}")
    return value


def _target(value: Any, known: Names) -> Target | None:
    """`{"preference": NAME}`, `{"model": NAME}`, or a name alone; null takes back what was said."""
    if value is None:
        return None
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        value = f"{kind}:{name}" if kind in _KINDS and isinstance(name, str) and name.strip() else None
    if not isinstance(value, str) or not value.strip():
        raise BadRequest('should_be: expected {"preference": NAME}, {"model": NAME}, a name, or null to take it back')
    try:
        return resolve(value, known)
    except ValueError as error:
        raise BadRequest(f"should_be: {error}") from error
