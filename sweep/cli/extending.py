"""`extend`: more seeds of a sweep that was launched."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.options import (
    DEFAULT_RESULTS,
    AtOnce,
    Database,
    DryRun,
    Gpus,
    Results,
    SchedulerName,
    Site,
    Watch,
    Yes,
)
from sweep.cli.printing import say
from sweep.cli.submitting import How, submit


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(extend)


def extend(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="The name of a launched sweep.")],
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds",
            min=0,
            help="How many seeds to add to each configuration; 0: add none, and launch what the "
            "sweep with its added seeds still lacks.",
        ),
    ],
    scheduler: SchedulerName = None,
    jobs: AtOnce = None,
    gpus: Gpus = None,
    watch: Watch = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Add seeds to a launched sweep and run the new points. What is there keeps its ids.

    Example: vitok-sweep extend quickstart --seeds 2

    The sweep is taken as it was launched, with its --set, whatever its file says now. Exit codes
    are those of launch.
    """
    from sweep import site as sites
    from sweep.cli.jobs import opened
    from sweep.planning.extend import extended
    from sweep.planning.plan import plan_of
    from sweep.spec.read import read
    from sweep.store import queries
    from vitok_core.errors import UserError

    here = sites.load(site)
    url = here.database(db)
    store, _ = opened(results, url)
    queries.sweep_jobs(store, sweep)  # names the nearest, where there is no such sweep
    file = queries.sweep_file(store, sweep)
    found = extended(sweep, file, queries.sweep_document(store, sweep) or {}, seeds)
    spec = read(found.document)
    whole = here.equip(plan_of(spec, here.device))
    plan = here.equip(plan_of(spec, here.device, found.only))
    lost = queries.member_jobs(store, sweep) - {job.id for job in whole.jobs}
    if lost:
        raise UserError(
            f"{sweep}: this release calls {len(lost)} of its jobs otherwise, so that they would "
            f"run again; give {file} the seeds and launch it, to have them anew"
        )
    if found.new:
        added = ", ".join(map(str, found.new))
        listed = ", ".join(map(str, found.seeds))
        say(f"{sweep}: {len(plan.points)} new points, seeds {added}")
        say(
            f"note: {file} does not know of them: write `seeds: [{listed}]` there before it is "
            "launched again, or the sweep is without them"
        )
    again = f"vitok-sweep extend {sweep} --seeds 0"
    submit(plan, whole, here, How(again, scheduler, jobs, gpus, watch, dry_run, yes, results, url))
