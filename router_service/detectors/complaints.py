r"""The words in which people say that an answer was wrong: a pattern a line, by language, in sentences of their own.

`SURE` count whatever else the sentence says, `LIKELY` where it is no question, condition or command; both at its
beginning, or anywhere where a line begins with `~`. `BARE_NO` is for the first sentence, where the answer had asked
nothing. `PRAISE` takes all of it back.
"""

import re

_PARTS = {
    "it": r"(?:it|that|this|these|those|they|everything|neither|both)",
    "made": r"(?:the|your|this|that)(?! (?:old|other|previous|original|first|legacy|current|existing)\b) (?:\w+ )?(?:fix|change|patch|code"
    r"|solution|script|tests?|build|function|method|command|query|regex|answer|output|program|app|snippet|example|import|link"
    r"|result|page|migration|implementation|approach|version|response|total|number|translation|summary|endpoint|config|file)s?(?: you (?:gave|wrote|sent|suggested|posted|used)(?: me)?)?",
    "is": r"(?:'s| is| are| was| were|'re|s)",
    "not": r"(?: ?n'?t| not)",
    "adv": r"(?:(?:still|also|just|really|actually|completely|totally|simply|clearly|even|quite|fully|again|all|exactly|now) )*",
    "end": r"(?=\s*(?:[.,!:;…?]|$))",
    "err": r"(?:\w*error|\w*exception|failure|traceback|stack ?trace|warning|crash|segfault|[45]\d\d|nan|null|none|undefined"
    r"|nothing|empty|blank|garbage|nonsense|duplicates?|wrong|incorrect)",
    "work": r"(?:work(?:ing|ed)?|help|fix|compile|build|run|solve|match|pass|type-?check|start|do (?:anything|it|what)|make (?:any )?sense"
    r"|do the (?:trick|job))",
    "bad": r"(?:wrong(?! to\b)|incorrect|outdated|dead{end}|false|backwards?|nonsense|made[- ]up|bogus|broken|off by|upside down|(?:a |pure )?hallucinat\w+"
    r"|(?:the |exactly the )?opposite|the wrong|not (?:right|correct|true|it{end}|what|how i|the (?:right|one|file|same|issue"
    r"|problem|bug|error|question|answer|way)|quite (?:right|it|what|there)|even|working|fixed|helpful|an? (?:fix|solution|answer))"
    r"|too (?:long|short|slow|verbose|generic|vague|complicated))",
    "still": r"(?:fail(?:s|ing|ed)?(?! (?:tests?|cases?|jobs?|builds?|ones|specs?|checks?|suites?|requests?)\b)\b|broken|crash(?:es|ing)?"
    r"|not\b(?! (?:decided|sure|clear|done yet|finished))|(?:is|are|does|do|did|has|have|was|wo|ca|can){not}\b(?! (?:decided|sure|clear|done yet|finished))|cannot|wrong|red\b|hang(?:s|ing)|throw(?:s|ing)|error(?:s|ing)?"
    r"|flaky|leak(?:s|ing)|empty|blank|null|undefined|no (?:luck|change|effect|output|difference)|the same|same|happen(?:s|ing)"
    r"|there{end}|[45]\d\ds?\b|incorrect|complain(?:s|ing)|buggy|stuck|tim(?:ing|es) out"
    r"|(?:gets?|getting|got|see(?:s|ing)?|shows?|showing|returns?|returning|gives?|giving|have|has|prints?|says?|raises?|reports?)"
    r" (?:[^.?!]{{0,40}} )?(?:(?:the |exactly the |that )?same|\w*error|\w*exception|fail\w*|traceback|nan|wrong|empty|null|none"
    r"|undefined|blank|nothing|warnings?|[45]\d\ds?|duplicates?|the old|old|crash\w*)\b)",
    "did": r"(?:broke(?:n)?(?! (?:it|this|that|things) down)|forgot(?:ten)?(?! nothing)|missed(?! nothing)|misunderstood|misread|misinterpreted"
    r"|ignored|overlooked|removed|deleted|dropped|overwrote|wiped|skipped|lost|hallucinated|invented|mixed up|messed|screwed|reversed"
    r"|made up (?:that|this|the|an?)\b|put (?:it|that|this|them|the \w+) in the wrong|swapped|left out|omitted|duplicated|hard-?coded|truncated|introduced a|made (?:that|this|it) up|gave me (?:the wrong|an? \w+ not)"
    r"|\w+ the wrong|only (?:did|fixed|changed|handled|gave|updated|wrote|answered|converted|translated|covered)|got [^.?!]{{0,40}}"
    r"(?:wrong|backwards|mixed up)|still (?:have|did|are)|did{not} (?!have to|need to)|have{not} (?!to)|keep \w+ing|contradict\w*"
    r"|changed (?:my|something|things|too|more|the (?:\w+ )?(?:behaviou?r|api|signature|meaning))|turned (?:my|the)"
    r"|never (?:ran|wrote|read|did|answered|changed|fixed|added)|just (?:repeated|deleted|removed|commented|renamed|moved))",
    "why": r"(?:delet|remov|dropp?|break|ignor|overwr|revert|renam|chang\w* (?:my|the|all|every)|undo|undid|replac|skip|touch|rewr|rip|repeat|comment(?:ing|ed)? out)",
}


