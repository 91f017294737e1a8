"""What the pieces of a text cost in tokens, by vocabulary: the figures of `tokens`.

Fitted in 2026-11 against the vocabularies that are public: OpenAI's o200k_base and cl100k_base (tiktoken), DeepSeek
V3's, Mistral's tekken 240911 and Claude 2's. 5,000 documents of 600 to 16,000 letters: code in thirty languages, prose
in fifty (translations of programs and their manuals), data, logs, diffs, encodings, noise. Linear programming finds the
costs with the smallest mean estimate under which hardly any document comes to less than its true count. `SURPRISE` was
fitted before that, to what words of those documents cost by themselves.
"""

from itertools import product

VOCABULARIES = ("o200k", "cl100k", "deepseek", "mistral", "claude2")

# Words that are one token almost everywhere.
COMMON = frozenset(
    """
    about above access action after already also apache append applicable application args argument arguments array
    assert attribute auto available base basis before block body bool both build byte bytes cache call cannot case
    change changes char check class clear client code color command commands compiler complete compliance conditions
    config configuration connection const contains content context copy copyright create current data date default
    define defined delete description details directory display distributed docs documentation does each either else
    empty endif enum environment error even event example except exception exists express false field file files find
    first flag flags float following form format found free from full func function generate generated github given
    global group have head header help here host html http https ignore implied import include including index info
    information init input install instance integer interface internal into invalid item items java join json just
    keys kind language last length level library license licensed licenses like limitations line link list local
    location long main make match message method mode model modify module more must name names namespace need next
    node none note notice null number object obtain only open option optional options order other otherwise output
    package page parent parse part particular pass path permission permissions please policy print private process
    project property provided public purpose push python read reference remove request require required response
    result return returns root same script section self server service setup should since size skip software some
    source specific specified standard start state static status string struct style such support system target test
    tests text than that their them then there these they this through time title true type types under unknown unless
    update used user using value values variable version void warranties what when where whether which while will with
    without work write writing your
    """.split()  # noqa: SIM905 - shorter than as many strings
)

# Pairs of marks that source code is full of, and vocabularies therefore hold.
PAIRS = frozenset(
    """
    != "# "$ "% ") ", "- ". "/ ": "; "> "\\ "] "` "{ "} ${ %. '% ') ', '. '/ ': '\\ (! (" ($ (% (' () (- (. ([ (\\ (_
    (` ({ )" ), ). ): ); )\\ )] )` )} *" *) *. */ +) += ," -> ." .) .* ., ./ .\\ .] ._ /" /) /* /. /> :" :% :/ :\\ </
    <= =" =' => >" >( >, >. >< >= [" [' [- [: [= [] \\" ]" ]( ]) ], ]. ]: ]; ]} _( `% `) `, `- `. `: {" {* {[ {} |-
    }" }) }, }. }/ }; }\\ }] }`
    """.split()  # noqa: SIM905 - shorter than as many strings
)

# How much less usual a word becomes by a letter after another: rows begin with the first of them (a word's beginning
# above all), columns are the second from a to z; `a` is usual, `z` is not.
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROWS = """
    nmkfjmjjqookknoktjgkqpipjr pgfbmjbilnjaeenetcdamjggal komienmlndmbjpjoufbfjrlsdt
    ksjodrsenoedosinsfkbluuwbp qtpijshwrrrjqsppzokqtvkslv mnkeklkmssrjkknkohgkspehjt
    jpolfhgpkwogilipqgjhmsorgv qsrqhojdqtsikkpuzijnpuoxms mlrnhyqupxpohikrslkequjyjn
    gdcacbbkokiadaabodaanemejg jtpmfpsqmpcomhjlqqfqmnksmr nnmdfmfhoqolnkolpniiqshtnv
    nmqjhmnmpuqippmmsljkoqnucu kiqidtopnsnlgnkfprimnwpnlu lqhdhjelorkljlkltnddpmlsjq
    hhgcieelmliefdfgvcffijahdq mqnhfqleqvtdgskivgifnvpphv jqmmpqklipoanqpmohkjcpopqo
    mplgglhnpvnkijkltlhirqhqdr rwmnikmiquppppolungipwlsgv nsmihoqcnwqnmqmjvhhkpudtdu
    hfedbhemimjacdkcqabaqnidin inpmboeojqmfloiltijiovnrgq msukgvvfoyomtefqzgdkswjxlv
    okikimolosplcoqhvlkgrqsier sstunwqxsxuooopozojosxjwms kloidrklnqmlngkntmmimqipei
    """.split()  # noqa: SIM905 - shorter than as many strings
