"""Claude Code's transcripts as it writes them, by hand: 2.1.197 and 2.1.330, with what the latter keeps beside them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STARTED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
USAGE = {"input_tokens": 1_000, "cache_read_input_tokens": 20_000, "cache_creation_input_tokens": 2_000}


class Writer:
    """One file. Every line hangs on the one before, and comes a second after it."""

    def __init__(
        self, version: str = "2.1.330", session: str = "s-1", agent: str = "", started: datetime = STARTED
    ) -> None:
        self.lines: list[str] = []
        self.version, self.session, self.agent, self.now = version, session, agent, started
        self.parent: str | None = None
        self._answers = 0

    def raw(self, text: str) -> None:
        self.lines.append(text)

    def beside(self, kind: str, **fields: Any) -> None:
        """A line that is no part of the conversation."""
        self.raw(json.dumps({"type": kind, "sessionId": self.session, **fields}))

    def node(self, kind: str, **fields: Any) -> str:
        uuid = f"{self.session}-{self.agent}-{len(self.lines)}"
        self.now += timedelta(seconds=1)
        entry = {
            "parentUuid": self.parent,
            "isSidechain": bool(self.agent),
            **({"agentId": self.agent} if self.agent else {}),
            "type": kind,
            "uuid": uuid,
            "timestamp": self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "userType": "external",
            "cwd": "/home/me/shop",
            "sessionId": self.session,
            "version": self.version,
            "gitBranch": "main",
            **fields,
        }
        self.parent = uuid
        self.raw(json.dumps(entry, ensure_ascii=False))
        return uuid

    def user(self, content: Any, **fields: Any) -> str:
        """As the client writes what is typed: the newer one adds what it sends along."""
        if self.version == "2.1.330" and isinstance(content, str):
            self.beside("queue-operation", operation="enqueue", content=content)
        uuid = self.node("user", message={"role": "user", "content": content}, **fields)
        if self.version == "2.1.330":
            reminder = "<system-reminder>\nToday's date is 2026-11-20.\n</system-reminder>"
            self.node("attachment", attachment={"type": "date"}, rendered=[{"content": reminder}])
            self.beside("api-request-blob", hash="0", message={"role": "user", "content": content})
        return uuid

    def answer(self, *blocks: dict[str, Any], model: str = "claude-opus-4-8", output: int = 500, **fields: Any) -> str:
        """A line for each block, all with the same id and usage."""
        self._answers += 1
        message = {
            "model": model,
            "id": f"msg_{self.session}{self.agent}{self._answers}",
            "type": "message",
            "role": "assistant",
            "stop_reason": "end_turn",
            "usage": {**USAGE, "output_tokens": output, "service_tier": "standard"},
        }
        for block in blocks or (text("Done."),):
            uuid = self.node("assistant", message={**message, "content": [block]}, requestId="req_1", **fields)
        return uuid

    def tool(self, name: str = "Bash", result: Any = "42 passed", **fields: Any) -> None:
        """A call and its result."""
        call = f"toolu_{len(self.lines)}"
        self.answer(
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            text("Let me look."),
            {"type": "tool_use", "id": call, "name": name, "input": {"command": "make"}},
        )
        block = {"type": "tool_result", "tool_use_id": call, "content": result}
        self.node("user", message={"role": "user", "content": [block]}, toolUseResult={"stdout": "42 passed"}, **fields)

    def command(self, name: str, expanded: str = "", arguments: str = "") -> None:
        """A slash command, and what it expands to."""
        tags = f"<command-message>{name}</command-message>\n<command-name>/{name}</command-name>"
        self.node("user", message={"role": "user", "content": f"{tags}\n<command-args>{arguments}</command-args>"})
        if expanded:
            block = {"type": "text", "text": expanded}
            self.node("user", message={"role": "user", "content": [block]}, isMeta=True)

    def queued(self, prompt: str, **fields: Any) -> None:
        """What was typed while a tool ran."""
        self.node("attachment", attachment={"type": "queued_command", "prompt": prompt} | fields)

    def compact(self, summary: str) -> None:
        before, self.parent = self.parent, None
        self.node("system", subtype="compact_boundary", content="Conversation compacted", logicalParentUuid=before)
        words = f"This session is being continued from a previous conversation. {summary}"
        self.node("user", message={"role": "user", "content": words}, isCompactSummary=True)
        caveat = "<local-command-caveat>The command below was run directly.</local-command-caveat>"
        self.node("user", message={"role": "user", "content": caveat}, isMeta=True)
        self.command("compact")
        out = "<local-command-stdout>Compacted</local-command-stdout>"
        self.node("user", message={"role": "user", "content": out})

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def write(self, folder: Path) -> Path:
        """Where Claude Code puts it: a subagent's beside its session's."""
        project = folder / "-home-me-shop"
        file = project / f"{self.session}.jsonl"
        if self.agent:
            file = project / self.session / "subagents" / f"agent-{self.agent}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text(), "utf-8")
        return file


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}
