r"""What hints at a complaint, in the user's words and around them: each sign a number from 0 to 1.

One alone says little ("not" stands in many an ask); together they are weighed in `correction`. The words are of the
languages that `complaints` has, and some more, in the plainest form. Most are looked for in the first sentence, for
there one complains before one goes on.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from router_service.detectors.re_ask import is_again


@dataclass(frozen=True, slots=True)
class Around:
    """`first` sentence of the user's words, and all of them; what he had asked before, and what was answered, as far as
    it is looked at. `sure`, `likely`, `bare`: what the patterns of `complaints` found."""

    first: str
    text: str
    before: str
    answer: str
    interrupted: bool = False
    overridden: bool = False
    sure: bool = False
    likely: bool = False
    bare: bool = False
    praised: bool = False


def _any(*words: str, script: str = "") -> re.Pattern[str]:
    """Words by themselves, and in scripts without spaces anywhere."""
    return re.compile("|".join(filter(None, [rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", script])), re.I)


_NOT = _any(
    r"no|not|\w+n't|(?:do|does|did|is|are|was|were|has|have|wo|ca)nt|never|none|nothing|nope|nah|neither|nor|without|cannot|nein|nicht|kein\w*|nie|nichts|ohne|non|pas|jamais"
    r"|rien|aucun\w*|sans|ni|sin|nunca|ning\w+|não|sem|nenhum\w*|не|нет|никак\w*|ни|без|nie|bez|hayır|değil|yok|niet|geen|nee"
    r"|senza|niente|nessun\w*|नहीं|मत|बिना|ना|नही|لا|ليس|لم|بدون",
    script=r"不|没|沒|别|無|ない|ません|いいえ|なく|안 |못|아니|없",
)
_STILL = _any(
    r"still(?! (?:need|want|to|cheaper|think|on my))|keeps? \w+ing|(?:the )?same (?:\w*error|problem|issue|result|thing|crash|failure|bug|output|message|exception|mistake)|same as before|noch immer|immer noch|schon wieder|weiterhin|dasselbe|derselbe|dieselbe|(?:gleiche\w*|selbe\w*) (?:fehler|problem|ergebnis)|toujours|encore (?:faux|la même|le même|cassé)|même (?:erreur|problème|chose)"
    r"|sigue\w*|todavía|aún|otra vez|mism[oa] (?:error|problema)|ainda|continua\w*|mesm[oa] (?:erro|problema)|ещё|еще|опять|снова|всё равно|все равно|та же|то же"
    r"|hâlâ|hala|yine|aynı|nadal|znowu|wciąż|ancora|stess[oa]|nog steeds|weer|dezelfde|अभी भी|फिर|वही|अब भी",
    script=r"还是|還是|依然|仍|又|一样|まだ|また(?!は)|同じ(?:エラー|問題|結果)|아직|여전히|또|같은|ما زال|نفس",
)
_FAILS = _any(
    r"fail\w*|\w*error|errors|exception|crash\w*|broke|broken|breaks|wrong|incorrect|bug|buggy|worse|slower|red|missing|gone|lost"
    r"|stuck|hangs?|dupes|duplicates?|empty|blank|garbage|useless|fehl\w*|kaputt|falsch|weg|schlechter|erreur|fau(?:x|sse)|cassé\w*"
    r"|plant\w+|manqu\w+|mal|mauvais\w*|fall[ao]\w*|rot[oa]|falta\w*|equivocad\w*|incorrect\w*|errad[oa]|erro|quebr\w+|ошибк\w*|слома\w+|пада\w+"
    r"|неверн\w+|неправильн\w+|пропал\w*|не то|yanlış|hata\w*|bozu\w+|eksik|błąd\w*|błęd\w*|źle|zły|zła|złe|sbagli\w+|errore|manca\w*|fout\w*|kapot"
    r"|verkeerd\w*|गलत|ग़लत|टूट\w*|एरर|خطأ|[45]\d\d",
    script=r"错|錯|失败|报错|坏|エラー|失敗|間違|壊|おかし|틀|오류|에러|잘못|실패",
)
_PRAISE = _any(
    r"thanks?|thank you|thx|ty|great|nice|perfect\w*|love|lovely|good|works|worked|cool|awesome|wow|wonderful|sick|yes+|yep|yeah|haha\w*"
    r"|brilliant|excellent|makes sense|exactly what \w+ \w+|got it|clear|no notes|danke|super|perfekt|stimmt|klar|genau|gut|merci|nickel|parfait|génial|bien"
    r"|gracias|genial|perfecto|rico|obrigad\w+|ótimo|perfeito|valeu|спасибо|точно|отлично|супер|помогло|teşekkür\w*|süper|eline|dzięki|działa|super"
    r"|grazie|ottimo|perfetto|bene|bedankt|dank|धन्यवाद|बढ़िया|شكرا",
    script=r"谢|很好|完美|不错|棒|ありがとう|完璧|いいですね|감사|좋|[👍🔥👌🎉😍❤✅🙏💯😄😂🚢]",
)
_SAID = _any(
    r"(?:i|we)(?:'d| had| have|'ve)? (?:\w+ )?(?:said|asked|told|wanted|requested|meant|wrote|needed|specified|described|mentioned)|(?:the|my) (?:ask|question|request|requirement|instruction|prompt)s?"
    r"|as (?:asked|requested|i said)|ich (?:\w+ )?(?:gesagt|geschrieben|wollte|meinte)|(?:gesagt|geschrieben|verlangt|gefragt|gebeten)(?: habe?)?|hatte ich|hab ich"
    r"|j'(?:ai|avais) (?:\w+ )?(?:dit|demandé)|je voulais|dije|pedí|quería|había pedido|pedi|disse|falei|queria|я (?:\w+ )?(?:сказал|просил|писал|написал|говорил|хотел|имел)\w*"
    r"|dedim|istemiştim|istedim|söyledim|chiesto|detto|volevo|mówił\w+|prosił\w+|chciał\w+|napisał\w+|zei|vroeg|bedoel\w*|कहा|बोला|मांगा|माँगा|قلت|طلبت",
    script=r"我(?:说|要|让|叫|是要|问)|言っ|頼ん|お願いした|聞いた|말했|부탁|물어",
)
_YOU = _any(
    r"you(?:'ve|'re|r)?|u|ur|du|dein\w*|tu|t'as|vous|votre|ton|ta|te|usted|você|ты|вы|твой|твоя|sen|senin|ty|twój|je|jij|jouw|hai|तुम\w*|आप\w*|أنت",
    script=r"[你您]|あなた|너|당신",
)
_THAT = re.compile(
    r"\W*(?:(?:that|this|it|these|those|thats|its|das|es|dies|c'est|ça|cela|ce|eso|esto|isso|isto|это|bu|to|questo|è|dat|dit|यह|ये|هذا)(?:'s|'re)?(?!\w)(?! (?:should|would|could|one|"
    r"way|file|must|may|might|sollte|soll|debería|deveria|должн))|[这那](?!个|些|样|里|么)|これ(?!を)|それ(?!を)|그건|이건|그거|이거)",
    re.I,
)
_THAT_IS = re.compile(
    r"\W*(?:(?:that|this|it|these|those|they)(?:'s|'re| (?:is|are|was|were|does|did|do|has|have|gives?|returns?|shows?|says?|looks?|only|just|still|breaks?|broke|fails?|deletes?|removes?|changed?|makes?|tests|covers|put))|thats|its"
    r"|you(?:'ve|'re)? (?:just )?\w+(?:ed|t|e|k)\b|u \w+ed\b|(?:das|es|dies) (?:ist|sind|war|hat|geht|macht|gibt)|du hast|c'(?:est|était)|ça (?:\w+)|tu as|(?:eso|esto) (?:es|son|no)|(?:isso|isto) (?:é|não|está)|это \w+)",
    re.I,
)
_DO_NOT = re.compile(
    r"(?:\A|[.,;:!?\n]\s*|\b(?:and|but|please|und|et|y|e|и) )(?:do not|don'?t|no (?!it|that|this|you|the|i\b|wait)\w+[.!,]?\s*(?:\Z|\n)|without|never|bitte nicht|sans|sin|sem|без|не (?=\w+(?:й|йте|ь)\b)|别|不要|勿)",
    re.I,
)
_CONTRAST = _any(
    r"(?:,|\b(?:and|but)) not \w+|instead|rather than|not \w+[,.!]*$|sondern|statt|nicht \w+[,.!]*$|pas (?:l|d|en |un|le |la |\w+$)\w*|plutôt|au lieu|sino|en vez|em vez|а не|вместо"
    r"|zamiast|invece|in plaats|बजाय|değil",
    script=r"不是.{1,12}(?:是|，)|而不是|じゃなく|ではなく|아니라|말고",
)
_ONLY = _any(
    r"only|just|literally|exactly|nur|bloß|genau|seulement|uniquement|juste|sol[oa]|solamente|só|somente|apenas|только|лишь|sadece|tylko|solo|alleen|सिर्फ|केवल",
    script=r"只|仅|だけ|のみ|만 ",
)
_MY_OWN = _any(
    r"my (?:bad|mistake|fault|own)|sorry|i (?:forgot|mixed|misread|had the|looked at the)|actually|never ?mind|forget it|hold on|wait|ignore that|after all|turns out|changed my mind"
    r"|forgot to (?:say|tell|mention)|should'?ve said|for now|entschuldig\w*|sorry|moment|vergessen zu|pardon|désolée?|perdón|perdona|olvid\w+|desculp\w+|подожди\w*|забыл\w* сказать|извини\w*",
    script=r"抱歉|对不起|忘了说|等一下|ごめん|すみません|待って|미안|잠깐",
)
_GOES_ON = re.compile(
    r"\W*(?:ok(?:ay)?[,. ]+)?(?:now(?! (?:it|that|this|the|everything|nothing|all|i|my|there|we|none|every|only)\b)|next|and|also|another|same(?! (?:\w*error|problem|issue|result|thing happens|here|as before|crash|failure|bug|output|message|exception))|more|then|continue|go|what about|how about|what if|let'?s|jetzt|nun|und|als nächstes|auch|maintenant|ensuite|et|ahora|luego|y"
    r"|agora|depois|e|теперь|а|и|дальше|şimdi|bir de|teraz|a|ora|adesso|nu|en|अब|अगला)(?!\w)|\W*(?:那|现在|接下来|下一|次|今度|이제|다음)",
    re.I,
)
_ASKS_FOR = re.compile(
    r"\W*(?:(?:please|pls|can|could|would|will|do|does|is|are(?! you sure)|how|what|whats|what's|which|who|where|when|write|add|make|create|explain|show|give|list|translate|run|check|use|put|find|fix|change|remove"
    r"|rename|sort|summari[sz]e|document|review|convert|generate|describe|help|tell|wie|was|welche\w*|wer|wo|kannst|kann|bitte|schreib\w*|mach\w*|nenne|comment|quel\w*|peux|pouvez|écris|fais|cómo|qué|cuál|puedes"
    r"|dame|haz|como|qual|pode|faz|как|что|какой|можешь|сделай|напиши|nasıl|ne|jak|co|come|quale|puoi|hoe|wat|kun)(?!\w)|请|帮|怎么|どう|何|어떻게)",
    re.I,
)
_DOUBTS = _any(
    r"can'?t be|cannot be|how (?:can|could) (?:it|that|this)|are you sure|you sure|really|since when|seriously|didn'?t you|did you (?:even|test|read|run|try|check)|why (?:did|would|is|does|are|do) (?:you|it|that|this)"
    r"|makes no sense|sicher|wirklich|wieso|warum (?:hast|ist)|kann nicht (?:sein|stimmen)|vraiment|tu es sûr|pourquoi (?:tu|as|est)|seguro|por qué|de verdade|tem certeza|por que|уверен\w*|почему|зачем|emin misin|neden|sicuro|perché|weet je zeker|waarom",
    script=r"怎么(?:可能|会|又)|为什么|真的|本当に|なぜ|なんで|どうして|정말|왜",
)
_AS_WISHED = _any(
    r"as it should|as expected|on purpose|that'?s (?:fine|perfect|great)|is fine|hadn't (?:thought|known)|no (?:problem|worries|rush|need|wonder|idea|objections?|notes|way|wait|complaints?"
    r"|changes?|more|thanks?|thank you|hurry|doubt|big deal|biggie|offen[cs]e)|nothing (?:else|more|to (?:add|change))|keine (?:eile|einwände|ahnung|sorge)|nichts (?:auszusetzen|weiter)|rien à redire|nada más|not (?:bad|wrong|schlecht|bad at all)|nicht (?:schlecht|schlimm)|kein problem|pas (?:de souci|mal)|no (?:está|hay) (?:mal|problema)|não tem problema|non male|niente male|ничего страшного|неплохо|fena değil"
)
_PASTED = re.compile(
    r"\A\W*(?:\w+(?:\.\w+)*(?:Error|Exception)\b|Traceback|error(?:\[\w+\])?:|fatal:|panic:|FAILED|npm ERR!|\[ *\d+\.\d+\]|\w+\.\w+:\d+(?::\d+)?:)",
    re.I,
)
_CLAIMS = _any(
    r"done|fixed|added|changed|updated|sorted|removed|replaced|switched|renamed|now|moved|rewrote|converted|implemented|built|translated|created|passes|erledigt|fertig|behoben|umgestellt"
    r"|geändert|hinzugefügt|eingebaut|fait|corrigé|ajouté|hecho|listo|corregido|feito|pronto|готово|исправил\w*|добавил\w*|tamam|eklendi|gotowe|dodałem|fatto|aggiunto|gedaan",
    script=r"完成|已|好了|修复|しました|できました|했습니다|완료",
)
_NOW_IT = _any(
    r"now (?:it|that|this|the|everything|nothing|all|i|my|there|we|none|every|only|\w+s?) \w+|jetzt (?:geht|ist|sind|kommt|läuft|bekomme|habe|fehlt|fehlen|gar)|maintenant (?:ça|il|elle|c'est|le|la|les|plus|j'ai)"
    r"|ahora (?:no|se|me|el|la|los|las|sale|da)|agora (?:não|o|a|os|as|dá|está)|теперь (?:не|всё|все|ничего|он\w*|у)|şimdi (?:de|hiç)|teraz (?:nie|nic|jest)|adesso (?:non|il|la)|nu (?:is|werkt|doet|krijg)",
    script=r"现在(?:不|没|又|连|反而|全)|今度は|이제는?",
)
_GRIM = re.compile(
    r"[😩🙄🤦😡😤😞😠🙁☹💀😭👎❌🤨😑😒]|\?\?|!!|\?!|\bw(?:tf|th)\b|\bugh\b|\bfacepalm\b|\bsmh\b|\bffs\b|\bcome on\b",
    re.I,
)
_LOUD = re.compile(r"(?<![\w.])[^\W\d_a-zß-öø-ÿ]{3,}(?![\w.])")
_ASKS = re.compile(r"[?？]\s*\W{0,3}\s*\Z")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{4,}")


_IT = re.compile(
    r"\W*(?:it|they|these|those|everything|both|neither|nothing|das|es|dies|ça|cela|ce|c'est|eso|esto|isso|isto|это|bu|questo|dat)(?!\w)"
    r"|\W*(?:that|this)\W*(?:\Z|[.,!?;])|\W*(?:no|nope|nah|nein|nee|non|não|нет|hayır|nie)\s*[,.!…-]",
    re.I,
)
_APART = 2  # words of weight, all of another matter


def _begins(found: re.Pattern[str], text: str) -> bool:
    """Within its first words."""
    return bool(found.search(text[:24]))


def _shared(text: str, other: str) -> float:
    """The share of its heavier words that the other has, too."""
    one, two = ({word[:5].casefold() for word in _WORD.findall(side)} for side in (text, other))
    return len(one & two) / len(one) if one else 0.0


def is_apart(at: Around) -> bool:
    """A trouble with a thing that neither the ask nor the answer has named: one reports it, and complains of nobody."""
    if _IT.match(at.first) or _THAT_IS.match(at.first):
        return False
    now = _NOW_IT.search(at.first)
    if (now and not now[0].lower().startswith("now the")) or any(
        sign.search(at.text) for sign in (_YOU, _STILL, _SAID)
    ):
        return False
    said = next((text for text in (at.first, at.text) if len(set(_WORD.findall(text))) >= _APART), "")
    return bool(said) and not _shared(said, f"{at.before} {at.answer}")


_SIGNS: Mapping[str, Callable[[Around], float]] = {
    "sure": lambda at: at.sure and not is_apart(at),
    "likely": lambda at: at.likely and not is_apart(at),
    "bare no": lambda at: at.bare,
    "not": lambda at: bool(_NOT.search(at.first)),
    "begins with not": lambda at: _begins(_NOT, at.first),
    "not, later": lambda at: bool(_NOT.search(at.text[len(at.first) :])),
    "still": lambda at: bool(_STILL.search(at.first)),
    "fails": lambda at: bool(_FAILS.search(at.first)),
    "fails, later": lambda at: bool(_FAILS.search(at.text[len(at.first) :])),
    "still fails": lambda at: bool(_STILL.search(at.first) and _FAILS.search(at.first)),
    "praise": lambda at: bool(_PRAISE.search(at.first)),
    "praise, later": lambda at: bool(_PRAISE.search(at.text[len(at.first) :])),
    "praised": lambda at: at.praised,
    "said": lambda at: bool(_SAID.search(at.text)),
    "said not": lambda at: bool(_SAID.search(at.text) and (_NOT.search(at.text) or _ONLY.search(at.text))),
    "you": lambda at: bool(_YOU.search(at.first)),
    "that": lambda at: bool(_THAT.match(at.first)),
    "that is": lambda at: bool(_THAT_IS.match(at.first)),
    "do not": lambda at: bool(_DO_NOT.search(at.text)),
    "that not": lambda at: bool(_THAT.match(at.first) and _NOT.search(at.first)),
    "contrast": lambda at: bool(_CONTRAST.search(at.text)),
    "only": lambda at: bool(_ONLY.search(at.text)),
    "my own": lambda at: bool(_MY_OWN.search(at.text)),
    "goes on": lambda at: bool(_GOES_ON.match(at.first)),
    "asks for": lambda at: bool(_ASKS_FOR.match(at.first)),
    "now it": lambda at: bool(_NOW_IT.search(at.first)),
    "loud, asked before": lambda at: any(word.casefold() in at.before.casefold() for word in _LOUD.findall(at.text)),
    "again": lambda at: is_again(at.before, at.text),
    "doubts": lambda at: bool(_DOUBTS.search(at.text)),
    "as wished": lambda at: bool(_AS_WISHED.search(at.text)),
    "pasted": lambda at: bool(_PASTED.match(at.text)),
    "question": lambda at: bool(_ASKS.search(at.first)),
    "question, last": lambda at: bool(_ASKS.search(at.text)),
    "grim": lambda at: bool(_GRIM.search(at.text)),
    "loud": lambda at: bool(_LOUD.search(at.text)) and not at.text.isupper(),
    "apart": is_apart,
    "interrupted": lambda at: at.interrupted,
    "interrupted, asked before": lambda at: at.interrupted and _shared(at.text, at.before),
    "overridden": lambda at: at.overridden,
    "asked before": lambda at: _shared(at.text, at.before),
    "answered": lambda at: _shared(at.first, at.answer),
    "answered with a question": lambda at: bool(_ASKS.search(at.answer)),
    "claims": lambda at: bool(_CLAIMS.search(at.answer)),
    "fails where done": lambda at: bool(_CLAIMS.search(at.answer) and _FAILS.search(at.text)),
    "not where done": lambda at: bool(_CLAIMS.search(at.answer) and _NOT.search(at.first)),
    "short": lambda at: max(0.0, 1 - len(at.text) / 80),
    "long": lambda at: min(1.0, len(at.text) / 400),
}
SIGNS = tuple(_SIGNS)


def seen(at: Around) -> Iterator[tuple[str, float]]:
    """The signs that are there, with their strength."""
    for name, sign in _SIGNS.items():
        if strength := float(sign(at)):
            yield name, strength
