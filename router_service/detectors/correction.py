"""The user says that the answer is wrong: "no, that's not it", "still failing", "I said X, not Y", "you broke ...".

Looked for in the first sentences and in the last one, where what he pastes and quotes is left out. What begins like a
complaint and is none ("no problem", "still failing tests are listed below") stands in the patterns themselves.
"""

import re
import unicodedata
from collections.abc import Iterator

from router_service.detectors.complaints import BARE_NO, ELSE, LIKELY, PRAISE, SURE
from router_service.detectors.detector import Next, words

_LONGEST = 600  # characters from each end
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
_ASKS = re.compile(r"[?？]\s*\W{0,3}\s*\Z")


def finds(given: Next) -> int | None:
    if given.intent.kind != "user turn" or given.intent.subagent:
        return None
    said = words(given)
    asked = bool(_ASKS.search(said.answer[-200:]))  # to its question "no" is an answer
    text = _plain(said.text)
    return 0 if any(_complains(sentence, first=first, asked=asked) for first, sentence in _sentences(text)) else None


def _plain(text: str) -> str:
    """One kind of apostrophe and of space, nothing that is quoted, and of a long text its two ends."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'").replace("`", "'")
    if len(text) > 2 * _LONGEST:
        text = f"{text[:_LONGEST]}\n{text[-_LONGEST:]}"
    return _QUOTED.sub(" … ", text)


def _sentences(text: str) -> Iterator[tuple[bool, str]]:
    """Those that count; whether each is the first."""
    found = [sentence for part in _SENTENCE.split(text) if (sentence := part.strip())]
    kept = found[:_FIRST] + (found[-1:] if len(found) > _FIRST else [])
    for at, sentence in enumerate(kept):
        yield at == 0, sentence


def _complains(sentence: str, *, first: bool, asked: bool) -> bool:
    """Without what one says before one comes to the point, too; of that, "no" is none."""
    for text in {sentence, _ASIDE.sub("", sentence).strip()}:
        if PRAISE.search(text):
            continue
        if SURE.match(text) or (LIKELY.match(text) and not ELSE.match(text)):
            return True
        if first and not asked and BARE_NO.match(text):
            return True
    return False
