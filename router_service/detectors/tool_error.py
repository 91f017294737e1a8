"""The client says that a call of the last answer was wrong: no such tool, arguments that do not fit it.

What merely failed (a test, a command) is no fault of the call, nor is what was called off or had changed meanwhile.
"""

import re
from collections.abc import Iterator

from router_service.conversation import Text, ToolCall, ToolResult
from router_service.detectors.detector import Next

# How clients begin the result of such a call: Claude Code 2.1, Codex 0.171, opencode 1.18, Qwen Code 0.24; then what
# frameworks for agents and servers of tools say (LangChain, pydantic-ai, OpenAI's agents, MCP), as of November 2026.
_BAD_CALL = re.compile(
    r"\s*(?:Error:\s*)?(<tool_use_error>(?!\s*(?:Error:\s*)?(?:Cancelled|Sibling tool call|Streaming fallback"
    r"|File has been (?:unexpectedly )?modified))"
    r"|failed to parse function arguments|unsupported call|InputValidationError|apply_patch verification failed"
    r"|The arguments provided to the tool are invalid|The \S+ tool was called with invalid arguments"
    r"|Model tried to call unavailable tool|Tool \S+ not found|params must have required property"
    r"|No such tool available|Unknown tool(?: name)?\b|Invalid (?:arguments|parameters|input) for (?:tool|function)\b"
    r"|\S+ is not a valid tool, try one of|Error invoking tool \S+ with kwargs|Invalid JSON input for tool"
    r"|MCP error -3260[12]|Input validation error:|AI_(?:InvalidToolArguments|NoSuchTool)Error"
    r"|\d+ validation errors? for \w+(?:Args|Arguments|Input|Params|Schema)\b)"
)
# How validators put it (pydantic, zod, ajv, jsonschema, Python's own calls), wherever it stands in what an app answers.
# A program that is run by a call, or a file that is read, may say the same of something else.
_DOES_NOT_FIT = re.compile(
    r"\b(?:pydantic\S*ValidationError|ValidationError: \d+ validation error|\d+ validation errors? for \w"
    r"|(?:schema|input|argument|parameter)s? validation (?:failed|error)|failed (?:\w+ )?schema validation"
    r"|(?:invalid|malformed|bad|unknown|unexpected|unrecogni[sz]ed) (?:tool |function )?(?:arguments?|parameters?|params?|args)\b"
    r"|INVALID_(?:PARAM|ARGUMENT|INPUT)\w*|invalid_(?:param|argument|type|tool_input)\w*|unrecognized_keys"
    r"|missing (?:a |the )?(?:required|mandatory) (?:\w+ )?(?:parameter|argument|property|field|key|input|param)s?\b"
    r"|required (?:parameter|argument|property|field|param)s? [^\n]{0,60}\b(?:missing|not (?:provided|given|supplied))"
    r"|(?:must|should) have required property|is a required property|must not have additional properties"
    r"|Additional properties are not allowed|is not of type '\w+'|must match (?:format|pattern|exactly one schema)"
    r"|missing \d+ required (?:positional|keyword-only) arguments?|got an unexpected keyword argument"
    r"|expected (?:an? )?(?:string|number|integer|boolean|array|object|list|date)\b[^\n]{0,20}\b(?:received|got|but)\b"
    r"|(?:must|should) be (?:an? |of type )(?:string|number|integer|boolean|array|object|list)\b"
    r"|(?:must|should) be (?:string|number|integer|boolean|array|object)\b"
    r"|(?:unknown|no such|undefined|unrecogni[sz]ed|non-?existent) (?:tool|function)\b|(?:tool|function) \S+ (?:does not exist|is not (?:defined|available|registered))"
    r"|(?:could not|cannot|failed to|unable to) (?:parse|decode) (?:the )?(?:tool|function)? ?(?:call )?(?:arguments|input)\b"
    r"|No replacement was performed|did not appear verbatim)",
    re.I,
)
_RUNS = re.compile(
    r"bash|shell|exec|terminal|run_|_run|^run|python|command|read|grep|glob|search_files|fetch|view|cat\b", re.I
)
_SAYS_ERROR = re.compile(
    r"\s*(?:\{[^\n]{0,80}\"?(?:error|errors|code)\"?\s*:|\w*error\b|failed\b|invalid\b|missing required|no replacement was performed|tool (?:input|call))",
    re.I,
)
_NOTES = ("no replacement was performed", "did not appear verbatim")  # of Anthropic's text editor, which views, too
_LONGEST = 2000  # characters of what is no file and no log


def finds(given: Next) -> int | None:
    results = [part for message in given.since for part in message.parts if isinstance(part, ToolResult)]
    if not results:
        return None
    names = {call.id: call.name for call in _calls(given)}
    return 0 if any(_is_bad_call(result, names.get(result.call_id, "")) for result in results) else None


def _calls(given: Next) -> Iterator[ToolCall]:
    """Of the last answer."""
    last = next((one for one in reversed(given.conversation.messages) if one.role == "assistant"), None)
    yield from (part for part in (last.parts if last else ()) if isinstance(part, ToolCall))


def _is_bad_call(result: ToolResult, name: str) -> bool:
    first = next((part.text for part in result.parts if isinstance(part, Text)), "")
    if _BAD_CALL.match(first):
        return True
    if len(first) > _LONGEST or not (result.is_error or _SAYS_ERROR.match(first)):
        return False
    found = _DOES_NOT_FIT.search(first)
    return found is not None and (not _RUNS.search(name) or found[0].lower() in _NOTES)
