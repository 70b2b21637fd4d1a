"""`report --claims`: the paper's claims, judged."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sweep.cli.printing import print_json

if TYPE_CHECKING:
    from analysis.frames import Results as Loaded


def judged(loaded: Loaded, as_json: bool) -> None:
    """Print every claim's verdict: a table on a terminal, plain lines elsewhere."""
    from analysis.claims import judge, text

    verdicts = judge(loaded)
    if as_json:
        print_json([one.record() for one in verdicts])
    elif sys.stdout.isatty():
        from rich.console import Console

        said = (text.notes(verdicts), text.missing(verdicts), text.summary(verdicts))
        grid = [text.table(verdicts)] if text.judged(verdicts) else []
        Console().print(
            *grid, *filter(None, said), sep="\n\n", highlight=False, markup=False
        )  # fmt: skip
    else:
        print(text.plain(verdicts))
