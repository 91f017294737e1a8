"""The rule books: which vendor goes by which. A book is a tuple of rules, gone through from top to bottom."""

from archgw.simulate.received import Asked
from archgw.simulate.rules.anthropic import ANTHROPIC, COUNT_TOKENS
from archgw.simulate.rules.deepseek import DEEPSEEK
from archgw.simulate.rules.gemini import GEMINI
from archgw.simulate.rules.groq import GROQ
from archgw.simulate.rules.mistral import MISTRAL
from archgw.simulate.rules.openai import COMPATIBLE, OPENAI
from archgw.simulate.rules.responses import COUNT, RESPONSES
from archgw.simulate.rules.rule import Rule
from archgw.simulate.rules.xai import XAI

BOOKS: dict[str, tuple[Rule, ...]] = {
    "anthropic": ANTHROPIC,
    "deepseek": DEEPSEEK,
    "gemini": GEMINI,
    "groq": GROQ,
    "mistral": MISTRAL,
    "openai": OPENAI,
    "xai": XAI,
}
OTHERS: dict[str, tuple[Rule, ...]] = {"anthropic_messages": ANTHROPIC, "openai_chat": COMPATIBLE}
BESIDES: dict[str, tuple[Rule, ...]] = {"openai_responses": RESPONSES}
ON_VERTEX: dict[str, tuple[Rule, ...]] = {"openai_chat": GEMINI}


def check(asked: Asked) -> None:
    vendor = asked.vendor
    own = ON_VERTEX if vendor.name == "vertex" else BESIDES
    for rule in own.get(vendor.dialect) or BOOKS.get(vendor.name) or OTHERS[vendor.dialect]:
        rule(asked)


def check_count(asked: Asked) -> None:
    for rule in COUNT if asked.vendor.dialect == "openai_responses" else COUNT_TOKENS:
        rule(asked)
