"""The user asks again what he asked before: nearly all of it comes back, and nothing in it is another thing."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import islice

from router_service.asks import as_before, turns
from router_service.detectors.detector import Next

_AGAIN = 0.7  # share of the weight of the earlier ask that comes back
_SAME = 0.85  # share of the later one, where it is cut down to the point
_FEW = 3.0  # weight that is in both, below which nothing is said: "go on", "yes, please" may well be said twice
_MUCH = 3.0  # times as much as the earlier ask: such a one is about more
_LIGHT = 0.3  # weight of a word that any ask may have
_FAR = 3  # asks back, where he says that he has asked it before
_STEM = 6  # characters by which a word is known: "Traduz", "Traduza"
_MOST = 120  # words of an ask
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d+(?:[.:/,]\d+)*|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_DIGIT = re.compile(r"\d")
_BEFORE = re.compile(
    r"\b(?:as i (?:said|asked|wrote)|i (?:already )?asked|i repeat|wie gesagt|ich wiederhole|comme (?:je l'ai )?dit|je répète"
    r"|como (?:dije|pedí)|repito|como (?:eu )?(?:disse|pedi)|повторяю|как я (?:сказал|просил)|come ho detto|ripeto)\b|再说一遍|再问一|もう一度聞",
    re.I,
)
# For another thing, or one thing more: no complaint, however much is said alike.
_MORE = re.compile(
    r"(?:\W*(?:ok(?:ay)?|great|thanks|nice|perfect|good|cool)\b)*\W*(?:now|next|and (?:now|if|for|the|also)|also|same|(?:and |what |how )+about|what if"
    r"|another|one more|jetzt|nun|und (?:jetzt|nun|für|wenn)|auch|maintenant|et (?:pour|si|maintenant)|ahora|y (?:ahora|para|si)"
    r"|agora|e (?:agora|para|se)|теперь|а (?:теперь|если|для)|ora|şimdi|teraz|अब)\b|\W*(?:那|现在|接下来|次は|今度は|이제)",
    re.I,
)
# What one has done over and over: the same words, each time for another state of things.
_RUNS = re.compile(
    r"(?:\W*(?:ok(?:ay)?|please|pls|now|just|bitte)\b)*\W*(?:(?:re-?)?(?:run|build|deploy|start|check|try|test)|retry|refresh|execute|poll|roll|ping|go on|continue"
    r"|commit|push|pull|sync|status|any (?:news|update|progress)|(?:is|are) \S+ (?:done|up|ready|finished|back)|starte|führe|lass|prüfe|lance|relance|teste"
    r"|corre|ejecuta|roda|execute|запусти|прогони|проверь|çalıştır|uruchom|esegui|lancia)\b|\W*(?:运行|跑|再跑|実行|走らせ|실행)",
    re.I,
)
_COMMON = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "this",
        "that",
        "from",
        "into",
        "what",
        "which",
        "does",
        "how",
        "why",
        "when",
        "where",
        "who",
        "can",
        "could",
        "would",
        "should",
        "will",
        "you",
        "your",
        "please",
        "just",
        "only",
        "there",
        "here",
        "have",
        "has",
        "had",
        "are",
        "was",
        "were",
        "but",
        "not",
        "then",
        "than",
        "use",
        "make",
        "get",
        "give",
        "show",
        "tell",
        "our",
        "its",
        "it's",
        "i'm",
        "der",
        "die",
        "das",
        "und",
        "ist",
        "ein",
        "eine",
        "einen",
        "mir",
        "mit",
        "für",
        "wie",
        "was",
        "wer",
        "den",
        "dem",
        "des",
        "bitte",
        "auf",
        "von",
        "zu",
        "im",
        "in",
        "bei",
        "nicht",
        "sich",
        "wird",
        "les",
        "des",
        "une",
        "est",
        "que",
        "qui",
        "dans",
        "pour",
        "avec",
        "sur",
        "moi",
        "pas",
        "mais",
        "oui",
        "non",
        "los",
        "las",
        "una",
        "que",
        "por",
        "para",
        "con",
        "del",
        "como",
        "qué",
        "cuál",
        "uma",
        "não",
        "você",
        "isso",
        "mas",
        "sim",
    ]
)


def finds(given: Next) -> int | None:
    if given.intent.kind != "user turn":
        return None
    said = list(islice((turn for turn in turns(given.conversation) if turn.role == "user"), 1 + _FAR))
    now = as_before(said[0].words) if said else ""
    if _MORE.match(now) or _RUNS.match(now):
        return None
    earlier = said[1:] if _BEFORE.search(now) else said[1:2]
    return 0 if any(is_again(as_before(one.words), now) for one in earlier) else None


def is_again(before: str, now: str) -> bool:
    one, other = _words(before), _words(now)
    both = set(one) & set(other)
    weight = _weight(both)
    if weight < _FEW or _weight(set(other)) > _MUCH * _weight(set(one)) + _FEW:
        return False
    if weight < _AGAIN * _weight(set(one)) and weight < _SAME * _weight(set(other)):
        return False
    return not _exchanged(one, other)


def _words(text: str) -> list[str]:
    return [word[:_STEM] if not _DIGIT.search(word) else word for word in _WORD.findall(text.casefold())][:_MOST]


def _weight(words: Iterable[str]) -> float:
    return sum(map(_of, words))


def _of(word: str) -> float:
    if _DIGIT.search(word):
        return 1.0
    if ord(word[0]) > 0x3000:  # a character of a word
        return 0.5
    return _LIGHT if len(word) < 3 or word in _COMMON else 1.0


def _exchanged(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether something stands in the place of something else: another number, another name."""
    for kind, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        gone, come = set(one[a:b]) - set(other), set(other[c:d]) - set(one)
        if kind == "replace" and _weight(gone) >= 1.0 and _weight(come) >= 1.0:
            return True
    numbers = [{word for word in words if _DIGIT.search(word)} for words in (one, other)]
    return bool(numbers[0] - numbers[1] and numbers[1] - numbers[0])
