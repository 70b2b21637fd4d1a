"""`adopt`: a tokenizer that was trained elsewhere as the result of a planned job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Results, Set, Site
from sweep.cli.printing import say


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(adopt)


def adopt(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CKPT",
            help="A job's folder or its final.pt, an exported tokenizer, or plain weights: "
            ".safetensors or .pt.",
        ),
    ],
    point: Annotated[
        str,
        typer.Option("--as", metavar="POINT", help="The point whose stage 1 it is, or the job."),
    ],
    sweep: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            metavar="FILE",
            help="The sweep file of the point, where it was not launched here yet.",
        ),
    ] = None,
    sets: Set = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Take weights that were trained elsewhere as the finished stage 1 of a planned point.

    Example: vitok-sweep adopt /old/results/jobs/tokenizer-…/ --as 128x1-128x2-p16-c16-64p-s0
    --sweep quickstart

    A checkpoint or an export must be of the planned configuration, seed included; of plain weights
    the names and shapes are checked, that they were so trained is your word. They are copied; the
    file and its hash are journalled and shown. The next launch evaluates them.
    """
    from sweep import adopt as adopting
    from sweep.cli.jobs import opened
    from sweep.planning.plan import plan_file
    from vitok_core.errors import UserError

    if sets and sweep is None:
        raise UserError("--set changes a sweep file: name it by --sweep")
    if sweep is not None:
        job = adopting.planned(plan_file(sweep, sets or ()), point)
        results.mkdir(parents=True, exist_ok=True)
    store, root = opened(results, db, site)
    if sweep is None:
        job = adopting.registered(store, point)
    folder, found = adopting.adopt(job, checkpoint, root, store, say)
    say(f"adopted {found.file} ({found.form}, sha256 {found.sha256[:12]}…)")
    print(folder.path)
