"""What came of a request: one value that the live view, the log and later the ledger keep. Never the prompt."""

from dataclasses import dataclass

from router_service.conversation import Usage

NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """One try. `status` is the provider's, 0 when it never answered; `trouble` is empty when all went well.

    `brief` is the trouble without the provider's own words, which may quote what was asked; empty where it has none.
    """

    candidate: str
    status: int
    trouble: str
    seconds: float
    brief: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """How a model was chosen, for `archgw why`: kept in memory, told to the user alone, written nowhere.

    `ask` is what the router model was given, `fits` every preference's probability by name ("none of them" included).
    `passed_over`: who could not take the request, and why. `cooling`: who was to be left alone, and for how
    many seconds more. `served_before`: who had served the session.
    """

    ask: str = ""
    context: tuple[str, ...] = ()
    fits: tuple[tuple[str, float], ...] = ()
    difficulty: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0
    trouble: str = ""
    candidates: tuple[str, ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()
    cooling: tuple[tuple[str, float], ...] = ()
    served_before: str = ""
    switch: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One client request, ended. Times are in seconds; `started` is seconds since the epoch.

    `ask` is filled only when the user enabled it. `brief` is the error without a provider's own words, empty where it
    has none. `first_content` and `score` are None where there was none. `cost` and `baseline`, what the same would have
    cost on the model of that name, are dollars, None where a price is not known. `prompt` is the client's own id of
    what the user asked. `caller` is the name of the client key it came with, empty where none is wanted.
    `signals`: what speaks for or against this answer or an earlier one, by the id of its request.
    """

    id: str
    started: float
    kind: str
    client: str
    session: str
    route: str
    reason: str
    model_asked: str
    model_served: str
    status: int
    attempts: tuple[AttemptOutcome, ...] = ()
    usage: Usage = NO_USAGE
    score: float | None = None
    first_content: float | None = None
    duration: float = 0.0
    error: str = ""
    ask: str = ""
    warnings: tuple[str, ...] = ()
    cost: float | None = None
    baseline: float | None = None
    prompt: str = ""
    trace: Trace = Trace()
    caller: str = ""
    brief: str = ""
    signals: tuple[tuple[str, str], ...] = ()
