"""`report`: fits, figures and their tables from the results database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results

if TYPE_CHECKING:
    from analysis.frames import Results as Loaded


def register(app: typer.Typer) -> None:
    """Attach `report`."""
    app.command()(report)


def report(
    figure: Annotated[
        list[str] | None,
        typer.Option(
            "--figure",
            metavar="ID",
            help="Figure to draw, e.g. e_vs_metrics; repeatable. "
            "Without it: the table of all fits and the list of figures.",
        ),
    ] = None,
    sweep: Annotated[
        str | None, typer.Option("--sweep", metavar="NAME", help="This sweep's points only.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="Data set to show; repeatable, `all` for every one. Default of a figure: those "
            "on which no recipe was trained or chosen (held-out, val).",
        ),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="Any of pdf, svg, png, separated by commas.")
    ] = "pdf,svg,png",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder; default: reports/<sweep> in the results root."),
    ] = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Draw figures over E with their fits, or print every fit.

    A figure ID leaves ID.pdf, ID.svg, ID.png, ID.csv (what was plotted) and ID.fits.json.

    Example: vitok-sweep report --sweep quickstart --figure e_vs_metrics --format pdf
    """
    import analysis
    from analysis.figures import find
    from analysis.report import parse_formats

    # A mistyped word is told before anything is read.
    ids = [find(name).id for name in figure or ()]
    formats = parse_formats(format)
    loaded = analysis.load(results, sweep=sweep, db=db)
    from sweep.layout import Root

    folder = out if out is not None else Root(results).reports / (sweep or "all")
    if ids:
        _figures(loaded, ids, folder, formats, dataset or (), as_json)
    else:
        _overview(loaded, dataset or (), as_json)


def _figures(
    loaded: Loaded,
    ids: Sequence[str],
    folder: Path,
    formats: Sequence[str],
    datasets: Sequence[str],
    as_json: bool,
) -> None:
    from analysis.report import draw
    from analysis.summary import fit_table, floor_table

    reports = [draw(loaded, name, folder, formats=formats, datasets=datasets) for name in ids]
    _tell(note for one in reports for note in one.notes)
    if as_json:
        _print_json({"figures": [one.record() for one in reports]})
        return
    for one in reports:
        blocks = [fit_table(one.fits), floor_table(one.floor)]
        print("\n\n".join(block for block in blocks if block), end="\n\n")
        print("\n".join(str(path) for path in one.files))


def _overview(loaded: Loaded, datasets: Sequence[str], as_json: bool) -> None:
    from analysis.figures import FIGURES
    from analysis.report import overview
    from analysis.summary import fit_table, floor_table, point_table

    seen = overview(loaded, datasets=datasets)
    _tell(seen.notes)
    if as_json:
        figures = [
            {"id": one.id, "title": one.title, "paper": one.paper} for one in FIGURES.values()
        ]
        _print_json({**seen.record(), "figures": figures})
        return
    blocks = [fit_table(seen.fits), floor_table(seen.floor), point_table(seen.differences)]
    print("\n\n".join(block for block in blocks if block), end="\n\n")
    print("Figures (--figure ID)")
    for one in FIGURES.values():
        print(f"  {one.id:<14} {one.title} (paper: Figure {one.paper})")


def _tell(notes: Iterable[str]) -> None:
    for note in dict.fromkeys(notes):
        print(f"note: {note}", file=sys.stderr)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
