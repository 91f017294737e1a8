"""archgw prompt-hook: what Claude Code shows each prompt before it is sent; /good, /bad and /unrate are feedback.

It runs for every prompt, so nothing heavy is imported here, and a prompt that is none of the three goes on unread.
"""

import json
import os
import re
import sys
from typing import Any

from archgw.plain_http import USUAL, send

COMMANDS = {
    "good": "Tell archgw that the last answer was good",
    "bad": "Tell archgw that the last answer was bad, and who should have answered",
    "unrate": "Take back what you have told archgw of the last answer",
}
_PATIENCE = 5.0  # seconds for the gateway
_COMMAND = re.compile(
    rf"\s*/(?:archgw:)?({'|'.join(COMMANDS)})(?:\s+(?:--should-be[\s=]\s*|should be\s+)?(.*?))?\s*\Z", re.S
)
_UNSAID = {"rating": None, "should_be": None}

HELP = """usage: archgw prompt-hook

Take /good and /bad out of Claude Code's prompts, as feedback about its last answer. No model is asked. /bad may say who
should have answered, and /unrate takes back what was said. Reads the hook's JSON from standard input; silent where a
prompt is none of these. `archgw cli-agent claude --feedback-commands` sets it up.
"""


def main(arguments: list[str]) -> int:
    """Always 0: to a hook that fails Claude Code pays no heed, and sends the prompt."""
    if {"--help", "-h"} & set(arguments):
        sys.stdout.write(HELP)
        return 0
    try:
        words = answer(json.loads(sys.stdin.buffer.read() or b"{}"))
    except Exception:  # whatever it is, the prompt is the user's
        words = ""
    if words:
        sys.stdout.write(json.dumps({"decision": "block", "reason": words}) + "\n")
    return 0


def answer(given: Any) -> str:
    """What to show in place of an answer; empty where the prompt is for the model."""
    prompt = given.get("prompt") if isinstance(given, dict) else None
    command = _COMMAND.match(prompt) if isinstance(prompt, str) else None
    if command is None:
        return ""
    rating, should_be = command[1], (command[2] or "").strip().strip("\"'")
    said: dict[str, Any] = _UNSAID if rating == "unrate" else {"rating": rating}
    if should_be and rating != "unrate":
        said = said | {"should_be": should_be}
    body = json.dumps({"request": "last", "session": f"{given.get('session_id')}/", **said}).encode()
    url = os.environ.get("ANTHROPIC_BASE_URL") or USUAL
    answered = send(url, "POST", "/v1/feedback", body=body, patience=_PATIENCE)
    if answered is None:
        return "archgw: not kept, the gateway does not answer: archgw status"
    status, told = answered[0], json.loads(answered[1])
    return _kept(rating, told) if status == 200 else f"archgw: not kept. {_wrong(told)}"


def _kept(rating: str, told: dict[str, Any]) -> str:
    what = f"{told['model']} ({told['preference']})"
    if rating == "unrate":
        return f"archgw: taken back, what you said of {what}"
    meant = [f", should be the {kind} {name}" for kind, name in (told.get("should_be") or {}).items()]
    return f"archgw: kept, {rating}{''.join(meant)}: {what}. /unrate takes it back"


def _wrong(told: dict[str, Any]) -> str:
    return str(told["error"]["message"]).removeprefix("archgw: ")
