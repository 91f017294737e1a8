"""What a request needs of the model that is to answer it, and who cannot take it.

Decided before anybody is asked: a model that sees nothing is no answer to a picture, and one with a small window none
to a long session. Where nobody fits, everybody is left in: the nearest adapts the request and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from router_service.conversation import Conversation, Document, Image, Text, ToolCall, ToolResult
from router_service.plan import Candidate, Plan, Route

USUAL_LETTERS_PER_TOKEN = 3.5  # of text and code together
FEWEST_LETTERS_PER_TOKEN = 3  # what English and code come to at worst: whose window holds that, has room
UNSEEN = 512  # tokens besides: roles, marks, the names of fields
LEAST_ROOM = 1024  # tokens of an answer; whoever has less room says so himself
MOST_LETTERS_PER_TOKEN = 8  # more than any tokenizer makes of text or code: whose window is too small by this, is


@dataclass(frozen=True, slots=True)
class Needs:
    """`tokens` is the least that the request may come to. `vendor_tools` are kinds of tools that their vendor runs,
    where an answer without them would be none: there are no others, or one of them is forced.
    """

    images: bool = False
    documents: bool = False
    tools: bool = False
    tokens: int = 0
    vendor_tools: frozenset[str] = frozenset()

    @property
    def about(self) -> int:
        """The tokens that such a request usually comes to."""
        return int(self.tokens * MOST_LETTERS_PER_TOKEN / USUAL_LETTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Fitting:
    """The plan without who cannot take a request; `obstacles` say why, by candidate id."""

    plan: Plan
    obstacles: Mapping[str, str] = field(default_factory=dict)


def of(conversation: Conversation) -> Needs:
    """One walk, as a conversation is long: what nobody can count cheaply (pictures, reasoning, blocks of one vendor's)
    counts nothing."""
    letters = sum(len(tool.description) + len(str(tool.schema)) for tool in conversation.tools)
    letters += sum(len(part.text) for part in conversation.system)
    images = documents = False
    for message in conversation.messages:
        for outer in message.parts:
            for part in outer.parts if isinstance(outer, ToolResult) else (outer,):
                if isinstance(part, Text):
                    letters += len(part.text)
                elif isinstance(part, ToolCall):
                    letters += len(part.arguments)
                elif isinstance(part, Image):
                    images = True
                elif isinstance(part, Document):
                    letters += len(part.text)
                    documents = documents or bool(part.data or part.url)
    return Needs(
        images=images,
        documents=documents,
        tools=bool(conversation.tools),
        tokens=letters // MOST_LETTERS_PER_TOKEN,
        vendor_tools=_vendor_tools(conversation),
    )


def _vendor_tools(conversation: Conversation) -> frozenset[str]:
    choice = conversation.tool_choice
    if choice and choice.mode == "none":
        return frozenset()
    forced = choice.name if choice and choice.name not in {tool.name for tool in conversation.tools} else ""
    needed = (kind for kind in conversation.vendor_tools if kind == forced or not conversation.tools)
    return frozenset(needed)


def obstacle(candidate: Candidate, needs: Needs) -> str:
    """Why the candidate cannot take it; empty where it can, or where nobody knows the model."""
    facts, run = candidate.facts, candidate.provider.vendor_tools
    if needs.vendor_tools and run is not None and (lacking := sorted(needs.vendor_tools - run)):
        return f"its vendor runs no {', '.join(lacking)}"
    if not facts.prefix:
        return ""
    if needs.images and not facts.images:
        return "it cannot see images"
    if needs.documents and not facts.documents:
        return "it cannot read documents"
    if needs.tools and not facts.tools:
        return "it takes no tools"
    if facts.context and needs.tokens > facts.context:
        return f"its window holds {facts.context:,} tokens, and these are {needs.tokens:,} at least"
    return ""


def room(candidate: Candidate, needs: Needs) -> int | None:
    """How many tokens its window surely leaves for the answer; vendors of OpenAI's dialect refuse what asks for more.

    None where nobody knows, and for Anthropic, who says it in words that clients act on.
    """
    context = candidate.facts.context
    if context is None or candidate.facts.thinking or candidate.provider.dialect == "anthropic_messages":
        return None
    used = needs.tokens * MOST_LETTERS_PER_TOKEN // FEWEST_LETTERS_PER_TOKEN + UNSEEN
    return max(context - used, LEAST_ROOM)


def fitting(plan: Plan, needs: Needs) -> Fitting:
    obstacles = {c.id: words for c in plan.candidates if (words := obstacle(c, needs))}
    if not obstacles or len(obstacles) == len(plan.candidates):
        return Fitting(plan)

    def kept(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        return tuple(candidate for candidate in candidates if candidate.id not in obstacles)

    def narrowed(route: Route) -> Route:
        passed = tuple(f"{c.label} passed over: {obstacles[c.id]}" for c in route.candidates if c.id in obstacles)
        return replace(route, candidates=kept(route.candidates), passed_over=passed)

    default = replace(plan.default, candidates=kept(plan.default.candidates))
    narrow = replace(
        plan,
        candidates=kept(plan.candidates),
        routes=tuple(narrowed(route) for route in plan.routes),
        default=default,
        fast=plan.fast if plan.fast.id not in obstacles else default.candidates[0],
    )
    return Fitting(narrow, obstacles)
