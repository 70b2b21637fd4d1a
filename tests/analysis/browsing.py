"""A page in a real, headless Chromium, with everything that it asked for and complained about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Visit:
    """A loaded page."""

    page: Page
    requests: list[str] = field(default_factory=list)  # that leave the file
    complaints: list[str] = field(default_factory=list)  # console errors and uncaught exceptions

    @property
    def milliseconds(self) -> float:
        """From the start of the navigation until all controls work, as the page measured it."""
        return float(self.page.evaluate("performance.getEntriesByName('ready')[0].startTime"))

    def column(self, number: int, rows: str = "table.runs tbody tr:not([hidden])") -> list[str]:
        """The texts of a column of the run table, of rows that are shown."""
        script = f"trs => trs.map(tr => tr.cells[{number}].textContent.trim())"
        return [str(text) for text in self.page.eval_on_selector_all(rows, script)]

    def heads(self) -> list[str]:
        """The run table's headings."""
        script = "ths => ths.map(th => th.querySelector('span').textContent)"
        return list(self.page.eval_on_selector_all("table.runs thead th", script))

    def tip(self) -> str:
        """What the pointed-at mark tells; empty while nothing is pointed at."""
        tip = self.page.locator("#tip")
        return tip.inner_text() if tip.is_visible() else ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that tests/servers/chromium.sh found, with a profile of its own."""
    with sync_playwright() as playwright:
        program = os.environ["VITOK_TEST_CHROMIUM"]
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, file: Path, **options: Any) -> Iterator[Visit]:
    """Open a file; whatever it asks of the network is refused and remembered."""
    options.setdefault("viewport", {"width": 1440, "height": 900})
    # The page scrolls smoothly otherwise, and a place that was just read is soon another.
    options.setdefault("reduced_motion", "reduce")
    with browser.new_context(**options) as context:
        page = context.new_page()
        seen = Visit(page)
        own = file.resolve().as_uri()

        def ask(route: Any) -> None:
            url = route.request.url
            if url.partition("#")[0] == own:
                route.continue_()
            else:
                seen.requests.append(url)
                route.abort()

        page.route("**/*", ask)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: seen.complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(own)
        yield seen
