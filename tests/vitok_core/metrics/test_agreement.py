"""The page's table of agreement is what its script measures."""

from __future__ import annotations

import agreement
import pytest


def test_every_score_agrees_and_the_page_says_so() -> None:
    rows = agreement.measure()
    for row in rows:
        assert row.difference <= row.at_most, row
    page = agreement.PAGE.read_text()
    printed = page.partition(agreement.BEGIN)[2].partition(agreement.END)[0].splitlines()[2:]
    assert len(printed) == len(rows)
    for line, row in zip(printed, rows, strict=True):
        cells, now = line.strip("| ").split(" | "), row.markdown().strip("| ").split(" | ")
        assert [cells[0], *cells[3:]] == [now[0], *now[3:]]
        # Made-up weights meet other CPUs' convolutions: the digits that all share.
        for i in (1, 2):
            assert float(cells[i]) == pytest.approx(float(now[i]), rel=1e-4)
