"""`report --figure`, `report --all`, and `report` alone: figures, and every fit."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.cli.printing import print_json

if TYPE_CHECKING:
    from analysis.frames import Results as Loaded


def figures(
    loaded: Loaded,
    ids: Sequence[str],
    folder: Path,
    formats: Sequence[str],
    datasets: Sequence[str],
    as_json: bool,
) -> None:
    """Draw these, and print their fits and files."""
    from analysis.report import draw
    from analysis.summary import fit_table, floor_table

    reports = [draw(loaded, name, folder, formats=formats, datasets=datasets) for name in ids]
    _tell(note for one in reports for note in one.notes)
    if as_json:
        print_json({"figures": [one.record() for one in reports]})
        return
    for one in reports:
        blocks = [fit_table(one.fits), floor_table(one.floor)]
        print("\n\n".join(block for block in blocks if block), end="\n\n")
        print("\n".join(str(path) for path in one.files))


def every(
    loaded: Loaded, folder: Path, formats: Sequence[str], datasets: Sequence[str], as_json: bool
) -> None:
    """Draw all that have data; print the files, and why the others have none."""
    from analysis.report import draw_all

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    album = draw_all(loaded, folder, formats=formats, datasets=datasets, tell=tell)
    notes: dict[str, list[str]] = {}
    for one in album.reports:
        for note in one.notes:
            notes.setdefault(note, []).append(one.figure)
    _tell(
        f"{', '.join(of) if len(of) < 3 else f'{len(of)} figures'}: {note}"
        for note, of in notes.items()
    )
    if as_json:
        print_json(album.record())
        return
    print("\n".join(str(path) for one in album.reports for path in one.files))
    if album.missing:
        print("\nNot drawn")
        width = max(map(len, album.missing))
        print("\n".join(f"  {name:<{width}} {why}" for name, why in album.missing.items()))


def overview(loaded: Loaded, datasets: Sequence[str], as_json: bool) -> None:
    """Print every fit, and the list of figures."""
    from analysis.figures import FIGURES
    from analysis.report import overview as overview_of
    from analysis.summary import (
        codec_table,
        fit_table,
        floor_table,
        guidance_table,
        point_table,
    )

    seen = overview_of(loaded, datasets=datasets)
    _tell(seen.notes)
    if as_json:
        figures = [
            {"id": one.id, "title": one.title, "paper": one.paper} for one in FIGURES.values()
        ]
        print_json({**seen.record(), "figures": figures})
        return
    blocks = [
        fit_table(seen.fits),
        floor_table(seen.floor),
        point_table(seen.differences),
        codec_table(seen.codecs, seen.uncompared),
        guidance_table(seen.guidance),
    ]
    print("\n\n".join(block for block in blocks if block), end="\n\n")
    print("Figures (--figure ID)")
    width = max(map(len, FIGURES))
    for one in FIGURES.values():
        paper = f" (paper: Figure {one.paper})" if one.paper else ""
        print(f"  {one.id:<{width}} {one.title}{paper}")


def _tell(notes: Iterable[str]) -> None:
    for note in dict.fromkeys(notes):
        print(f"note: {note}", file=sys.stderr)
