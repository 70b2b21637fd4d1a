"""What of finished jobs may go: weights of tokenizers that were scored and are not the best, and
latents that every generator has learned from."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text

from sweep.facts import JobFacts
from sweep.spec.problems import nearest
from sweep.store import Store
from vitok_core.errors import UserError

# The scores of a sweep's tokenizers, by what makes them comparable.
_SCORES = """
SELECT m.sweep, c.dataset, r.protocol, e.parent_id, r.value
FROM canonical_results r
JOIN jobs c ON c.job_id = r.job_id
JOIN edges e ON e.job_id = r.job_id
JOIN sweep_member_jobs m ON m.job_id = r.job_id
WHERE r.name = :name AND r.value IS NOT NULL
"""


def spent(store: Store, facts: Mapping[str, JobFacts], by: str, better: int) -> frozenset[str]:
    """The tokenizers that nothing here still needs and that are nowhere the best.

    Best is told within one sweep, data set and protocol. A tokenizer stays whose children are not
    all done, or which one of its sweeps has no score of.

    Args:
        facts: of all jobs.
        by: a result's name; of a feature network also without its `[…]` where there is one alone.
        better: +1 where higher is better, -1 where lower is.

    Raises:
        UserError: nothing has such a result.
    """
    with store.read() as connection:
        names = connection.execute(text("SELECT DISTINCT name FROM canonical_results")).scalars()
        rows = connection.execute(text(_SCORES), {"name": _full_name(by, sorted(names))}).all()
        members = connection.execute(text("SELECT job_id, sweep FROM sweep_member_jobs")).all()
    groups: dict[tuple[str, ...], dict[str, float]] = {}
    for *group, job, value in rows:
        groups.setdefault(tuple(group), {})[job] = value
    scored = {(job, sweep) for (sweep, *_), scores in groups.items() for job in scores}
    best = {
        job
        for scores in groups.values()
        for job, value in scores.items()
        if value * better == max(each * better for each in scores.values())
    }
    compared = {job for job, _ in scored}
    missing = {job for job, sweep in members if (job, sweep) not in scored}
    awaited = {parent for job in facts.values() if job.finished is None for parent in job.parents}
    return frozenset(
        job.id
        for job in facts.values()
        if job.kind == "tokenizer"
        and job.finished is not None
        and job.id in compared
        and job.id not in best | missing | awaited
    )


def read_out(facts: Mapping[str, JobFacts]) -> frozenset[str]:
    """The finished `latents` that have generators here, all of them done.

    Args:
        facts: of all jobs.
    """
    done = {parent for job in facts.values() if job.finished is not None for parent in job.parents}
    awaited = {parent for job in facts.values() if job.finished is None for parent in job.parents}
    return frozenset(
        job.id
        for job in facts.values()
        if job.kind == "latents" and job.finished is not None and job.id in done - awaited
    )


def _full_name(by: str, names: list[str]) -> str:
    networks = [name for name in names if name.partition("[")[0] == by]
    if by not in names and len(networks) == 1:
        return networks[0]
    if by not in names:
        hint = f"; one of {', '.join(networks)}" if networks else nearest(by, names)
        raise UserError(f"--by {by}: no finished job has this result{hint}")
    return by
