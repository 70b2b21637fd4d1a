"""What a launch does, decided without effects: random graphs, random states."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubbed import resources

from sweep.decide import decide, submissions
from sweep.model import Plan, PlannedJob
from sweep.reconcile import JobState, State

OPEN = {State.PLANNED, State.LOST, State.BLOCKED, State.CANCELLED}


def job(name: str, *parents: str, point: str = "p", chain: bool = True, **asked: Any) -> PlannedJob:
    given = resources(chain=chain, **asked)
    return PlannedJob(name, "floor", 1, f"slug-{name}", {}, parents, given, point, 0.0, 0.0)


def plan(*jobs: PlannedJob) -> Plan:
    return Plan("s", "s.yaml", {}, (), jobs, "cpu")


def known(**found: State) -> Mapping[str, JobState]:
    return {name: JobState(state) for name, state in found.items()}


def chains(*jobs: PlannedJob, **found: State) -> list[tuple[list[str], list[str]]]:
    """Each submission's jobs, and the jobs that it waits for."""
    numbers = count()
    decision = decide(plan(*jobs), known(**found))
    chosen = submissions(decision, lambda job: Path(job.id), lambda: f"s{next(numbers)}")
    return [
        ([job.id for job in jobs], [path.name for path in submission.after])
        for submission, jobs in chosen
    ]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[tuple[PlannedJob, ...], dict[str, State]]:
    """Jobs in any order that has parents first, over a few points, some to be chained."""
    jobs: list[PlannedJob] = []
    for number in range(draw(st.integers(1, 14))):
        several = st.lists(st.sampled_from(jobs or [None]), max_size=3, unique_by=id)
        parents = draw(several) if jobs else []
        jobs.append(
            job(f"j{number}", *(parent.id for parent in parents),
                point=draw(st.sampled_from("abc")), chain=draw(st.booleans()))
        )  # fmt: skip
    found = {each.id: draw(st.sampled_from(State)) for each in jobs if draw(st.booleans())}
    return tuple(jobs), found


@given(graphs())
def test_every_job_has_one_place(drawn: tuple[tuple[PlannedJob, ...], dict[str, State]]) -> None:
    jobs, found = drawn
    decision = decide(plan(*jobs), known(**found))
    lists = (decision.submit, decision.done, decision.active, decision.left)
    assert sorted(each.id for some in lists for each in some) == sorted(each.id for each in jobs)
    going = {each.id for some in lists[:3] for each in some}
    for each in decision.submit:
        assert found.get(each.id, State.PLANNED) in OPEN
        assert set(each.parents) <= going
    for each in decision.left:
        state = found.get(each.id, State.PLANNED)
        assert state in (State.FAILED, State.UNKNOWN) or not set(each.parents) <= going


@given(graphs())
def test_chains_run_every_job_once_and_never_wait_in_a_circle(
    drawn: tuple[tuple[PlannedJob, ...], dict[str, State]],
) -> None:
    jobs, found = drawn
    by_id = {each.id: each for each in jobs}
    made = chains(*jobs, **found)
    decision = decide(plan(*jobs), known(**found))
    ordered = [name for names, _ in made for name in names]
    assert sorted(ordered) == sorted(each.id for each in decision.submit)
    ended = {each.id for each in (*decision.done, *decision.active)}
    for names, after in made:  # in the order of submission: nobody waits for what comes later
        assert set(after) <= ended
        assert not set(after) & {each.id for each in decision.done}
        for name in names:
            assert set(by_id[name].parents) <= ended
            ended.add(name)
        needed = {parent for name in names for parent in by_id[name].parents} - set(names)
        assert set(after) == needed - {each.id for each in decision.done}
    for names, _ in made:
        assert len({by_id[name].point for name in names}) == 1
        assert len(names) == 1 or all(by_id[name].resources.chain for name in names)


def test_one_process_per_point() -> None:
    jobs = (job("a"), job("a1", "a"), job("b", point="q"), job("b1", "b", point="q"), job("a2"))
    assert chains(*jobs) == [(["a", "a1", "a2"], []), (["b", "b1"], [])]


def test_without_chaining_one_process_per_job() -> None:
    jobs = (job("a", chain=False), job("b", "a", chain=False), job("c", "a", "b", chain=False))
    assert chains(*jobs) == [(["a"], []), (["b"], ["a"]), (["c"], ["a", "b"])]


def test_what_is_done_is_passed_over_and_what_runs_is_waited_for() -> None:
    jobs = (job("a"), job("b", "a"), job("c", "a", "b"))
    assert chains(*jobs, a=State.DONE) == [(["b", "c"], [])]
    assert chains(*jobs, a=State.DONE, b=State.RUNNING) == [(["c"], ["b"])]
    assert chains(*jobs, a=State.DONE, b=State.DONE, c=State.DONE) == []


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
def test_a_failed_or_unknown_job_holds_its_descendants(state: State) -> None:
    jobs = (job("a"), job("b", "a"), job("c", "b"), job("d"))
    decision = decide(plan(*jobs), known(a=state, b=State.BLOCKED, c=State.BLOCKED))
    assert [each.id for each in decision.left] == ["a", "b", "c"]
    assert [each.id for each in decision.submit] == ["d"]


def test_a_shared_parent_of_another_point_does_not_close_a_circle() -> None:
    """b1 (in q's chain) needs a, and a1 (in p's chain) needs b."""
    jobs = (job("a"), job("b", point="q"), job("b1", "a", point="q"), job("a1", "b"))
    assert chains(*jobs) == [(["a"], []), (["b", "b1"], ["a"]), (["a1"], ["b"])]


def test_a_chain_gets_the_most_that_one_of_its_jobs_needs() -> None:
    jobs = (job("a", threads=2, memory_gb=1, hours=1), job("b", "a", gpus=1, memory_gb=4, hours=2))
    decision = decide(plan(*jobs), {})
    ((submission, _),) = submissions(decision, lambda job: Path(job.id), lambda: "s")
    wide = submission.resources
    assert (wide.threads, wide.gpus, wide.memory_gb, wide.hours) == (2, 1, 4, 3)
