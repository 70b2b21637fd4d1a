"""`import`: other people's numbers, kept apart from our own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Results, Site
from sweep.cli.printing import say


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A table, one row a run.")],
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What the runs are called from now on.")
    ],
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Of rows without a column dataset.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="How it was measured: of rows without a column protocol."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="COLUMN[=NAME]",
            help="A column that is a metric, and the metric's name here; repeatable. Default: "
            "columns such as rFID, rPSNR, gFID, LPIPS.",
        ),
    ] = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Take other people's runs in from a CSV table (W&B exports such), for `report --with NAME`.

    Example: vitok-sweep import theirs.csv --as theirs --metric fid=rFID --dataset coco2017-val
    --protocol 'torch-fidelity, N=5000, 256px'

    Columns: p and c (or variant, such as S-B/16), and one of E, L and resolution; q, frames, seed,
    name, encoder, decoder, params_m, gflops, cfg_scale, dataset, protocol as far as they are known.
    An import replaces an earlier one of the same name. No fit takes such runs in with ours.
    """
    from sweep.cli.jobs import opened
    from sweep.importing import read_table
    from sweep.launchlog import LaunchLog
    from sweep.store import sync

    read = read_table(file, name, dataset=dataset, protocol=protocol, metrics=tuple(metric or ()))
    results.mkdir(parents=True, exist_ok=True)
    store, root = opened(results, db, site)
    log = LaunchLog(root)
    log.write("import", uid=log.uid, **read.record())
    log.close()
    sync(store, root)
    runs = len({row["point_id"] for row in read.rows})
    say(f"{name}: {runs} runs, {len(read.rows)} numbers; `vitok-sweep report --with {name}`")
    if read.unread:
        say(f"note: columns that say nothing here: {', '.join(read.unread)}")
