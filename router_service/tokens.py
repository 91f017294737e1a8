"""How many tokens a text has, near enough and hardly ever too few, without any vendor's vocabulary.

The text is cut into pieces the way OpenAI's tokenizers cut it before they look anything up: words, numbers, marks,
white space, other scripts. What a piece costs depends on what can be seen in it, first of all how usual its pairs of
letters are; `token_costs` says how much, by vocabulary. A family of models is one vocabulary or the largest of several.

Measured with the costs fitted to two thirds of the sources, on the documents of the others: 1 to 2.5 % of them come out
more than 2 % too low, by vocabulary, and the mean is 10 to 13 % too high (Russian, Chinese and Hindi up to 35 %). What
no language writes, such as one letter a thousand times or random letters of a script, may come out far too low.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, pairwise

from router_service.token_costs import COMMON, COSTS, PAIRS, SURPRISE, VOCABULARIES

# What each family counts by: vocabulary -> factor, the largest counts. Anthropic publishes Claude 2's vocabulary alone;
# Claude 3 and later count somewhat more, and from Opus 4.7 on up to 1.35 times as much as before
# (platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7). Google publishes none of Gemini's.
_PUBLIC = dict.fromkeys(VOCABULARIES, 1.0)
_CLAUDE = {"claude2": 1.0, "cl100k": 1.15}
_CLAUDE_4_7 = {name: 1.35 * factor for name, factor in _CLAUDE.items()}
FAMILIES: dict[str, dict[str, float]] = {
    "o200k": {"o200k": 1.0},  # OpenAI from gpt-4o on, gpt-oss
    "cl100k": {"cl100k": 1.0},  # OpenAI before; as large are those of Llama 3, Qwen, GLM, Kimi and Grok
    "deepseek": {"deepseek": 1.0},
    "mistral": {"mistral": 1.0},
    "claude": _CLAUDE,
    "claude-4.7": _CLAUDE_4_7,
    "gemini": _PUBLIC,
    "any": {**_PUBLIC, **_CLAUDE_4_7},
}
# The costs are those of the average piece; a short text may consist of others.
_MARGIN = 0.4  # times the root of the estimate
_LONGEST_REMEMBERED = 32  # letters

_LOWER, _UPPER = "a-z\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff\u0300-\u036f", "A-Z\u00c0-\u00d6\u00d8-\u00de"
_KINDS = {
    "plain": f" ?[A-Z]?[a-z]++(?![{_LOWER[3:]}])",  # the most of all by far, and fast to find
    "word": f" ?(?:[{_UPPER}]?[{_LOWER}]+|[{_UPPER}]+(?![{_LOWER}]))",
    "space": r"\s*[\r\n]+|\s+(?!\S)|\s+",
    "number": "[0-9]+(?:[.,:/-][0-9]+)*",
    "punctuation": r" ?[!-/:-@\[-`{-~]+[\r\n]*",
    "greek": " ?[\u0370-\u03ff\u1f00-\u1fff]+",
    "cyrillic": " ?[\u0400-\u052f]+",
    "han": "[\u3400-\u9fff\uf900-\ufaff]+",
    "kana": "[\u3040-\u30ff]+",
    "hangul": " ?[\uac00-\ud7a3]+",
    "script": " ?[\u0530-\u1eff]+",
    "box": " ?[\u2500-\u257f]+",
    "symbol": " ?[\u00a1-\u00bf\u00d7\u00f7\u2010-\u2bff\u3000-\u303f\uff01-\uffef]",
    "astral": " ?[\U00010000-\U0010ffff]",
    "other": r"[\s\S]",
}
_PIECE = re.compile("|".join(_KINDS.values()))
_KIND = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))
_SCRIPTS = {  # code point // 128
    10: "armenian", 11: "hebrew", 12: "arabic", 13: "arabic", 18: "devanagari", 19: "bengali", 20: "gurmukhi",
    21: "gujarati", 23: "tamil", 24: "telugu", 25: "kannada", 26: "malayalam", 27: "sinhala", 28: "thai", 29: "lao",
    32: "burmese", 33: "georgian", 36: "amharic", 37: "amharic", 38: "amharic", 47: "khmer",
}  # fmt: skip
_SYMBOLS = (  # first code point that is none of it any more
    (0x100, "latin"), (0x2027, "quotes"), (0x2190, "rare"), (0x2200, "arrows"), (0x2300, "math"), (0x2580, "rare"),
    (0x25A0, "blocks"), (0x3000, "rare"), (0x3040, "cjk"), (0x10000, "wide"),
)  # fmt: skip
_VIETNAMESE = re.compile("[\u1ea0-\u1ef9\u01a1\u01b0\u0111\u0103]")
_NOT_RUSSIAN = re.compile("[\u0400-\u040f\u0450-\u052f]")
_GREEK_ACCENTS = re.compile("[\u0390\u03ac-\u03b0\u03ca-\u03ce]")
_CAPITALS = re.compile("[\u0410-\u042f\u0391-\u03a9]")
_SEPARATOR = re.compile("[.,:/-]")

Feature = tuple[str, float]


def estimate(*texts: str, family: str = "any") -> int:
    """The tokens of the texts together, as a model of the family counts them; 0 for no text."""
    totals = count(texts)
    sums = {
        name: sum(amount * COSTS[feature][at] for feature, amount in totals.items())
        for at, name in enumerate(VOCABULARIES)
    }
    tokens = max(factor * sums[name] for name, factor in FAMILIES[family].items())
    return math.ceil(tokens + _MARGIN * math.sqrt(tokens))


def count(texts: Iterable[str]) -> dict[str, float]:
    """Feature -> how much of it is in the texts. What occurs often is looked at once."""
    totals: defaultdict[str, float] = defaultdict(float)
    for piece, times in Counter(chain.from_iterable(map(pieces, texts))).items():
        for feature, amount in _remembered(piece) if len(piece) <= _LONGEST_REMEMBERED else features(piece):
            totals[feature] += amount * times
    return totals


def pieces(text: str) -> list[str]:
    return _PIECE.findall(text)


def features(piece: str) -> list[Feature]:
    match = _KIND.match(piece)
    kind = match.lastgroup if match else None
    return _FEATURES[kind or "other"](piece)


@lru_cache(maxsize=32_768)  # requests repeat each other: the second is counted in half the time of the first
def _remembered(piece: str) -> tuple[Feature, ...]:
    return tuple((feature, amount) for feature, amount in features(piece) if amount)


def _word(piece: str) -> list[Feature]:
    """A ladder by how unusual the word is; `form`: lower case, Capital, UPPER; accented, in the East, in Vietnam."""
    word = piece.lstrip(" ")
    low, length = word.lower(), len(word)
    upper = length > 1 and word.isupper()
    if not word.isascii():
        return _accented(word, low, bare=piece[0] != " ", upper=upper)
    form = "U" if upper else "C" if word[0] != low[0] else "l"
    found: list[Feature] = [(f"bare {form}", 1)] if piece[0] != " " else []
    if low in COMMON:
        return [*found, (f"common {form}", 1)]
    if length > 15 and len(set(low)) <= 2:
        return [*found, ("monotone", 1), ("monotone more", length / 8)]
    rung = sum(map(SURPRISE.__getitem__, pairwise(" " + low))) // 8
    return found + _ladder(f"word {form}", rung, 14)


def _accented(word: str, low: str, *, bare: bool, upper: bool) -> list[Feature]:
    form = "v" if _VIETNAMESE.search(low) else "e" if max(low) > "ÿ" else "a"
    rung = sum(SURPRISE.get(pair, 6) for pair in pairwise(" " + low)) // 12
    accents = sum(letter > "\x7f" for letter in low) - 1
    found = [*_ladder(f"word {form}", rung, 9), (f"accents {form}", accents)]
    return found + [("bare a", 1)] * bare + [("upper a", len(word))] * upper


def _ladder(name: str, rung: int, top: int) -> list[Feature]:
    return [(f"{name} {rung}", 1)] if rung <= top else [(f"{name} {top}", 1), (f"{name} more", rung - top)]


def _space(piece: str) -> list[Feature]:
    length, changes = len(piece), _changes(piece)
    if piece[-1] in "\r\n":
        lines, returns = piece.count("\n"), piece.count("\r")
        rest = length - lines - returns
        found: list[Feature] = [(f"newlines {min(lines, 3)}", 1), ("newlines more", max(0, lines - 3) / 10)]
        found += [("cr", min(returns, 2)), ("cr more", returns)]
        return found + [("trailing", 1), ("trailing more", rest / 20), ("trailing changes", changes)] * bool(rest)
    if piece == " ":
        return [("one space", 1)]
    spaces, tabs = piece.count(" "), piece.count("\t")
    found = [("odd space", length - spaces - tabs), ("space changes", changes)]
    if tabs:
        found += [("tabs", 1), ("tabs more", (tabs - 1) / 4)]
    if spaces:
        size = 1 if spaces == 1 else 2 if spaces <= 3 else 3 if spaces <= 8 else 4
        found += [(f"spaces {size}", 1), ("spaces more", max(0, spaces - 8) / 16)]
    return found


def _number(piece: str) -> list[Feature]:
    parts = _SEPARATOR.split(piece)
    found: list[Feature] = [("digits 3", sum(len(part) // 3 for part in parts)), ("number join", len(parts) - 1)]
    return found + [(f"digits {len(part) % 3}", 1) for part in parts if len(part) % 3]


def _punctuation(piece: str) -> list[Feature]:
    marks = piece.strip()
    found: list[Feature] = [("mark lead", 1)] if piece[0] == " " else []
    if piece[-1] in "\r\n":
        found += [(f"mark newline {min(piece.count(chr(10)), 2)}", 1), ("mark cr", "\r" in piece)]
    if len(marks) == 1:
        return [*found, (f"mark {marks}", 1)]
    same = len(marks) - 1 - _changes(marks)
    usual = sum(first + second in PAIRS for first, second in pairwise(marks) if first != second)
    found += [("marks", 1), ("marks usual", usual), ("marks odd", len(marks) - 1 - same - usual)]
    drawn = "marks drawn" if marks[-1] in "-=*#_./~+" else "marks repeated"
    return [*found, ("marks same", min(same, 2)), (drawn, max(0, same - 2) / 10)]


def _greek(piece: str) -> list[Feature]:
    word = piece.lstrip(" ")
    capitals = max(0, len(_CAPITALS.findall(word)) - 1)
    accents = len(_GREEK_ACCENTS.findall(word))
    return [*_syllables("greek", piece, word, 2), ("greek upper", capitals), ("greek accents", accents)]


def _cyrillic(piece: str) -> list[Feature]:
    word = piece.lstrip(" ")
    capitals = max(0, len(_CAPITALS.findall(word)) - 1)
    others = len(_NOT_RUSSIAN.findall(word))
    return [*_syllables("cyrillic", piece, word, 2), ("cyrillic upper", capitals), ("cyrillic other", others)]


def _hangul(piece: str) -> list[Feature]:
    return _syllables("hangul", piece, piece.lstrip(" "), 1)


def _syllables(script: str, piece: str, word: str, step: int) -> list[Feature]:
    found: list[Feature] = [(f"{script} bare", 1)] if piece[0] != " " else []
    return found + _ladder(script, -(-len(word) // step), 7)


def _han(piece: str) -> list[Feature]:
    rare = sum(not _is_common_han(letter) for letter in piece)
    return [("han run", 1), ("han", len(piece) - rare), ("han rare", rare)]


def _is_common_han(letter: str) -> bool:
    """The old character sets of China, Taiwan and Japan hold the usual characters first."""
    for charset, first, last in (("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("shift_jis", 0x88, 0x97)):
        encoded = letter.encode(charset, "ignore")
        if encoded and first <= encoded[0] <= last:
            return True
    return False


def _kana(piece: str) -> list[Feature]:
    return [("kana run", 1), ("kana", len(piece))]


def _script(piece: str) -> list[Feature]:
    word = piece.lstrip(" ")
    script = _SCRIPTS.get(ord(word[0]) >> 7, "other")
    return [(f"{script} run", 1), (script, len(word)), ("endless", max(0, len(word) - 24))]


def _box(piece: str) -> list[Feature]:
    changes = _changes(piece.lstrip(" "))
    return [("box", 1), ("box changes", changes), ("box same", (len(piece.lstrip(" ")) - 1 - changes) / 8)]


def _symbol(piece: str) -> list[Feature]:
    code = ord(piece[-1])
    return [("symbol " + next(name for end, name in _SYMBOLS if code < end), 1)]


def _astral(piece: str) -> list[Feature]:
    return [("emoji" if "\U0001f000" <= piece[-1] < "\U0001fb00" else "astral", 1)]


def _other(piece: str) -> list[Feature]:
    if piece in "\u200b\u200c\u200d\u200e\u200f\ufe0e\ufe0f\ufeff":
        return [("joiner", 1)]
    return [("control" if piece < " " or "\x7f" <= piece <= "\xa0" else "unknown", 1)]


def _changes(text: str) -> int:
    return sum(first != second for first, second in pairwise(text))


_FEATURES = {
    "plain": _word,
    "word": _word,
    "space": _space,
    "number": _number,
    "punctuation": _punctuation,
    "greek": _greek,
    "cyrillic": _cyrillic,
    "han": _han,
    "kana": _kana,
    "hangul": _hangul,
    "script": _script,
    "box": _box,
    "symbol": _symbol,
    "astral": _astral,
    "other": _other,
}
