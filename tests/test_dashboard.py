"""The dashboard in a real Chromium: seen, clicked, typed at, listened to, in both themes and in a narrow window.

Skipped where no Chromium is installed; .ci/run installs Debian's where it can.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from dashboards import ARGUMENTS, CHROMIUM, KEY, Served, config_of, of_a_gateway, served, two_budgets
from many_rows import MODELS, PREFERENCES, fill
from programs import from_npm
from sqlalchemy import select
from test_ledger import kept, opened, outcome

from router_service.config import Ledger as Settings
from router_service.outcome import AttemptOutcome, Trace
from router_service.shell.ledger_schema import signals

pytest.importorskip("playwright", reason="playwright is not installed: pip install 'archgw[dev]'")
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
PANELS = ("headline", "flow", "money", "latency", "health", "sessions", "quality")
SOON = 15_000  # milliseconds
CHECKS = f"({(Path(__file__).parent / 'dashboard_checks.js').read_text()})"
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def much(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A hundred thousand requests."""
    file = tmp_path_factory.mktemp("much") / "ledger.sqlite"
    with opened(Settings(), file.parent) as connection:
        fill(connection, 100_000, until=time.time())
    with served(file) as known:
        known.gateway = of_a_gateway(budgets=two_budgets())
        yield known


@contextmanager
def looked_at(browser: Browser, address: str, *, range: str = "30d", **options: Any) -> Iterator[Page]:
    """The page, loaded to its end; whatever it complains of fails the test."""
    options = {"viewport": {"width": 1480, "height": 1000}, "reduced_motion": "reduce"} | options
    context = browser.new_context(**options)
    context.add_init_script(f"localStorage.getItem('archgw-range') || localStorage.setItem('archgw-range', '{range}')")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(SOON)
    page.goto(address)
    loaded(page)
    yield page
    context.close()
    assert complaints == []


def loaded(page: Page) -> None:
    expect(page.locator("#state")).not_to_have_text("connecting", timeout=SOON)
    expect(page.locator("#latency[aria-busy=false]")).to_have_count(1, timeout=SOON)
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=SOON)


def rows(page: Page) -> Any:
    return page.locator("#list tr[data-id]")


def write(folder: Path, id: str, **more: Any) -> None:
    with kept(Settings(), folder, outcome(id, **more)):
        pass


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Served]:
    for n in range(5):
        write(tmp_path, f"r{n}", at=time.time() - 60 * (n + 1))
    with served(tmp_path / "ledger.sqlite", config=config_of({"coding": ("openai/gpt-4.1",)})) as known:
        yield known


# -- seen ----------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_requests_are_all_there(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        expect(page.locator("#headline .tile")).to_have_count(6)
        counted = page.locator(".tile .figure").first.inner_text()  # the oldest may have left the week since
        assert 99_900 <= int(counted.replace(",", "")) <= 100_000
        expect(rows(page)).to_have_count(50)
        expect(page.locator("#flow .band")).not_to_have_count(0)
        expect(page.locator("#money canvas, #latency canvas")).to_have_count(2)
        expect(page.locator("#latency tbody tr")).to_have_count(len(MODELS))
        expect(page.locator("#health tbody tr")).to_have_count(len(MODELS))
        expect(page.locator("#sessions tbody tr")).to_have_count(25)
        expect(page.locator("#quality .quality tbody tr")).to_have_count(len(PREFERENCES))
        expect(page.locator(".dead")).to_contain_text("translation")
        expect(page.locator("#health")).to_contain_text("put aside")
        expect(page.locator("#health")).to_contain_text("cooling, 42 s left")
        expect(page.locator("#budgets li")).to_have_count(2)
        expect(page.locator(".problem")).to_have_count(0)
        assert page.locator("#headline").inner_text().count("+?") == 1, "what some cost is not known"


