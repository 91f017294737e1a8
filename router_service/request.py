"""A client's request, as far as it is known: by its headers, then with its body; and what it says by itself. Pure."""

from dataclasses import dataclass, field

from router_service import decisions, intent, needs, request_json
from router_service.conversation import BadRequest, Conversation
from router_service.dialects import by_count_path, by_path
from router_service.dialects.dialect import Dialect
from router_service.events import Headers
from router_service.needs import Fitting, Needs
from router_service.plan import Candidate, Plan
from router_service.policies import explicit, whole
from router_service.policies.cooled import Able


@dataclass(slots=True)
class Request:
    """By its headers. `wall` is in seconds since the epoch, `decides`: nothing but a decision is asked for."""

    id: str
    wall: float
    started: float = 0.0
    headers: Headers = field(default_factory=dict)
    caller: str = ""
    path: str = ""
    query: str = ""
    decides: bool = False


@dataclass(slots=True)
class Understood:
    """A request that has been read and waits for its decision."""

    request: Request
    dialect: Dialect
    body: bytes
    conversation: Conversation
    intent: intent.Intent
    session: str
    needs: Needs
    fitting: Fitting

    def named(self) -> explicit.Named:
        """What the client calls for by name. Raises BadRequest."""
        headers = self.request.headers
        own_word = headers.get("x-arch-model", "")
        model = own_word or self.conversation.model
        claude_code = headers.get("user-agent", "").startswith("claude-cli/")
        return explicit.resolve(self.fitting.plan, model, claude_code=claude_code and not own_word)

    def label(self) -> str:
        """The same by our name for it; empty where we have none, for a client's word may be of any length."""
        try:
            named = self.named()
        except BadRequest:
            return ""
        return named.candidate.label if named.candidate else ""

    def able(self) -> Able:
        """Whether somebody may step in: it fits, and nothing of what is to be summarized is lost on it."""
        summarized = self.needs.about if self.intent.kind == "compaction" else 0

        def able(candidate: Candidate) -> bool:
            return candidate.id not in self.fitting.obstacles and whole.holds(candidate, summarized)

        return able


def understand(request: Request, body: bytes, plan: Plan) -> Understood:
    """Raises BadRequest, and RecursionError where it is nested too deeply."""
    path = request.path
    parsed = request_json.read(body, plan.limits)
    dialect = by_count_path(path) or by_path(path) or decisions.dialect(path)
    assert dialect is not None
    conversation = decisions.conversation(path, parsed) if request.decides else dialect.parse_request(parsed)
    needed = needs.of(conversation)
    return Understood(
        request,
        dialect,
        body,
        conversation,
        intent.read(conversation, request.headers),
        decisions.session(path, conversation, request.headers),
        needed,
        needs.fitting(plan, needed),
    )
