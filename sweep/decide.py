"""What a launch should do, decided from the plan and the jobs' states. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.model import ClusterOptions, Plan, PlannedJob, Resources, cluster_options
from sweep.reconcile import JobState, State
from sweep.schedulers.base import Submission

# `launch` takes these up again by itself; a failed job waits for `retry`, an unknown one for its
# scheduler's word.
_OPEN = frozenset({State.PLANNED, State.LOST, State.BLOCKED, State.CANCELLED})
_ACTIVE = frozenset({State.SUBMITTED, State.RUNNING})


@dataclass(frozen=True)
class Decision:
    """The plan's jobs by what becomes of them, each list with parents before children."""

    submit: tuple[PlannedJob, ...] = ()
    done: tuple[PlannedJob, ...] = ()
    active: tuple[PlannedJob, ...] = ()
    left: tuple[PlannedJob, ...] = ()  # failed or unknown, and what depends on them
    states: Mapping[str, JobState] = field(default_factory=dict)


def decide(
    plan: Plan, states: Mapping[str, JobState], spared: Collection[str] = frozenset()
) -> Decision:
    """Sort the plan's jobs. A job that is not in `states` was never launched.

    Args:
        spared: jobs to leave alone although they could be taken up again (they were, too often or
            just now).
    """
    by_state: dict[str, list[PlannedJob]] = {"submit": [], "done": [], "active": [], "left": []}
    going: set[str] = set()  # done, active or to be submitted: their children may follow
    for job in plan.jobs:
        state = states[job.id].state if job.id in states else State.PLANNED
        if state is State.DONE:
            where = "done"
        elif state in _ACTIVE:
            where = "active"
        elif (
            state in _OPEN
            and job.id not in spared
            and all(parent in going for parent in job.parents)
        ):
            where = "submit"
        else:
            where = "left"
        by_state[where].append(job)
        if where != "left":
            going.add(job.id)
    sorted_jobs = {name: tuple(jobs) for name, jobs in by_state.items()}
    return Decision(**sorted_jobs, states=states)


def submissions(
    decision: Decision, folder: Callable[[PlannedJob], Path], new_id: Callable[[], str]
) -> list[tuple[Submission, tuple[PlannedJob, ...]]]:
    """One process per point where its jobs are to be chained, else one per job; parents first.

    A chain has one place in a cluster: jobs that ask for different partitions make different ones.
    A job joins its point's chain only if every parent outside it runs in an earlier chain: chains
    never wait for each other in a circle.
    """
    done = {job.id for job in decision.done}
    by_id = {job.id: job for job in (*decision.done, *decision.active, *decision.submit)}
    chains: list[list[PlannedJob]] = []
    chain_of: dict[str, int] = {}
    open_chain: dict[tuple[str, ClusterOptions], int] = {}
    for job in decision.submit:
        alike = job.point, cluster_options(job.resources)
        index = open_chain.get(alike) if job.resources.chain else None
        if index is None or any(chain_of.get(parent, -1) > index for parent in job.parents):
            index = len(chains)
            chains.append([])
            if job.resources.chain:
                open_chain[alike] = index
        chains[index].append(job)
        chain_of[job.id] = index
    found = []
    for chain in chains:
        inside = {job.id for job in chain}
        waits = dict.fromkeys(
            parent
            for job in chain
            for parent in job.parents
            if parent not in inside and parent not in done
        )
        found.append(
            (
                Submission(
                    id=new_id(),
                    folders=tuple(folder(job) for job in chain),
                    after=tuple(folder(by_id[parent]) for parent in waits),
                    resources=_widest([job.resources for job in chain]),
                    kinds=tuple(job.kind for job in chain),
                ),
                tuple(chain),
            )
        )
    return found


def _widest(resources: Sequence[Resources]) -> Resources:
    """What one submission needs to run all of these, one after the other."""
    return resources[0].model_copy(
        update={
            "nodes": max(each.nodes for each in resources),
            "gpus": max(each.gpus for each in resources),
            "processes": max(each.processes for each in resources),
            "threads": max(each.threads for each in resources),
            "memory_gb": max(each.memory_gb for each in resources),
            "hours": sum(each.hours for each in resources),
        }
    )
