"""The report page of some 500 runs: how long it takes to write, and to open in a real Chromium."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from timing import Row, compare

from analysis.page import write_page

TESTS = Path(__file__).parent.parent / "tests" / "analysis"
VISITS = 7


def measure(folder: Path) -> Iterator[Row]:
    """Opening it needs the Chromium of tests/servers/chromium.sh, and is left out without one."""
    sys.path.append(str(TESTS))
    from ledgers import ledger
    from synthetic import quickstart

    made = quickstart(channels=(4, 8, 16, 32, 64, 128, 256), seeds=range(24), cfg=(1.5,))
    known = ledger(made, folder / "page", sheets=12)
    what = f"report page, {len(made.points)} runs"
    without = folder / "page without"
    yield compare(
        f"{what}, {known.sheets.height} pictures",
        3,
        write_page=lambda: write_page(made, folder, known),
        without_pictures=lambda: write_page(made, without, known, picture_limit=0),
    )
    if os.environ.get("VITOK_TEST_CHROMIUM"):
        yield Row(f"{what}, opened until all controls work", {"Chromium": _opened(folder)})


def _opened(folder: Path) -> float:
    """Seconds, median, as the page itself measures them."""
    from browsing import chromium, visit

    times = []
    with chromium() as browser:
        for _ in range(VISITS):
            with visit(browser, folder / "report.html") as seen:
                times.append(seen.milliseconds / 1000)
    return statistics.median(times)
