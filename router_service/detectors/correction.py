"""The user says that the answer is wrong: "no, that's not it", "still failing", "I said X, not Y", "you broke ...".

Looked for in the first sentences and in the last one, where what he pastes and quotes is left out. What hints at it is
weighed (`signs`, `weights`); where a sentence is a complaint by its pattern (`complaints`), less is enough.
"""

import re
from collections.abc import Iterator

from router_service.detectors import weights
from router_service.detectors.complaints import BARE_NO, ELSE, LIKELY, PRAISE, SURE
from router_service.detectors.detector import Next, ends, texts, words
from router_service.detectors.interrupted import MARKS as _MARKS
from router_service.detectors.signs import Around, is_apart, seen

_SHORT = 8  # characters, of a "no" and nothing else
_FIRST = 3  # sentences in which one complains before one goes on
_QUOTED = re.compile(r"[\"“”„«»][^\"“”„«»\n]{0,300}[\"“”„«»]|[「『][^」』]{0,300}[」』]|(?<!\w)'[^'\n]{1,200}'(?!\w)")
_SENTENCE = re.compile(r"(?<=[.!?;…])\s+|\n+|(?<=[。！？；])|\s+[–—-]{1,2}\s+")
_ASIDE = re.compile(
    r"^(?:[\s,.:!…–—-]|(?:hm+|hmm+|uh|um|er|ah|oh|ok(?:ay)?|well|so|but|and|yeah|yes|sorry|wait|hey|hi|ugh|argh|damn|actually"
    r"|unfortunately|sadly|sure|right|thanks|thank you|cool|nice|great|please|look|dude|man|bro|again|also|honestly"
    r"|just tried(?: it| that)?|i (?:just )?tried (?:it|that)|tried (?:it|that)|aber|ja|ach|leider|danke|entschuldigung"
    r"|mais|bon|ben|euh|oui|merci|désolée?|pero|bueno|sí|gracias|lo siento|mas|bom|sim|obrigad[oa]|desculp[ae]"
    r"|ну|но|да|спасибо|извини(?:те)?|ma|beh|grazie|लेकिन|अरे|नहीं तो)(?=[\s,.:!…–—-]))+",
    re.I,
)
_USER = "user: "  # before what the user said earlier, as `Intent.context` has it
_ASKS = re.compile(r"[?？]\s*\W{0,3}\s*\Z")


def finds(given: Next) -> int | None:
    at = around(given) if is_asked(given) else None
    return 0 if at and _is_one(at) else None


def _is_one(at: Around) -> bool:
    return weighed(at) >= enough(at) or (at.bare and len(at.text) < _SHORT)


def enough(at: Around) -> float:
    """From which weight on it is one."""
    if is_apart(at):
        return weights.APART
    return weights.SURE if at.sure else weights.LIKELY if at.likely else weights.ENOUGH


def is_asked(given: Next) -> bool:
    """By the user himself, not by a model that has asked another."""
    return given.intent.kind == "user turn" and not given.intent.subagent


def around(given: Next) -> Around | None:
    """What is looked at; None where the user wrote nothing but what he quotes."""
    said = words(given)
    asked = bool(_ASKS.search(said.answer[-200:]))  # to its question "no" is an answer
    sentences = [sentence for _, sentence in _sentences(_plain(said.text))]
    if not sentences:
        return None
    found = [_found(sentence, first=at == 0, asked=asked) for at, sentence in enumerate(sentences)]
    sure, likely, bare, praised = (any(one[n] for one in found) for n in range(4))
    before = next((turn.removeprefix(_USER) for turn in given.intent.context if turn.startswith(_USER)), "")
    marked = any(text.lstrip().startswith(_MARKS) for text in texts(given.since))
    return Around(
        sentences[0],
        "\n".join(sentences),
        before,
        ends(said.answer, most=300),
        interrupted=marked or given.left,
        overridden=given.overridden,
        sure=sure,
        likely=likely,
        bare=bare,
        praised=praised,
    )


def weighed(at: Around) -> float:
    """How much speaks for a complaint: the logarithm of its odds."""
    return weights.WEIGHTS[""] + sum(weights.WEIGHTS[name] * strength for name, strength in seen(at))


def _plain(text: str) -> str:
    """One kind of apostrophe and of space, nothing that is quoted, and of a long text its two ends."""
    return _QUOTED.sub(" … ", ends(text))


def _sentences(text: str) -> Iterator[tuple[bool, str]]:
    """Those that count; whether each is the first."""
    found = [sentence for part in _SENTENCE.split(text) if (sentence := part.strip())]
    kept = found[:_FIRST] + (found[-1:] if len(found) > _FIRST else [])
    for at, sentence in enumerate(kept):
        yield at == 0, sentence


def _found(sentence: str, *, first: bool, asked: bool) -> tuple[bool, bool, bool, bool]:
    """Whether it is surely, likely or barely one, or praise. Looked at without what one says before one comes to the
    point, too; of that, "no" is none."""
    forms = {sentence, _ASIDE.sub("", sentence).strip()}
    if any(PRAISE.search(text) for text in forms):
        return False, False, False, True
    sure = any(SURE.match(text) for text in forms)
    likely = any(LIKELY.match(text) and not ELSE.match(text) for text in forms)
    bare = first and not asked and any(BARE_NO.match(text) for text in forms)
    return sure, likely, bare, False
