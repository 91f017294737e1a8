"""The rule books: which vendor goes by which. A book is a tuple of rules, gone through from top to bottom."""

from archgw.simulate.received import Asked
from archgw.simulate.rules.anthropic import ANTHROPIC, COUNT_TOKENS
from archgw.simulate.rules.deepseek import DEEPSEEK
from archgw.simulate.rules.gemini import GEMINI
from archgw.simulate.rules.groq import GROQ
from archgw.simulate.rules.llama_cpp import LLAMA_CPP
from archgw.simulate.rules.lm_studio import LM_STUDIO
from archgw.simulate.rules.mistral import MISTRAL
from archgw.simulate.rules.moonshot import MOONSHOT
from archgw.simulate.rules.ollama import OLLAMA
from archgw.simulate.rules.openai import COMPATIBLE, OPENAI
from archgw.simulate.rules.openrouter import OPENROUTER
from archgw.simulate.rules.responses import COUNT, RESPONSES
from archgw.simulate.rules.rule import Rule
from archgw.simulate.rules.together import TOGETHER
from archgw.simulate.rules.vllm import VLLM
from archgw.simulate.rules.xai import XAI
from archgw.simulate.rules.zai import ZAI

BOOKS: dict[str, tuple[Rule, ...]] = {
    "anthropic": ANTHROPIC,
    "deepseek": DEEPSEEK,
    "gemini": GEMINI,
    "groq": GROQ,
    "llama_cpp": LLAMA_CPP,
    "lm_studio": LM_STUDIO,
    "mistral": MISTRAL,
    "moonshot": MOONSHOT,
    "ollama": OLLAMA,
    "openai": OPENAI,
    "openrouter": OPENROUTER,
    "together": TOGETHER,
    "vllm": VLLM,
    "xai": XAI,
    "zai": ZAI,
}
AS = {"azure_openai": "openai"}  # who goes by another's book
OTHERS: dict[str, tuple[Rule, ...]] = {"anthropic_messages": ANTHROPIC, "openai_chat": COMPATIBLE}
BESIDES: dict[str, tuple[Rule, ...]] = {"openai_responses": RESPONSES}
ON_VERTEX: dict[str, tuple[Rule, ...]] = {"openai_chat": GEMINI}


def check(asked: Asked) -> None:
    vendor = asked.vendor
    own = ON_VERTEX if vendor.name == "vertex" else BESIDES
    book = own.get(vendor.dialect) or BOOKS.get(AS.get(vendor.name, vendor.name)) or OTHERS[vendor.dialect]
    for rule in book:
        rule(asked)


def check_count(asked: Asked) -> None:
    for rule in COUNT if asked.vendor.dialect == "openai_responses" else COUNT_TOKENS:
        rule(asked)
