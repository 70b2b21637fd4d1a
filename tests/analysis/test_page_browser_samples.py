"""Generators' samples on the report page, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ledgers import ledger
from synthetic import quickstart

from analysis.page import pictures, write_page

pytestmark = pytest.mark.browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_samples_stand_side_by_side_and_follow_the_filters(
    browser: Browser, tmp_path: Path
) -> None:
    from browsing import visit

    made = quickstart(
        patches=(16,), channels=(8, 16), seeds=(0,), datasets=("photos-heldout",), floor=False,
        cfg=(1.0, 1.5, 3.0),
    )  # fmt: skip
    path = write_page(made, tmp_path, ledger(made, tmp_path, samples=6, clips=True)).path
    with visit(browser, path) as seen:
        page = seen.page
        rows = page.locator(".generator")
        assert rows.count() == 2
        rows.first.scroll_into_view_if_needed()
        places = [each.bounding_box() for each in rows.first.locator("figure").all()]
        assert len({round(place["y"]) for place in places if place}) == 1
        across = [place["x"] for place in places if place]
        assert across == sorted(set(across))
        assert rows.first.locator("figure.best .badge").inner_text() == "best"
        moving = rows.first.locator("details img").first
        assert not moving.is_visible()
        rows.first.locator("summary").first.click()
        assert moving.is_visible()
        assert (
            moving.evaluate("img => img.decode().then(() => img.naturalWidth)")
            == pictures.WIDTH // 2
        )
        page.locator("#metric").select_option(label="gFD[efficientnet-lite0]")
        mark = page.locator(".panel", has_text="CFG 1.5").locator(".mark[aria-label*='p16-c8-s0:']")
        mark.first.focus()
        own = rows.first.locator("figure", has_text="CFG 1.5").locator("> img")
        assert page.locator("#tip img").get_attribute("src") == own.get_attribute("src")
        page.get_by_label("Find").fill("c16-")
        assert [each.is_visible() for each in rows.all()] == [False, True]
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        assert seen.requests == seen.complaints == []
