"""`status`, `why`, `logs`: how jobs stand. They read, and change nothing but the index."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.options import DEFAULT_RESULTS, Database, Json, Results

if TYPE_CHECKING:
    from sweep.layout import Root
    from sweep.status import JobStatus
    from sweep.store import Store

_SOME_FAILED = 4
_ROWS = 200

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
    as_json: Json = False,
    results: Results = DEFAULT_RESULTS,
    db: Database = None,
) -> None:
    """Show how jobs stand: states, progress, attempts.

    With --watch the exit code is 4 when jobs have failed; Ctrl-C leaves the jobs running.

    Example: vitok-sweep status quickstart --watch
    """
    from sweep.status import counts

    store, root = opened(results, db)
    jobs = _watch(store, root, sweep, show=not as_json) if watch else _jobs(store, root, sweep)
    if as_json:
        document = {"counts": counts(jobs), "jobs": [job.as_json() for job in jobs]}
        print(json.dumps(document, indent=1, allow_nan=False))
    elif not watch:
        from sweep.statusview import console, status_table

        console().print(status_table(jobs, _ROWS))
    if watch:
        from sweep.watch import troubled

        if troubled(jobs):
            raise typer.Exit(_SOME_FAILED)


def why(name: JobName, results: Results = DEFAULT_RESULTS, db: Database = None) -> None:
    """Say why a job is in its state, and what to do.

    Example: vitok-sweep why tokenizer-128x1-128x2-p16-c16-64p-s0
    """
    import time

    from sweep.logs import log_files, tail
    from sweep.status import observe
    from sweep.store import queries
    from sweep.why import explain

    store, root = opened(results, db)
    jobs = queries.resolve_jobs(store, name)
    facts, found = observe(root, store, jobs)
    paragraphs = []
    for job in jobs:
        lines = [line for path in log_files(store, root, facts[job]) for line in tail(path, 8)]
        paragraphs.append(explain(facts[job], facts, found, lines[-8:], time.time()))
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
) -> None:
    """Print the log of a job's newest submission.

    Example: vitok-sweep logs tokenizer-128x1-128x2-p16-c16-64p-s0 --follow
    """
    from sweep.logs import follow as following
    from sweep.logs import log_files
    from sweep.store import queries, sync
    from sweep.store.names import one_job

    store, root = opened(results, db)
    job = one_job(store, name)
    files = log_files(store, root, queries.facts(store, [job])[job])
    if not files and not follow:
        print(f"{name}: no log yet", file=sys.stderr)
        return

    def find() -> list[Path]:
        sync(store, root)
        return log_files(store, root, queries.facts(store, [job])[job])

    def ended() -> bool:
        return all(each.state not in _active() for each in _look(store, root, job))

    try:
        if follow:
            following(find, ended, _write)
        else:
            for path in files:
                _write(_log_text(path, lines))
    except KeyboardInterrupt:
        print("(the job goes on)", file=sys.stderr)


def opened(results: Path, db: str | None) -> tuple[Store, Root]:
    """The store of a results root, brought up to date; warnings go to stderr."""
    from sweep.layout import Root
    from sweep.store import open_store, sync

    root = Root(results)
    if not root.path.is_dir():
        print(f"note: {results} does not exist: no results there yet", file=sys.stderr)
    store = open_store(root, db)
    for warning in sync(store, root).warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return store, root


def _look(store: Store, root: Root, name: str | None) -> list[JobStatus]:
    from sweep.store import sync

    sync(store, root)
    return _jobs(store, root, name)


def _jobs(store: Store, root: Root, name: str | None) -> list[JobStatus]:
    from sweep.status import job_statuses
    from sweep.store import queries

    return job_statuses(store, root, None if name is None else queries.resolve_jobs(store, name))


def _log_text(path: Path, lines: int | None) -> str:
    from sweep.logs import tail

    if lines is None:
        return path.read_text("utf-8", "replace")
    return "".join(f"{line}\n" for line in tail(path, lines))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _active() -> frozenset[str]:
    from sweep.status import ACTIVE

    return ACTIVE


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
