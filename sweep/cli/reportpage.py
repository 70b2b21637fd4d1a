"""`report --html`: what the page needs from the index and the schedulers, and the page itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.cli.printing import print_json

if TYPE_CHECKING:
    from analysis.frames import Results
    from analysis.page.ledger import Ledger


def write_report_page(
    loaded: Results, ledger: Ledger | None, folder: Path, *, show: bool, as_json: bool
) -> None:
    """Write FOLDER/report.html, say where it is, and open it in a browser where that is asked."""
    from analysis.page import write_page

    page = write_page(loaded, folder, ledger)
    for note in dict.fromkeys(page.notes):
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        print_json({"page": str(page.path), "bytes": page.size, "notes": list(page.notes)})
    else:
        print(page.path)
    if show:
        import webbrowser

        if not webbrowser.open(page.path.resolve().as_uri()):
            print("note: no browser found here; open the file by hand", file=sys.stderr)


def ledger_of(results: Path, db: str | None, sweep: str | None) -> Ledger:
    """What the index and one look at the schedulers say of a sweep's jobs, or of all."""
    from analysis.page.ledger import read_ledger
    from sweep.cli.jobs import opened
    from sweep.status import job_statuses
    from sweep.store.names import sweep_jobs

    store, root = opened(results, db)
    try:
        jobs = None if sweep is None else sweep_jobs(store, sweep)
        statuses = job_statuses(store, root, jobs, lambda line: print(line, file=sys.stderr))
        return read_ledger(store, root.path, [one.as_json() for one in statuses], sweep)
    finally:
        store.close()
