"""The kinds of requests, and by what they are known: what a client says of them, and how it begins its own.

Only how a text begins counts, never prose about it. A client that says what a request is (in a header) leads; the
marks are for those that do not. As seen from Claude Code 2.1.197 and 2.1.330, Codex 0.169, opencode 1.18, Qwen Code
0.15 and aider 0.86 in November 2026: of the requests they really sent where there was a way to make them, else of the
words that stand in their programs.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "user turn",  # the user's own words: the only kind that is routed by its content
    "tool continuation",  # the turn goes on: results of tools, words typed meanwhile, what the client itself adds
    "side question",  # asked beside a turn, about it: whoever serves the session answers, and nothing moves
    "compaction",  # the whole conversation, to be summarized
    "title",
    "probe",
    "classifier",  # may the agent do this? Nothing goes on until it is answered
    "web search",
    "auxiliary",
]

TURNS: frozenset[Kind] = frozenset({"user turn", "tool continuation"})
SIDE: frozenset[Kind] = frozenset({"title", "probe", "classifier", "web search", "auxiliary"})  # for the fast lane

Hint = Kind | Literal["turn"]
"""What a client says of a request; `turn`: it is one, and its messages say whether it begins or goes on."""

CLAUDE_CODE: dict[str, Hint] = {  # x-claude-code-request-class, with CLAUDE_CODE_GATEWAY_HINT_HEADERS=1
    "main": "turn",
    "subagent": "turn",
    "workflow": "turn",
    "compaction": "compaction",
    "side_reply": "side question",
    "auxiliary": "auxiliary",
}
CODEX: dict[str, Hint] = {  # request_kind of x-codex-turn-metadata
    "turn": "turn",
    "compaction": "compaction",
    "memory": "auxiliary",
    "prewarm": "auxiliary",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How a client begins what its user did not write: a block of the system's, or a text of the present turn.

    `bare`: only where no tools are offered.
    """

    kind: Kind
    system: str = ""
    user: str = ""
    bare: bool = False


MARKS = (
    # Claude Code
    Mark("compaction", user="CRITICAL: Respond with TEXT ONLY"),
    Mark("side question", user="<system-reminder>This is a side question from the user."),
    Mark("classifier", system="You are a security monitor for autonomous AI coding agents."),
    Mark("classifier", system="You are evaluating a hook in Claude Code."),
    Mark("classifier", system="You are evaluating a stop-condition hook in Claude Code."),
    Mark(
        "title", user="Generate a short kebab-case name (2-4 words) that captures the main topic of this conversation."
    ),
    Mark("auxiliary", user="The user stepped away and is coming back. Recap in under 40 words"),
    Mark("auxiliary", user="Describe your most recent action in 3-5 words using present tense (-ing)."),
    Mark("auxiliary", user="You are now acting as the memory extraction subagent."),
    Mark("auxiliary", user="Web page content:\n---\n", bare=True),
    # Claude Code and Qwen Code
    Mark("auxiliary", user="[SUGGESTION MODE: Suggest what the user might naturally type next"),
    # Codex
    Mark("compaction", user="You are performing a CONTEXT CHECKPOINT COMPACTION."),
    # opencode
    Mark("title", system="You are a title generator. You output ONLY a thr", bare=True),
    Mark("compaction", system="You are a context summarization agent. You are given a conversation", bare=True),
    # Qwen Code
    Mark("auxiliary", system="You are now acting as the managed memory extract"),
    Mark("title", system="Generate a concise, sentence-case title (3-7 words)"),
    Mark("compaction", system="You are the component that summarizes internal chat history"),
    # aider
    Mark(
        "auxiliary", system="You are an expert software engineer that generates concise, one-line Git commit", bare=True
    ),
    Mark("compaction", system="*Briefly* summarize this partial conversation about programming.", bare=True),
)
