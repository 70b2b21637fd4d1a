"""`gc`: which files may go, and letting them go."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import NOTHING_TO_DO
from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sweep.gc import Garbage
    from sweep.layout import Root
    from sweep.store import Store

_ROWS = 100


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(gc)


def gc(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SWEEP]...", help="These sweeps alone (or points, jobs)."),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            help="last: what a resume takes, and final weights; best: final weights of the best "
            "alone, and latents that some generator still needs; all: every checkpoint, only "
            "left-over files go."
        ),
    ] = "last",
    by: Annotated[
        str, typer.Option(metavar="METRIC", help="What --keep best compares, within each sweep.")
    ] = "rPSNR",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Free disk space: show which checkpoints, latents and left-over files may go, then ask.

    Jobs that run or wait are left alone; journals, claims, sheets and results stay. Away from a
    terminal nothing is deleted without --yes. Exit code 3: nothing may go.

    Example: vitok-sweep gc quickstart --keep last
    """
    store, root, jobs = _asked(names, keep, results, db, site)
    look = partial(_garbage, store, root, jobs, keep, by)
    found = look()
    if not found:
        print("nothing may go: what is there is needed, or its job runs or waits", file=sys.stderr)
        raise typer.Exit(NOTHING_TO_DO)
    _print_garbage(found, as_json)
    if yes or _agreed(found):
        freed = _free(store, root, found, look)
        print(f"freed {freed / 1e6:,.1f} MB", file=sys.stderr)


def _asked(
    names: list[str] | None, keep: str, results: Path, db: str | None, site: Path | None
) -> tuple[Store, Root, set[str] | None]:
    """The store, the root, and the jobs to look at (None: all); UserError for what is not there."""
    from sweep.cli.jobs import opened
    from sweep.gc import Keep
    from sweep.store import queries
    from vitok_core.errors import UserError

    if keep not in list(Keep):
        raise UserError(f"--keep {keep}: expected {', '.join(Keep)}")
    if not results.is_dir():
        raise UserError(f"{results}: no such results root; --results names it")
    store, root = opened(results, db, site)
    if not names:
        return store, root, None
    return store, root, {job for name in names for job in queries.resolve_jobs(store, name)}


def _free(
    store: Store, root: Root, found: Sequence[Garbage], look: Callable[[], Sequence[Garbage]]
) -> int:
    """Delete what may go still: somebody may have launched since. Returns the bytes."""
    from sweep.gc import delete
    from sweep.store import sync
    from sweep.turns import turn

    with turn(root, lambda line: print(line, file=sys.stderr)):
        sync(store, root)
        still = {path for each in look() for path in each.paths}
        found = [each for each in found if still.issuperset(each.paths)]
        delete(root, found)
    sync(store, root)
    return sum(each.bytes for each in found)


def _garbage(store: Store, root: Root, jobs: set[str] | None, keep: str, by: str) -> list[Garbage]:
    from sweep.gc import Keep, find

    if keep != Keep.BEST:
        return find(root, store, jobs, Keep(keep))
    from analysis.metrics import metric
    from sweep.spent import read_out, spent
    from sweep.store import queries
    from vitok_core.errors import UserError

    better = metric(by).better
    if not better:
        raise UserError(f"--by {by}: expected a metric with a better end, such as rPSNR or rFID")
    facts = queries.facts(store)
    return find(root, store, jobs, Keep(keep), spent(store, facts, by, better) | read_out(facts))


def _print_garbage(found: Sequence[Garbage], as_json: bool) -> None:
    from rich.table import Table

    from sweep.statusview import show

    total = sum(each.bytes for each in found)
    if as_json:
        import json

        rows = [
            {
                "job": each.job,
                "name": each.name,
                "state": None if each.state is None else str(each.state),
                "paths": [str(path) for path in each.paths],
                "bytes": each.bytes,
                "why": each.why,
            }
            for each in found
        ]
        print(json.dumps({"garbage": rows, "bytes": total}, indent=1))
    else:
        table = Table("what", "state", box=None, pad_edge=False, header_style="bold")
        for heading in ("files", "MB"):
            table.add_column(heading, justify="right")
        table.add_column("why it may go")
        for each in found[:_ROWS]:
            size = f"{each.bytes / 1e6:,.1f}"
            table.add_row(each.name, str(each.state or ""), str(len(each.paths)), size, each.why)
        show(table)
        if len(found) > _ROWS:
            print(f"… and {len(found) - _ROWS} more (`--json` lists all)")
        print(f"{total / 1e6:,.1f} MB in all")
    lost = Counter(each.kind for each in found if each.final)
    if latents := lost.pop("latents", 0):
        print(
            f"caches of latents that go: {latents}. To train another generator on one it would "
            "have to be encoded again: delete its job's folder, and launch",
            file=sys.stderr,
        )
    if lost:
        print(
            f"final weights that go: {lost.total()}. To evaluate such a tokenizer anew it would "
            "have to be trained again, in another results root",
            file=sys.stderr,
        )


def _agreed(found: Sequence[Garbage]) -> bool:
    """Whether the user says so; away from a terminal nobody is asked, and nothing deleted."""
    if not sys.stdin.isatty():
        print("nothing was deleted: --yes deletes these", file=sys.stderr)
        return False
    return typer.confirm("Delete these?", default=False, err=True)