def test_a_range_changes_every_panel_and_is_remembered(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        before = {name: page.locator(f"#{name}").inner_text() for name in PANELS}
        page.get_by_role("radio", name="7 days").check()
        expect(page.locator(".tile .figure").first).not_to_have_text("99,9", timeout=SOON)
        loaded(page)
        after = {name: page.locator(f"#{name}").inner_text() for name in PANELS}
        assert [name for name in PANELS if before[name] == after[name]] in ([], ["sessions"]), "sessions: the newest"
        page.reload()
        expect(page.get_by_role("radio", name="7 days")).to_be_checked()


def test_older_requests_come_when_they_are_wanted(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        page.get_by_role("button", name="Older requests").click()
        expect(rows(page)).to_have_count(100)
        ids = rows(page).evaluate_all("all => all.map((one) => one.dataset.id)")
        assert len(set(ids)) == 100 and ids == sorted(ids, reverse=True), "the made-up ids are in their order"


def test_requests_are_filtered_by_what_the_flow_shows(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        page.get_by_label("Preference", exact=True).select_option("debugging")
        expect(page.locator("#list td.preference").first).to_contain_text("debugging")
        page.get_by_role("button", name="Only trouble").click()
        expect(rows(page).first).to_have_class("stepped")
        expect(page.locator("#list tr[data-id]:not(.stepped):not(.failed)")).to_have_count(0)
        band = page.locator("#flow .band[aria-label*='testing → deepseek']")
        band.dispatch_event("click")
        expect(page.get_by_label("Model", exact=True)).to_have_value("=deepseek/deepseek-chat")
        expect(page.get_by_label("Preference", exact=True)).to_have_value("=testing")


def test_what_nobody_answered_is_a_choice_of_its_own(browser: Browser, few: Served) -> None:
    write(few.file.parent, "refused", route="", kind="refused", model_served="", status=404, attempts=())
    with looked_at(browser, few.address, range="1h") as page:
        expect(rows(page)).to_have_count(6)
        page.locator("#flow .band[aria-label*='nobody']").dispatch_event("click")
        expect(rows(page)).to_have_count(1)
        expect(rows(page).first.locator("td.preference")).to_have_text("refused")
        page.get_by_label("Preference", exact=True).select_option("Every preference")
        page.get_by_label("Model", exact=True).select_option("Every model")
        expect(rows(page)).to_have_count(6)


def test_what_matches_nothing_says_so_and_shows_all_again(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        write(few.file.parent, "well", route="elsewhere", attempts=(AttemptOutcome("openai/gpt-4.1", 200, "", 1.0),))
        expect(rows(page)).to_have_count(6, timeout=SOON)
        page.get_by_role("button", name="Only trouble").click()
        expect(rows(page)).to_have_count(5)
        preference = page.get_by_label("Preference", exact=True)
        expect(preference.locator("option", has_text="elsewhere")).to_have_count(1, timeout=SOON)
        preference.select_option("elsewhere")
        expect(page.locator("#list")).to_contain_text("Nothing matches")
        page.get_by_role("button", name="Show all").click()
        expect(rows(page)).to_have_count(6)
        expect(preference).to_have_value("")


def test_of_two_filters_the_last_one_counts_whichever_is_answered_first(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        held: list[Route] = []
        page.route("**/api/requests?*debugging*", lambda route: held.append(route))
        preference = page.get_by_label("Preference", exact=True)
        preference.select_option("debugging")
        preference.select_option("testing")
        expect(page.locator("#list td.preference").first).to_contain_text("testing")
        with page.expect_response("**/api/requests?*debugging*"):
            held[0].continue_()
        page.wait_for_timeout(200)
        expect(page.locator("#list td.preference").first).to_contain_text("testing")


def test_rows_that_leave_the_page_can_be_had_again(browser: Browser, tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, *(outcome(f"r{n:03}", at=time.time() - n) for n in range(402))):
        pass
    with served(tmp_path / "ledger.sqlite") as known, looked_at(browser, known.address, range="1h") as page:
        older = page.get_by_role("button", name="Older requests")
        for many in (*range(100, 401, 50), 402):
            older.click()
            expect(rows(page)).to_have_count(many)
        expect(older).to_have_count(0)
        write(tmp_path, "new", at=time.time() + 1)
        expect(rows(page)).to_have_count(400, timeout=SOON)
        older.click()
        expect(rows(page)).to_have_count(403)
        expect(older).to_have_count(0)


def test_one_that_began_long_ago_leaves_no_gap(browser: Browser, tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, *(outcome(f"r{n:03}", at=time.time() - 10 * n) for n in range(80))):
        pass
    with served(tmp_path / "ledger.sqlite") as known, looked_at(browser, known.address, range="1h") as page:
        expect(page.locator("#state")).to_contain_text("live", timeout=SOON)
        write(tmp_path, "long", at=time.time() - 795)
        expect(rows(page)).to_have_count(51, timeout=SOON)
        page.get_by_role("button", name="Older requests").click()
        expect(rows(page)).to_have_count(81)


def test_older_requests_that_cannot_be_read_say_so_and_can_be_tried_again(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        page.route("**/api/requests?*before*", lambda route: route.fulfill(body="no JSON"))
        page.get_by_role("button", name="Older requests").click()
        expect(page.locator("#list .problem")).to_contain_text("could not be read")
        expect(rows(page)).to_have_count(50)
        page.unroute("**/api/requests?*before*")
        page.locator("#list").get_by_role("button", name="Try again").click()
        expect(rows(page)).to_have_count(100)


def test_a_filter_that_could_not_be_read_is_asked_for_again_when_something_ends(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        expect(page.locator("#state")).to_contain_text("live", timeout=SOON)
        page.route("**/api/requests?*trouble*", lambda route: route.fulfill(body="no JSON"))
        page.get_by_role("button", name="Only trouble").click()
        expect(page.locator("#list .problem")).to_be_visible()
        page.unroute("**/api/requests?*trouble*")
        write(few.file.parent, "well", attempts=(AttemptOutcome("openai/gpt-4.1", 200, "", 1.0),))
        expect(rows(page)).to_have_count(5, timeout=SOON)


def test_figures_of_a_chart_are_told_where_one_points(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        chart = page.locator("#money .chart")
        chart.scroll_into_view_if_needed()
        chart.hover()
        expect(page.locator("#tip")).to_contain_text("Saved $")
        page.locator("#flow .band").first.hover()
        expect(page.locator("#tip")).to_contain_text("of all")
        page.get_by_role("radio", name="Tokens/s").check()
        expect(page.locator("#latency .sub")).to_contain_text("tokens of output")
        page.get_by_role("radio", name="As it came").check()
        page.get_by_role("radio", name="Cost").check()
        expect(page.locator("#flow .sub")).to_contain_text("$")


# -- one request ---------------------------------------------------------------------------------------------------


def test_a_request_opens_to_all_that_is_known_of_it(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        rows(page).nth(1).click()
        about = page.locator("tr.opened")
        expect(about).to_contain_text("Why: coding (0.70) -> anthropic/claude-sonnet-4-5")
        expect(about.locator(".fits li")).to_have_count(2)
        expect(about.locator(".fits .chosen")).to_contain_text("0.70")
        expect(about.locator(".tries .failed")).to_contain_text("answered 429, 100 ms")
        expect(about).to_contain_text("15 read (33% from the vendor's cache), 7 written (2 of it thought)")
        expect(about).to_contain_text("$0.25; $0.50 on the baseline model")
        rows(page).nth(1).click(position={"x": 300, "y": 10})
        expect(about).to_have_count(0)


def test_a_thumb_goes_into_the_ledger_and_can_be_turned_and_taken_back(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        rows(page).first.click()
        good, bad = (page.locator("tr.opened").get_by_role("button", name=name) for name in ("Good", "Bad"))
        good.click()
        expect(good).to_have_attribute("aria-pressed", "true")
        assert thumbs(few) == {"r0": "good"}
        bad.click()
        expect(bad).to_have_attribute("aria-pressed", "true")
        expect(good).to_have_attribute("aria-pressed", "false")
        assert thumbs(few) == {"r0": "bad"}
        expect(page.locator("#quality .quality tbody tr").first).to_contain_text("1 of 1", timeout=SOON)
        bad.click()
        expect(bad).to_have_attribute("aria-pressed", "false")
        expect(rows(page).first.locator(".given")).to_have_count(0)
        assert thumbs(few) == {}


def test_a_thumb_that_could_not_be_kept_is_not_shown_as_given(browser: Browser, few: Served) -> None:
    with closing(sqlite3.connect(few.file, isolation_level=None)) as holder:
        holder.execute("begin immediate")
        with pytest.raises(AssertionError, match="503"), looked_at(browser, few.address, range="1h") as page:
            rows(page).first.click()
            good = page.locator("tr.opened").get_by_role("button", name="Good")
            good.click()
            expect(page.locator("tr.opened .thumbs")).to_contain_text("Not kept: the ledger is locked", timeout=SOON)
            expect(good).to_have_attribute("aria-pressed", "false")


def test_a_thumb_is_seen_in_the_other_tab(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        other = page.context.new_page()
        other.goto(few.url)
        expect(rows(other)).to_have_count(5, timeout=SOON)
        rows(page).first.click()
        page.locator("tr.opened").get_by_role("button", name="Good").click()
        expect(rows(other).first.locator(".given")).to_have_text("+", timeout=SOON)


def test_who_should_have_answered_is_chosen_seen_in_the_other_tab_and_taken_back(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        other = page.context.new_page()
        other.goto(few.url)
        expect(rows(other)).to_have_count(5, timeout=SOON)
        for one in (page, other):
            rows(one).first.click()
        mine, theirs = (one.get_by_label("Should have been") for one in (page, other))
        expect(theirs).to_have_value("")
        mine.select_option(label="openai/gpt-4.1")
        expect(page.locator("#said")).to_have_text("Kept: openai/gpt-4.1")
        expect(theirs).to_have_value("model:openai/gpt-4.1", timeout=SOON)
        assert targets(few) == {"r0": "model:openai/gpt-4.1"}
        mine.select_option(label="coding")
        expect(page.locator("#said")).to_have_text("Kept: coding")
        assert targets(few) == {"r0": "preference:coding"}
        expect(page.locator("tr.opened")).not_to_contain_text("also told")
        mine.select_option(label="no matter")
        expect(page.locator("#said")).to_have_text("Taken back")
        assert targets(few) == {}


def test_who_is_chosen_by_keyboard_gives_no_thumb_and_what_ends_meanwhile_closes_no_list(
    browser: Browser, few: Served
) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        rows(page).first.click()
        chosen = page.get_by_label("Should have been")
        chosen.focus()
        page.keyboard.press("-")
        page.keyboard.press("+")
        write(few.file.parent, "new", at=time.time())
        expect(page.locator("#pause")).to_have_text("Pause", timeout=SOON)
        page.wait_for_function("() => document.querySelector('#headline').innerText.includes('6')", timeout=SOON)
        expect(rows(page)).to_have_count(5)
        page.keyboard.press("ArrowDown")
        expect(page.locator("#said")).to_have_text("Kept: coding")
        expect(rows(page)).to_have_count(6, timeout=SOON)
        assert targets(few) == {"r0": "preference:coding"} and thumbs(few) == {"r0": "should be"}
        assert page.evaluate("document.activeElement.dataset.key") == "r0 should-be", "the focus stays where it was"


def test_who_should_have_answered_and_could_not_be_kept_is_not_shown_as_kept(browser: Browser, few: Served) -> None:
    with closing(sqlite3.connect(few.file, isolation_level=None)) as holder:
        holder.execute("begin immediate")
        with pytest.raises(AssertionError, match="503"), looked_at(browser, few.address, range="1h") as page:
            rows(page).first.click()
            page.get_by_label("Should have been").select_option(label="coding")
            expect(page.locator("tr.opened .thumbs")).to_contain_text("Not kept: the ledger is locked", timeout=SOON)
            expect(page.get_by_label("Should have been")).to_have_value("")


def targets(known: Served) -> dict[str, str]:
    with opened(Settings(), known.file.parent) as connection:
        return {row.request: row.told for row in connection.execute(select(signals)) if row.told}


def thumbs(known: Served) -> dict[str, str]:
    with opened(Settings(), known.file.parent) as connection:
        return {row.request: row.signal for row in connection.execute(select(signals))}


# -- live ----------------------------------------------------------------------------------------------------------


def test_a_request_appears_as_it_ends(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        expect(page.locator("#state")).to_contain_text("live, 3 under way", timeout=SOON)
        rows(page).nth(2).click()
        write(few.file.parent, "new", route="just now")
        expect(rows(page)).to_have_count(6, timeout=SOON)
        expect(rows(page).first).to_contain_text("just now")
        expect(page.locator("tr.opened")).to_have_count(1)
        expect(page.locator(".tile .figure").first).to_have_text("6", timeout=SOON)


def test_who_reads_further_down_keeps_his_place(browser: Browser, tmp_path: Path) -> None:
    for n in range(40):
        write(tmp_path, f"r{n:02}", at=time.time() - 60 * (n + 1))
    with (
        served(tmp_path / "ledger.sqlite", config=config_of({"coding": ("openai/gpt-4.1",)})) as known,
        looked_at(browser, known.address, range="1h") as page,
    ):
        expect(page.locator("#state")).to_contain_text("live", timeout=SOON)
        page.evaluate("document.getElementById('list').scrollTop = 300")
        place = "document.querySelector('tr[data-id=r12]').getBoundingClientRect().top"
        before = page.evaluate(place)
        write(tmp_path, "new")
        expect(page.locator("tr[data-id=new]")).to_have_count(1, timeout=SOON)
        assert abs(page.evaluate(place) - before) < 1


def test_who_pauses_is_not_disturbed_and_misses_nothing(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        expect(page.locator("#state")).to_contain_text("live", timeout=SOON)
        page.get_by_role("button", name="Pause").click()
        write(few.file.parent, "new")
        page.get_by_role("button", name="Show 1 new").click(timeout=SOON)
        expect(rows(page)).to_have_count(6)


def test_what_ends_while_the_page_begins_to_listen_is_not_missed(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        held: list[Route] = []
        page.route("**/api/events", lambda route: held.append(route))
        page.reload()
        loaded(page)
        expect(rows(page)).to_have_count(5)
        write(few.file.parent, "between")
        held[0].continue_()
        expect(rows(page)).to_have_count(6, timeout=SOON)
        expect(page.locator(".tile .figure").first).to_have_text("6", timeout=SOON)


def test_the_gateway_stops_and_comes_back(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        expect(page.locator("#state")).to_contain_text("live", timeout=SOON)
        few.gateway = replace(few.gateway, state="stopped", models=(), under_way=0)
        expect(page.locator("#state")).to_contain_text("the gateway is stopped; this is its ledger", timeout=SOON)
        few.gateway = of_a_gateway(budgets=two_budgets())
        expect(page.locator("#state")).to_contain_text("live", timeout=SOON)
        expect(page.locator("#budgets")).to_be_visible()
        few.gateway = replace(few.gateway, troubles=("the state's Redis is away",))
        expect(page.get_by_role("alert")).to_contain_text("Done without: the state's Redis is away", timeout=SOON)


# -- nothing, and trouble ------------------------------------------------------------------------------------------


def test_with_nothing_asked_it_says_what_to_do_and_fills_by_itself(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "ledger.sqlite") as known, looked_at(browser, known.address) as page:
        expect(page.locator("#welcome")).to_contain_text("archgw cli-agent claude")
        expect(page.locator("#grid")).to_be_hidden()
        write(tmp_path, "first")
        expect(page.locator("#welcome")).to_be_hidden(timeout=SOON)
        expect(rows(page)).to_have_count(1)


def test_a_panel_that_cannot_be_read_says_why_and_tries_again(browser: Browser, few: Served) -> None:
    with closing(sqlite3.connect(few.file, isolation_level=None)) as other:
        other.execute("alter table attempts rename to elsewhere")
        with pytest.raises(AssertionError, match="503"), looked_at(browser, few.address, range="1h") as page:
            expect(page.locator("#health .problem")).to_contain_text("no such table: attempts")
            expect(page.locator(".tile .figure").first).to_have_text("5")
            other.execute("alter table elsewhere rename to attempts")
            page.locator("#health").get_by_role("button", name="Try again").click()
            expect(page.locator("#health tbody tr")).not_to_have_count(0)
            expect(page.locator("#health .problem")).to_have_count(0)


def test_without_a_ledger_every_panel_says_so(browser: Browser, tmp_path: Path) -> None:
    with (
        served(tmp_path / "ledger.sqlite", settings=Settings("none")) as known,
        pytest.raises(AssertionError, match="503"),
        looked_at(browser, known.address) as page,
    ):
        expect(page.locator("#flow .problem")).to_contain_text("the config keeps no ledger")
        expect(page.locator("#banner")).to_contain_text("the config keeps no ledger", timeout=SOON)


def test_without_the_key_it_says_where_the_key_is(browser: Browser, few: Served) -> None:
    with pytest.raises(AssertionError, match="401"), looked_at_without_key(browser, few) as page:
        expect(page.locator("#welcome")).to_contain_text("archgw dashboard")
        expect(page.locator("#grid")).to_be_hidden()


@contextmanager
def looked_at_without_key(browser: Browser, known: Served) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.goto(known.url)
    yield page
    context.close()
    assert complaints == []


def test_the_key_leaves_the_address_and_is_kept(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        assert page.url == f"{few.url}/" and KEY.split()[0] not in page.url
        page.reload()
        loaded(page)
        expect(rows(page)).to_have_count(5)


def test_the_address_may_be_pasted_into_an_open_page(browser: Browser, few: Served) -> None:
    with pytest.raises(AssertionError, match="401"), looked_at_without_key(browser, few) as page:
        expect(page.locator("#welcome")).to_contain_text("archgw dashboard")
        page.goto(few.address)  # which is but another end of the same address
        expect(rows(page)).to_have_count(5, timeout=SOON)
        assert page.url == f"{few.url}/"


def test_what_the_ledger_holds_is_text_and_never_markup(browser: Browser, tmp_path: Path) -> None:
    evil = outcome(
        "evil",
        route=EVIL,
        reason=EVIL,
        model_asked=EVIL,
        model_served=EVIL,
        client=EVIL,
        session=f"{EVIL}/",
        attempts=(AttemptOutcome(EVIL, 500, EVIL, 1.0), AttemptOutcome(EVIL, 200, "", 1.0)),
        trace=Trace(fits=((EVIL, 0.5), (f"{EVIL}2", 0.45))),
    )
    with kept(Settings(), tmp_path, evil):
        pass
    with served(tmp_path / "ledger.sqlite") as known:
        known.gateway = replace(known.gateway, troubles=(EVIL,))
        with looked_at(browser, known.address) as page:
            rows(page).first.click()
            expect(page.locator("tr.opened")).to_contain_text(EVIL)
            expect(page.locator("#banner")).to_contain_text(EVIL, timeout=SOON)
            expect(page.locator("img[src=x]")).to_have_count(0)


# -- everybody -----------------------------------------------------------------------------------------------------


def test_all_of_it_can_be_done_by_keyboard(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the panels")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(8):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('button.open')"):
                break
        page.keyboard.press("j")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.dataset.key") == "r1"
        page.keyboard.press("Enter")
        expect(page.locator("tr.opened")).to_contain_text("How was the answer?")
        page.keyboard.press("-")
        expect(page.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
        assert thumbs(few) == {"r1": "bad"}
        assert page.evaluate("document.activeElement.dataset.key") == "r1", "the focus stays where it was"
        page.keyboard.press("-")
        expect(page.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "false")
        expect(page.locator("#said")).to_contain_text("Taken back")
        assert thumbs(few) == {}
        page.keyboard.press("Escape")
        expect(page.locator("tr.opened")).to_have_count(0)
        page.locator("#money .chart").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#said")).to_contain_text("Spent $")
        page.locator("#flow .band").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label("Preference", exact=True)).to_have_value("=coding")


def test_where_the_focus_is_can_be_seen(browser: Browser, few: Served) -> None:
    with looked_at(browser, few.address, range="1h") as page:
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            told = page.evaluate(f"{CHECKS}.focus()")
            if told[0].startswith("<body"):
                break
            seen.add(told[0])
            assert told[1], told[0]
        assert len(seen) > 12


@pytest.mark.parametrize("width", [360, 768, 1100])
def test_nothing_sticks_out_of_a_narrow_window(browser: Browser, much: Served, width: int) -> None:
    with looked_at(browser, much.address, viewport={"width": width, "height": 780}) as page:
        rows(page).first.click()
        expect(page.locator("tr.opened dl")).to_be_visible()
        assert page.evaluate(f"{CHECKS}.sticksOut()") == []


def test_the_theme_is_the_systems_until_it_is_chosen(browser: Browser, few: Served) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with looked_at(browser, few.address, range="1h", color_scheme="dark") as page:
        dark = page.evaluate(paper)
        page.get_by_role("button", name="Dark theme").click()
        assert page.evaluate(paper) != dark
        page.reload()
        loaded(page)
        assert page.evaluate(paper) != dark
        expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_can_be_read(browser: Browser, much: Served, scheme: str) -> None:
    """WCAG AA: 4.5 to 1, as it is really drawn."""
    with looked_at(browser, much.address, color_scheme=scheme) as page:
        rows(page).nth(0 if scheme == "light" else 1).click()  # the thumb of the other is given already
        page.locator("tr.opened").get_by_role("button", name="Good").click()
        expect(page.locator("tr.opened .thumb.good")).to_have_attribute("aria-pressed", "true")
        found = page.evaluate(f"{CHECKS}.contrast()")
        assert len(found) > 300
        assert [one for one in found if one[0] < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_models_stand_out_from_the_ground(browser: Browser, few: Served, scheme: str) -> None:
    """WCAG AA for what is drawn: 3 to 1."""
    with looked_at(browser, few.address, range="1h", color_scheme=scheme) as page:
        ratios = page.evaluate(f"{CHECKS}.colours()")
        assert [one for one in ratios if one[1] < 3] == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1480), ("dark", 1480), ("light", 360)])
def test_axe_finds_nothing_to_complain_of(browser: Browser, much: Served, scheme: str, width: int) -> None:
    wanted = json.loads((Path(str(files("archgw.dashboard"))) / "package.json").read_text())["devDependencies"]
    axe = from_npm("axe-core/axe.min.js", "axe-core", wanted["axe-core"]).read_text()
    with looked_at(browser, much.address, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
        rows(page).first.click()
        expect(page.locator("tr.opened dl")).to_be_visible()
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], one["help"], one["nodes"][0]["html"]) for one in found] == []


def test_every_picture_and_control_has_a_name(browser: Browser, much: Served) -> None:
    with looked_at(browser, much.address) as page:
        assert page.evaluate(f"{CHECKS}.nameless()") == []
        assert page.evaluate(f"{CHECKS}.sameIds()") == []
        expect(page.locator("h1")).to_have_count(1)
