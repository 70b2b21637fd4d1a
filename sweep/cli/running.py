"""`launch` and `run`: the commands that make jobs run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Only, Results, Set, Site, SweepFile

if TYPE_CHECKING:
    from sweep.decide import Decision
    from sweep.layout import Root
    from sweep.model import Plan
    from sweep.schedulers.base import Scheduler
    from sweep.store import Store

_NOTHING_TO_DO = 3
_MOST_GPUS = 1023  # an id beyond is a slip of the finger
_SOME_FAILED = 4
_LARGE = 50  # jobs; from here, or from a device-hour, a launch asks first
_LARGE_HOURS = 1.0


def register(app: typer.Typer) -> None:
    """Attach the commands."""
    app.command()(launch)
    app.command()(run)


def launch(
    file: SweepFile,
    scheduler: Annotated[
        str | None,
        typer.Option(help="local or inline (default: the site file's, else local)."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Submissions at once (local).")
    ] = None,
    gpus: Annotated[
        str | None, typer.Option(help="GPUs to hand out, e.g. 0-7 or 0,2,5 (local; default: all).")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Stay and show progress until all has ended.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be submitted; change nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask about large sweeps.")
    ] = False,
    sets: Set = None,
    only: Only = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Run what a sweep still lacks: resume what was lost, skip what is done.

    Example: vitok-sweep launch sweeps/quickstart.yaml --only 'p=16'

    Exit codes: 0 all done (or submitted, with --no-watch), 2 bad file or something missing,
    3 nothing to do, 4 some jobs failed. Ctrl-C leaves the jobs running.
    """
    from sweep import launch as launching
    from sweep import site as sites
    from sweep.layout import Root
    from sweep.planning.plan import plan_file
    from sweep.planning.preflight import missing
    from sweep.store import open_store
    from vitok_core.errors import UserError

    here = sites.load(site)
    whole = plan_file(file, sets or (), None, here.device)
    plan = plan_file(file, sets or (), only, here.device) if only else whole
    lacking = missing(plan, here)
    if lacking:
        listed = "".join(f"\n  {line}" for line in lacking)
        where = here.file or "~/.config/vitok-sweep/site.yaml (or --site FILE)"
        raise UserError(f"{file}: nothing was submitted:{listed}\n  the site file is {where}")
    root = Root(results)
    decision = _decided(plan, root, db)
    if dry_run:
        _say_decision(decision, "would be submitted")
        for job in decision.submit:
            print(f"{job.slug}-{job.id}")
        return
    back_end = _scheduler(scheduler or here.scheduler, root, jobs, gpus)
    _refuse_first(decision, root, back_end)
    _confirm(plan, decision, yes)
    root.path.mkdir(parents=True, exist_ok=True)
    store = open_store(root, db)
    done = launching.launch(plan, whole, root, store, back_end, here, _say)
    _say_decision(done.decision)
    if not done.decision.submit and not done.decision.active:
        _end_of_idle(done.decision)
    if watch or back_end.name == "inline":
        _watch(plan, root, store, file)


def run(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A slug, or any unique id prefix.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Stop (with a checkpoint) after so many steps.")
    ] = None,
    pdb: Annotated[bool, typer.Option("--pdb", help="Open the debugger where it fails.")] = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
) -> None:
    """Run one job of a launched sweep in the foreground; it resumes from its checkpoint.

    Example: vitok-sweep run tokenizer-128x1-128x2-p16-c16-64p-s0 --steps 10
    """
    from sweep.cli.jobs import opened
    from sweep.stopping import Signals
    from sweep.store.names import one_job
    from sweep.worker import Outcome, run_job
    from vitok_core.errors import UserError

    store, root = opened(results, db)
    name = one_job(store, job)
    folder = root.job_folders().get(name)
    if folder is None:
        raise UserError(
            f"{job}: registered but never launched; `vitok-sweep launch` makes its folder"
        )
    _refuse_living(store, root, name)
    try:
        with Signals() as signals:
            outcome = run_job(folder, signals, limit=steps, debug=pdb)
    except Exception:
        if not pdb:
            raise
        import pdb as debugger

        debugger.post_mortem(sys.exc_info()[2])
        raise typer.Exit(_SOME_FAILED) from None
    print(f"{folder.path.name}: {outcome}", file=sys.stderr)
    if outcome is Outcome.ALREADY_DONE:
        raise typer.Exit(_NOTHING_TO_DO)
    if outcome in (Outcome.FAILED, Outcome.BLOCKED):
        raise typer.Exit(_SOME_FAILED)


