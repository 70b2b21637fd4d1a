"""`launch` and `run`: the commands that make jobs run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import NOTHING_TO_DO, SOME_FAILED
from sweep.cli.options import (
    DEFAULT_RESULTS,
    AtOnce,
    Database,
    DryRun,
    Gpus,
    Only,
    Results,
    SchedulerName,
    Set,
    Site,
    SweepFile,
    Watch,
    Yes,
    launch_line,
)
from sweep.cli.submitting import How, prepared, submit

if TYPE_CHECKING:
    from sweep.layout import Root
    from sweep.model import Plan
    from sweep.site import Site as SiteFile
    from sweep.store import Store


def register(app: typer.Typer) -> None:
    """Attach the commands."""
    app.command()(launch)
    app.command()(run)


def launch(
    file: SweepFile,
    scheduler: SchedulerName = None,
    jobs: AtOnce = None,
    gpus: Gpus = None,
    watch: Watch = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    sets: Set = None,
    only: Only = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Run what a sweep still lacks: resume what was lost, skip what is done.

    With `search:` in the file it stays and chooses trial after trial; killed, it goes on when it is
    launched again.

    Example: vitok-sweep launch sweeps/quickstart.yaml --only 'p=16'

    Exit codes: 0 all done (or submitted, with --no-watch), 2 bad file or something missing,
    3 nothing to do, 4 some jobs failed, 5 the scheduler does not answer. Ctrl-C leaves the jobs
    running.
    """
    from sweep import site as sites
    from sweep.planning.plan import plan_file

    here = sites.load(site)
    whole = here.equip(plan_file(file, sets or (), None, here.device))
    plan = here.equip(plan_file(file, sets or (), only, here.device)) if only else whole
    again = launch_line(file, only, sets or (), results, db, site)
    url = here.database(db)
    how = How(again, scheduler, jobs, gpus, watch, dry_run, yes, results, url)
    if whole.search is not None:
        _search(file, tuple(sets or ()), only, whole, here, how)
    else:
        submit(plan, whole, here, how)


def _search(
    file: str, sets: tuple[str, ...], only: str | None, whole: Plan, here: SiteFile, how: How
) -> None:
    """Launch a file with `search:`: its controller chooses what is submitted."""
    from sweep.cli.searching import Searching
    from sweep.launch import refuse

    root, back_end, _, chains = prepared(whole, here, how)
    refuse(back_end, chains)
    searching = Searching(file, sets, whole, root, how.db, back_end, here)
    searching.launch(only, how.watch, how.dry_run, how.yes)


def run(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A slug, or any unique id prefix.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Stop (with a checkpoint) after so many steps.")
    ] = None,
    pdb: Annotated[bool, typer.Option("--pdb", help="Open the debugger where it fails.")] = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Run one job of a launched sweep in the foreground; it resumes from its checkpoint.

    Example: vitok-sweep run tokenizer-128x1-128x2-p16-c16-64p-s0 --steps 10
    """
    from sweep.cli.jobs import opened
    from sweep.ranks import peer
    from sweep.ranks.meeting import by_hand
    from sweep.stopping import Signals
    from sweep.store.names import one_job
    from sweep.worker import Outcome, run_job
    from vitok_core.errors import UserError

    peer.follow_torchrun()
    store, root = opened(results, db, site)
    name = one_job(store, job)
    folder = root.job_folders().get(name)
    if folder is None:
        raise UserError(
            f"{job}: registered but never launched; `vitok-sweep launch` makes its folder"
        )
    _refuse_living(store, root, name)
    try:
        with Signals() as signals, by_hand(signals) as crew:
            outcome = run_job(folder, signals, crew, limit=steps, debug=pdb)
    except Exception:
        if not pdb:
            raise
        import pdb as debugger

        debugger.post_mortem(sys.exc_info()[2])
        raise typer.Exit(SOME_FAILED) from None
    print(f"{folder.path.name}: {outcome}", file=sys.stderr)
    if outcome is Outcome.ALREADY_DONE:
        raise typer.Exit(NOTHING_TO_DO)
    if outcome in (Outcome.FAILED, Outcome.BLOCKED):
        raise typer.Exit(SOME_FAILED)


def _refuse_living(store: Store, root: Root, job: str) -> None:
    """A second attempt beside a living one would only make that one stop."""
    from sweep.status import ACTIVE, observe
    from vitok_core.errors import UserError

    state = observe(root, store, [job]).states[job]
    if state.state in ACTIVE:
        raise UserError(
            f"{job} is {state.state} ({state.reason}): `vitok-sweep logs -f {job}` follows it, "
            f"`vitok-sweep cancel {job}` stops it"
        )
