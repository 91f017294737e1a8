"""What budgets mean to one request: whose it is, who leads where they are thrifty, how it is refused. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from router_service import budgets
from router_service.budgets import Asker, Standing
from router_service.conversation import Failure
from router_service.plan import Plan
from router_service.policies import thrift
from router_service.policies.cooled import Able
from router_service.policies.policy import Decision
from router_service.session import Session, main_thread
from router_service.switching import WRITTEN

REASON = "over budget"


class Refusal(NamedTuple):
    """`headers`: what goes with it."""

    failure: Failure
    headers: dict[str, str]


def asker(client: str, session: str, decision: Decision | None = None) -> Asker:
    """Sub-agents spend what their session may. Which preference's it is, nobody knows before it is decided."""
    if decision is None:
        return Asker(client, main_thread(session))
    return Asker(client, main_thread(session), decision.route.name if decision.lane == "routed" else "")


def refuse(blocking: Sequence[Standing], now: float) -> Refusal:
    """In a way on which nobody asks again before it can help.

    `billing_error` is insufficient_quota to OpenAI's clients; Anthropic's know a 429 by its status. Claude Code shows
    the words at once where it is told not to retry; else it tries for minutes (2.1.197 and 2.1.330).
    """
    headers = {"x-arch-reason": REASON, "x-should-retry": "false"}
    left = budgets.seconds_left(blocking, now)
    if left is not None:
        headers["retry-after"] = str(left)
    return Refusal(Failure(429, "billing_error", budgets.refusal(blocking, now)), headers)


def thrifty(
    plan: Plan,
    decision: Decision,
    reached: Iterable[Standing],
    session: Session,
    *,
    tokens: int,
    able: Able,
    now: float,
) -> Decision:
    """Where a budget says so, the cheapest of those who are `able` leads. `tokens`: what the request comes to."""
    downgrading = budgets.applying(reached, "downgrade")
    if not downgrading:
        return decision
    return thrift.choose(
        plan,
        decision,
        tokens=tokens,
        written=session.written / session.requests if session.requests else WRITTEN,
        able=able,
        because="; ".join(map(budgets.warning, downgrading)),
        now=now,
    )
