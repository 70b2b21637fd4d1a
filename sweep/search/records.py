"""What a search writes down, in the launcher's journal, and what is read back from the index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import bindparam, text

from sweep.launchlog import LaunchLog
from sweep.search.metrics import SHARED
from sweep.search.model import Objective
from sweep.search.outcome import Score
from sweep.search.trials import Trial
from sweep.spec.problems import Mark
from sweep.store import Store

_CHUNK = 500  # names in one query


@dataclass(frozen=True)
class Recorded:
    """A trial that was chosen, in the order of choosing.

    Args:
        attrs: what the sampler noted of it.
        pruned: why it was stopped; "" where it was not.
    """

    trial: Trial
    attrs: Mapping[str, Any]
    pruned: str


@dataclass(frozen=True)
class Goal:
    """What the newest controller of a sweep was after."""

    objectives: tuple[Objective, ...]
    budgets: Mapping[str, int]  # trials by study


def write_goal(log: LaunchLog, sweep: str, goal: Goal) -> None:
    """Before the first trial."""
    plain = [
        {each.name: getattr(one, each.name) for each in fields(one) if each.name != "mark"}
        for one in goal.objectives
    ]
    log.write("search", sweep=sweep, objectives=plain, budgets=dict(goal.budgets))


def write_trial(log: LaunchLog, sweep: str, trial: Trial, attrs: Mapping[str, Any]) -> None:
    """Before any of its jobs is launched."""
    log.write("trial", sweep=sweep, **vars(trial), attrs=dict(attrs))


def write_pruned(log: LaunchLog, sweep: str, trial: Trial, why: str) -> None:
    """Before its jobs are cancelled."""
    log.write("pruned", sweep=sweep, study=trial.study, jobs=trial.jobs, why=why)


def read_trials(store: Store, sweep: str) -> list[Recorded]:
    """Every trial that was ever chosen for a sweep of that name."""
    pruned: dict[tuple[str, tuple[str, ...]], str] = {}
    found: dict[tuple[str, tuple[str, ...]], tuple[Trial, Any]] = {}
    for record in _records(store, sweep, ("trial", "pruned")):
        key = record["study"], tuple(record["jobs"])
        if record["event"] == "pruned":
            pruned[key] = record["why"]
        elif key not in found:
            given = {each.name: record[each.name] for each in fields(Trial)}
            given |= {"points": tuple(record["points"]), "jobs": key[1]}
            found[key] = Trial(**given), record["attrs"]
    return [Recorded(*each, pruned.get(key, "")) for key, each in found.items()]


def read_goals(store: Store) -> dict[str, Goal]:
    """What the newest controller of each searching sweep was after, by the sweep's name."""
    found = {}
    for record in _records(store, None, ("search",)):
        objectives = (Objective(**each, mark=Mark("")) for each in record["objectives"])
        found[record["sweep"]] = Goal(tuple(objectives), record["budgets"])
    return found


def _records(store: Store, sweep: str | None, events: Sequence[str]) -> list[dict[str, Any]]:
    query = text(
        "SELECT record FROM launcher_events WHERE event IN :events ORDER BY t, launch, at"
    ).bindparams(bindparam("events", expanding=True))
    with store.read() as connection:
        rows = connection.execute(query, {"events": list(events)}).scalars().all()
    records = map(json.loads, rows)
    return [each for each in records if sweep in (None, each["sweep"])]


def scores(store: Store, jobs: Sequence[str]) -> list[Score]:
    """What these jobs scored of final weights; without what points share with others."""
    query = text(
        "SELECT point_id, job_id, dataset, cfg_scale, stage, eval_length, metric, value "
        "FROM point_metrics WHERE job_id IN :jobs AND step IS NULL AND kind NOT IN :shared"
    ).bindparams(bindparam("jobs", expanding=True), bindparam("shared", expanding=True))
    found: list[Score] = []
    with store.read() as connection:
        for start in range(0, len(jobs), _CHUNK):
            some = {"jobs": list(jobs[start : start + _CHUNK]), "shared": list(SHARED)}
            found += [Score(*row) for row in connection.execute(query, some)]
    return found


def curves(store: Store, jobs: Sequence[str], metric: str) -> dict[str, dict[int, float]]:
    """The learning curves of a metric by job; steps without a number are left out."""
    query = text(
        "SELECT job_id, step, value FROM curves WHERE job_id IN :jobs AND metric = :metric "
        "AND value IS NOT NULL"
    ).bindparams(bindparam("jobs", expanding=True))
    found: dict[str, dict[int, float]] = {}
    with store.read() as connection:
        for start in range(0, len(jobs), _CHUNK):
            some = {"jobs": list(jobs[start : start + _CHUNK]), "metric": metric}
            for job, step, value in connection.execute(query, some):
                found.setdefault(job, {})[step] = value
    return found


def members(store: Store, sweep: str) -> frozenset[str]:
    """The points of a sweep's current registration."""
    query = text("SELECT point_id FROM sweep_members WHERE sweep = :sweep")
    with store.read() as connection:
        return frozenset(connection.execute(query, {"sweep": sweep}).scalars())


def of_others(store: Store, sweep: str, jobs: Sequence[str]) -> frozenset[str]:
    """Those of the jobs that another sweep has too."""
    query = text(
        "SELECT DISTINCT job_id FROM sweep_member_jobs WHERE sweep <> :sweep AND job_id IN :jobs"
    ).bindparams(bindparam("jobs", expanding=True))
    with store.read() as connection:
        return frozenset(connection.execute(query, {"sweep": sweep, "jobs": list(jobs)}).scalars())
