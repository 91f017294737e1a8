"""What came of a request: one value that the live view, the log and later the ledger keep. Never the prompt."""

from dataclasses import dataclass

from router_service.conversation import Usage

NO_USAGE = Usage()
GONE = 499  # nobody waited for the answer; nginx's word for it
# Of a try: the client's own mistakes, what this vendor alone refuses, and its leaving.
BLAMELESS = (400, 413, 422, GONE)


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """One try. `status` is the provider's, 0 when it never answered; `trouble` is empty when all went well.

    `brief` is the trouble without the provider's own words, which may quote what was asked; empty where it has none.
    `began`: how many seconds after the request. `seconds` are until its first content, or until it had failed.
    `provider`, `model`, `host` and `port`: who was asked, and where.
    """

    candidate: str
    status: int
    trouble: str
    seconds: float
    brief: str = ""
    began: float = 0.0
    provider: str = ""
    model: str = ""
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """An ask as the router model saw it, for learning: `vector` (float32 [width]) by the model of this fingerprint, and
    (preference, probability) by name of each and of "default", before anything learned. No words.
    """

    model: str = ""
    vector: bytes = b""
    fits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """How a model was chosen, for `archgw why`: kept in memory, told to the user alone, written nowhere.

    `ask` is what the router model was given, `fits` every preference's probability by name ("none of them" included),
    the best first; none where it had `trouble`.
    `passed_over`: who could not take the request, and why. `cooling`: who was to be left alone, and for how
    many seconds more. `served_before`: who had served the session. `began`: how many seconds after the request the
    router model was asked, which took `seconds`; `waited`: how many were waited for it.
    `seen` goes to the ledger, for learning; None where nothing is learned.
    """

    ask: str = ""
    context: tuple[str, ...] = ()
    fits: tuple[tuple[str, float], ...] = ()
    difficulty: tuple[tuple[str, float], ...] = ()
    began: float = 0.0
    waited: float = 0.0
    seconds: float = 0.0
    trouble: str = ""
    candidates: tuple[str, ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()
    cooling: tuple[tuple[str, float], ...] = ()
    served_before: str = ""
    switch: str = ""
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One client request, ended. Times are in seconds; `started` is seconds since the epoch.

    `ask` is filled only when the user enabled it. `brief` is the error without a provider's own words, empty where it
    has none. `first_content` and `score` are None where there was none. `cost` and `baseline`, what the same would have
    cost on the model of that name, are dollars, None where a price is not known. `prompt` is the client's own id of
    what the user asked. `caller` is the name of the client key it came with, empty where none is wanted.
    `signals`: what speaks for or against this answer or an earlier one, by the id of its request. `route_id` is the
    route, or the lane in which the client itself chose, as a label may carry it. `dialect` is the client's; `parent` is
    its traceparent (W3C), as it was sent. `model_told` is what the model that answered calls itself. `cache`: how the
    cache had to do with it, empty where it had not; of a `hit`, `model_served` is who answered when it was asked.
    `decided`: nothing but a decision was asked for, and what came of it nobody knows here.
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
    route_id: str = ""
    dialect: str = ""
    streamed: bool = False
    parent: str = ""
    model_told: str = ""
    cache: str = ""
    decided: bool = False
