r"""The words in which people want something back as it was, or say that they have put it back themselves."""

import re

# What stands there besides a change that is undone tells that it was wished; of the words alone nothing is made.
WANTED = re.compile(
    r"\b(?:undo|revert\w*|roll(?:ing)?[ -]?back|(?:restore|reset)(?= (?:it|that|this|them|all|everything|your|my|to\b|\S+\.\w{1,5}\b|the (?:\w+ )?(?:files?|changes?|edits?"
    r"|code|version|repo|working))|\W*\Z|\s*[.,!;])|discard|drop|scrap|ditch|forget|remove|delete|kill|throw\w*"
    r"|get rid of|(?:out|away) with|(?<!go )(?<!going )back(?! ?(?:end|up|ground|log|fill|off|port)\b)|go(?:ing)? back(?=\W*\Z|\s*[.,!;]| to (?:how|what|where|before|the (?:version|state|way|one|last|first)))"
    r"|as before|(?:the way|as|how) it was|old|previous"
    r"|original|(?:take|taking|pull|rip) (?:\S+ ){0,4}?out|was (?:better|fine|ok|right|good|nicer)|looked (?:better|nicer))\b"
    r"|rückgängig|zurück|\bweg\b|\braus\b|verwirf|verwerf|lösch|wieder|besser"
    r"|\bannul|\brétabli|\breviens\b|\bremets\b|\bdéfai[ts]|retour|\bsupprime|\benlève|\bavant\b|\bvire\b"
    r"|\bdes(?:haz|hacer|haga)|\brevierte|\brevertir|\brestaur|\bdesfa[zç]|\breverta|\bvuelve a|\bvolta|\bantes\b|\bquita"
    r"|\bborra|\bapaga|\btira |撤销|撤回|撤掉|回滚|回退|恢复|还原|改回|删|去掉|换回|元に戻|戻|取り消|消して|やめ"
    r"|откат|отмен|верн[иу]|восстанов|убер|удал|как было|назад|वापस|पूर्ववत|हटा|पहले|되돌|복원|원래|annulla|ripristina"
    r"|togli|prima\b|geri al|eski|kaldır|cofnij|przywróć|usuń|z powrotem|terug|ongedaan|استرجع|تراجع",
    re.I,
)

# The change itself is not in sight any more: it has to be said that it was the answer's.
YOURS = re.compile(
    r"\b(?:you(?:r|rs)?|ur?)\b|\b(?:du|dein\w*)\b|\b(?:tu|tes|ton|votre|vos|tus|tuyos?|suas?|seus?|você)\b"
    r"|тво|ваш|[你您]|あなた|तुम|आप|\b(?:undo|revert|rückgängig|revierte|annule|annulla|geri al)\b(?: it| that| this| pls| please| bitte)?\W*\Z"
    r"|\b(?:looked|was) (?:better|nicer|fine)\b|\b(?:bring|put|get|want)\b[^.!?\n]{0,40}\bback\b",
    re.I,
)
MADE = re.compile(r"\b(?:your|you'?ve|you (?:did|made|wrote|changed|added|put))\b(?! (?:can|should|know))", re.I)
OTHERS = re.compile(
    r"\b(?:my|mine|our|his|their|mein\w*|unser\w*|mes|mon|mis?|meus?|commit [0-9a-f]{6,}|PR|pull request|merge|tag|branch"
    r"|release|upstream|colleague\w*|last (?:week|month|\w+day)|[vV]\d[\w.]*)\b|#\d+|@\w+"
)

_I = r"(?:(?:i|i've|ive|i had to|we|we've|so|just|simply|already|have|had to|and|but|then|now|myself) )*"
BY_HAND = re.compile(
    rf"(?:\A|[.,;:!?\n…(–-]\s*|\b(?:i|i've|ive|we|we've) )\W{{0,3}}{_I}"
    r"(?:(?:reverted|undid|undone|discarded|scrapped|nuked|ditched|tossed|binned|restored (?:the|it|that|my)|unwound)\b(?! by\b)"
    r"|(?:rolled|backed) (?:(?:it|that|this|them|everything|your \w+|the \w+) )?(?:back|out)\b"
    r"|(?:changed|switched|set|put|moved|turned|flipped|brought|went|gone) (?!up\b)(?:[^.,;!?\n]{1,30} )?back\b(?! (?:and|from|later|soon|home|on|at|in)\b)"
    r"|(?:changed|set|put|switched) (?!up\b)[^.,;!?\n]{1,30} again\b"
    r"|(?:threw|thrown|kicked|ripped|took|taken) (?:it|that|this|them|the \w+|your \w+|everything) (?:back )?(?:out|away|off)\b"
    r"|(?:ran|did|used|run|with) (?:a |an )?['\"`]?(?:git (?:checkout|restore|reset|revert|stash)\b|undo|revert)"
    r"|git (?:checkout|restored?|reset|revert(?:ed)?|stash(?:ed)?)\b)"
    r"|\bhab\w*\b[^.!?\n]{0,60}\b(?:rückgängig gemacht|zurückge\w+|verworfen|wieder (?:raus|weg|auf|rein|ge\w+)\w*"
    r"|raus(?:ge\w+)|weggeworfen|revertet|revertiert)"
    r"|\b(?:j'ai|on a|je l'ai) [^.!?\n]{0,20}?(?:annulé|rétabli|remis|restauré|défait|reverté|enlevé|viré|jeté)"
    r"|\b(?:revertí|revertido|deshice|deshecho|restauré|devolví|descarté)\b|\b(?:volví|he vuelto|vuelto) a (?:poner|dejar)"
    r"|\b(?:reverti|desfiz|restaurei|descartei|voltei (?:para|pro|pra|ao?))\b"
    r"|\bho (?:\w+ )?(?:annullato|ripristinato|rimesso|tolto|revertato)|\bgeri (?:aldım|çevirdim|döndüm)"
    r"|\b(?:cofn\w+|przywróci\w+|wycofa)(?:łem|łam)\b|\b(?:teruggedraaid|teruggezet|ongedaan gemaakt)\b"
    r"|\bя [^.!?\n]{0,20}?(?:откатил|вернул|отменил|убрал)|(?:\A|[.,;!] *)(?:откатил|вернул|отменил)"
    r"|我[^。！？\n]{0,8}(?:撤销|回滚|还原|改回|恢复|退回|撤回|换回|撤)|(?:元に戻し|取り消し|戻し|リバートし)(?:た|まし|とい)"
    r"|वापस (?:कर|ले) (?:दिया|लिया)|되돌렸|되돌려 ?놨",
    re.I,
)
NOT_BY_HAND = re.compile(
    r"\b(?:my (?:own|change|commit|branch|edit)s?|(?:if|when|should|shall|can|could) (?:i|we)|how (?:do|can|to)|(?:was|were|been|got|gets?|be) (?:\w+ )?"
    r"(?:reverted|restored|rolled|undone)|(?:not|never|haven't|didn't|don't) (?:yet )?(?:revert|und|roll|restor)\w*)\b",
    re.I,
)
