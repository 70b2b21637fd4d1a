"""`status`, `why`, `logs`: how jobs stand. They read, and change nothing but the index."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.exits import SOME_FAILED
from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results, Site
from sweep.cli.predicting import checked, print_checked

if TYPE_CHECKING:
    from sweep.layout import Root
    from sweep.status import JobStatus
    from sweep.store import Store

_ROWS = 100

JobName = Annotated[
    str, typer.Argument(metavar="JOB", help="A job or point: a slug, or any unique id prefix.")
]


def register(app: typer.Typer) -> None:
    """Attach the commands."""
    for command in (status, why, logs):
        app.command()(command)


def status(
    sweep: Annotated[
        str | None, typer.Argument(metavar="[SWEEP]", help="This sweep alone (or a point, a job).")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay and show changes until all jobs end.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Also flag scores outside what the other points lead one to expect."
        ),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="List every job, those that are done too.")
    ] = False,
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Show how jobs stand: their number by state, and state, progress, attempts of those not done.

    Of a sweep that was launched in part, once that part is done, the done ones are listed too.

    With --watch the exit code is 4 when jobs have failed; Ctrl-C leaves the jobs running.

    Example: vitok-sweep status quickstart --watch
    """
    import gc

    from sweep.search.standing import standings
    from sweep.status import counts

    if not watch:
        gc.disable()  # ten thousand jobs are many small objects that live until the end
    store, root = opened(results, db, site)
    jobs = _watch(store, root, sweep, show=not as_json) if watch else _jobs(store, root, sweep)
    held = None
    if check:
        held = checked(store, root, jobs)
    searches = standings(store, sweep, {job.id: job.state for job in jobs})
    if as_json:
        document = {"counts": counts(jobs), "jobs": [job.as_json() for job in jobs]}
        document |= {} if held is None else {"check": held}
        document |= {"search": [each.as_json() for each in searches]} if searches else {}
        print(json.dumps(document, indent=1, allow_nan=False))
    elif not watch:
        from rich.console import Console

        from sweep.statusview import WIDE, open_ones, show, status_table

        screen = Console()
        width = screen.width if screen.is_terminal else WIDE
        shown = jobs if every else open_ones(jobs)
        show(status_table(shown, None if every else _ROWS, width, of=jobs))
    if searches and not as_json:
        print("\n".join(line for each in searches for line in each.lines()))
    if held is not None and not as_json:
        print()
        print_checked(held)
    if watch:
        from sweep.watch import troubled

        if troubled(jobs):
            raise typer.Exit(SOME_FAILED)


def why(
    name: JobName, results: Results = DEFAULT_RESULTS, db: Database = None, site: Site = None
) -> None:
    """Say why a job is in its state, and what to do.

    Example: vitok-sweep why tokenizer-128x1-128x2-p16-c16-64p-s0
    """
    import time

    from sweep.logs import log_files, tail
    from sweep.status import observe, silence
    from sweep.store import queries
    from sweep.why import explain

    store, root = opened(results, db, site)
    jobs = queries.resolve_jobs(store, name)
    seen = observe(root, store, jobs)
    for silent in seen.silent:
        _note(silence(silent))
    former = queries.former_jobs(store)
    paragraphs = []
    for job in jobs:
        facts = seen.facts[job]
        lines = [line for path in log_files(store, root, facts) for line in tail(path, 8)]
        told = facts, seen.facts, seen.states, lines[-8:], time.time()
        paragraphs.append(explain(*told, current=job not in former))
    print("\n\n".join(paragraphs))


def logs(
    name: JobName,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends.")
    ] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=1, help="The last lines only.")
    ] = None,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
    site: Site = None,
) -> None:
    """Print the log of a job's newest submission.

    Example: vitok-sweep logs tokenizer-128x1-128x2-p16-c16-64p-s0 --follow
    """
    from sweep.logs import follow as following
    from sweep.logs import log_files
    from sweep.store import queries, sync
    from sweep.store.names import one_job
    from sweep.watch import is_over

    store, root = opened(results, db, site)
    job = one_job(store, name)
    files = log_files(store, root, queries.facts(store, [job])[job])
    if not files and not follow:
        print(f"{name}: no log yet", file=sys.stderr)
        return

    def find() -> list[Path]:
        sync(store, root)
        return log_files(store, root, queries.facts(store, [job])[job])

    def ended() -> bool:
        return is_over(_look(store, root, job))

    try:
        if follow:
            following(find, ended, _write)
        else:
            for path in files:
                _write(_log_text(path, lines))
    except KeyboardInterrupt:
        print("(the job goes on)", file=sys.stderr)


def opened(results: Path, db: str | None, site: Path | None = None) -> tuple[Store, Root]:
    """The store of a results root, brought up to date; warnings go to stderr."""
    from sweep.layout import Root
    from sweep.store import open_store, sync
    from sweep.store.advice import IndexFull
    from sweep.store.where import database_url

    root = Root(results)
    if not root.path.is_dir():
        print(f"note: {results} does not exist: no results there yet", file=sys.stderr)
    try:
        store = open_store(root, database_url(db, site))
        report = sync(store, root)
    except IndexFull as error:  # just then one must look, cancel and free disk
        _note(f"{error}; an index in memory stands in for this command")
        store = open_store(root, "sqlite://")
        report = sync(store, root)
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return store, root


def _look(store: Store, root: Root, name: str | None) -> list[JobStatus]:
    from sweep.store import sync

    sync(store, root)
    return _jobs(store, root, name)


def _jobs(store: Store, root: Root, name: str | None) -> list[JobStatus]:
    from sweep.reconcile import State
    from sweep.status import job_statuses
    from sweep.store import queries

    if name is not None:
        return job_statuses(store, root, queries.resolve_jobs(store, name), _note)
    former = queries.former_jobs(store)
    # What an earlier launch planned and no sweep has any more is nobody's plan.
    return [
        job
        for job in job_statuses(store, root, None, _note)
        if job.state is not State.PLANNED or job.id not in former
    ]


_noted: set[str] = set()


def _note(line: str) -> None:
    """Said once by one command, however often it looks."""
    if line not in _noted:
        _noted.add(line)
        print(f"note: {line}", file=sys.stderr)


def _log_text(path: Path, lines: int | None) -> str:
    from sweep.logs import tail

    if lines is None:
        return path.read_text("utf-8", "replace")
    return "".join(f"{line}\n" for line in tail(path, lines))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _watch(store: Store, root: Root, name: str | None, *, show: bool) -> list[JobStatus]:
    """Show the jobs until none runs or waits; the last look is what is returned."""
    from rich.console import Console

    from sweep.watch import watch

    try:
        return watch(lambda: _look(store, root, name), Console(stderr=not show))
    except KeyboardInterrupt:
        again = f"vitok-sweep status {name + ' ' if name else ''}--watch"
        print(f"\nthe jobs go on. To watch again: {again}", file=sys.stderr)
        raise typer.Exit(0) from None
