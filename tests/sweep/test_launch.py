"""What `launch` records and when: over a scheduler that only notes what it is given."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sweepfiles import SMALL, write

from sweep.claims import newest_claim
from sweep.journal import Journal, dump_line, read_from
from sweep.launch import current, launch, observe
from sweep.launchlog import LaunchLog, launcher_of
from sweep.layout import Root
from sweep.model import Plan
from sweep.planning.plan import plan_file
from sweep.reconcile import State
from sweep.schedulers.base import Liveness, Report, Submission, SubmissionError
from sweep.site import Site
from sweep.store import Store, open_store
from sweep.store import check as checking
from vitok_core.errors import UserError


class Noting:
    """A scheduler that keeps what it is given, and says what it is told to."""

    name = "local"

    def __init__(self, fail: bool = False) -> None:
        self.given: list[Submission] = []
        self.fail = fail
        self.most: int | None = None  # what `room` says
        self.reports: dict[str, Report] = {}
        self.cancelled: dict[str, str] = {}

    def refuse(self, submissions: Sequence[Submission]) -> str | None:
        return None

    def room(self, submissions: Sequence[Submission]) -> int:
        return len(submissions) if self.most is None else self.most

    def preview(self, submissions: Sequence[Submission]) -> Sequence[str]:
        return ()

    def prepare(self) -> None:
        pass

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        if self.fail:
            raise KeyboardInterrupt
        self.given += submissions
        return {submission.id: f"sid-{submission.id}" for submission in submissions}

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        known = {submission.id for submission in self.given}
        said = {s: Liveness.WAITING if s in known else Liveness.GONE for s in submissions}
        return {s: self.reports.get(s, Report(live)) for s, live in said.items()}

    def cancel(self, submissions: Mapping[str, str]) -> None:
        self.cancelled |= submissions


class Desk:
    """Launches of one sweep into one root."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = Root(folder / "results")
        self.root.path.mkdir()
        self.store: Store = open_store(self.root)
        self.file = write(folder, SMALL)
        self.scheduler = Noting()
        self.said: list[str] = []
        monkeypatch.setattr("sweep.status._registered", lambda name, root: self.scheduler)

    def plan(self, *only: str) -> Plan:
        return plan_file(self.file, (), only[0] if only else None, None)

    def launch(self, plan: Plan | None = None, **options: Any) -> Any:
        whole: Plan | None = options["whole"] if "whole" in options else self.plan()
        back_end = options.get("scheduler", self.scheduler)
        say = self.said.append
        return launch(plan or self.plan(), whole, self.root, self.store, back_end, Site(), say)

    def records(self) -> list[dict[str, Any]]:
        paths = sorted(self.root.launches.glob("*.jsonl"))
        return [record for path in paths for record in read_from(path)[0]]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_everything_is_recorded_before_and_after(desk: Desk) -> None:
    plan = desk.plan()
    done = desk.launch()
    assert done.submitted == {job.id for job in plan.jobs}
    assert len(plan.jobs) == 4
    folders = desk.root.job_folders()
    for job in plan.jobs:
        folder = folders[job.id]
        assert json.loads(folder.spec.read_text()) == json.loads(json.dumps(job.spec()))
        claimed = json.loads((folder.claims / "1.json").read_text())
        assert claimed["resources"] == job.resources.model_dump(exclude={"setup", "container"})
        assert {"claim", "t", "submission", "scheduler", "host", "launch", "paths"} <= set(claimed)
    found = desk.records()
    assert [r["event"] for r in found] == ["sweep", *["claim"] * 4, *["submission"] * 4]
    assert [p["id"] for p in found[0]["points"]] == [p.id for p in plan.points]
    assert found[-1]["scheduler_id"] == f"sid-{found[-1]['submission']}"
    assert launcher_of(found[-1]["submission"]).pid > 0
    assert [s.id for s in desk.scheduler.given] == [r["submission"] for r in found[-4:]]
    assert checking.check(desk.store, desk.root) == []


