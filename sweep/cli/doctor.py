"""`doctor`: what of this machine, its cluster and its site file is in order, and what is not."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site

_SOME_PROBLEM = 1


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(doctor)


def doctor(
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Also multiply matrices on each GPU (imports torch).")
    ] = False,
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Check versions, scheduler, database, disk, data, weights and GPUs; say how to mend each.

    Changes nothing but a test file that it removes. Exit code 1 when there is a problem.

    Example: vitok-sweep doctor --results /shared/results
    """
    import json

    from sweep.doctor.checkup import examine
    from sweep.doctor.finding import State
    from sweep.doctor.view import table
    from sweep.statusview import show

    findings = examine(results, db, site, gpu=gpu)
    if as_json:
        print(json.dumps([finding.as_json() for finding in findings], indent=1))
    else:
        show(table(findings))
    if any(finding.state is State.PROBLEM for finding in findings):
        raise typer.Exit(_SOME_PROBLEM)
