"""`report`: fits, figures and their tables from the results database."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli import figuring, judging, tabling
from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site
from vitok_core.errors import UserError


class Source(StrEnum):
    """Whose numbers a report shows."""

    DB = "db"
    PUBLISHED = "published"
    BOTH = "both"


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
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Draw every figure that has data; the others are named with the reason."
        ),
    ] = False,
    table: Annotated[
        list[int] | None,
        typer.Option(
            "--table",
            metavar="N",
            help="The paper's Table N (1-7), our rows below its own; repeatable. "
            "On stdout, or with --out in files tableN.md ….",
        ),
    ] = None,
    claims: Annotated[
        bool,
        typer.Option(
            "--claims",
            help="Judge the paper's claims: supported, contradicted, inconclusive, or no data.",
        ),
    ] = False,
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
    source: Annotated[
        Source | None,
        typer.Option(
            "--source",
            help="Whose numbers: our database's, the paper's published ones (needs no results), "
            "or both. Default: db; of tables: both.",
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME",
            help="Beside them the runs that were imported as NAME (`import`), a source of their "
            "own; repeatable. Of figures and fits.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Of figures: any of pdf, svg, png, separated by commas (default: all). "
            "Of tables: md (default), latex, csv, html.",
        ),
    ] = None,
    html: Annotated[
        bool,
        typer.Option(
            "--html", help="Write report.html: one page with everything, for a browser, offline."
        ),
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder; default: in the results root reports/<sweep>, reports/all without "
            "--sweep, reports/published with --source published.",
        ),
    ] = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
    as_json: Json = False,
) -> None:
    """Draw figures with their fits, make the paper's tables, judge its claims, or print all fits.

    A figure ID leaves ID.pdf, ID.svg, ID.png, ID.csv (what was plotted) and ID.fits.json.

    Example: vitok-sweep report --sweep quickstart --figure e_vs_metrics --format pdf

    Example: vitok-sweep report --source published --figure e_vs_metrics

    Example: vitok-sweep report --source published --all

    Example: vitok-sweep report --table 3 --format latex --out tables

    Example: vitok-sweep report --sweep quickstart --html --open

    Example: vitok-sweep report --claims --source both

    Example: vitok-sweep report --figure e_vs_metrics --with theirs
    """
    import analysis
    from analysis.figures import find
    from analysis.report import FORMATS, parse_formats
    from sweep.layout import Root
    from sweep.store.where import database_url

    # A mistyped word is told before anything is read, an option without effect too.
    drawn = bool(figure or table or every)
    _check_page(html, show, drawn or dataset or format)
    ids = [find(name).id for name in figure or ()]
    if every and ids:
        raise UserError("--all draws every figure: leave out --figure")
    if claims and (drawn or html or dataset or out or format):
        raise UserError(
            "--claims stands alone, on stdout: each claim names its data sets, and none is drawn"
        )
    if not (drawn or html) and (out or format):
        raise UserError("--out and --format are for files: say --figure ID, --all, --table N")
    if external and (source is Source.PUBLISHED or table or claims or html):
        raise UserError("--with is for figures and fits over a database: --figure ID, --all")
    if source is Source.PUBLISHED and sweep is not None:
        raise UserError("--source published has no sweeps: leave out --sweep")
    numbers = list(dict.fromkeys(table or ()))
    known = [*(FORMATS if ids or every else ()), *(tabling.formats() if numbers else ())]
    asked = known if format is None else parse_formats(format, known)
    formats = [name for name in asked if name in FORMATS] or list(FORMATS)
    table_formats = [name for name in asked if name not in FORMATS and format] or ["md"]
    if numbers:
        tabling.check(numbers, table_formats, out)
    if as_json and (ids or every) and numbers:
        raise UserError("--json holds figures or tables: ask for one of them at a time")
    url = None
    if source is Source.PUBLISHED:
        loaded = analysis.load_published()
        folder = out or Root(results).reports / "published"
    else:
        url = database_url(db, site)
        loaded = analysis.load(results, sweep=sweep, db=url)
        folder = out or Root(results).reports / (sweep or "all")
        loaded = loaded.with_published() if source is Source.BOTH else loaded
        loaded = loaded.with_external(external) if external else loaded
    if html:
        from sweep.cli.reportpage import ledger_of, write_report_page

        ledger = None if source is Source.PUBLISHED else ledger_of(results, url, sweep)
        write_report_page(loaded, ledger, folder, show=show, as_json=as_json)
        return
    if claims:
        judging.judged(loaded, as_json)
        return
    if numbers:
        shown = loaded.with_published() if source is None else loaded
        tabling.show(shown, numbers, table_formats, out, dataset or (), as_json)
    if every:
        figuring.every(loaded, folder, formats, dataset or (), as_json)
    elif ids:
        figuring.figures(loaded, ids, folder, formats, dataset or (), as_json)
    elif not numbers:
        figuring.overview(loaded, dataset or (), as_json)


def _check_page(html: bool, show: bool, narrowed: object) -> None:
    """Raise UserError where options of the page meet those of figures."""
    if show and not html:
        raise UserError("--open opens the page of --html: say both")
    if html and narrowed:
        raise UserError(
            "--html shows every figure's data and data set: leave out --figure, --all, --table, "
            "--dataset, --format"
        )