def test_launching_again_submits_nothing_twice(desk: Desk) -> None:
    desk.launch()
    before = desk.records()
    again = desk.launch()
    assert (len(again.submitted), len(again.decision.active)) == (0, 4)
    assert desk.records() == before  # nor is anything written


@pytest.mark.parametrize("crash", ["sweep", "claim", "submit", "submission"])
def test_a_launcher_that_dies_on_the_way_is_mended_by_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    append = Journal._append

    def dying(journal: Journal, line: bytes) -> None:
        if json.loads(line)["event"] == crash:
            raise KeyboardInterrupt
        append(journal, line)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_append", dying)
        with pytest.raises(KeyboardInterrupt):
            desk.launch(scheduler=Noting(fail=True) if crash == "submit" else desk.scheduler)
    handed = [submission.folders for submission in desk.scheduler.given]
    again = desk.launch()
    everything = [submission.folders for submission in desk.scheduler.given]
    assert len(everything) == len(set(everything)) == 4
    assert len(again.submitted) == 4 - len(handed)
    assert checking.check(desk.store, desk.root) == []


def test_only_some_points_register_the_whole_sweep(desk: Desk) -> None:
    done = desk.launch(desk.plan("p=8"))
    assert len(done.submitted) == 2
    (registered,) = [r for r in desk.records() if r["event"] == "sweep"]
    assert len(registered["points"]) == 4
    assert len(desk.launch().submitted) == 2


def test_an_edited_file_replaces_the_membership(desk: Desk, tmp_path: Path) -> None:
    desk.launch()
    write(tmp_path, SMALL.replace("[8, 16]", "[8]"))
    done = desk.launch()
    assert not done.submitted
    registered = [r for r in desk.records() if r["event"] == "sweep"]
    assert [len(r["points"]) for r in registered] == [4, 2]


def test_a_later_wave_leaves_an_extended_membership_alone(desk: Desk, tmp_path: Path) -> None:
    desk.scheduler.most = 3
    plan = desk.plan()
    desk.launch()
    desk.scheduler.most = 0
    write(tmp_path, SMALL + "seeds: [0, 1]\n")  # as `extend` registers it
    desk.launch()
    desk.scheduler.most = 9
    assert desk.launch(plan, whole=None).submitted
    registered = [r for r in desk.records() if r["event"] == "sweep"]
    assert [len(r["points"]) for r in registered] == [4, 8]


def test_equal_jobs_of_two_sweeps_are_one_job(desk: Desk, tmp_path: Path) -> None:
    desk.launch()
    desk.file = write(tmp_path, SMALL, "other.yaml")
    done = desk.launch()
    assert (len(done.submitted), len(done.decision.active)) == (0, 4)
    assert [r["name"] for r in desk.records() if r["event"] == "sweep"] == ["sweep", "other"]


def test_another_job_under_the_same_id_is_refused(desk: Desk) -> None:
    plan = desk.plan()
    desk.launch()
    first = desk.root.job_folders()[plan.jobs[0].id]
    spec = json.loads(first.spec.read_text())
    first.spec.write_text(json.dumps({**spec, "config": {"other": 1}}))
    desk.scheduler.given.clear()  # lost
    with pytest.raises(UserError, match="holds another job under the id"):
        desk.launch()


def test_a_slug_may_change(desk: Desk) -> None:
    desk.launch()
    desk.scheduler.given.clear()
    plan = desk.plan()
    renamed = replace(plan, jobs=tuple(replace(job, slug="new") for job in plan.jobs))
    assert len(desk.launch(renamed).submitted) == 4
    assert not [path for path in desk.root.jobs.iterdir() if path.name.startswith("new")]


