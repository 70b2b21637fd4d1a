"""What runs on a node: real processes with the environment that Slurm gives, a played scontrol."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from slurmfake import Fake
from stubbed import Bench, events, records, wait_until
from submitit.helpers import DelayedSubmission

from sweep.claims import claim
from sweep.layout import JobFolder
from sweep.schedulers.base import Submission
from sweep.schedulers.slurm import task
from sweep.schedulers.slurm.batches import Batch, Member, new_batch, write_batch
from sweep.schedulers.slurm.requeueing import is_preempted
from sweep.schedulers.slurm.settings import Node

NODE = Node(gpus=4, threads=8, memory_gb=16)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    found = Fake(tmp_path / "slurm", monkeypatch)
    found.plays("scontrol", "echo 'StartTime=2026-01-01T10:00:00 PreemptTime=None'")
    return found


def task_of(bench: Bench, submissions: Sequence[Submission], node: Node | None = None) -> Batch:
    """A batch whose task 3 holds these submissions."""
    for submission in submissions:
        for folder in submission.folders:
            given = submission.resources.model_dump()
            claim(JobFolder(folder), {"submission": submission.id, "resources": given})
    members = tuple(Member(s.id, tuple(f.name for f in s.folders)) for s in submissions)
    batch = new_batch(bench.root, ("floor",), submissions[0].resources, node, {3: members})
    write_batch(batch, "")
    return batch


def start(bench: Bench, batch: Batch, **env: str) -> subprocess.Popen[bytes]:
    slurm = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "15",
             "SUBMITIT_EXECUTOR": "slurm"}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "sweep.schedulers.slurm.task", str(batch.folder)],
        env={**os.environ, "PYTHONPATH": str(bench.code), "PYTHONSAFEPATH": "1", **slurm, **env},
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_task_is_well_only_when_all_of_its_jobs_are_done(bench: Bench, fake: Fake) -> None:
    """By its exit code Slurm lets its children follow."""
    first = bench.job("first")
    second = bench.job("second", first, kind="reconstruct")
    bench.behave(second={"fail_at": 1})
    batch = task_of(bench, [bench.submission(first, second)])
    assert start(bench, batch).wait(120) == 1
    assert (events(first)[-1], events(second)[-1]) == ("finished", "failed")
    bench.behave()
    assert start(bench, batch).wait(120) == 0  # as requeued: what is done is passed over
    assert bench.order() == ["first", "second"]
    started = records(second)[0]
    assert (started["scheduler"], started["scheduler_id"]) == ("slurm", "12_3")
    assert batch.id() == "12"  # recorded by the task where the launcher could not


def test_a_warned_task_checkpoints_and_is_requeued_once(bench: Bench, fake: Fake) -> None:
    job = bench.job("long")
    bench.behave(all={"steps": 100_000, "pause": 0.01})
    batch = task_of(bench, [bench.submission(job)])
    process = start(bench, batch)
    wait_until(lambda: bench.trace("began"), 60)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(120) != 0
    assert events(job)[-2:] == ["checkpoint", "preempted"]
    assert [call for call in fake.calls("scontrol") if "requeue" in call] == [
        "scontrol requeue 12_3"
    ]
    bench.behave(all={"steps": records(job)[-1]["step"] + 1})
    assert start(bench, batch).wait(120) == 0
    assert events(job, 2)[1:3].count("resumed") == 1


def test_a_cancelled_task_is_not_requeued(bench: Bench, fake: Fake) -> None:
    """Not even one that was warned before."""
    job = bench.job("long")
    bench.behave(all={"steps": 100_000, "pause": 0.01})
    process = start(bench, task_of(bench, [bench.submission(job)]))
    wait_until(lambda: bench.trace("began"), 60)
    process.send_signal(signal.SIGSTOP)  # so that both are there before it looks
    process.send_signal(signal.SIGUSR2)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.wait(120) == 1
    assert events(job)[-1] == "preempted"
    assert not [call for call in fake.calls("scontrol") if "requeue" in call]


def test_a_preempted_task_leaves_the_requeue_to_slurm(bench: Bench, fake: Fake) -> None:
    fake.plays("scontrol", "echo 'StartTime=2026-01-01T10:00:00 PreemptTime=2026-01-01T11:00:00'")
    job = bench.job("long")
    bench.behave(all={"steps": 100_000, "pause": 0.01})
    process = start(bench, task_of(bench, [bench.submission(job)]))
    wait_until(lambda: bench.trace("began"), 60)
    process.send_signal(signal.SIGUSR2)
    wait_until(lambda: len(fake.calls("scontrol")) >= 2, 60)
    assert events(job)[-1] == "preempted"
    assert process.poll() is None  # its end would look like a failure
    assert not [call for call in fake.calls("scontrol") if "requeue" in call]
    process.kill()
    process.wait(60)


@pytest.mark.parametrize(
    ("shown", "preempted"),
    [
        ("StartTime=2026-01-01T10:00:00 PreemptTime=2026-01-01T10:05:00", True),
        ("StartTime=2026-01-01T10:00:00 PreemptTime=2026-01-01T09:00:00", False),
        ("StartTime=2026-01-01T10:00:00 PreemptTime=None", False),
        ("StartTime=2026-01-01T10:00:00 PreemptEligibleTime=2026-01-01T10:05:00", False),
        ("", False),
    ],
)
def test_whether_this_run_is_being_preempted(shown: str, preempted: bool) -> None:
    assert is_preempted(shown) is preempted


def traced(bench: Bench, key: str) -> dict[str, Any]:
    return {record["job"].rpartition("-")[0]: record[key] for record in bench.trace("began")}


def test_members_of_a_task_run_at_once_each_on_its_own_gpus(bench: Bench, fake: Fake) -> None:
    """One that fails or was cancelled leaves the others alone, but the task is not well."""
    bench.behave(all={"steps": 40, "pause": 0.05}, b={"fail_at": 1})
    submissions = [bench.submission(bench.job(name), gpus=1) for name in "abcd"]
    batch = task_of(bench, submissions, NODE)
    batch.mark_cancelled(submissions[2].id)
    assert start(bench, batch, CUDA_VISIBLE_DEVICES="4,5,6,7").wait(120) == 1
    assert traced(bench, "cuda") == {"a": "4", "b": "5", "d": "7"}
    assert sorted(bench.order()) == ["a", "d"]
    times = {(r["job"].rpartition("-")[0], r["event"]): r["t"] for r in bench.trace()}
    assert times["d", "began"] < times["a", "ended"]
    assert "stub failure" in batch.log("12", 3, 1).read_text()


def test_a_warned_task_of_many_is_requeued_once(bench: Bench, fake: Fake) -> None:
    bench.behave(all={"steps": 100_000, "pause": 0.01}, b={"steps": 1})
    jobs = [bench.job(name) for name in "abc"]
    batch = task_of(bench, [bench.submission(job) for job in jobs], NODE)
    process = start(bench, batch)
    wait_until(lambda: len(bench.trace("began")) == 3 and bench.order() == ["b"], 60)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(120) != 0
    assert [events(job)[-1] for job in jobs] == ["preempted", "finished", "preempted"]
    calls = [call for call in fake.calls("scontrol") if "requeue" in call]
    assert calls == ["scontrol requeue 12_3"]


def test_a_member_that_is_killed_is_said_to_have_ended(bench: Bench, fake: Fake) -> None:
    """The task runs on for the others, and goes on with them alone after a requeue."""
    bench.behave(all={"steps": 100_000, "pause": 0.01})
    jobs = [bench.job(name) for name in "ab"]
    submissions = [bench.submission(job) for job in jobs]
    batch = task_of(bench, submissions, NODE)
    process = start(bench, batch)
    wait_until(lambda: len(bench.trace("began")) == 2, 60)
    os.kill(records(jobs[0])[0]["pid"], signal.SIGKILL)
    wait_until(batch.ended, 60)
    assert batch.ended() == {submissions[0].id}
    process.send_signal(signal.SIGUSR2)
    assert process.wait(120) != 0
    assert batch.ended() == {submissions[0].id}  # what was warned goes on
    bench.behave()
    assert start(bench, batch).wait(120) == 1
    assert bench.order() == ["b"]
    assert sum("requeue" in call for call in fake.calls("scontrol")) == 1


def test_a_member_that_was_warned_goes_on_though_others_took_longer(
    bench: Bench, fake: Fake
) -> None:
    bench.behave(a={"steps": 100_000, "pause": 0.01}, b={"deaf": True, "steps": 200})
    jobs = [bench.job(name) for name in "ab"]
    batch = task_of(bench, [bench.submission(job) for job in jobs], NODE)
    process = start(bench, batch)
    wait_until(lambda: len(bench.trace("began")) == 2, 60)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(120) != 0
    assert [events(job)[-1] for job in jobs] == ["preempted", "finished"]
    bench.behave(all={"steps": records(jobs[0])[-1]["step"] + 1})
    assert start(bench, batch).wait(120) == 0


def test_time_outs_are_counted_while_nothing_moves(bench: Bench) -> None:
    """A job of a hundred time limits is fine, one that is warned before its first step is not."""
    job = bench.job("long")
    batch = task_of(bench, [bench.submission(job)])
    path = batch.folder / "12_3_submitted.pkl"

    def requeued(checkpoint: str | None) -> int:
        """The time-outs that are left after one, in which it came so far."""
        task.leave_pickle(batch, "12", 3)
        delayed = DelayedSubmission.load(path)
        left = delayed._timeout_countdown
        again = delayed._checkpoint_function()  # as submitit does
        assert again is not None
        again.set_timeout(60, left - 1)
        again.dump(path)
        if checkpoint is not None:
            (job.checkpoints / "1").mkdir(parents=True, exist_ok=True)
            (job.checkpoints / "1" / checkpoint).touch()
        return left

    most = task.MOST_TIMEOUTS
    runs = (None, None, "step-000000010.pt", None, None, "step-000000020.pt", None)
    lefts = [most, most - 1, most - 2, most, most - 1, most - 2, most]
    assert [requeued(run) for run in runs] == lefts


def test_a_member_that_is_cancelled_while_it_runs_stops_alone(bench: Bench, fake: Fake) -> None:
    bench.behave(all={"steps": 100_000, "pause": 0.01})
    jobs = [bench.job(name) for name in "ab"]
    submissions = [bench.submission(job) for job in jobs]
    batch = task_of(bench, submissions, NODE)
    process = start(bench, batch)
    wait_until(lambda: len(bench.trace("began")) == 2, 60)
    batch.mark_cancelled(submissions[0].id)
    wait_until(lambda: events(jobs[0])[-1] == "preempted", 60)
    assert events(jobs[1])[-1] != "preempted"
    batch.mark_cancelled(submissions[1].id)
    assert process.wait(120) == 1


def test_two_tasks_of_a_step_run_one_attempt(bench: Bench, fake: Fake) -> None:
    """A job of one process first leaves the other waiting."""
    alone, shared = bench.job("alone"), bench.job("shared", kind="tokenizer")
    batch = task_of(bench, [bench.submission(alone, shared, processes=2)])
    tasks = [
        start(bench, batch, SLURM_NTASKS="2", SLURM_PROCID=rank, SLURM_LOCALID=rank,
              SLURM_LAUNCH_NODE_IPADDR="127.0.0.1")
        for rank in "01"
    ]  # fmt: skip
    assert [task.wait(120) for task in tasks] == [0, 0]
    assert (records(alone)[0]["world"], records(shared)[0]["world"]) == (1, 2)
    assert len(list(shared.journals.iterdir())) == 1
