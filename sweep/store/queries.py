"""Reading the index: what is known of jobs. Which jobs a name stands for is in `names`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Select, func, select, text

from sweep.facts import Attempt, Claim, JobFacts
from sweep.schedulers.base import Ending, Liveness, Report
from sweep.store import schema
from sweep.store.engine import Store, fetch
from sweep.store.names import resolve_jobs, sweep_jobs
from sweep.store.sync import select_in

__all__ = ["facts", "resolve_jobs", "sweep_jobs"]

_ALL_ABOVE = 2000  # jobs: beyond, reading all rows is faster than naming them


def facts(store: Store, job_ids: Iterable[str] | None = None) -> dict[str, JobFacts]:
    """What the records say about these jobs AND their ancestors (states need them); None: all.

    Jobs come parents first where the sweep listed them so. Those that neither a job.json nor a
    registration names are left out: the caller may put `JobFacts(id=…)` in their place.
    """
    with store.read() as connection:
        wanted = None if job_ids is None else list(dict.fromkeys(job_ids))
        jobs = _jobs(connection, wanted)
        only = None if wanted is None or len(jobs) > _ALL_ABOVE else list(jobs)
        claims = _claims(connection, only)
        refused = _refused(connection)
        attempts = _attempts(connection, only)
        asked = _asked(connection, only)
    found = {}
    for job, (kind, slug, parents) in jobs.items():
        of_job = attempts.get(job, [])
        of_claims = claims.get(job, [])
        claim = _newest_claim([each for each in of_claims if each.submission not in refused])
        newest = max(of_claims, key=lambda each: each.claim, default=None)
        finished = min((a.attempt for a in of_job if a.outcome == "finished"), default=None)
        found[job] = JobFacts(
            id=job,
            kind=kind,
            slug=slug,
            parents=tuple(parents),
            attempts=len(of_job),
            finished=finished,
            newest=of_job[-1] if of_job else None,
            claim=claim,
            claims=newest.claim if newest else 0,
            refused=refused.get(newest.submission or "") if newest else None,
            claim_taken=claim is not None
            and any(a.submission == claim.submission is not None for a in of_job),
            cancelled=asked.get((job, "cancel")),
            retried=asked.get((job, "retry")),
            adopted=_adopted(of_job, finished),
        )
    return found


def codes(store: Store, job_ids: Iterable[str]) -> dict[str, str]:
    """Which code made the results of the jobs that are done: the canonical attempt's."""
    table = schema.attempts
    query = (
        select(table.c.job_id, table.c.code)
        .where(table.c.outcome == "finished", table.c.code.is_not(None))
        .order_by(table.c.attempt.desc())
    )
    with store.read() as connection:
        return dict(select_in(connection, query, table.c.job_id, job_ids))


def member_jobs(store: Store, sweep: str) -> set[str]:
    """The ids of the jobs of a sweep's current registration; none where it was never launched."""
    query = text("SELECT DISTINCT job_id FROM sweep_member_jobs WHERE sweep = :sweep")
    with store.read() as connection:
        return set(connection.execute(query, {"sweep": sweep}).scalars())


def former_jobs(store: Store) -> set[str]:
    """The ids of jobs that sweeps once had, and no current one has."""
    query = text("SELECT job_id FROM sweep_jobs EXCEPT SELECT job_id FROM sweep_member_jobs")
    with store.read() as connection:
        return set(connection.execute(query).scalars())


def sweep_document(store: Store, sweep: str) -> Any:
    """The resolved file of a sweep's current registration; None where there is none."""
    query = text(
        "SELECT document FROM sweeps JOIN current_sweeps USING (registration) WHERE sweep = :sweep"
    )
    with store.read() as connection:
        document = connection.execute(query, {"sweep": sweep}).scalar()
    return None if document is None else json.loads(document)


def sweep_file(store: Store, sweep: str) -> str:
    """The file that a sweep's current registration was read from; its name where none is kept."""
    query = text("SELECT file FROM current_sweeps WHERE sweep = :sweep")
    with store.read() as connection:
        return connection.execute(query, {"sweep": sweep}).scalar() or sweep


def _jobs(
    connection: Connection, wanted: Sequence[str] | None
) -> dict[str, tuple[str, str, list[str]]]:
    """Kind, slug and parents by job id: of the wanted ones and their ancestors, or of all."""
    table, edges = schema.jobs, schema.edges
    query = select(table.c.job_id, table.c.kind, table.c.slug)
    planned = schema.registered_jobs
    registered = select(planned.c.job_id, planned.c.kind, planned.c.slug, planned.c.parents)
    parents_of = select(edges.c.job_id, edges.c.parent_id).order_by(*edges.primary_key.columns)
    found: dict[str, tuple[str, str, list[str]]] = {}
    if wanted is None or len(wanted) > _ALL_ABOVE:
        for job, kind, slug in fetch(connection, query):
            found[job] = (kind, slug, [])
        launched = set(found)
        for job, kind, slug, parents in fetch(connection, registered):
            if job not in launched:
                found[job] = (kind, slug, json.loads(parents))
        for job, parent in fetch(connection, parents_of):
            if job in launched:
                found[job][2].append(parent)
        return found if wanted is None else _with_ancestors(found, wanted)
    frontier = list(wanted)
    while frontier:
        launched = set()
        for job, kind, slug in select_in(connection, query, table.c.job_id, frontier):
            found[job] = (kind, slug, [])
            launched.add(job)
        for job, kind, slug, parents in select_in(
            connection, registered, planned.c.job_id, frontier
        ):
            if job not in launched:
                found[job] = (kind, slug, json.loads(parents))
        for job, parent in select_in(connection, parents_of, edges.c.job_id, frontier):
            if job in launched:
                found[job][2].append(parent)
        above = dict.fromkeys(p for job in frontier if job in found for p in found[job][2])
        frontier = [job for job in above if job not in found]
    order = [job for job in wanted if job in found]
    return {job: found[job] for job in (*order, *found)}