def test_launches_take_turns_and_say_so(desk: Desk) -> None:
    held, release = threading.Event(), threading.Event()

    class Slow(Noting):
        def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
            held.set()
            release.wait(20)
            return desk.scheduler.submit(submissions)

    first = threading.Thread(target=desk.launch, kwargs={"scheduler": Slow()})
    first.start()
    held.wait(20)
    done: list[Any] = []
    second = threading.Thread(target=lambda: done.append(desk.launch()))
    second.start()
    deadline = time.monotonic() + 10
    while not desk.said and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ["waiting for it" in line for line in desk.said] == [True]
    second.join(0.3)
    assert second.is_alive()
    assert not desk.scheduler.given
    release.set()
    first.join()
    second.join()
    assert (len(done[0].submitted), len(done[0].decision.active)) == (0, 4)
    assert len(desk.scheduler.given) == 4


def test_a_job_that_ends_during_a_look_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finishes, and its submission goes, after the journals were read and before the poll."""
    plan = desk.plan()
    desk.launch()
    job = plan.jobs[0].id
    folder = desk.root.job_folders()[job]
    (submission,) = [s for s in desk.scheduler.given if s.folders[0] == folder.path]
    folder.journals.mkdir()
    started = {"attempt": 1, "submission": submission.id, "scheduler": "local", "t": time.time()}
    journal = folder.journals / "1.jsonl"
    journal.write_bytes(dump_line({"event": "started", **started}))
    poll = Noting.poll

    def ending(self: Noting, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        if submission in self.given:
            with journal.open("ab") as file:
                file.write(dump_line({"event": "finished", "t": time.time(), "seconds": 1.0}))
            self.given.remove(submission)
        return poll(self, submissions)

    monkeypatch.setattr(Noting, "poll", ending)
    states = observe(desk.root, desk.store, [job]).states
    assert states[job].state is State.DONE
    assert [each.id for each in current(plan, desk.root, desk.store).done] == [job]


def test_a_wave_at_a_time_where_there_is_no_room_for_all(desk: Desk) -> None:
    desk.scheduler.most = 3
    first = desk.launch()
    plan = desk.plan()
    assert first.submitted == {job.id for job in plan.jobs[:3]}  # parents first
    assert first.later == {plan.jobs[3].id}
    last = desk.root.job_folders()[plan.jobs[3].id]
    assert not last.claims.exists()  # nothing says that it was submitted
    desk.scheduler.most = 0
    assert desk.launch().later == first.later
    desk.scheduler.most = 9
    second = desk.launch()
    assert (second.submitted, second.later) == (first.later, frozenset())
    assert [r["event"] for r in desk.records()].count("sweep") == 1


def test_what_the_scheduler_refuses_is_planned_and_says_why(desk: Desk) -> None:
    class Refusing(Noting):
        def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
            one, _, *others = submissions  # one taken, one nobody knows of, the others refused
            taken = desk.scheduler.submit([one])
            raise SubmissionError("no such account", taken, {each.id for each in others})

    refused = desk.launch(scheduler=Refusing())
    assert str(refused.error) == "no such account"
    jobs = desk.plan().jobs
    assert (refused.submitted, refused.later) == ({jobs[0].id}, frozenset())
    assert newest_claim(desk.root.job_folders()[jobs[2].id]).submission is None
    found = current(desk.plan(), desk.root, desk.store)
    assert [job.id for job in found.active] == [jobs[0].id]
    reasons = {job.id: found.states[job.id].reason for job in found.submit}
    assert reasons[jobs[2].id] == reasons[jobs[3].id] == "no such account"
    again = desk.launch()
    assert jobs[0].id not in again.submitted
    assert {jobs[2].id, jobs[3].id} <= again.submitted
    assert checking.check(desk.store, desk.root) == []


def test_an_orphan_is_adopted_and_recorded(desk: Desk) -> None:
    """The launcher died between the submission and its record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.handover.record", lambda *given: None)
        desk.launch()
    orphans = desk.scheduler.given[:]
    desk.scheduler.reports = {
        each.id: Report(Liveness.WAITING, scheduler_id=f"77_{n}") for n, each in enumerate(orphans)
    }
    again = desk.launch()
    assert not again.submitted
    recorded = {r["submission"]: r["scheduler_id"] for r in desk.records()[-4:]}
    assert recorded == {each.id: f"77_{n}" for n, each in enumerate(orphans)}


