"""A watching launch: later waves, lost jobs with their pauses and limits, a clock wound by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from sweep.decide import Decision
from sweep.launch import Launched
from sweep.reconcile import State
from sweep.schedulers.base import SchedulerUnreachableError, SubmissionError
from sweep.status import JobStatus
from sweep.tend import TRIES, Tender


def status(name: str, state: State) -> JobStatus:
    return JobStatus(name, name, "floor", state, 1, None, None, "")


PARENTS = {"child": "parent"}


class Bed:
    """Jobs whose states the test sets, and what was launched again, when."""

    def __init__(self, *jobs: str, later: Iterable[str] = ()) -> None:
        self.jobs = {job: status(job, State.RUNNING) for job in jobs}
        self.now = 0.0
        self.launches: list[tuple[float, set[str]]] = []
        self.said: list[str] = []
        self.later = set(later)
        self.room = 99
        self.silent = False
        self.refusal: SubmissionError | None = None
        first = frozenset(self.jobs) - self.later
        launched = Launched(Decision(), first, frozenset(self.later))
        self.tender = Tender(
            lambda: list(self.jobs.values()),
            self.again,
            self.said.append,
            launched,
            clock=lambda: self.now,
        )

    def set(self, state: State, *jobs: str) -> None:
        self.jobs |= {job: replace(self.jobs[job], state=state) for job in jobs}

    def again(self, spared: frozenset[str]) -> Launched:
        if self.silent:
            raise SchedulerUnreachableError("slurm does not answer")
        open_states = (State.LOST, State.BLOCKED, State.PLANNED, State.CANCELLED)
        wanted = [
            job
            for job, each in self.jobs.items()
            if each.state in open_states and job not in spared
        ]
        parents = {job for job, each in self.jobs.items() if each.state is State.LOST}
        wanted = [job for job in wanted if PARENTS.get(job, job) not in parents & spared]
        taken = [] if self.refusal else wanted[: self.room]
        self.launches.append((self.now, set(taken)))
        self.set(State.RUNNING, *taken)
        later = frozenset() if self.refusal else frozenset(wanted) - frozenset(taken)
        return Launched(Decision(), frozenset(taken), later, self.refusal)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.tender()

    @property
    def is_over(self) -> bool:
        return self.tender.is_over(list(self.jobs.values()))


def test_a_lost_job_is_tried_again_with_growing_pauses_and_a_limit() -> None:
    bed = Bed("a", "b")
    lost_at = []
    for _ in range(TRIES):
        bed.set(State.LOST, "a")
        lost_at.append(bed.now)
        bed.run(200)
    waits = [t - lost for (t, _), lost in zip(bed.launches, lost_at, strict=False)]
    assert len(bed.launches) == TRIES - 1
    assert {name for _, names in bed.launches for name in names} == {"a"}
    assert 10 <= waits[0] < waits[1] < waits[2] <= 60
    bed.set(State.DONE, "b")
    assert bed.is_over  # a stays lost


def test_a_watch_goes_on_while_a_lost_job_has_tries_left() -> None:
    bed = Bed("a")
    bed.set(State.LOST, "a")
    bed.run(1)
    assert not bed.is_over


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.UNKNOWN, State.PLANNED])
def test_what_the_user_must_decide_is_left_alone(state: State) -> None:
    bed = Bed("a", "b")
    bed.set(state, "a")
    bed.set(State.LOST, "b")  # something is launched again meanwhile
    bed.run(100)
    assert bed.launches
    assert all("a" not in names for _, names in bed.launches)


def test_jobs_that_this_launch_did_not_submit_are_left_alone() -> None:
    bed = Bed("a")
    bed.jobs["b"] = status("b", State.LOST)
    bed.run(300)
    assert not bed.launches


def test_a_child_for_a_later_wave_is_not_forgotten_while_its_parent_is_lost() -> None:
    bed = Bed("parent", "child", "other", later=["child", "other"])
    bed.set(State.PLANNED, "other")
    bed.run(10)
    bed.set(State.LOST, "parent")
    bed.set(State.BLOCKED, "child")
    bed.run(10)  # the wave goes while the parent's pause lasts
    bed.set(State.PLANNED, "child")  # as it is once the parent runs again
    bed.set(State.DONE, "other")
    bed.run(60)
    assert {"parent", "child", "other"} == {name for _, names in bed.launches for name in names}


@pytest.mark.parametrize("state", [State.LOST, State.PLANNED])
def test_what_is_refused_is_not_tried_for_ever(state: State) -> None:
    bed = Bed("a", later=["a"] if state is State.PLANNED else [])
    bed.set(state, "a")
    bed.refusal = SubmissionError("no such account", {}, {"s"})
    bed.run(2000)
    assert len(bed.launches) == TRIES
    assert any("given up" in line for line in bed.said)
    assert bed.is_over


def test_what_the_user_cancelled_is_not_taken_up_when_the_scheduler_forgets_it() -> None:
    bed = Bed("a", "b")
    bed.set(State.CANCELLED, "a")
    bed.run(1)
    bed.set(State.LOST, "a")
    bed.run(300)
    assert not bed.launches


def test_a_silent_scheduler_ends_no_watch() -> None:
    bed = Bed("a")
    bed.jobs["a"] = replace(bed.jobs["a"], state=State.UNKNOWN, silent=True)
    assert not bed.is_over
    bed.jobs["a"] = replace(bed.jobs["a"], silent=False)
    assert bed.is_over


def test_children_that_a_lost_parent_held_up_go_with_it() -> None:
    bed = Bed("a", "child")
    bed.set(State.LOST, "a")
    bed.set(State.BLOCKED, "child")
    bed.run(60)
    assert bed.launches[0][1] == {"a", "child"}


def test_later_waves_follow_as_room_comes() -> None:
    bed = Bed("a", "b", "c", later=["b", "c"])
    bed.set(State.PLANNED, "b", "c")
    bed.set(State.DONE, "a")
    assert not bed.is_over
    bed.room = 1
    bed.run(40)
    assert [names for _, names in bed.launches] == [{"b"}, {"c"}]
    bed.set(State.DONE, "b", "c")
    assert bed.is_over


def test_a_silent_scheduler_is_asked_again() -> None:
    bed = Bed("a")
    bed.set(State.LOST, "a")
    bed.silent = True
    bed.run(40)
    assert any("does not answer" in line for line in bed.said)
    bed.silent = False
    bed.run(40)
    assert [names for _, names in bed.launches] == [{"a"}]