def _parts() -> dict[str, str]:
    """A part may be made of those above it."""
    made: dict[str, str] = {}
    for name, pattern in _PARTS.items():
        made[name] = pattern.format(**made) if "{" in pattern else pattern
    return made


_MADE = _parts()


def _lines(text: str) -> re.Pattern[str]:
    """For `match`. Only `{name}` is taken for a part; a line that begins with # is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    filled = [re.sub(r"\{([a-z]+)\}", lambda part: _MADE[part[1]], line) for line in lines]
    return re.compile("|".join(f"(?:.*?{one[1:]})" if one[0] == "~" else f"(?:{one})" for one in filled), re.I | re.S)


SURE = _lines(r"""
    # English: no, and why
    (?:no|nope|nah)[,.!… -]+(?:no[,.!… -]+)*(?:{it}|{made})(?:{is})? {adv}(?:{bad}|still|(?:is|does|did|do|was|ca|wo)?{not}(?! (?:urgent|necess|need|important|a problem|an issue|required|bad|too|finished|done|yet|worth|matter|have to|hurt|that (?:urgent|important|bad))))
    (?:no|nope|nah)[,.!… -]+(?:no[,.!… -]+)*i (?:said|meant|asked|wanted|told|want|mean)\b(?! to (?:thank|ask))
    (?:no|nope|nah)[,.!… -]+(?:wrong|still|same|not (?:that|this|the|what|like|quite)|you {adv}{did})
    not (?:quite{end}|at all{end}|even close|what i|that one|this one|like that|right{end}|correct{end}|working|fixed|helpful|true{end}|there yet|good enough)
    {adv}(?:plain )?(?:wrong|incorrect)(?: again| file| answer| one| place| function| line| language| branch| direction| output| result| format| column| order)?{end}
    (?:{it}|{made})(?:{is})? {adv}{bad}\b
    (?:{it}|{made}) can(?:'t|not) be (?:right|correct|true)
    (?:{it}) {adv}(?:is|does|do|did|has|have|wo|was|ca|can|will|are){not} {adv}(?:{work}|right|correct|what i|exist{end}|answer|load{end}|change (?:anything|a thing))\b(?! (?:that|if i))
    {made} {adv}(?:is|does|do|did|has|have|wo|was|ca|can|will|are){not} {adv}(?:{work}|exist){end}
    (?:does|did|is|do|will|was|are){not} {adv}{work}\b{end}
    not (?:working|compiling|fixed|solved|changed)\b
    # the same as before
    (?:exact(?:ly)? )?(?:the )?(?:exact )?same (?:old )?(?:error|problem|issue|result|failure|bug|exception|traceback|mistake|crash|message|output)(?: again| as before| still| here)?{end}
    same as before{end}
    it's (?:exactly )?(?:the )?same{end}
    (?:the|that|this|your) (?:\w+ )?(?:error|exception|issue|problem|bug|warning|crash|failure) (?:is still|still|persists|remains|has{not}|did{not}|is{not} (?:gone|fixed|solved))
    no[,.!]+ [^.?!]{1,60}, not\b(?! (?:now|yet|need|necess|urgent|today))
    (?:the|your) (?:correct |right |real )?(?:answer|result|value|year|date|name|capital|output|total) (?:is|was|should be|should have been) [^.?!]{1,30}, not\b
    (?:the|your) (?:math|maths|logic|numbers?|dates?|reasoning|year|order|types?|name|sign|units?|format|value|formula|count|sum|indentation|arithmetic|calculation|spelling)(?: \w+)? (?:is|are) (?:still |also )?(?:off|wrong|incorrect|flawed|reversed|mixed up){end}
    no such (?:method|function|option|flag|class|module|parameter|attribute|package|field|column|endpoint|command)\b
    nothing (?:changed|happens|happened|works|has changed)(?: when| after| at all| here|{end})
    no (?:luck|dice|change|effect|difference|joy|improvement|success){end}
    (?:{it}|{made}) (?:did|does|changed|fixed) nothing
    # what I said
    (?:i|we) (?:(?:already|clearly|specifically|explicitly|literally|distinctly) )+(?:said|asked|told you|wanted|mentioned|wrote|requested|specified)\b
    i said (?:in|to|no|don't|not|only|use|without|just|keep|never)\b
    (?:i|we) (?:only |just )?(?:said|asked for|asked you|wanted|meant|needed)(?! to (?:say|thank|ask|let)) [^.?!]{1,80}\b(?:not|instead of|rather than|without|you (?:gave|did|made|wrote|used|returned))\b
    i (?:did{not}|never) (?:ask|want|say|tell you|request|mean (?:that|this|the|it))\b(?!:)
    ~, (?:that's|it's|this is) (?:not it|wrong|not right|incorrect){end}
    ~\bnot what i (?:asked|meant|wanted|said|need)
    (?:i|we) told you (?:to|not|in|that (?:it|we|the)|already|twice|before|never)\b|.*, i told you{end}
    i meant (?!to\b)
    as i (?:already )?(?:said|mentioned|wrote|asked)\b[^.?!]*\b(?:no|not|don't|without|only|never)\b
    # what you did
    you(?:'ve| have)? {adv}(?:accidentally )?{did}\b
    you(?:'re| are| were) {adv}(?:wrong|mistaken|confusing|missing (?:the|a|an|one)|hallucinating|repeating|making (?:it|this|that|things) up|ignoring)\b
    (?:but |so )?why (?:did|have|would|do|are) you {adv}{why}
    why (?:is|does|do|are|am i) (?:{it}|i|the \w+|your \w+) still {still}
    (?:after|with|since) (?:your|that|this|the) (?:last |new |latest )?(?:change|fix|edit|code|patch|version|update|commit)s?\b.*\b(?:fail|crash|break|broke|\w*error|worse|nothing|no longer|stopped)
    # German
    (?:nein|nee|nö)[,.!]+ *(?:das|es|du|ich (?:meinte|wollte|habe?)|die|der|so|nicht|falsch|immer noch|leider)\b(?!.*\b(?:danke|passt|gut so|reicht|muss nicht|brauch\w*|nicht nötig|egal)\b)
    (?:das|es|so|dies)(?: \w+)? (?:ist|war|stimmt|funktioniert|klappt|geht|läuft|passt|hilft|hat|kompiliert|bringt)(?: \w+){0,3}? (?:nicht|falsch|kaputt|nichts|verkehrt)\b(?! (?:nötig|schlecht|schlimm|dringend|eilig|notwendig|wichtig|fertig|alles|mein\w*|unser\w*|schwer|immer|mehr|unbedingt|so (?:wichtig|schlimm|eilig)|mehr (?:nötig|wichtig)))
    (?:stimmt|funktioniert|geht|klappt|läuft|passt|kompiliert)(?: (?:so|leider|immer noch|noch|auch|trotzdem|bei mir))* (?:nicht|noch immer nicht)\b
    (?:falsch|nicht richtig|nicht ganz|leider falsch|wieder falsch|(?:der|die|das)?(?:selbe|gleiche)r? (?:fehler|ergebnis|problem)|(?:selber|gleicher) fehler){end}
    ~\b(?:immer noch|noch immer|weiterhin)\b.*\b(?:fehl\w*|falsch|nicht|kaputt|rot|dasselbe|dieselben?|derselbe|gleichen?|da{end}|vorhanden)
    falsche[rsn]? \w+{end}
    (?:nein|nee)[,.!]+ (?!nicht)[^.?!]{1,60}(?:, nicht|\bstatt|\bsondern)\b(?! (?:nötig|mehr|so wichtig))
    ich (?:habe? |hatte )?(?:doch )?(?:gesagt|meinte|wollte|sagte|meine)\b.*\b(?:nicht|statt|kein\w*|sondern|ander\w*|nur|ohne)\b
    ich habe? (?:doch |ausdrücklich |extra )*[^.?!]{0,60}\b(?:gesagt|gemeint|gewollt|verlangt)\b
    du hast (?:\w+ ){0,6}?(?:vergessen|kaputt ?gemacht|gelöscht|übersehen|missverstanden|falsch|entfernt|ignoriert|zerstört|verwechselt|nicht)\b
    (?:und |aber )?(?:jetzt|nun) (?:geht|funktioniert|klappt|läuft|kompiliert)(?: \w+){0,3} (?:nicht|nichts)\b
    (?:jetzt|nun) (?:bekomme|kommt|gibt|habe|erhalte|wirft|stürzt|schlägt|schlagen)\b.*(?:fehler|exception|\bab\b|fehl\b)
    # French
    non[,.!]+ *(?:c'est (?!bon|parfait|tout)|ce n'est|ça|cela|tu|je (?:voulais|veux|parlais)|pas|toujours|le|la|il)\b(?!.*\bmerci\b)
    c'(?:est|était) (?:toujours |encore |complètement |totalement )?(?:faux|incorrect|pas (?:ça|bon|correct|juste|ce que|le bon|la bonne)|le contraire|l'inverse|cassé)
    (?:ce|ça|cela) (?:n'est|ne|n'a|est)(?: \w+){0,3}? pas (?:ce que|ça|correct|bon|marché|fonctionn|juste|résolu|le bon|changé)
    (?:ça|cela|ce|il|elle)? *(?:ne )?(?:marche|fonctionne|compile|passe)(?: toujours| vraiment)? (?:pas|plus|toujours pas)\b
    (?:toujours )?(?:la |le )?même (?:erreur|problème|résultat)
    ~\b(?:échoue\w*|plante\w*|erreur)\b.*\b(?:encore|toujours)\b
    ~\b(?:encore|toujours)\b.{0,30}\b(?:échou\w*|plant\w*|erreur|cassé|faux|pas (?:bon|ça|correct))
    (?:tu as|t'as|vous avez) (?:\w+ )?(?:oublié|cassé|supprimé|effacé|ignoré|raté|confondu|enlevé|inversé|manqué|inventé|mal (?!à))
    j'(?:ai|avais) (?:bien |pourtant |explicitement )?(?:dit|demandé)\b
    je (?:voulais dire|parlais de)\b
    mauvaise? \w+{end}|tu n'as pas (?:compris|fait|lu|répondu|suivi|corrigé)|l'erreur (?:persiste|est toujours)
    # Spanish
    no[,.!]+ *(?:eso|esto|es (?!perfecto|suficiente)|está (?!bien|perfecto|todo)|así no|te|yo|lo|sigue|el|la)\b(?! (?:hace falta|importa|problema))(?!.*\bgracias\b)
    (?:eso|esto|así)? *no (?:es (?:correcto|lo que|eso|así|cierto|verdad)|está bien|funcion[aó]|sirv(?:e|ió)|compila|era (?:eso|lo que)|ha funcionado|arregl[aó])
    (?:eso |esto )?(?:está|es|estaba) (?:mal|equivocado|incorrecto|al revés)\b
    ~\b(?:sigue|siguen|continúa|persiste) (?:\w+ )?(?:ahí|fallando|igual|mal|roto|sin (?:funcionar|compilar)|dando|saliendo|apareciendo|con el mismo)
    ~\b(?:todavía|aún) (?:\w+ )?(?:no (?:funciona|compila|pasa|está bien)|falla\w*|da error)
    mal[,.!]|no (?:has entendido|entendiste|me (?:entiendes|entendiste))|(?:el|la|archivo|fichero|respuesta) (?:\w+ )?(?:equivocad[oa]|incorrect[oa]){end}|(?:el )?mismo (?:error|problema)\b|incorrecto\b|te (?:equivocas|has equivocado|equivocaste)
    (?:te )?(?:olvidaste|rompiste|borraste|ignoraste|confundiste|eliminaste|has (?:roto|borrado|olvidado|eliminado|ignorado))\b
    (?:te )?(?:dije|pedí|quise decir|me refería)\b.*\b(?:no|sin|otr[oa])\b|no (?:te )?pedí\b
    # Portuguese
    não[,.!]+ *(?:isso|isto|é (?!preciso)|está (?!bom|ótimo|bem|perfeito)|assim|você|eu|o|a|ainda|foi)\b(?!.*\bobrigad)
    (?:isso|isto|assim)? *(?:ainda )?não (?:é (?:isso|o que|assim|verdade)|está (?:certo|correto|funcionando|bom)|funcion(?:a|ou)|compil(?:a|ou)|foi (?:isso|o que)|deu certo|adiantou|resolveu|mudou|era (?:isso|o que))
    (?:isso |isto )?(?:está|tá|é) (?:errado|incorreto|ao contrário|quebrado)\b|\w* ?errad[oa]{end}|incorreto\b|(?:o )?mesmo erro\b|(?:o )?(?:erro|problema) (?:continua|persiste|ainda)
    ~\b(?:continua|continuam|ainda) (?:\w+ )?(?:falhando|falha|dando erro|com (?:o )?(?:mesmo|erro)|errado|quebrado|não (?:funciona|compila|passa))
    você (?:\w+ )?(?:esqueceu|quebrou|apagou|removeu|ignorou|errou|entendeu errado|trocou|inventou|não (?:fez|leu|entendeu|mudou|respondeu))\b
    eu (?:disse|pedi|falei|queria|quis dizer)\b.*\b(?:não|sem|outr[oa])\b|não foi isso que
    # Chinese
    不对|不是(?:这个|这样|这|我)|错了|不行(?!的话|就|吗)|不正确|没用|没有用|没解决|没有解决|没变|没有变化|答非所问|运行不了|跑不通|编译不(?:过|通过)|(?:同|一)样的错误|又(?:报|出)?错|报错了
    ~(?:答案|结果|输出|文件|顺序|格式|位置|名字|类型)(?:不对|错了|有误|是错的|不正确)
    还是.{0,4}(?:问题|错误|bug)|你.{0,2}(?:没(?:有)?|不)(?:看懂|理解|明白|听懂)
    ~(?:还是|依然|仍然)(?:不(?:行|对|能|通)|报错|失败|一样|错|有(?:错|问题|同样|bug)|没)
    你(?:搞错|弄错|理解错|误解|忘|漏|删|改错|弄坏|搞坏|又|没有?(?:改|按|看|回答))|你把.*(?:删|改|弄)
    我(?:说的是|要的(?:是|不是)|说过|的意思(?:是|不是)|没(?:让|叫|要)你)|这(?:不对|是错|不是我|样不对|个不对)
    # Japanese
    (?:全然|まったく|それは|やっぱり|いや、?)?違(?:います|って|う(?=[、。!！よんっ]|$))|また同じ|.{1,12}と違(?:います|う(?=[、。]|$))|ちが(?:います|う)|そうじゃな|そうでは|間違(?:って|いです|えて)|同じエラー|うまく(?:いきません|いかな)|だめ|ダメ|それ(?:は違|じゃな|ではな)|いいえ[、,。](?!大丈夫|結構|それで)
    (?!なぜ|どうして|なんで).*?(?:動(?:きません|かない|作しません)|直って(?:いません|いない|ない)|壊れ(?:ました|た|て)|言ったのに|言いましたよね|頼んだのに|頼んだのは|言ったのは)
    ~まだ.{0,6}(?:エラー|失敗|動か|動き|直っ|同じ|だめ|ダメ|落ち|通ら|通り|おかし)
    ~エラーが(?:まだ|出ます|出ました|出て|消え|変わ)
    # Russian
    (?:нет|неа)[,.!]+ *(?:это|ты|вы|я (?:имел|хотел|просил|говорил)|так|опять|всё ещё|все еще|неправ|неверн|не (?:то|так|работ))(?!.*\b(?:спасибо|хорошо|нормально)\b)
    (?:это )?(?:неправильно|неверно|не т(?:о|от|а|е|ого)(?!\w)(?! (?:ли|чтобы|что бы))|не так{end}|ошибка{end}|не работает|не помогло|не сработало|не компилируется|не запускается)
    ~(?:(?:всё|все) (?:ещё|еще|равно)|по-прежнему|до сих пор) (?:\w+ )?(?:не |пада|ошиб|та же|то же|лома|слом|крас)
    (?:(?:опять|снова) )?(?:та же(?: самая)?|снова|опять) (?:ошибк|проблем)
    (?:ты|вы) (?:\w+ )?(?:забыл|сломал|удалил|перепутал|не понял|ошиб|пропустил|игнорир|опять|неправильно|не то|не (?:сделал|исправил))
    (?:ошибка|проблема) (?:осталась|никуда|та же|всё ещё|все еще|не исчезла)|(?:ответ|результат|вывод) (?:не ?вер|неправил)
    я (?:же )?(?:сказал|просил|говорил|хотел)\w* .*\b(?:не|без|только|а не)\b|я имел\w* в виду
    # Hindi, in both scripts
    (?:नहीं|नही)[,.।!]+ *(?:यह|ये|वह|वो|तुम|आप|ऐसा|गलत|मेरा मतलब|मैंने)
    ~(?:गलत|ग़लत) (?:है|हैं|था|थी|जवाब|उत्तर|फ़ाइल|फाइल)
    (?!.*क्यों).*?(?:काम नहीं (?:कर|किया)|नहीं चल|ठीक नहीं|सही नहीं|नहीं हुआ|नहीं बदला|वही (?:एरर|त्रुटि|गलती|समस्या))
    ~(?:एरर|त्रुटि|समस्या|गलती) .{0,12}(?:अभी|अब|फिर) भी
    ~(?:अभी|अब|फिर) भी .{0,40}(?:फेल|एरर|त्रुटि|नहीं|वही|टूट)
    मैंने (?=.*(?:नहीं|मत\b|सिर्फ|बिना|केवल)).{0,60}(?:कहा|बोला|मांगा|माँगा)|(?:तुमने|आपने) .{0,60}(?:भूल|तोड़|हटा|मिटा|गलत|डिलीट)
    ~\b(?:galat hai|nahi(?:n)? (?:chal raha|hua|hai yeh)|kaam nahi(?:n)? kar|wahi error)\b
    # Italian, Dutch, Polish, Turkish, Korean, Arabic
    (?:non (?:funziona|va{end}|è (?:giusto|corretto|quello|così)|compila|ha funzionato)|(?:è )?sbagliato|ancora lo stesso|stesso errore|no, (?:non è|è sbagliato|ho detto|hai))
    (?:dat|dit|het) (?:klopt|werkt|is)(?: \w+){0,2}? (?:niet|fout|verkeerd)\b(?! (?:nodig|erg|dringend))|nog steeds (?:niet|fout|dezelfde|kapot)|nee, (?:dat|ik bedoel|je)\b|dezelfde fout|je (?:bent|hebt)(?: \w+){0,4} (?:vergeten|verwijderd)
    (?:to )?(?:nie działa|nieprawda|jest źle|źle{end}|nadal (?:nie|błąd|to samo)|wciąż nie|nie o to|ten sam błąd)|nie, (?:chodziło|miałem)\b
    hayır, (?:bu|öyle|yanlış|ben)\b|yanlış{end}|(?:hâlâ|hala) (?:çalışm|hata|yanlış|aynı)|çalışmıyor|aynı hata|olmadı{end}
    아니(?:요|야)?[,.]? *(?:그게|그건|제가|내가|틀|아니)|틀렸|(?:아직도|여전히) .{0,10}(?:안 |오류|에러|실패|같은|못|틀)|안 ?(?:돼요|됩니다|되네)|같은 (?:오류|에러)|그게 아니|잘못(?:됐|되었|했|이해)
    (?:لا،|لا,) ?(?:هذا|ليس|أنت|قلت)|هذا (?:خطأ|غير صحيح|ليس (?:ما|صحيح))|(?:ما زال|لا يزال|مازال) .{0,20}(?:لا|خطأ|يفشل)|لا يعمل|لم (?:يعمل|ينجح)|نفس الخطأ
""")

LIKELY = _lines(r"""
    (?:(?:{it}|{made}|\w+(?:\.\w+)?(?:\(\))?)(?:{is})? |i(?:'m| am)? |we(?:'re| are)? )?(?:is |are )?still {still}
    (?:and |but )?now (?!add|make|write|handle|let|do |please|can|show|also|create|use|change|implement|test|check|fix|remove|update|the same for)(?:{it}|{made}|there(?:'s| is| are)|i(?:'m| am)?|we|all|every \w+|half|some|\d+|the \w+|\w+)(?: \w+){0,3}? ?(?:fail\w*|broken?|crash\w*|throws?|(?:get|gets|getting|got|see|seeing|have|throws?|raises?|is|are|'s) (?:[^.?!]{0,20} )?\w*(?:error|exception)s?|does{not}|do{not}|wo{not}|ca{not}|is{not}|are{not}|stopped|gone|missing|wrong|red|worse|hangs?|no longer)\b(?! (?:gracefully|when|if))
    (?:and |but )?now nothing (?:works|compiles|runs)
    (?:{made}|tests?|everything|\w+ tests?)(?: \w+)?(?:'s| is| are|) (?:now )?(?:broken|failing|fail|fails|red|crashing|crashes)(?: now| again)
    (?:{it}|{made}) (?:just |now |also |has |have |totally |completely )*(?:broke|made (?:it|things) worse|makes no sense|makes it worse|crashes|crashed|errors out|errored|throws|threw|blew up|loops forever|is worse|fails|failed){end}
    (?:{it}|your \w+) (?:throws|raises|fails with|crashes with|broke|breaks|removed|deleted) (?!down|up|if|when there|gracefully|as expected)
    (?:{it}|{made}) (?:gives|returns|prints|shows|outputs|produces|yields|gave|returned|printed)(?: me)? (?:an? |the )?(?:\w+ )?{err}
    (?:{it}|{made}) (?:returns|gives|prints|outputs|shows|says|produces|printed|returned|gave|showed) [^.?!]{0,60}\b(?:not|instead of|but (?:it )?should|but i (?:expected|wanted)|when it should)\b
    (?:the|your) (?:\w+ )?(?:result|output|answer|total|value|sum|count) should (?:be|have been) [^.?!]{0,40}, not\b
    (?:{it}|{made}) should(?:'ve| have) \w+
    there(?:'s| is| are) no (?:such )(?:method|function|file|option|flag|class|module|parameter|argument|package|attribute|field|column|endpoint|command|setting)
    there(?:'s| is) no (?:method|function|option|flag|class|module|parameter|attribute) (?:called|named|by that|like that|with that)
    (?:that|this|your) (?:file|class|method|function|option|flag|class|module|parameter|package|api|import|endpoint|command|link|url|quote|paper|book)(?: you \w+)? (?:does{not}|did{not}|is{not}|never) (?:exist|real|there)\b(?! yet)
    i(?:'m| am)? (?:now |still )?(?:get(?:ting)?|got|see(?:ing)?) (?:the same|exactly the same|another|a different|a new|an?) (?:\w+ ){0,2}(?:\w*error|\w*exception|failure|traceback)\b(?:.*\b(?:now|with (?:your|that|this)|from your|instead|after (?:your|that))\b|{end})(?!.*\b(?:when|before|how|my)\b)
    stop (?:adding|removing|making (?:things )?up|inventing|rewriting|deleting|touching|apologi[sz]ing|guessing|repeating|renaming)\b
    (?:the|this|that) \w+(?: \w+)? (?:is|are|was) (?:now )?(?:blank|empty|gone|broken|missing|red)(?: now| again){end}
    .{1,30} (?:wo{not}|does{not}|do{not}|ca{not}) \w+ (?:anymore|any more|at all)\b
    (?:it|compilation|(?:the )?build|(?:the )?compile|(?:the )?install(?:ation)?) (?:now )?(?:fails?|breaks?)(?: now| with| on line|:|{end})
    (?:your|this|that) (?:code|regex|query|function|command|script|solution|method|test|example|snippet|version|pattern) (?:still )?(?:does{not}|did{not}|wo{not}|ca{not}) (?:work|match|compile|run|handle|parse|return|cover|do)\b
    ~[,:;] you (?:just |also |again )?(?:ignored|forgot|missed|broke|deleted|removed|misunderstood|skipped|overwrote)\b
    (?:some|several|half|most|\d+|two|three)(?: of (?:the|your|them))?(?: \w+)? (?:tests?|cases?|of them|specs?) (?:still |now )(?:fail|fails|failed|are failing|is failing|broke)
    ~\b(?:but|and) (?:{it}) {adv}(?:does|did|is|wo){not} {adv}{work}\b
    ~\b(?:but|and) (?:{it}|it's|that's|i'm|i) still {still}
    ~\byou (?:just )?(?:broke|misunderstood|hallucinated|overwrote)\b(?! (?:it|this|that|things) down)
""")

BARE_NO = _lines(r"""
    (?:no|nope|nah)[.!]*$
    (?:(?:no|nope|nah)[,.! -]+)+(?:the|it's (?!fine|ok|okay|good|all|enough)|it is (?!fine|ok)|use|i want|i need|in|on|only|both|by|with|nothing|neither|that's (?!all|fine|ok|okay|it\b|enough|good|great|everything))\b(?!.*\b(?:later|thanks|thank you)\b)
    (?:nein|nee|non|não|нет|नहीं|不|いいえ)[.!。！]*$
""")

PRAISE = re.compile(
    r"\b(?:works (?:now|great|perfectly|fine|well|like a charm)|perfect|awesome|excellent|brilliant|well done|good (?:job|work|catch)"
    r"|my (?:bad|mistake|fault)|no longer (?:fails?|crash\w*|breaks?)|looks (?:good|great)|that (?:fixed|did|solved) it|that worked|lgtm"
    r"|never mind|i was wrong|(?:but|even) better|haha|lol|exactly (?:the )?right|, (?:good|nice|great|cool|thanks|thank you|amazing)[.!]*$)(?!\w)(?!.*\b(?:but|however|except)\b(?! better))",
    re.I | re.S,
)
ELSE = re.compile(
    r".*?\b(?:following|below|if|whether|in case|unless|suppose|assuming|make sure|ensure|verify|so that|tell me)\b"
    r"|(?:please )?(?:write|add|create|explain|summari[sz]e|translate|rewrite|list|show|describe|draft|document|can you|could you"
    r"|would you|how|what|when|where|which|who|is|are|does|do|did)\b",
    re.I | re.S,
)
