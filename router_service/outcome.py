"""What came of a request: one value that the live view, the log and later the ledger keep. Never the prompt."""

from dataclasses import dataclass

from router_service.conversation import Usage

NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """One try. `status` is the provider's, 0 when it never answered; `trouble` is empty when all went well."""

    candidate: str
    status: int
    trouble: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One client request, ended. Times are in seconds; `started` is seconds since the epoch.

    `ask` is filled only when the user enabled it. `first_content` and `score` are None where there was none.
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
