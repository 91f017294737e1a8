"""What the launcher must know about a coding agent, and what all of them have in common."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from archgw.agents.texts import text_of
from router_service.admission import KEY
from router_service.plan import ROUTED_MODELS, Plan

Json = dict[str, Any]
TOKEN = "archgw"  # noqa: S105 - where clients need no key any word does; with it, no client asks for one
CLIENT_KEY = "ARCHGW_CLIENT_KEY"  # the variable of the key that the gateway wants from its clients
CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*$")
_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a launch depends on.

    `settings` are the user's for this session, `model` is the model he chose, `arguments` go to the agent. `files` are
    the texts of the agent's own settings files, by path, in the order in which it `reads` them. `archgw` is the
    program that is running, for agents that call it back. `feedback` is the folder of the commands that give feedback,
    where the user wants them.
    """

    url: str
    plan: Plan
    environment: Mapping[str, str]
    settings: Json = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)
    model: str = ""
    archgw: str = "archgw"
    feedback: Path | None = None

    @property
    def own_login(self) -> bool:
        """The client's own login is passed through to a vendor."""
        return any(candidate.passthrough for candidate in self.plan.candidates)

    @property
    def client_key(self) -> str:
        """What the gateway wants of its clients; empty where the user has set none."""
        return self.environment.get(CLIENT_KEY, "").strip()

    @property
    def token(self) -> str:
        """What the client sends as its API key."""
        return self.client_key or TOKEN

    @property
    def asked(self) -> str:
        """The model to ask for: the user's, or to be routed."""
        return self.model or ROUTED_MODELS[0]


@dataclass(frozen=True, slots=True)
class Launch:
    """The command to become, the variables to set, what to tell the user first, and files of ours to write before.

    Without a command, the variables are printed.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """`prepare` is pure; `reads(environment, here)` names the settings files that it wants to be shown, the weakest
    first; a last part such as *.md means every such file. `feedback`: it can have commands that give feedback."""

    name: str
    program: str
    install: str
    prepare: Callable[[Situation], Launch]
    reads: Callable[[Mapping[str, str], Path], Sequence[Path]] = lambda environment, here: ()
    feedback: bool = False


def variables(settings: Json) -> tuple[dict[str, str], Json]:
    """The environment in settings, from `env` and from the top level, and what is left of them."""
    lifted = {name: text_of(value) for name, value in settings.items() if _VARIABLE.match(name)}
    given = {name: text_of(value) for name, value in (settings.get("env") or {}).items()}
    rest = {name: value for name, value in settings.items() if name not in lifted and name != "env"}
    return lifted | given, rest


def past_proxies(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """Who uses a proxy asks it for the gateway, too, unless told otherwise."""
    if not any(environment.get(name) for name in _PROXIES):
        return dict(environment)
    told = [environment.get("NO_PROXY") or environment.get("no_proxy") or "", urlsplit(url).hostname or "", "localhost"]
    passed = ",".join(filter(None, told))
    return {**environment, "NO_PROXY": passed, "no_proxy": passed}


def key_header(situation: Situation, given: Mapping[str, str]) -> dict[str, str]:
    """The client's key beside its own login, which leaves no other place for it: a line more of Anthropic's custom
    headers, below the user's own."""
    if not situation.client_key:
        return {}
    own = given.get(CUSTOM_HEADERS) or situation.environment.get(CUSTOM_HEADERS, "")
    return {CUSTOM_HEADERS: "\n".join(filter(None, (own, f"{KEY}: {situation.client_key}")))}


def billing(plan: Plan) -> list[str]:
    """What a login of the user's own covers, and what becomes billable."""
    own = [candidate.label for candidate in plan.candidates if candidate.passthrough]
    others = [candidate.label for candidate in plan.candidates if not candidate.passthrough]
    if not own or not others:
        return []
    return [
        f"your own login covers {', '.join(own)} alone; what {', '.join(others)} answers, first or in its place, is"
        " billed to the keys in your config"
    ]


def unused_login(plan: Plan, agent: str) -> list[str]:
    """Models with passthrough_auth have no key but the client's, and this client has none for them."""
    own = [candidate.label for candidate in plan.candidates if candidate.passthrough]
    return [f"{', '.join(own)}: passthrough_auth wants Claude Code's login, which {agent} does not have"] if own else []


def ancestors(here: Path) -> list[Path]:
    """The folder and those around it, the outermost first."""
    return [*reversed(here.parents), here]


def option(arguments: Sequence[str], *names: str) -> str:
    """The last value of a command line's option, written `--name value` or `--name=value`; empty where it has none."""
    values = [
        after if argument in names else argument.partition("=")[2]
        for argument, after in zip(arguments, [*arguments[1:], ""], strict=False)
        if argument.partition("=")[0] in names
    ]
    return values[-1] if values else ""
