"""The training material: it says what it claims to say, and what measures is apart from what trains."""

import json
import random
from collections import Counter

import pytest
from archgw.evaluation import NONE as NONE_FITS
from archgw.evaluation import Case

from router_service.conversation import Conversation
from training import corpus
from training.corpus import DATA, NONE, SKIP, Corpus, Facet, Row, authored, facets
from training.measure import ENVELOPES, counted, enveloped, written
from training.sampling import Sampler
from training.splits import Echoes, apart, plain

WRITTEN = dict(authored(DATA / "written"))
HELD = dict(authored(DATA / "held"))
BY_ACT, BY_SUBJECT = facets(DATA / "written" / "facets.txt")


@pytest.mark.parametrize(("author", "part"), [*WRITTEN.items(), *HELD.items()])
def test_each_label_is_a_preference_of_its_config(author: str, part: Corpus) -> None:
    for row in part.rows:
        for config, label in row.labels.items():
            sizes = {len(wording) for wording in part.configs[config]}
            assert len(sizes) == 1, f"{author}: the wordings of {config} differ in length"
            assert NONE <= label < sizes.pop(), f"{author}: {row.ask[:60]!r} under {config}"


def test_each_row_is_an_ask_to_the_router_too() -> None:
    for author, part in WRITTEN.items():
        lines = (DATA / "written" / f"{author}.rows.jsonl").read_text("utf-8").splitlines()
        assert len(part.rows) >= 0.98 * len(lines), author
        assert all(row.labels or row.topic for row in part.rows), author


def test_each_facet_is_known() -> None:
    acts = {code for facet in BY_ACT for code in facet.codes} | {"?"}
    subjects = {code for facet in BY_SUBJECT for code in facet.codes} | {"?"}
    for author, part in WRITTEN.items():
        assert {row.act for row in part.rows} <= acts, author
        assert {row.about for row in part.rows} <= subjects, author


def test_the_table_of_authors_counts_what_is_there() -> None:
    told = (DATA / "README.md").read_text("utf-8")
    for folder in ("written", "held"):
        for path in sorted((DATA / folder).glob("*.rows.jsonl")):
            name, rows = path.name.split(".")[0], len(path.read_text("utf-8").splitlines())
            assert f"| `{folder}/{name}` | {rows:,} |" in told


def test_who_measures_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    cases = [Case(number, Conversation(model="", messages=()), (), NONE_FITS) for number in range(1001)]
    assert list(counted("dev", iter(cases))) == cases
    out, told = capsys.readouterr()
    assert (out, told.splitlines()) == (
        "",
        [*(f"dev: {done} of 1,001" for done in ("0", "500", "1,000")), "dev: all 1,001"],
    )


def test_what_measures_is_in_nothing_that_trains() -> None:
    echoes = Echoes(HELD.values())
    for part in apart(list(WRITTEN.values()), list(HELD.values())):
        assert not [row.ask for row in part.rows if echoes.ask(row)]
        assert not [p for wordings in part.configs.values() for w in wordings for p in w if echoes.preference(p)]


def test_public_sets_that_measure_train_nothing() -> None:
    trained = {
        plain(ask) for pool in corpus.pools(DATA / "public" / "public.json") for a in pool.rows.values() for ask, _ in a
    }
    trained |= {plain(row.ask) for part in WRITTEN.values() for row in part.rows}
    for path in sorted((DATA / "eval").glob("*.json")):
        asks = Counter(plain(row["turns"][-1]) for row in json.loads(path.read_text("utf-8"))["rows"])
        shared = {ask for ask in asks if ask in trained and len(ask.split()) > 4}
        assert len(shared) <= 0.01 * len(asks), (path.name, sorted(shared)[:5])


def test_no_share_alike_set_is_among_what_trains() -> None:
    found = json.loads((DATA / "public" / "public.json").read_text("utf-8"))
    assert {row["src"] for row in found["rows"]} == {"tmpl", "banking77", "hwu64", "gsm8k", "seed"}


# -- echoes ------------------------------------------------------------------------------------------------------------


def _row(ask: str, label: int = 0, **more: str) -> Row:
    return Row(ask, (), {"c": label}, "me", **more)  # type: ignore[arg-type]


def test_an_echo_is_the_same_but_for_case_and_signs_or_nearly_the_same() -> None:
    ask = "Please write a parser for the TOML dates in our config loader"
    echoes = Echoes([Corpus({"c": [[("Tests", "write them")]]}, [_row(ask)])])
    assert echoes.ask(_row("please WRITE a parser for the toml dates in our config loader!!"))
    assert echoes.ask(_row("now please write a parser for the TOML dates in our config file"))
    assert not echoes.ask(_row("write a parser for the INI sections in our settings reader"))
    assert echoes.preference(("tests", "Write them."))
    assert not echoes.preference(("tests", "write more of them"))


def test_short_asks_are_told_apart_by_what_came_before() -> None:
    echoes = Echoes([Corpus({}, [Row("yes please", ("assistant: Shall I add tests?",), {}, "me")])])
    assert not echoes.ask(Row("yes please", ("assistant: Shall I revert it?",), {}, "me"))
    assert echoes.ask(Row("Yes, please", ("assistant: Shall I add tests?",), {}, "me"))


def test_a_wording_that_shares_a_preference_goes_and_its_config_stays() -> None:
    two = [[("a", "one"), ("b", "two")], [("x", "eins"), ("y", "zwei")]]
    (kept,) = apart([Corpus({"c": two}, [_row("do it now for me please")])], [Corpus({"h": [[("A", "one.")]]}, [])])
    assert kept.configs == {"c": two[1:]}


# -- lists of preferences put together from facets ---------------------------------------------------------------------


def _facet(code: str, *, wording: str = "") -> Facet:
    return Facet(frozenset(code), ((wording or code, f"all of {code}"),))


def test_a_row_calls_for_the_facet_of_its_act() -> None:
    rows = [
        _row("write it", act="w", about="B"),
        _row("repair it", act="b", about="F"),
        _row("hello", act="h", about="H"),
    ]
    sampler = Sampler([Corpus({}, rows)], [], public=0, seed=0, facets=([_facet("w"), _facet("b"), _facet("h")], []))
    sampler.random = random.Random(3)
    for _ in range(50):
        found = sampler._composed(rows)
        for row, gold in zip(rows, found.gold, strict=True):
            assert gold in (NONE, SKIP) or row.act in (found.preferences[gold][0] or found.preferences[gold][1])


def test_what_may_as_well_be_filed_under_a_neighbour_is_skipped() -> None:
    investigate, chat = _row("why is that", act="i", about="B"), _row("hello", act="h", about="H")
    repair = [_facet("b")]
    assert Sampler._facet_gold(investigate, repair, None, by_subject=False) == SKIP
    assert Sampler._facet_gold(chat, repair, None, by_subject=False) == NONE


def test_an_exception_by_subject_comes_before_the_act() -> None:
    row = _row("repair the query", act="b", about="D")
    assert Sampler._facet_gold(row, [_facet("b")], _facet("D"), by_subject=False) == 1


# -- measuring ---------------------------------------------------------------------------------------------------------


def test_client_envelopes_change_nothing_that_the_router_reads() -> None:
    from router_service.asks import ask_and_context

    plain_cases, noisy = (list(written(HELD["dev"], *worn)) for worn in ((), (enveloped,)))
    assert len(ENVELOPES) == 6
    for a, b in zip(plain_cases, noisy, strict=True):
        assert a.conversation != b.conversation
        assert ask_and_context(a.conversation) == ask_and_context(b.conversation)
