"""`report --table`: the paper's tables on stdout or in files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.cli.printing import print_json
from vitok_core.errors import UserError

if TYPE_CHECKING:
    from analysis.frames import Results


def formats() -> Sequence[str]:
    """What a table can be written as."""
    from analysis.tables import FORMATS

    return tuple(FORMATS)


def check(numbers: Sequence[int], formats: Sequence[str], out: Path | None) -> None:
    """What can be told before anything is read.

    Raises:
        UserError: a table that the paper lacks; several formats on stdout.
    """
    from analysis.tables import find

    for number in numbers:
        find(number)
    if len(formats) > 1 and out is None:
        raise UserError(
            f"--format {','.join(formats)}: stdout takes one format of a table; "
            "--out DIR writes several"
        )


def show(
    loaded: Results,
    numbers: Sequence[int],
    formats: Sequence[str],
    out: Path | None,
    datasets: Sequence[str],
    as_json: bool,
) -> None:
    """Print the tables, or write them below `out` and print the files' names."""
    from analysis.tables import render, table, write

    tables = [table(number, loaded, datasets=datasets) for number in numbers]
    files = [path for one in tables for path in write(one, out, formats)] if out else []
    if as_json:
        content = {
            "tables": [one.record() for one in tables],
            "files": [str(path) for path in files],
        }
        print_json(content)
        return
    # In the other formats the notes stand below the table.
    if out is not None or "csv" in formats:
        for note in dict.fromkeys(note for one in tables for note in one.notes):
            print(f"note: {note}", file=sys.stderr)
    if files:
        print("\n".join(map(str, files)))
    else:
        print("\n".join(render(one, formats[0]) for one in tables), end="")
