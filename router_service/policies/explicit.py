"""The client's own word: a configured model, an alias, the fast lane; anything else asks to be routed.

Claude Code names a `claude-*` model even when the user chose none, so such a name is a choice only when it is
written `provider/model`, or behind the prefix under which it is offered to Claude Code; from other clients a configured
model name is one as it stands.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from router_service.conversation import BadRequest
from router_service.plan import CLAUDE_CODES, FAST_MODELS, ROUTED_MODELS, Candidate, Plan
from router_service.policies.policy import Decision, Lane

_LONGEST = 300  # characters of a model's name
_SUFFIX = re.compile(r"\[[^\]]*\]$")  # `[1m]`: Claude Code's mark for the long context window
_DATE = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$")  # Anthropic's, Vertex AI's, OpenAI's


@dataclass(frozen=True, slots=True)
class Named:
    """What a model name asks for: one candidate, the fast lane, or to be routed."""

    lane: Lane
    candidate: Candidate | None = None


def resolve(plan: Plan, model: str, *, claude_code: bool) -> Named:
    """Raises BadRequest when the name means nothing here."""
    if len(model) > _LONGEST:  # which takes minutes to be compared with others
        raise BadRequest(
            f"model: a name of {len(model):,} characters; no model has one", status=404, kind="not_found_error"
        )
    offered = _SUFFIX.sub("", model.strip())
    bare = offered.removeprefix(CLAUDE_CODES)
    guessed = claude_code and bare == offered and bare.startswith("claude-")
    for name in _spellings(plan, bare):
        if name in plan.aliases:
            named = plan.aliases[name]
            if name in FAST_MODELS:
                return Named("fast", named if named in plan.candidates else plan.fast)
            return Named("explicit", named)
        if name in plan.names and not guessed:
            return Named("explicit", plan.names[name])
    if bare in FAST_MODELS or (bare.startswith("claude-") and "haiku" in bare):
        return Named("fast", plan.fast)
    if bare in ROUTED_MODELS or bare.startswith(("claude-", "arch.")) or bare in ("auto", "archgw"):
        return Named("routed")
    raise BadRequest(_unknown(plan, bare), status=404, kind="not_found_error")


def choose(plan: Plan, named: Named, model: str) -> Decision:
    candidate = named.candidate or plan.fast
    words = "the client asked for" if named.lane == "explicit" else "fast lane:"
    reason = f"{words} {model} -> {candidate.label}"
    return Decision(plan.default, plan.chain(plan.default, candidate), reason, lane=named.lane)


def _spellings(plan: Plan, model: str) -> Iterator[str]:
    """What it may be called here, the likeliest first: the last takes a look at all names."""
    yield model
    yield _undated(model)
    yield _dated(plan, model)


def _undated(model: str) -> str:
    return _DATE.sub("", model)


def _dated(plan: Plan, model: str) -> str:
    """The one configured name that is this with a date; empty when there is none, or more than one."""
    longer = (name for name in plan.names if name != model and name.startswith(model))
    found = [name for name in longer if _undated(name) == model]
    return found[0] if len(found) == 1 else ""


def _unknown(plan: Plan, model: str) -> str:
    unused = next((item for item in plan.disabled if model in (item.label, item.label.partition("/")[2])), None)
    if unused:
        return f"archgw cannot use the model '{unused.label}': {unused.reason}"
    known = [*plan.names, *plan.aliases]
    close = difflib.get_close_matches(model, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    offered = ", ".join(sorted(candidate.label for candidate in plan.candidates))
    return f"archgw knows no model '{model}'; {hint}ask for '{ROUTED_MODELS[0]}' to be routed, or for one of: {offered}"
