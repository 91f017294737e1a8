"""Where a key comes from, and how it stays out of sight."""

import re
from dataclasses import dataclass, field

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_DOTENV = re.compile(r"""\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|(.*))""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

# `access_key: ...`, up to the end of the value; $VARIABLES may be seen.
_NAMED = re.compile(
    r"""(?i)([\w-]*(?:key|token|secret|password)["']?\s*:\s*)(?!["']?\$\{?\w+\}?["']?(?:\s*[,}#]|\s*$))\S.*?"""
    r"""(?=\s*(?:,\s|\}|\s\#|$))"""
)
_NAMED_ALONE = re.compile(r"(?i)(?:key|token|secret|password)[\"']?\s*:\s*(?:[|>][+-]?)?\s*$")
# What vendors' keys look like, and the password of a URL.
_SHAPED = re.compile(r"\b(?:sk|pk|gsk|xai|pplx|hf)[-_][\w-]{6,}|\bAIza[\w-]{16,}|\b[A-Za-z0-9]{32,}\b")
_IN_URL = re.compile(r"(://)\S+@")
_IN_PLACE_OF_PORT = re.compile(r"(://[^\s:/@\[]*:)(?!\d*(?:[/?'\",}\]\s]|$))\S+")  # a password whose @ is forgotten


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential and where it came from. Its repr hides the value, so that no log can show it."""

    value: str = field(repr=False)
    source: str = ""  # "$OPENAI_API_KEY", or "config.yaml" when written out


def variable(text: str) -> str | None:
    """NAME of `$NAME` or `${NAME}`; None for anything else."""
    found = _VARIABLE.fullmatch(text)
    return (found[1] or found[2]) if found else None


def parse_dotenv(text: str) -> dict[str, str]:
    """The variables of a `.env` file: KEY=VALUE, `export`, quotes, comments. Other lines are passed over."""
    found = (_DOTENV.match(line) for line in text.removeprefix("\ufeff").splitlines())
    return {line[1]: _dotenv_value(line) for line in found if line}


def _dotenv_value(line: re.Match[str]) -> str:
    literal, escaped, plain = line[2], line[3], line[4]
    if literal is not None:
        return literal
    if escaped is not None:
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), escaped)
    return re.sub(r"(?:^|\s)#.*", "", plain).strip()


def redact(text: str) -> str:
    """A message without anything that looks like a key."""
    return _IN_PLACE_OF_PORT.sub(r"\1***", _IN_URL.sub(r"\1***@", _SHAPED.sub("***", text)))


def redact_line(line: str, *, above: str = "") -> str:
    """A line of the file as it may be shown; `above` is the line before, which may say that a key follows."""
    if _NAMED_ALONE.search(above):
        return "***"
    return redact(_NAMED.sub(r"\1***", line))