def test_what_waits_in_vain_is_taken_out_before_it_is_submitted_anew(desk: Desk) -> None:
    desk.launch()
    stuck = desk.scheduler.given[-1]
    desk.scheduler.reports = {stuck.id: Report(Liveness.WAITING, stuck=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.launch.scheduler_of", lambda name, root: desk.scheduler)
        again = desk.launch()
    assert desk.scheduler.cancelled == {stuck.id: f"sid-{stuck.id}"}
    assert len(again.submitted) == 1
    assert desk.scheduler.given[-1].folders == stuck.folders


def test_a_claim_that_another_launcher_made_meanwhile_is_left_to_it(desk: Desk) -> None:
    """Two login nodes, each with an index of its own: what one has seen is old already."""
    plan = desk.plan()
    known = observe(desk.root, desk.store, [job.id for job in plan.jobs])
    desk.launch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.launch._observed", lambda *given: known)
        again = desk.launch()
    assert not again.submitted
    assert len(desk.scheduler.given) == 4


def test_children_of_jobs_that_run_elsewhere_wait_for_them(desk: Desk, tmp_path: Path) -> None:
    desk.file = write(tmp_path, SMALL + "  - reconstruct: [photos-tune]\n")
    desk.launch(desk.plan("p=8,c=4"))
    child = next(s for s in desk.scheduler.given if s.after)
    desk.scheduler.given.remove(child)  # lost; its parent is still there

    class Other(Noting):
        name = "slurm"

    other = Other()
    done = desk.launch(desk.plan("p=8,c=4"), scheduler=other)
    assert len(done.later) == 1
    assert child.folders[0].name.endswith(next(iter(done.later)))
    assert child.folders not in [each.folders for each in other.given]


def test_a_claim_counts_after_an_attempt_on_a_node_whose_clock_is_ahead(desk: Desk) -> None:
    """Else the new submission would not be seen, and the job submitted once more."""
    plan = desk.plan("p=16,c=4")
    desk.launch(plan)
    job = plan.jobs[0]
    (first,) = [s for s in desk.scheduler.given if job.id in s.folders[0].name]
    folder = desk.root.job_folders()[job.id]
    folder.journals.mkdir(exist_ok=True)
    begun = {
        "event": "started",
        "t": time.time() + 3600,
        "submission": first.id,
        "scheduler": "local",
    }
    (folder.journals / "1.jsonl").write_bytes(dump_line(begun))
    desk.scheduler.reports[first.id] = Report(Liveness.GONE)
    assert job.id in desk.launch(plan).submitted
    seen = observe(desk.root, desk.store, [job.id])
    assert seen.states[job.id].state is State.SUBMITTED
    assert job.id not in desk.launch(plan).submitted


def test_what_was_cancelled_and_goes_in_a_later_wave_is_planned_again(desk: Desk) -> None:
    """Else a watching launch would take it for what somebody has cancelled since."""
    plan = desk.plan()
    desk.launch(plan)
    log = LaunchLog(desk.root)
    log.write_all("cancel", [{"job": job.id} for job in plan.jobs])
    log.close()
    desk.scheduler.reports = {each.id: Report(Liveness.GONE) for each in desk.scheduler.given}
    desk.scheduler.most = 1
    done = desk.launch(plan)
    assert (len(done.submitted), len(done.later)) == (1, 3)
    seen = observe(desk.root, desk.store, [job.id for job in plan.jobs])
    assert {seen.states[job].state for job in done.later} == {State.PLANNED}
    assert {seen.states[job].state for job in done.submitted} == {State.SUBMITTED}
    log = LaunchLog(desk.root)
    log.write_all("cancel", [{"job": job, "t": time.time() + 1} for job in done.later])
    log.close()
    assert len(desk.launch(plan).later) == 2
