"""The pictures of the dashboard in docs/: python bench/dashboard_pictures.py [FOLDER]

The page in a real Chromium, on a ledger of made-up requests. Times in it are those of the day on which it is run.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from dashboards import ARGUMENTS, CHROMIUM, of_a_gateway, served, two_budgets
from many_rows import fill
from playwright.sync_api import Page, sync_playwright

from router_service.config import Ledger
from router_service.shell.ledger import engine

WINDOWS = {  # the name of the picture -> its theme, and the window's size
    "dashboard": ("light", 1480, 1000),
    "dashboard-dark": ("dark", 1480, 900),
}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs")
    with tempfile.TemporaryDirectory(prefix="archgw-dashboard-") as work, sync_playwright() as playwright:
        file = Path(work) / "ledger.sqlite"
        with engine("sqlite", file).begin() as connection:
            fill(connection, 4_000, until=time.time(), days=7)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        with served(file, settings=replace(Ledger())) as page:
            page.gateway = of_a_gateway(budgets=two_budgets())
            for name, (theme, width, height) in WINDOWS.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                context.add_init_script("localStorage.setItem('archgw-range', '7d')")
                shown = context.new_page()
                _load(shown, page.address)
                if name == "dashboard-dark":
                    shown.locator("#list tr[data-id]:has(.why:text-matches('^0'))").nth(1).click()
                    shown.locator("tr.opened").get_by_role("button", name="Good").click()
                    shown.locator("tr.opened .thumb.good[aria-pressed=true]").wait_for()
                shown.screenshot(path=folder / f"{name}.jpg", type="jpeg", quality=74)
                context.close()
        browser.close()


def _load(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#latency[aria-busy=false]")
    page.wait_for_selector("[aria-busy=true]", state="detached")
    page.wait_for_timeout(1_200)  # what has just come is no longer marked


if __name__ == "__main__":
    main()
