"""Whether the words of a description say what belongs to it, each looked at alone, in seven languages."""

import re

_ENGLISH = """
a about all am an and answer answers any anyone anything are as ask asks assistant at basic be because best better
big but by can catch chat code coding common complex complicated cover covered daily day deep default did difficult
do does done easy else elsewhere etc ever every everybody everyday everyone everything fast fit fits for from
general generic good great hard have help helpful here how if important in is it its job jobs just kind kinds like
make many matter matters me misc miscellaneous model models more most much my need needed needs no none normal not
of often on one only or ordinary other others our overall please problem problems prompt prompts question questions
quick random really regular request requests response responses rest right simple small smart so some something
sort sorts standard stuff such task tasks than that the their them then there these they thing things think
thinking this those to topic topics tough trivial type types unmatched unspecified up us use used user users usual
various very want wants we well what whatever when whenever where which who whole will with work would you your
"""
_GERMAN = """
alle allem allen alles allgemein allgemeine allgemeines andere anderem anderen anderer anderes anfrage anfragen
antwort antworten arbeit arbeiten auf aufgabe aufgaben aus bei beliebige bitte das dem den der des die dies diese
ding dinge ein eine einem einen einer einfach einfache etwas frage fragen fuer für gut gute guten hat hilfe ich im
in irgend irgendwas ist jede jeder jedes kann mehr mein meine mich mir mit modell nach nicht normale normalen oder
passt rest restliche sachen schwere schwierige schwierigen sein sind so sonst sonstige sonstigem sonstiges thema
themen und unter verschiedene verschiedenen verschiedenes viele vom von was weitere weiteren weiteres wenn wichtig
wichtige wie will wir zu zum zur üblich übliche übrige übrigen übriges
"""
_FRENCH = """
ai aide au autre autres aux avec bon bonne ce cela ces chose choses comme de demande demandes des divers diverses du
elle en est et facile faire général générale générales généraux il important importante importants je la le les leur
ma mes modèle moi mon ne nous on ou par pas pour problème problèmes propos que quelconque quelle quelles question
questions qui quoi quotidien requête requêtes reste réponse réponses sa sauf se ses simple simples son sont sujet
sujets sur tous tout toute toutes travail très tâche tâches un une utile variées variés vos votre
"""
_SPANISH = """
al algo ayuda buen buena bueno como con consulta consultas cosa cosas cualquier cualquiera cuando de del demás
diaria diario difícil difíciles diversas diversos el en eso esta este fácil fáciles general generales haga hay
importante importantes la las lo los me mejor mi mis modelo más no normales nos otra otras otro otros para pedido
pedidos peticiones petición por pregunta preguntas problema problemas que quiera quiero qué respuesta respuestas
resto se simple simples sin solicitud solicitudes son su sus tarea tareas tema temas tipo toda todas todo todos
trabajo un una varias varios
"""
_PORTUGUESE = """
ajuda ao aos as bom coisa coisas com como da das demais dia diversas diversos do dos em essa esse eu fazer fácil gerais
geral isso mais melhor meu minha na nas no nos não nós o os outra outras outro outros para pedidos pelo pergunta
perguntas por quaisquer qualquer que quero resposta respostas restante restantes se solicitações sua suas são tarefa
tarefas tipo todas todo todos trabalho tudo um uma várias vários é
"""
_ITALIAN = """
aiuto al alla altra altre altri altro buona buono che compiti compito con cosa cose da degli dei del della delle di
difficili domanda domande e facile facili generale generali gli i il importante importanti in io la lavoro le lo mi
mia mio modello non normali ogni per più problema problemi qualcosa qualsiasi qualunque quello questo resto
richiesta richieste rimanente risposta risposte se semplice semplici si sono su sul tipo tutta tutte tutti tutto un
una uno vari varie è
"""
_DUTCH = """
aan al algemeen algemene alle allerlei alles ander andere anders antwoorden bij dagelijks dagelijkse dan dat de deze
die dingen dit een elk elke en er gewone goed goede het hulp iets ik in is kan maar makkelijke meer met mij mijn
moeilijke naar niet nog of om onderwerpen ons ook op opdrachten overig overige rest soort taak taken te uit van veel
verschillende verzoek verzoeken voor vraag vragen waar wat we werk wie wil zaken zijn zo
"""
_LANGUAGES = (_ENGLISH, _GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _DUTCH)
_SAYS_LITTLE = frozenset(" ".join(_LANGUAGES).split())
_TELL_NO_TWO_APART = {"new", "make", "making", "write", "writing", "find", "finding", "create", "creating"}
_NOT = re.compile(
    r"\b(?:(?:but |and )?(?:not|never|nothing) (?:for|about|to do with)|(?:anything|everything|all) but|except"
    r"|other than|nicht (?:für|fuer|zu|zum|zur)|außer|ausser|nichts (?:mit|zu)|pas (?:pour|de|des)|sauf|no para|excepto"
    r"|salvo|não para|nao para|exceto|non (?:per|di)|tranne|niet voor|behalve)\b[^,;.()]*",
    re.I,
)
_WORD = re.compile(r"\w{2,}|\b[CR]\b")  # two languages have but a letter
_OTHER_LETTERS = re.compile(r"[^\x00-\u024f]{2}")
_LONG = 5  # letters that words of one stem have in common


def says_little(description: str) -> bool:
    """Whether no word tells what belongs here. In other than Latin letters we cannot know."""
    return not telling(description) and not _OTHER_LETTERS.search(description)


def says_only_what_not(description: str) -> bool:
    """`not for tests`, `everything but tests`."""
    return bool(telling(description)) and bool(_NOT.search(description)) and says_little(_NOT.sub(" ", description))


def telling(text: str) -> frozenset[str]:
    """Its words that say something, in lower case."""
    return frozenset(word.lower() for word in _WORD.findall(text) if word.lower() not in _SAYS_LITTLE)


def have_words_in_common(one: str, other: str) -> bool:
    """Whether a telling word of one is in the other, in whatever form: `cooking` and `cook`."""
    words = [telling(text) - _TELL_NO_TWO_APART for text in (one, other)]
    return any(_alike(a, b) for a in words[0] for b in words[1])


def _alike(one: str, other: str) -> bool:
    shorter = min(len(one), len(other), _LONG)
    return one == other or (shorter >= _LONG - 1 and one[:shorter] == other[:shorter])
