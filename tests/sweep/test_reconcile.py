"""The states table of docs/records.md, row by row; every mixture of facts has an answer."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.facts import Attempt, Claim, JobFacts
from sweep.reconcile import JobState, State, liveness, process_key, states
from sweep.schedulers.base import Ending, Liveness, Report

WAITING, RUNNING, GONE, UNKNOWN = Liveness
CLAIM = Claim(1, t=10.0, submission="s1", scheduler="slurm", scheduler_id="77")
OPEN = Attempt(1, started=20.0, submission="s1", scheduler="slurm", host="n1")
FAILED = OPEN._replace(outcome="failed", ended=30.0, message="ValueError: no")
PREEMPTED = OPEN._replace(outcome="preempted", ended=30.0, message="time")
BY_HAND = Attempt(1, started=20.0)


def job(newest: Attempt | None = None, claim: Claim | None = CLAIM, **changed: object) -> JobFacts:
    taken = newest is not None and claim is not None and newest.submission == claim.submission
    facts = JobFacts("a", newest=newest, claim=claim, claim_taken=taken)
    return facts._replace(attempts=int(newest is not None), **changed)  # type: ignore[arg-type]


def reports(polls: Mapping[str, Liveness]) -> dict[str, Report]:
    return {key: Report(liveness) for key, liveness in polls.items()}


def state(facts: JobFacts, **polls: Liveness) -> State:
    return states({"a": facts}, reports(polls))["a"].state


@pytest.mark.parametrize(
    ("expected", "facts", "poll"),
    [
        # done: whatever else is said
        (State.DONE, job(FAILED, finished=1, cancelled=99.0), GONE),
        (State.DONE, job(OPEN, finished=1), RUNNING),
        # running
        (State.RUNNING, job(OPEN), RUNNING),
        (State.RUNNING, job(OPEN, cancelled=99.0), RUNNING),  # until it has stopped
        # cancelled
        (State.CANCELLED, job(None, cancelled=11.0), WAITING),
        (State.CANCELLED, job(OPEN, cancelled=25.0), GONE),
        (State.CANCELLED, job(PREEMPTED, cancelled=25.0), GONE),
        (State.CANCELLED, job(FAILED, cancelled=25.0), GONE),  # stopping it made it fail
        (State.CANCELLED, job(OPEN, cancelled=15.0), GONE),  # it was just being started
        (State.UNKNOWN, job(BY_HAND, None, cancelled=15.0), GONE),  # by hand, and newer
        (State.LOST, job(None, cancelled=5.0), GONE),  # the claim is newer
        (State.PLANNED, job(PREEMPTED, cancelled=40.0, retried=50.0), GONE),
        (State.CANCELLED, job(PREEMPTED, cancelled=60.0, retried=50.0), GONE),
        # failed
        (State.FAILED, job(FAILED), GONE),
        (State.FAILED, job(FAILED), UNKNOWN),
        (State.FAILED, job(FAILED), RUNNING),  # a chain goes on with other jobs
        (State.FAILED, job(FAILED, retried=25.0), GONE),  # asked for before it failed
        (State.PLANNED, job(FAILED, retried=31.0), GONE),
        # submitted
        (State.SUBMITTED, job(), WAITING),
        (State.SUBMITTED, job(), RUNNING),
        (State.SUBMITTED, job(OPEN), WAITING),  # requeued by its scheduler
        (State.SUBMITTED, job(PREEMPTED), WAITING),
        (State.SUBMITTED, job(PREEMPTED), RUNNING),
        # unknown
        (State.UNKNOWN, job(), UNKNOWN),
        (State.UNKNOWN, job(OPEN), UNKNOWN),
        (State.UNKNOWN, job(PREEMPTED), UNKNOWN),
        (State.UNKNOWN, job(None, Claim(1)), GONE),  # torn
        (State.UNKNOWN, job(BY_HAND, None), GONE),  # no submission to ask about
        (State.PLANNED, job(OPEN, retried=99.0), UNKNOWN),  # the user knows that it is dead
        # lost
        (State.LOST, job(), GONE),
        (State.LOST, job(OPEN), GONE),
        (State.LOST, job(PREEMPTED), GONE),
        (State.LOST, job(BY_HAND._replace(outcome="preempted", ended=30.0), None), UNKNOWN),
        (State.PLANNED, job(OPEN, retried=99.0), GONE),
        # planned
        (State.PLANNED, job(None, None), UNKNOWN),
    ],
)
def test_the_table(expected: State, facts: JobFacts, poll: Liveness) -> None:
    assert state(facts, s1=poll) is expected


def test_a_newer_claim_supersedes_a_failure() -> None:
    newer = Claim(2, t=40.0, submission="s2", scheduler="slurm")
    assert state(job(FAILED, newer), s1=GONE, s2=WAITING) is State.SUBMITTED
    assert state(job(FAILED, newer), s1=GONE, s2=GONE) is State.LOST
    assert state(job(FAILED, newer), s1=GONE) is State.UNKNOWN


def test_a_job_whose_chain_has_begun_says_that_it_waits() -> None:
    told = states({"a": job()}, reports({"s1": RUNNING}))["a"]
    assert told.state is State.SUBMITTED
    assert told.reason.startswith("waits its turn: its submission runs in ")


def test_an_attempt_by_hand_after_the_claim_decides() -> None:
    hand = BY_HAND._replace(attempt=2, outcome="failed", ended=30.0)
    assert state(job(hand), s1=WAITING) is State.FAILED


def test_a_living_process_is_running_whatever_the_scheduler_says() -> None:
    polls = {process_key("a", 1): RUNNING, "s1": GONE}
    assert states({"a": job(OPEN)}, reports(polls))["a"].state is State.RUNNING


@pytest.mark.parametrize(
    ("scheduler", "expected"), [("slurm", UNKNOWN), ("local", GONE), ("inline", GONE)]
)
def test_a_dead_process_is_no_proof_where_submissions_are_requeued(
    scheduler: str, expected: Liveness
) -> None:
    attempt = OPEN._replace(scheduler=scheduler)
    assert liveness(job(attempt), attempt, reports({process_key("a", 1): GONE})) is expected


def chain(*parents_of: tuple[str, ...], root: JobFacts) -> dict[str, JobFacts]:
    jobs = {root.id: root}
    for number, parents in enumerate(parents_of):
        jobs[f"j{number}"] = JobFacts(f"j{number}", parents=parents)
    return jobs


@pytest.mark.parametrize("poll", [GONE, UNKNOWN])
def test_blocked_reaches_all_descendants_and_names_the_cause(poll: Liveness) -> None:
    facts = chain(("a",), ("j0",), ("j1",), root=job(OPEN))
    found = states(
        dict(reversed(facts.items())), reports({"s1": poll})
    )  # children first in the mapping
    cause = found["a"].state
    for number in range(3):
        expected = JobState(State.BLOCKED, f"parent a is {cause}", "a")
        assert found[f"j{number}"] == expected


@pytest.mark.parametrize("poll", [RUNNING, WAITING])
def test_children_of_living_parents_are_planned(poll: Liveness) -> None:
    facts = chain(("a",), root=job(OPEN))
    assert states(facts, reports({"s1": poll}))["j0"].state is State.PLANNED


def test_missing_parents_and_cycles_have_an_answer() -> None:
    facts = {"x": JobFacts("x", parents=("y", "gone")), "y": JobFacts("y", parents=("x",))}
    assert {found.state for found in states(facts, {}).values()} == {State.PLANNED}


def test_ten_thousand_in_a_row_do_not_overflow_the_stack() -> None:
    facts = chain(*(((f"j{n - 1}",) if n else ("a",)) for n in range(10_000)), root=job(FAILED))
    assert states(dict(reversed(facts.items())), {})["j9999"].state is State.BLOCKED


_TIMES = st.one_of(st.none(), st.integers(0, 6).map(float))
_ATTEMPTS = st.builds(
    Attempt,
    attempt=st.integers(1, 3),
    started=_TIMES,
    submission=st.sampled_from([None, "s1", "s2"]),
    scheduler=st.sampled_from([None, "slurm", "local"]),
    outcome=st.sampled_from([None, "failed", "preempted", "finished"]),
    ended=_TIMES,
)
_CLAIMS = st.builds(
    Claim, claim=st.integers(1, 3), t=_TIMES, submission=st.sampled_from([None, "s1", "s2"])
)
_POLLS = st.dictionaries(
    st.sampled_from(["s1", "s2", "a#1", "a#2", "a#3"]), st.sampled_from(list(Liveness))
)


@st.composite
def _facts(draw: st.DrawFn) -> JobFacts:
    newest = draw(st.none() | _ATTEMPTS)
    facts = job(newest, draw(st.none() | _CLAIMS), cancelled=draw(_TIMES), retried=draw(_TIMES))
    finished = newest.attempt if newest is not None and newest.outcome == "finished" else None
    return facts._replace(finished=finished)


@given(_facts(), _POLLS)
def test_every_mixture_has_a_state_and_the_table_holds(
    facts: JobFacts, polls: dict[str, Liveness]
) -> None:
    found = states({"a": facts, "b": JobFacts("b", parents=("a",))}, reports(polls))
    newest, claim = facts.newest, facts.claim
    here = found["a"].state
    assert (here is State.DONE) == (facts.finished is not None)
    if here is State.RUNNING:
        assert newest is not None
        assert newest.outcome is None
        assert RUNNING in (polls.get(newest.submission or ""), polls.get(f"a#{newest.attempt}"))
    if here is State.FAILED:
        assert newest is not None
        assert newest.outcome == "failed"
    if here is State.SUBMITTED:
        holders = {each.submission for each in (newest, claim) if each is not None}
        assert any(polls.get(each or "") in (WAITING, RUNNING) for each in holders)
    if newest is None and claim is None and facts.cancelled is None:
        assert here is State.PLANNED
    if not polls:  # nobody could be asked: nothing with a submission is called dead
        assert here is not State.LOST or (newest is not None and newest.submission is None)
    blocking = {State.FAILED, State.CANCELLED, State.LOST, State.UNKNOWN}
    assert (found["b"].state is State.BLOCKED) == (here in blocking)


def word(facts: JobFacts, **fields: object) -> JobState:
    """The state where the scheduler says the submission is gone, and how."""
    return states({"a": facts}, {"s1": Report(GONE, **fields)})["a"]  # type: ignore[arg-type]


@pytest.mark.parametrize("facts", [job(), job(OPEN)], ids=["before it started", "running"])
def test_the_schedulers_word_on_an_end(facts: JobFacts) -> None:
    # A task may hold several jobs: one that had not started did not fill its memory.
    out_of_memory = word(facts, ending=Ending.OUT_OF_MEMORY, reason="out of memory")
    assert "out of memory" in out_of_memory.reason
    assert out_of_memory.state is (State.FAILED if facts.newest else State.LOST)
    cancelled = word(facts, ending=Ending.CANCELLED, reason="CANCELLED by 0")
    assert cancelled.state is State.CANCELLED
    assert "cancelled in slurm: CANCELLED by 0" in cancelled.reason
    for ending in (Ending.NODE_FAILURE, Ending.TIMEOUT, Ending.PREEMPTED, Ending.FAILED, None):
        lost = word(facts, ending=ending, reason="as slurm says")
        assert (lost.state, "as slurm says" in lost.reason) == (State.LOST, True)


@pytest.mark.parametrize("ending", [Ending.OUT_OF_MEMORY, Ending.CANCELLED])
def test_an_attempt_that_ended_by_itself_needs_no_word_of_the_scheduler(ending: Ending) -> None:
    assert word(job(FAILED), ending=ending).reason == FAILED.message
    # scancel of a running job: its SIGTERM lets it checkpoint and say so.
    by_hand = ending is Ending.CANCELLED
    stopped = word(job(PREEMPTED), ending=ending).state
    assert stopped is (State.CANCELLED if by_hand else State.LOST)
    assert word(job(OPEN, retried=99.0), ending=ending).state is State.PLANNED


def test_a_stuck_child_is_blocked_by_its_parent_and_lost_without_one() -> None:
    stuck = {"s1": Report(WAITING, stuck=True)}
    assert states({"a": job()}, stuck)["a"].state is State.LOST
    parent = job(FAILED)._replace(id="p", claim=None, claim_taken=False)
    child = job()._replace(parents=("p",))
    found = states({"p": parent, "a": child}, stuck)["a"]
    assert (found.state, found.parent) == (State.BLOCKED, "p")


def test_a_child_that_slurm_cancelled_for_its_parent_is_blocked_not_cancelled() -> None:
    parent = job(FAILED)._replace(id="p", claim=None, claim_taken=False)
    child = job()._replace(parents=("p",))
    gone = {"s1": Report(GONE, ending=Ending.CANCELLED)}
    assert states({"p": parent, "a": child}, gone)["a"].state is State.BLOCKED


def test_a_refused_submission_is_planned_and_says_why() -> None:
    refused = job(None, None, refused="slurm: invalid account")
    found = states({"a": refused}, {})["a"]
    assert (found.state, found.reason) == (State.PLANNED, "slurm: invalid account")


def test_a_requeued_job_that_slurm_holds_for_good_is_lost() -> None:
    held = {"s1": Report(WAITING, reason="launch failed requeued held", stuck=True)}
    for facts in (job(), job(OPEN), job(PREEMPTED)):
        assert states({"a": facts}, held)["a"].state is State.LOST