SURPRISE = {
    (first, second): _LETTERS.index(_ROWS[row][column])
    for (row, first), (column, second) in product(enumerate(" " + _LETTERS), enumerate(_LETTERS))
}

# Feature -> tokens for one of it, in the order of VOCABULARIES.
COSTS: dict[str, tuple[float, float, float, float, float]] = {
    "accents a": (1.0, 0.58, 0.58, 0.58, 1.0),
    "accents e": (0.64, 1.0, 0.23, 0.1, 1.0),
    "accents v": (1.0, 1.0, 1.0, 1.0, 1.0),
    "amharic": (2.04, 2.57, 2.16, 2.81, 3.0),
    "amharic run": (0.0, 1.0, 0.01, 0.0, 0.45),
    "arabic": (0.29, 0.67, 0.28, 0.25, 1.03),
    "arabic run": (0.0, 1.0, 0.89, 0.25, 1.0),
    "armenian": (0.33, 2.01, 0.55, 0.32, 2.26),
    "armenian run": (0.0, 1.0, 1.0, 0.31, 0.0),
    "astral": (2.98, 2.88, 2.57, 3.48, 2.5),
    "bare C": (0.0, 0.0, 0.2, 0.0, 0.0),
    "bare U": (0.0, 0.0, 0.24, 0.0, 0.01),
    "bare a": (0.0, 0.0, 0.35, 0.0, 0.26),
    "bare l": (0.02, 0.0, 0.07, 0.02, 0.08),
    "bengali": (0.25, 1.2, 0.45, 0.48, 1.99),
    "bengali run": (0.57, 1.0, 0.0, 0.0, 0.39),
    "box": (0.52, 0.5, 0.5, 0.5, 1.33),
    "box changes": (1.5, 1.5, 1.46, 1.36, 1.5),
    "box same": (1.58, 1.57, 1.5, 1.71, 1.45),
    "burmese": (0.43, 1.93, 0.89, 0.62, 0.95),
    "burmese run": (1.0, 1.0, 0.5, 0.0, 1.0),
    "common C": (0.85, 0.85, 0.85, 0.85, 0.85),
    "common U": (0.89, 0.85, 0.94, 1.15, 1.15),
    "common l": (0.85, 0.85, 0.85, 0.85, 0.85),
    "control": (1.16, 0.88, 1.39, 1.23, 0.7),
    "cr": (0.05, 0.0, 0.6, 0.6, 0.36),
    "cr more": (0.23, 0.02, 0.6, 0.6, 0.09),
    "cyrillic bare": (0.0, 0.6, 0.0, 0.0, 0.6),
    "cyrillic more": (1.76, 1.77, 1.78, 1.79, 1.77),
    "cyrillic other": (1.02, 1.3, 1.3, 0.94, 1.3),
    "cyrillic upper": (0.34, 0.34, 0.73, 0.63, 0.18),
    "cyrillic 1": (0.8, 0.81, 0.8, 0.8, 1.45),
    "cyrillic 2": (0.8, 1.81, 1.8, 1.35, 2.45),
    "cyrillic 3": (1.45, 2.81, 1.8, 1.48, 3.45),
    "cyrillic 4": (1.95, 3.81, 2.44, 1.48, 4.45),
    "cyrillic 5": (1.95, 3.81, 2.72, 2.0, 4.45),
    "cyrillic 6": (1.95, 3.81, 2.72, 2.0, 4.45),
    "cyrillic 7": (1.95, 3.81, 2.72, 2.0, 4.45),
    "devanagari": (0.35, 1.06, 0.66, 0.45, 1.24),
    "devanagari run": (0.0, 0.26, 0.0, 0.0, 0.62),
    "digits 1": (1.1, 1.1, 1.1, 1.1, 1.1),
    "digits 2": (1.38, 1.37, 1.46, 2.1, 1.06),
    "digits 3": (1.11, 1.04, 1.09, 3.1, 1.26),
    "emoji": (1.86, 2.62, 1.74, 3.68, 2.9),
    "endless": (0.6, 0.45, 0.6, 0.6, 0.6),
    "georgian": (0.25, 1.89, 0.67, 0.43, 1.35),
    "georgian run": (0.4, 1.0, 0.71, 0.0, 0.0),
    "greek accents": (0.0, 1.0, 0.0, 0.0, 1.0),
    "greek bare": (0.0, 0.6, 0.0, 0.5, 0.6),
    "greek more": (1.43, 1.97, 1.49, 1.41, 2.35),
    "greek upper": (0.57, 1.0, 0.98, 0.48, 0.69),
    "greek 1": (0.8, 1.59, 0.8, 0.8, 4.47),
    "greek 2": (0.8, 2.54, 0.84, 0.8, 5.77),
    "greek 3": (1.34, 4.14, 2.44, 0.8, 5.8),
    "greek 4": (2.93, 5.04, 4.04, 2.19, 7.4),
    "greek 5": (2.93, 6.64, 4.53, 2.19, 9.0),
    "greek 6": (2.93, 8.24, 4.53, 2.19, 9.0),
    "greek 7": (2.93, 9.0, 4.53, 2.19, 9.0),
    "gujarati": (0.25, 1.88, 0.91, 0.59, 3.0),
    "gujarati run": (0.63, 0.0, 0.0, 0.0, 0.62),
    "gurmukhi": (0.61, 1.88, 1.09, 0.71, 3.0),
    "gurmukhi run": (0.0, 0.0, 0.0, 0.0, 0.49),
    "han": (0.93, 1.46, 0.83, 1.09, 1.33),
    "han rare": (3.2, 3.2, 3.2, 3.2, 3.2),
    "han run": (0.0, 0.0, 0.34, 0.0, 0.5),
    "hangul bare": (0.99, 2.15, 1.51, 0.6, 2.5),
    "hangul more": (2.5, 2.5, 2.5, 2.5, 2.5),
    "hangul 1": (0.5, 0.5, 0.5, 0.5, 1.39),
    "hangul 2": (0.5, 0.5, 0.5, 0.5, 1.39),
    "hangul 3": (0.5, 0.5, 0.5, 1.2, 1.68),
    "hangul 4": (0.5, 2.16, 0.5, 1.2, 1.68),
    "hangul 5": (0.5, 2.5, 0.5, 1.2, 1.68),
    "hangul 6": (2.5, 2.5, 2.5, 2.5, 2.5),
    "hangul 7": (2.5, 2.5, 2.5, 2.5, 2.5),
    "hebrew": (0.38, 0.83, 0.41, 0.39, 0.78),
    "hebrew run": (0.0, 1.0, 0.22, 0.0, 1.0),
    "joiner": (0.5, 1.22, 0.59, 0.92, 0.5),
    "kana": (0.65, 0.89, 0.65, 0.6, 0.91),
    "kana run": (0.27, 0.17, 0.0, 0.13, 0.0),
    "kannada": (0.26, 1.84, 0.64, 0.34, 2.34),
    "kannada run": (1.0, 0.6, 1.0, 1.0, 0.01),
    "khmer": (0.64, 1.63, 1.13, 2.84, 2.9),
    "khmer run": (0.0, 0.0, 1.0, 0.6, 1.0),
    "lao": (1.82, 2.1, 1.84, 2.88, 3.0),
    "lao run": (0.0, 0.0, 0.0, 0.0, 1.0),
    "malayalam": (0.37, 1.82, 0.97, 0.36, 2.44),
    "malayalam run": (0.15, 0.0, 0.0, 1.0, 0.0),
    "mark !": (1.15, 1.15, 1.15, 1.15, 1.15),
    'mark "': (0.45, 0.45, 0.45, 0.45, 0.65),
    "mark #": (0.8, 0.45, 0.45, 0.45, 0.69),
    "mark $": (0.45, 0.45, 0.83, 0.45, 0.45),
    "mark %": (0.63, 1.06, 0.55, 0.8, 1.02),
    "mark &": (1.15, 0.45, 1.15, 1.15, 1.15),
    "mark '": (0.88, 0.45, 1.15, 1.04, 1.15),
    "mark (": (0.45, 0.45, 0.45, 0.45, 0.63),
    "mark )": (0.5, 0.45, 0.48, 0.45, 0.86),
    "mark *": (0.69, 0.53, 0.71, 0.45, 0.82),
    "mark +": (0.87, 0.73, 0.45, 0.45, 0.45),
    "mark ,": (0.99, 0.96, 1.11, 1.15, 0.92),
    "mark -": (0.6, 0.54, 0.7, 0.45, 0.95),
    "mark .": (0.57, 0.45, 0.45, 0.45, 0.89),
    "mark /": (0.64, 0.45, 0.61, 0.8, 0.94),
    "mark :": (0.9, 0.93, 0.54, 0.79, 0.96),
    "mark ;": (0.45, 0.45, 1.15, 1.15, 1.15),
    "mark <": (1.15, 0.45, 1.15, 1.15, 0.45),
    "mark =": (0.45, 0.45, 0.56, 0.45, 1.08),
    "mark >": (0.54, 0.65, 0.65, 0.76, 1.15),
    "mark ?": (0.45, 0.65, 0.45, 1.15, 1.15),
    "mark @": (0.69, 0.45, 0.7, 0.53, 0.45),
    "mark [": (1.0, 0.45, 0.45, 0.82, 1.15),
    "mark \\": (0.77, 0.68, 1.01, 0.86, 1.05),
    "mark ]": (0.45, 0.83, 0.59, 0.45, 0.75),
    "mark ^": (1.15, 1.15, 1.15, 1.12, 1.15),
    "mark _": (0.47, 0.45, 0.73, 0.56, 0.82),
    "mark `": (0.45, 0.45, 0.88, 0.45, 1.15),
    "mark cr": (0.62, 0.32, 1.0, 1.0, 0.0),
    "mark {": (0.45, 0.45, 0.45, 0.45, 0.66),
    "mark |": (0.85, 0.46, 0.69, 0.72, 0.61),
    "mark }": (0.45, 0.45, 0.45, 0.45, 0.45),
    "mark ~": (0.45, 0.74, 1.15, 1.15, 1.15),
    "mark newline 0": (0.0, 0.0, 0.0, 0.0, 0.0),
    "mark newline 1": (0.0, 0.0, 0.46, 0.0, 0.37),
    "mark newline 2": (0.34, 0.0, 0.0, 0.73, 1.0),
    "marks": (0.63, 0.6, 0.6, 0.6, 0.62),
    "marks drawn": (0.35, 0.37, 0.51, 3.0, 0.3),
    "marks odd": (0.75, 0.75, 0.8, 0.73, 0.79),
    "marks repeated": (2.17, 2.17, 4.26, 4.36, 2.21),
    "marks same": (0.04, 0.0, 0.07, 0.1, 0.41),
    "marks usual": (0.32, 0.27, 0.24, 0.38, 0.2),
    "monotone": (0.5, 0.5, 0.5, 0.5, 0.5),
    "monotone more": (3.48, 3.49, 3.5, 3.5, 3.5),
    "newlines 0": (0.6, 1.24, 0.6, 0.6, 1.6),
    "newlines more": (8.0, 2.05, 8.0, 8.0, 0.27),
    "newlines 1": (1.2, 1.11, 0.99, 1.36, 1.0),
    "newlines 2": (0.6, 0.6, 1.0, 0.92, 0.94),
    "newlines 3": (1.6, 1.6, 1.6, 1.6, 0.6),
    "number join": (0.86, 0.86, 0.8, 0.91, 0.85),
    "odd space": (1.07, 0.83, 0.91, 1.08, 0.5),
    "one space": (0.78, 0.79, 0.65, 0.8, 0.3),
    "other": (2.57, 2.01, 2.48, 2.65, 2.0),
    "other run": (0.1, 0.1, 0.1, 0.0, 0.0),
    "sinhala": (0.54, 1.93, 0.87, 2.93, 1.63),
    "sinhala run": (0.0, 0.45, 0.82, 0.43, 1.0),
    "space changes": (1.0, 0.2, 0.2, 1.0, 0.25),
    "spaces more": (0.15, 0.15, 0.15, 0.17, 0.15),
    "spaces 1": (0.6, 0.6, 0.6, 1.3, 1.3),
    "spaces 2": (0.6, 0.6, 0.6, 0.6, 0.6),
    "spaces 3": (1.0, 0.95, 1.26, 0.97, 0.6),
    "spaces 4": (0.75, 1.1, 0.7, 0.6, 0.6),
    "symbol arrows": (0.79, 0.73, 0.7, 0.7, 0.7),
    "symbol blocks": (1.43, 2.15, 1.95, 3.0, 1.56),
    "symbol cjk": (0.7, 1.09, 0.7, 0.7, 0.7),
    "symbol latin": (0.88, 0.7, 0.88, 0.88, 0.7),
    "symbol math": (2.0, 2.09, 1.6, 2.37, 0.7),
    "symbol quotes": (0.7, 0.7, 0.7, 0.7, 0.7),
    "symbol rare": (2.6, 2.6, 2.34, 2.61, 1.74),
    "symbol wide": (1.45, 1.77, 1.24, 1.77, 0.7),
    "tabs": (1.0, 0.73, 0.77, 0.99, 0.78),
    "tabs more": (0.22, 0.22, 0.41, 0.22, 0.41),
    "tamil": (0.25, 1.4, 0.46, 0.28, 2.09),
    "tamil run": (0.82, 0.7, 1.0, 1.0, 0.0),
    "telugu": (0.38, 1.9, 0.69, 0.38, 2.34),
    "telugu run": (0.45, 0.14, 1.0, 1.0, 0.0),
    "thai": (0.32, 0.83, 0.25, 0.41, 1.74),
    "thai run": (0.27, 1.0, 0.71, 0.63, 0.32),
    "trailing": (0.0, 0.0, 0.0, 0.34, 0.0),
    "trailing changes": (0.09, 0.53, 0.16, 0.39, 0.47),
    "trailing more": (0.0, 0.0, 0.56, 0.0, 0.56),
    "unknown": (3.0, 3.0, 3.0, 3.0, 3.0),
    "upper a": (0.5, 0.5, 0.5, 0.5, 0.11),
    "word C 0": (1.15, 1.36, 0.9, 1.24, 0.85),
    "word C more": (0.27, 0.13, 0.22, 0.29, 0.15),
    "word C 1": (1.15, 1.36, 0.9, 1.24, 1.07),
    "word C 2": (1.15, 1.36, 0.9, 1.24, 1.07),
    "word C 3": (1.56, 1.48, 1.37, 1.74, 1.57),
    "word C 4": (1.56, 1.62, 1.42, 1.74, 1.57),
    "word C 5": (1.56, 1.62, 1.42, 1.74, 1.57),
    "word C 6": (1.56, 1.68, 1.83, 1.74, 1.77),
    "word C 7": (2.06, 2.18, 2.33, 2.06, 2.27),
    "word C 8": (2.37, 2.68, 2.33, 2.56, 2.77),
    "word C 9": (2.87, 3.18, 2.63, 2.82, 3.27),
    "word C 10": (2.87, 3.68, 3.13, 2.82, 3.77),
    "word C 11": (2.87, 4.18, 3.63, 2.82, 4.27),
    "word C 12": (2.87, 4.68, 3.77, 2.82, 4.77),
    "word C 13": (2.87, 5.18, 3.77, 2.82, 5.17),
    "word C 14": (2.87, 5.68, 3.77, 2.82, 5.17),
    "word U 0": (0.85, 0.85, 0.85, 1.26, 0.85),
    "word U more": (0.41, 0.41, 0.41, 0.45, 0.4),
    "word U 1": (1.46, 1.38, 0.92, 1.96, 1.47),
    "word U 2": (1.46, 1.38, 0.92, 1.96, 1.47),
    "word U 3": (1.59, 1.62, 1.62, 1.96, 2.05),
    "word U 4": (1.84, 1.62, 1.9, 2.08, 2.3),
    "word U 5": (1.84, 2.03, 2.26, 2.4, 2.3),
    "word U 6": (1.84, 2.03, 2.41, 2.4, 2.51),
    "word U 7": (2.54, 2.21, 3.11, 3.1, 3.21),
    "word U 8": (3.11, 2.91, 3.81, 3.8, 3.21),
    "word U 9": (3.64, 3.61, 3.81, 3.8, 3.21),
    "word U 10": (3.95, 4.31, 3.81, 3.8, 3.21),
    "word U 11": (4.09, 5.01, 3.81, 4.5, 3.57),
    "word U 12": (4.09, 5.71, 3.81, 5.2, 4.27),
    "word U 13": (4.09, 6.41, 3.81, 5.9, 4.97),
    "word U 14": (4.79, 6.41, 4.51, 6.6, 4.97),
    "word a 0": (0.87, 1.56, 1.31, 1.85, 1.32),
    "word a more": (0.12, 0.6, 0.6, 0.6, 0.18),
    "word a 1": (1.47, 2.16, 1.91, 1.92, 1.92),
    "word a 2": (1.47, 2.76, 2.51, 1.92, 2.52),
    "word a 3": (1.77, 3.36, 3.11, 2.52, 3.12),
    "word a 4": (2.37, 3.53, 3.33, 2.52, 3.42),
    "word a 5": (2.97, 4.13, 3.93, 3.12, 4.02),
    "word a 6": (2.97, 4.13, 4.53, 3.12, 4.62),
    "word a 7": (2.97, 4.13, 4.96, 3.6, 5.22),
    "word a 8": (3.57, 4.42, 5.56, 3.92, 5.82),
    "word a 9": (4.17, 5.02, 6.16, 3.92, 6.42),
    "word e 0": (2.83, 3.61, 2.41, 3.62, 2.34),
    "word e more": (0.6, 0.6, 0.6, 0.6, 0.6),
    "word e 1": (2.83, 3.61, 3.11, 3.62, 2.34),
    "word e 2": (2.83, 3.61, 3.11, 3.62, 3.04),
    "word e 3": (2.86, 4.29, 3.79, 3.62, 3.74),
    "word e 4": (2.86, 4.29, 4.13, 3.62, 4.44),
    "word e 5": (3.56, 4.99, 4.63, 3.62, 5.14),
    "word e 6": (3.56, 4.99, 4.63, 3.62, 5.14),
    "word e 7": (4.08, 5.61, 5.33, 4.32, 5.82),
    "word e 8": (4.78, 6.31, 5.35, 5.02, 6.48),
    "word e 9": (4.78, 6.31, 5.35, 5.02, 6.48),
    "word l 0": (0.86, 0.88, 0.88, 0.9, 0.88),
    "word l more": (0.37, 0.38, 0.38, 0.41, 0.36),
    "word l 1": (0.86, 0.88, 0.88, 0.9, 0.88),
    "word l 2": (0.86, 0.88, 0.88, 0.9, 0.88),
    "word l 3": (0.92, 1.12, 1.19, 1.07, 1.06),
    "word l 4": (1.31, 1.22, 1.29, 1.44, 1.56),
    "word l 5": (1.45, 1.54, 1.36, 1.44, 2.04),
    "word l 6": (1.45, 1.82, 1.86, 1.73, 2.17),
    "word l 7": (1.62, 2.32, 2.23, 1.89, 2.67),
    "word l 8": (2.12, 2.82, 2.73, 2.39, 3.17),
    "word l 9": (2.62, 3.32, 3.23, 2.89, 3.67),
    "word l 10": (3.12, 3.82, 3.73, 3.39, 4.17),
    "word l 11": (3.62, 4.32, 4.23, 3.89, 4.67),
    "word l 12": (4.12, 4.82, 4.73, 4.39, 5.17),
    "word l 13": (4.62, 5.32, 5.23, 4.89, 5.67),
    "word l 14": (5.12, 5.82, 5.73, 5.25, 6.17),
    "word v 0": (0.85, 1.36, 0.85, 0.85, 2.98),
    "word v more": (0.12, 0.12, 0.12, 0.12, 0.12),
    "word v 1": (0.85, 1.96, 1.36, 0.85, 3.58),
    "word v 2": (1.0, 1.96, 1.66, 0.85, 3.77),
    "word v 3": (1.6, 1.96, 2.26, 1.45, 3.77),
    "word v 4": (2.2, 1.99, 2.86, 2.05, 4.37),
    "word v 5": (2.43, 1.99, 3.46, 2.65, 4.97),
    "word v 6": (3.03, 1.99, 4.06, 3.25, 5.57),
    "word v 7": (3.03, 2.59, 4.66, 3.25, 6.17),
    "word v 8": (3.03, 2.59, 5.26, 3.25, 6.77),
    "word v 9": (3.03, 2.59, 5.26, 3.25, 6.77),
}
