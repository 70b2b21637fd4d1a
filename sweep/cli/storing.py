"""`sync`, `query`, `export`, `db rebuild`, `db check`: the results database."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site

if TYPE_CHECKING:
    from sweep.layout import Root
    from sweep.store import Store

_ERROR = 1


def register(app: typer.Typer) -> None:
    """Attach the commands and the `db` group."""
    for command in (sync, query, export):
        app.command()(command)
    db = typer.Typer(no_args_is_help=True, help="The database: an index of the journals.")
    db.command()(rebuild)
    db.command()(check)
    app.add_typer(db, name="db")


def sync(results: Results = DEFAULT_RESULTS, db: Database = None, site: Site = None) -> None:
    """Take what is new in the journals into the database. Other commands do this by themselves.

    Example: vitok-sweep sync --results results
    """
    from sweep.layout import Root
    from sweep.store import open_store
    from sweep.store import sync as run
    from sweep.store.where import database_url

    root = _existing(Root(results))
    begun = time.monotonic()
    store = open_store(root, database_url(db, site))
    _report(run(store, root), begun, store.name)


def query(
    sql: Annotated[str, typer.Argument(help="A SELECT over the views and tables.")],
    format: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Ask the database in SQL, read-only. Views: points, point_metrics, curves, sweep_members.

    Example: vitok-sweep query "SELECT slug, E, gflops FROM points ORDER BY E" --format csv
    """
    from sweep.cli.jobs import opened
    from sweep.store import export as reading
    from vitok_core.errors import UserError

    form = "json" if as_json else format
    if form not in ("table", "csv", "json"):
        raise UserError(f"--format {form}: expected table, csv or json")
    store, _ = opened(results, db, site)
    columns, rows = reading.query(store, sql)
    if form == "json":
        print(reading.as_json(columns, rows))
    elif form == "csv":
        _print_csv(columns, rows)
    else:
        _print_table(columns, rows)


def export(
    format: Annotated[
        str | None, typer.Option("--format", help="parquet (default), csv or json.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; default: export/ in the results root.")
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option("--view", metavar="NAME", help="This view alone; repeatable."),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            metavar="NAME",
            help="Instead of views the trained tokenizer of this point or job: model.safetensors "
            "and config.json, for vitok_core.load_tokenizer.",
        ),
    ] = None,
    step: Annotated[
        int | None, typer.Option("--step", min=1, help="The tokenizer's milestone at this step.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of an earlier export.")
    ] = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Write the views as files, one per view, or a trained tokenizer.

    Example: vitok-sweep export --format parquet --out tables

    Example: vitok-sweep export --tokenizer p16-c16 --out tokenizers/p16-c16
    """
    from sweep.cli.jobs import opened
    from sweep.store import export as writing
    from sweep.store.views import EXPORTED
    from vitok_core.errors import UserError

    if tokenizer is not None and (format or view):
        raise UserError("--tokenizer exports weights: it takes neither --format nor --view")
    if tokenizer is None and step is not None:
        raise UserError("--step is a tokenizer's milestone: say which with --tokenizer")
    store, root = opened(results, db, site)
    folder = out if out is not None else _existing(root).path / "export"
    if tokenizer is not None:
        written = _export_tokenizer(store, root, tokenizer, step, out, overwrite=overwrite)
    else:
        form = format or "parquet"
        written = writing.export(store, folder, form, view or EXPORTED, overwrite=overwrite)
    for path in written:
        print(path)


def _export_tokenizer(
    store: Store, root: Root, name: str, step: int | None, out: Path | None, *, overwrite: bool
) -> list[Path]:
    from functools import partial

    from sweep.tokenizers import origin, trained_by
    from vitok_core.tokenizers import export_tokenizer

    job = trained_by(store, root, name)
    return export_tokenizer(
        job.path,
        root.path / "export" / job.path.name if out is None else out,
        step=step,
        origin=partial(origin, job),
        overwrite=overwrite,
    )


def rebuild(
    replace: Annotated[
        bool, typer.Option("--replace", help="Even where it is another results root's index.")
    ] = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Make the database anew from the journals and put it in the old one's place.

    Example: vitok-sweep db rebuild --results results
    """
    from sweep.layout import Root
    from sweep.store.engine import connect
    from sweep.store.rebuild import rebuild as run
    from sweep.store.where import database_url

    root = _existing(Root(results))
    begun = time.monotonic()
    url = database_url(db, site)
    report = run(root, url, replace=replace)
    _report(report, begun, connect(root, url).name)


def check(results: Results = DEFAULT_RESULTS, db: Database = None, site: Site = None) -> None:
    """Compare the database with one made anew; exit 0 when equal, 1 with the differences.

    Example: vitok-sweep db check --results results
    """
    from sweep.cli.jobs import opened
    from sweep.layout import Root
    from sweep.store.check import check as run

    _existing(Root(results))
    store, root = opened(results, db, site)
    differences = run(store, root)
    for line in differences:
        print(line)
    if differences:
        print("`vitok-sweep db rebuild` makes it anew", file=sys.stderr)
        raise typer.Exit(_ERROR)
    print(f"{store.name}: equals a rebuild", file=sys.stderr)


def _existing(root: Any) -> Any:
    from vitok_core.errors import UserError

    if not root.path.is_dir():
        raise UserError(f"{root.path}: no such results root; `launch` makes it, --results names it")
    return root


def _report(report: Any, begun: float, name: str) -> None:
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    took = time.monotonic() - begun
    print(
        f"{name}: {report.files} files, {report.bytes / 1e6:.1f} MB taken in, {took:.1f} s",
        file=sys.stderr,
    )


def _print_csv(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _print_table(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from sweep.statusview import show

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    show(table)