def _with_ancestors(
    jobs: dict[str, tuple[str, str, list[str]]], wanted: Sequence[str]
) -> dict[str, tuple[str, str, list[str]]]:
    kept: dict[str, tuple[str, str, list[str]]] = {}
    frontier = list(wanted)
    while frontier:
        kept |= {job: jobs[job] for job in frontier if job in jobs}
        above = dict.fromkeys(p for job in frontier if job in jobs for p in jobs[job][2])
        frontier = [job for job in above if job not in kept]
    return kept


def _rows(
    connection: Connection, query: Select[Any], column: Column[Any], only: Sequence[str] | None
) -> Iterable[Any]:
    if only is None:
        return fetch(connection, query)
    return select_in(connection, query, column, only)


_ATTEMPT_COLUMNS = (
    "attempt", "started", "submission", "scheduler", "scheduler_id", "host", "pid", "pid_start",
    "outcome", "ended", "message", "user_error", "last_t", "progress_done", "progress_total",
    "progress_unit", "progress_t", "progress_first_done", "progress_first_t", "adopted",
    "error_class",
)  # fmt: skip


def _attempts(connection: Connection, only: Sequence[str] | None) -> dict[str, list[Attempt]]:
    """Attempts by job, the newest last."""
    table = schema.attempts
    query = select(table.c.job_id, *(table.c[name] for name in _ATTEMPT_COLUMNS))
    found: dict[str, list[Attempt]] = {}
    for job, *values, error_class in _rows(connection, query, table.c.job_id, only):
        attempt = Attempt._make(values)
        if error_class:
            message = f"{error_class}: {attempt.message}" if attempt.message else error_class
            attempt = attempt._replace(message=message, user=bool(attempt.user))
        found.setdefault(job, []).append(attempt)
    for of_job in found.values():
        of_job.sort(key=lambda attempt: attempt.attempt)
    return found


def _adopted(attempts: Sequence[Attempt], finished: int | None) -> str | None:
    """In words, which file the weights of the canonical attempt come from."""
    for attempt in attempts:
        if attempt.attempt == finished and attempt.adopted is not None:
            told = json.loads(attempt.adopted)
            return f"{told['source']} (sha256 {told['sha256'][:12]}…)"
    return None


def _claims(connection: Connection, only: Sequence[str] | None) -> dict[str, list[Claim]]:
    """Claims by job, each with the scheduler's id where the launcher recorded it."""
    table, events = schema.claims, schema.launcher_events
    query = select(
        table.c.job_id, table.c.claim, table.c.t, table.c.submission, table.c.scheduler,
        table.c.host, table.c.launch,
    )  # fmt: skip
    rows = list(_rows(connection, query, table.c.job_id, only))
    recorded = select(events.c.submission, events.c.scheduler_id).where(
        events.c.event == "submission", events.c.scheduler_id.is_not(None)
    )
    # Not joined by the database: SQLite's planner takes the wrong index and is quadratic.
    named = None if only is None else list({row[3] for row in rows if row[3]})
    ids: dict[str, str] = dict(_rows(connection, recorded, events.c.submission, named))
    found: dict[str, list[Claim]] = {}
    for job, claim, t, submission, scheduler, host, launch in rows:
        own = ids.get(submission)
        each = Claim(claim, t, submission, scheduler, own, host, launch)
        found.setdefault(job, []).append(each)
    return found


def _refused(connection: Connection) -> dict[str, str]:
    """Why schedulers refused submissions, by submission."""
    table = schema.launcher_events
    query = select(table.c.submission, table.c.record).where(table.c.event == "refused")
    return {
        submission: str(json.loads(record).get("message") or "refused by the scheduler")
        for submission, record in fetch(connection, query)
        if submission is not None
    }


def endings(store: Store) -> dict[str, Report]:
    """How submissions ended, as a scheduler once told a launcher, by submission."""
    table = schema.launcher_events
    query = select(table.c.submission, table.c.scheduler_id, table.c.record).where(
        table.c.event == "ended", table.c.submission.is_not(None)
    )
    found = {}
    with store.read() as connection:
        for submission, own, record in fetch(connection, query):
            told = json.loads(record)
            if told.get("ending") in set(Ending):
                reason = str(told.get("reason") or "")
                found[submission] = Report(Liveness.GONE, own, reason, Ending(told["ending"]))
    return found


def _newest_claim(claims: Sequence[Claim]) -> Claim | None:
    """The newest whole claim: one that is torn was never submitted. Torn ones if there are none."""
    whole = [claim for claim in claims if claim.submission is not None]
    return max(whole or claims, key=lambda claim: claim.claim, default=None)


def _asked(connection: Connection, only: Sequence[str] | None) -> Mapping[tuple[str, str], float]:
    """When each job was last cancelled or retried, by (job, event)."""
    table = schema.launcher_events
    query = (
        select(table.c.job_id, table.c.event, func.max(table.c.t))
        .where(table.c.event.in_(("cancel", "retry")), table.c.job_id.is_not(None))
        .group_by(table.c.job_id, table.c.event)
    )
    return {(job, event): t for job, event, t in _rows(connection, query, table.c.job_id, only)}