def _refuse_living(store: Store, root: Root, job: str) -> None:
    """A second attempt beside a living one would only make that one stop."""
    from sweep.status import ACTIVE, observe
    from vitok_core.errors import UserError

    state = observe(root, store, [job])[1][job]
    if state.state in ACTIVE:
        raise UserError(
            f"{job} is {state.state} ({state.reason}): `vitok-sweep logs -f {job}` follows it, "
            f"`vitok-sweep cancel {job}` stops it"
        )


def _decided(plan: Plan, root: Root, db: str | None) -> Decision:
    """What a launch would do now. Leaves no trace where nothing was ever launched."""
    from sweep.launch import current
    from sweep.store import open_store

    return current(plan, root, open_store(root, db))


def _scheduler(name: str | None, root: Root, jobs: int | None, gpus: str | None) -> Scheduler:
    """The back-end with this launch's limits."""
    if name not in (None, "local"):
        from sweep.schedulers import scheduler

        return scheduler(name or "local", root)
    from sweep.schedulers.local import LocalScheduler
    from sweep.schedulers.queue import Limits

    return LocalScheduler(root, Limits(jobs, None if gpus is None else _gpu_ids(gpus)))


def _refuse_first(decision: Decision, root: Root, back_end: Scheduler) -> None:
    """Jobs that could never run are refused before anything is written."""
    from sweep.decide import submissions
    from sweep.launch import refuse

    folder = root.job_folder
    refuse(back_end, submissions(decision, lambda job: folder(job.slug, job.id).path, lambda: "-"))


def _gpu_ids(text: str) -> tuple[int, ...]:
    """`0-3,6` → (0, 1, 2, 3, 6)."""
    from vitok_core.errors import UserError

    ids: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise UserError(f"--gpus {text!r}: expected ids such as 0-7 or 0,2,5")
        end = int(last if dash else first)
        if end > _MOST_GPUS:
            raise UserError(f"--gpus {text!r}: {end} is not a GPU's id")
        ids += range(int(first), end + 1)
    if len(set(ids)) != len(ids):
        raise UserError(f"--gpus {text!r}: an id stands twice")
    return tuple(ids)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _say_decision(decision: Decision, submitted: str = "submitted") -> None:
    from sweep.reconcile import State

    counts = {
        submitted: len(decision.submit),
        "running or waiting": len(decision.active),
        "done already": len(decision.done),
    }
    said = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "no jobs"
    print(f"jobs: {said}", file=sys.stderr)
    for job in decision.left:
        state = decision.states.get(job.id)
        if state is None or state.state not in (State.FAILED, State.UNKNOWN):
            continue  # its parent is named
        advice = f"; see `vitok-sweep why {job.id}`"
        if state.state is State.FAILED:
            advice = f"; `vitok-sweep retry {job.id}`, then launch"
        _say(f"  left alone: {job.slug}-{job.id}: {state.state}: {state.reason}{advice}")


def _end_of_idle(decision: Decision) -> None:
    """Nothing was submitted and nothing runs: say so and leave."""
    if decision.left:
        raise typer.Exit(_SOME_FAILED)
    print("nothing to do: every job is done", file=sys.stderr)
    raise typer.Exit(_NOTHING_TO_DO)


def _confirm(plan: Plan, decision: Decision, yes: bool) -> None:
    """Ask on a terminal before a large launch."""
    hours = sum(job.device_hours for job in decision.submit)
    large = len(decision.submit) > _LARGE or hours > _LARGE_HOURS
    if yes or not large or not sys.stdin.isatty():
        return
    question = f"Submit {len(decision.submit)} jobs, about {hours:.1f} {plan.device}-hours?"
    if not typer.confirm(question, default=True, err=True):
        raise typer.Exit(1)


def _watch(plan: Plan, root: Root, store: Store, file: str) -> None:
    from rich.console import Console

    from sweep.status import job_statuses
    from sweep.watch import troubled, watch

    ids = [job.id for job in plan.jobs]
    try:
        jobs = watch(lambda: job_statuses(store, root, ids), Console(stderr=True))
    except KeyboardInterrupt:
        print(
            "\nthe jobs go on. To watch again: vitok-sweep status "
            f"{plan.sweep} --watch; to stop them: vitok-sweep cancel {plan.sweep}",
            file=sys.stderr,
        )
        raise typer.Exit(0) from None
    trouble = troubled(jobs)
    for job in trouble:
        print(f"{job.state}: {job.slug}-{job.id}: {job.reason}", file=sys.stderr)
    if trouble:
        print(
            f"see `vitok-sweep why JOB` and `logs JOB`; then launch {file} again", file=sys.stderr
        )
        raise typer.Exit(_SOME_FAILED)
