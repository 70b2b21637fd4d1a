"""Which jobs a name on the command line stands for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from sweep.store.engine import Store, fetch
from vitok_core.errors import UserError


@dataclass(frozen=True)
class Names:
    """Everything in the index that has a name."""

    sweeps: Sequence[str]
    jobs: Mapping[str, str]  # slug by id
    points: Mapping[str, str]  # slug by id
    members: Mapping[str, Sequence[str]]  # a point's jobs

    def resolve(self, name: str) -> list[str] | None:
        """The jobs so named, by whole names before prefixes; None for a sweep or for nothing.

        Raises:
            UserError: several things have this name; the message lists them.
        """
        if name in self.jobs:
            return [name]
        if name in self.sweeps or not name:
            return None
        return self._matching(lambda each: each == name, name) or self._matching(
            lambda each: each.startswith(name), name
        )

    def _matching(self, fits: Callable[[str], bool], name: str) -> list[str] | None:
        jobs = self._current(
            [
                job
                for job, slug in self.jobs.items()
                if fits(job) or fits(slug) or fits(f"{slug}-{job}")
            ]
        )
        points = [point for point, slug in self.points.items() if fits(point) or fits(slug)]
        if len(jobs) <= 1 and not points:
            return jobs or None
        of_point = list(self.members.get(points[0], ())) if len(points) == 1 else []
        if len(points) == 1 and set(jobs) <= set(of_point):
            return of_point  # jobs are called after their point
        several = [f"{self.jobs[job]}-{job}" for job in jobs]
        several = several or [f"{self.points[point]} ({point})" for point in points]
        raise UserError(f"{name!r} names several: {_listed(several)}; give more of the id")

    def _current(self, jobs: list[str]) -> list[str]:
        """Of several jobs those that current sweeps have, if any: not what a former `--set` made
        under the same slug."""
        members = {job for of_point in self.members.values() for job in of_point}
        current = [job for job in jobs if job in members]
        return current if len(jobs) > 1 and current else jobs

    def missing(self, name: str) -> UserError:
        """Nothing has this name."""
        slugs = {*self.jobs.values(), *self.points.values()}
        known = [*self.sweeps, *sorted(slugs - set(self.sweeps))]
        return UserError(_no_such("job, point or sweep", name, known))


def resolve_jobs(store: Store, name: str) -> list[str]:
    """The jobs that a name stands for, a sweep's in the order of its points.

    A name is a job's id, its slug or `<slug>-<id>`, a point's id or slug, a sweep's name, or a
    prefix of an id or slug that only one job or one point has.

    Raises:
        UserError: nothing or several things have this name; the message lists candidates.
    """
    names = _names(store)
    found = names.resolve(name)
    if found is not None:
        return found
    if name in names.sweeps:
        return sweep_jobs(store, name)
    raise names.missing(name)


def sweep_jobs(store: Store, sweep: str) -> list[str]:
    """The ids of a sweep's jobs, in the order of its points.

    Raises:
        UserError: there is no such sweep; the message names the nearest.
    """
    query = text("SELECT job_id FROM sweep_member_jobs WHERE sweep = :sweep ORDER BY position")
    with store.read() as connection:
        names = sweep_names(connection)
        if sweep not in names:
            raise UserError(_no_such("sweep", sweep, names))
        return list(dict.fromkeys(connection.execute(query, {"sweep": sweep}).scalars()))


def one_job(store: Store, name: str) -> str:
    """As `resolve_jobs`, where one is needed: of a point's jobs the one that was active last."""
    jobs = resolve_jobs(store, name)
    if not jobs:
        raise UserError(f"{name!r} has no jobs")
    if len(jobs) == 1:
        return jobs[0]
    newest = text("SELECT job_id, MAX(last_t) AS t FROM attempts GROUP BY job_id")
    with store.read() as connection:
        times: dict[str, float] = dict(fetch(connection, newest))
    return max(jobs, key=lambda job: times.get(job) or 0.0)


def sweep_names(connection: Connection) -> list[str]:
    """All sweeps, the newest first."""
    query = text("SELECT sweep FROM current_sweeps ORDER BY t DESC, uid DESC")
    return list(connection.execute(query).scalars())


def _names(store: Store) -> Names:
    with store.read() as connection:
        jobs: dict[str, str] = dict(fetch(connection, text("SELECT job_id, slug FROM jobs")))
        for job, slug in fetch(connection, text("SELECT job_id, slug FROM registered_jobs")):
            jobs.setdefault(job, slug)  # never launched
        points = {
            point: slug or point
            for point, slug in connection.execute(text("SELECT point_id, slug FROM points"))
        }
        members: dict[str, dict[str, None]] = {}
        query = text("SELECT point_id, job_id FROM sweep_member_jobs ORDER BY position")
        for point, job in connection.execute(query):
            members.setdefault(point, {})[job] = None
        sweeps = sweep_names(connection)
    return Names(sweeps, jobs, points, {point: list(of) for point, of in members.items()})


def _no_such(what: str, name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"no {what} {name!r}; nearest: {', '.join(near)}"
    return f"no {what} {name!r}" + (f"; there are: {_listed(names)}" if names else "; none yet")


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
