"""The client says that a call of the last answer was wrong: no such tool, arguments that do not fit it.

What merely failed (a test, a command) is no fault of the call, nor is what was called off or had changed meanwhile.
"""

import re

from router_service.conversation import Text, ToolResult
from router_service.detectors.detector import Next

# How clients begin the result of such a call: Claude Code 2.1, Codex 0.171, opencode 1.18, Qwen Code 0.24; then what
# frameworks for agents and servers of tools say (LangChain, pydantic-ai, OpenAI's agents, MCP), as of November 2026.
_BAD_CALL = re.compile(
    r"\s*(?:Error:\s*)?(<tool_use_error>(?!\s*(?:Error:\s*)?(?:Cancelled|Sibling tool call|Streaming fallback"
    r"|File has been (?:unexpectedly )?modified))"
    r"|failed to parse function arguments|unsupported call|InputValidationError|apply_patch verification failed"
    r"|The arguments provided to the tool are invalid|The \S+ tool was called with invalid arguments"
    r"|Model tried to call unavailable tool|Tool \S+ not found|params must have required property"
    r"|No such tool available|Unknown tool(?: name)?:|Invalid (?:arguments|parameters|input) for (?:tool|function)\b"
    r"|\S+ is not a valid tool, try one of|Error invoking tool \S+ with kwargs|Invalid JSON input for tool"
    r"|MCP error -32602|Input validation error:|AI_(?:InvalidToolArguments|NoSuchTool)Error"
    r"|\d+ validation errors? for \w+(?:Args|Arguments|Input|Params|Schema)\b)"
)


def finds(given: Next) -> int | None:
    results = (part for message in given.since for part in message.parts if isinstance(part, ToolResult))
    return 0 if any(map(_is_bad_call, results)) else None


def _is_bad_call(result: ToolResult) -> bool:
    first = next((part.text for part in result.parts if isinstance(part, Text)), "")
    return bool(_BAD_CALL.match(first))
