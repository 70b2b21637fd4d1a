"""The page's replay of budgets is what its script measures, and what the page says of it."""

from __future__ import annotations

import budgetreplay


def test_the_page_says_what_is_measured() -> None:
    page = budgetreplay.PAGE.read_text()
    printed = page.partition(budgetreplay.BEGIN)[2].partition(budgetreplay.END)[0]
    assert printed == budgetreplay.tables()


def test_what_the_page_concludes() -> None:
    by_points = {each.points: each for each in budgetreplay.expectations()}
    assert by_points[6].error < 1.2 < by_points[6].width
    assert by_points[8].width < 1.2
    last = budgetreplay.designed("2000h")["points"][-1]
    assert last["relative_width"] < 1.2
    assert last["cumulated_device_hours"] <= 2000 < 0.41 * by_points[15].hours
    rows = list(budgetreplay.replays())
    assert all(row.covered for row in rows)
    six = [row for row in rows if row.points == 6]
    assert {row.metric for row in six if row.width > 1.5} == {"rFID", "rPSNR"}
    assert all(row.width > row.typical for row in six if row.metric == "rFID")
    assert all(row.width < row.typical for row in six if row.metric != "rFID")
    assert [row.metric for row in six if row.width <= 1.2] == ["rIS"]
