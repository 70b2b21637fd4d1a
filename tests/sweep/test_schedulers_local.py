"""The local queue: limits, placement, and what survives which kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import pytest
from stubbed import Bench, events, records, wait_until

from sweep.launchlog import new_uid
from sweep.layout import JobFolder
from sweep.schedulers import supervisor
from sweep.schedulers.base import Liveness, Submission
from sweep.schedulers.local import LocalScheduler
from sweep.schedulers.queue import Limits, Queue
from vitok_core.errors import UserError


def local(bench: Bench, jobs: int | None = None, *gpus: int) -> LocalScheduler:
    return LocalScheduler(bench.root, Limits(jobs, gpus or None), bench.code)


def peak(bench: Bench) -> int:
    """The most jobs that ran at once, by their own beginnings and ends."""
    turns = [(each["t"], 1 if each["event"] == "began" else -1) for each in bench.trace()]
    running = most = 0
    for _, turn in sorted(turns):
        running += turn
        most = max(most, running)
    return most


def many(bench: Bench, number: int, **given: object) -> list[Submission]:
    return [bench.submission(bench.job(f"job{n}"), **given) for n in range(number)]


def put(bench: Bench, submission: Submission) -> None:
    """Queue it without a supervisor."""
    content = {"order": 0, "jobs": [str(path.resolve()) for path in submission.folders],
               "after": [], "resources": submission.resources.model_dump(),
               "code": str(bench.code)}  # fmt: skip
    Queue(bench.root).put(submission.id, content)


def test_jobs_at_once(bench: Bench) -> None:
    """Three at a time of five, first come first served, on however many cores."""
    bench.behave(all={"steps": 15, "pause": 0.05})
    local(bench, 3).submit(many(bench, 5))
    bench.wait_idle()
    assert peak(bench) == 3
    # A slot is taken in order; which of three processes is faster to start is the machine's affair.
    began = [int(record["job"][3]) for record in bench.trace("began")]
    assert sorted(began[:3]) == [0, 1, 2]
    assert sorted(began[3:]) == [3, 4]


def test_threads_are_shared_out(bench: Bench) -> None:
    """Without a number of jobs, the cores are the limit."""
    cores = len(os.sched_getaffinity(0))
    bench.behave(all={"steps": 5, "pause": 0.05})
    local(bench).submit(many(bench, 2, threads=cores))
    bench.wait_idle()
    assert peak(bench) == 1
    assert {record["omp"] for record in bench.trace()} == {str(cores)}
    assert {record["cuda"] for record in bench.trace()} == {""}


def test_gpus_are_never_shared(bench: Bench) -> None:
    """Four ids that no machine needs to have: what counts is what each job is given."""
    bench.behave(all={"steps": 8, "pause": 0.03})
    scheduler = local(bench, 4, 0, 1, 2, 5)
    pair = bench.submission(bench.job("pair"), gpus=2)
    scheduler.submit([*many(bench, 3, gpus=1), pair])
    bench.wait_idle()
    given = {record["job"][:4]: record["cuda"].split(",") for record in bench.trace("began")}
    assert [given[f"job{n}"] for n in range(3)] == [["0"], ["1"], ["2"]]
    assert len(given["pair"]) == 2
    assert set(given["pair"]) <= {*"0125"}
    spans: dict[str, list[float]] = {}
    for record in bench.trace():
        spans.setdefault(record["job"][:4], []).append(record["t"])
    for one, other in combinations(spans, 2):
        if spans[one][0] < spans[other][1] and spans[other][0] < spans[one][1]:
            assert not set(given[one]) & set(given[other])


def test_too_large_is_refused_and_leaves_nothing(bench: Bench) -> None:
    for given in ({"threads": 10_000}, {"memory_gb": 1e6}, {"gpus": 3}):
        submissions = many(bench, 1, **given)
        with pytest.raises(UserError, match=r"job0-.*: asks for"):
            local(bench, None, 0, 1).submit(submissions)
        submissions[0].folders[0].joinpath("job.json").unlink()
        submissions[0].folders[0].rmdir()
    assert not bench.root.local.exists()


def test_submitits_own_marks_in_a_path_are_refused(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "100%test", bench.code)
    with pytest.raises(UserError, match="submitit reads %j"):
        local(other).submit(many(other, 1))


def test_limits_stay_while_jobs_are_queued(bench: Bench) -> None:
    """A second launch that says nothing of GPUs does not take them from the waiting jobs."""
    bench.behave(all={"steps": 10, "pause": 0.03})
    local(bench, 1, 3, 4).submit(many(bench, 2, gpus=2))
    bench.uid = new_uid()  # another launch
    local(bench).submit([bench.submission(bench.job("later"))])
    assert Queue(bench.root).limits() == Limits(1, (3, 4))
    bench.wait_idle()
    assert bench.order() == ["job0", "job1", "later"]
    local(bench).submit([bench.submission(bench.job("last"))])
    assert Queue(bench.root).limits().jobs is None


def test_the_supervisor_ends_when_idle_and_is_never_two(bench: Bench) -> None:
    bench.behave(all={"held": True})
    scheduler = local(bench, 1)
    scheduler.submit(many(bench, 1))
    first = bench.supervisor()
    second = subprocess.run(
        [sys.executable, "-m", "sweep.schedulers.supervisor", str(bench.root.path)], timeout=20,
        env={**os.environ, "PYTHONPATH": str(bench.code)}, check=False,
    )  # fmt: skip
    assert second.returncode == 0
    scheduler.supervise()
    assert bench.supervisor() == first
    bench.release()
    bench.wait_idle()
    wait_until(lambda: not bench.supervisors())


def test_submitting_while_the_supervisor_ends(bench: Bench) -> None:
    """Short jobs, queued one by one as the queue runs empty: none is forgotten."""
    bench.behave(all={"steps": 0})
    scheduler = local(bench, 1)
    for submission in many(bench, 4):
        scheduler.submit([submission])
        bench.wait_idle()
    assert bench.order() == [f"job{n}" for n in range(4)]
    assert [record["attempt"] for record in bench.trace("began")] == [1] * 4


def test_what_is_queued_after_the_last_look_is_not_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher saw the lock held, and the supervisor was about to leave."""
    (submission,) = many(bench, 1)
    queue = Queue(bench.root)
    looks = []

    def look(self: supervisor.Supervisor) -> bool:
        looks.append(len(queue.entries()))
        if len(looks) == 1:
            put(bench, submission)
        for entry in queue.entries()[: looks[-1]]:
            queue.remove(entry)
        return False

    monkeypatch.setattr(supervisor.Supervisor, "look", look)
    assert supervisor.main([str(bench.root.path)]) == 0
    assert looks == [0, 1]


def test_a_killed_supervisor_is_replaced_and_starts_nothing_twice(bench: Bench) -> None:
    bench.behave(all={"steps": 20, "pause": 0.03})
    scheduler = local(bench, 2)
    ids = scheduler.submit(many(bench, 4))
    for go_on in (scheduler.supervise, lambda: scheduler.poll(ids), lambda: scheduler.cancel({})):
        old = bench.supervisor()
        wait_until(lambda: bench.trace("began"))
        old.kill()
        old.wait()
        go_on()
        assert bench.supervisor() != old
        time.sleep(0.3)
    bench.wait_idle()
    assert sorted(bench.order()) == [f"job{n}" for n in range(4)]
    assert [record["attempt"] for record in bench.trace("began")] == [1] * 4
    assert peak(bench) <= 2


def test_a_supervisor_killed_before_the_process_started(bench: Bench) -> None:
    """Marked as started, but there is nothing: it counts as gone, and the slot is free."""
    scheduler = local(bench, 1)
    first, second = many(bench, 2)
    queue = scheduler.queue
    for submission in (first, second):
        put(bench, submission)
    queue.mark_started(queue.entries()[0], (), time.time())
    assert scheduler.poll({first.id: "", second.id: ""})[first.id].liveness is Liveness.GONE
    bench.wait_idle()
    assert bench.order() == ["job1"]


def test_a_killed_task_is_gone_within_two_seconds(bench: Bench) -> None:
    bench.behave(job0={"steps": 10_000, "pause": 0.05})
    scheduler = local(bench, 1)
    submissions = many(bench, 2)
    ids = scheduler.submit(submissions)
    wait_until(lambda: bench.trace("began"))
    assert scheduler.poll(ids)[submissions[0].id].liveness is Liveness.RUNNING
    (task,) = bench.tasks()
    task.kill()
    gone = lambda: scheduler.poll(ids)[submissions[0].id].liveness is Liveness.GONE  # noqa: E731
    assert wait_until(gone) < 2.0
    bench.wait_idle()
    assert bench.order() == ["job1"]


def test_a_task_without_its_controller_still_runs(bench: Bench) -> None:
    bench.behave(job0={"steps": 40, "pause": 0.05})
    scheduler = local(bench, 1)
    submissions = many(bench, 2)
    ids = scheduler.submit(submissions)
    wait_until(lambda: bench.trace("began"))
    (controller,) = bench.controllers()
    controller.kill()
    time.sleep(0.6)
    polled = scheduler.poll(ids)
    assert polled[submissions[0].id].liveness is Liveness.RUNNING
    assert polled[submissions[1].id].liveness is Liveness.WAITING  # the slot is taken
    assert not bench.trace("ended")
    bench.wait_idle()
    assert bench.order() == ["job0", "job1"]


def test_what_ignores_sigterm_is_killed_after_the_grace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.behave(all={"steps": 10_000, "pause": 0.05, "deaf": True})
    scheduler = local(bench, 1)
    (submission,) = many(bench, 1)
    scheduler.submit([submission])
    wait_until(lambda: bench.trace("began"))
    process = bench.supervisor()
    process.kill()
    process.wait()
    monkeypatch.setattr(supervisor, "_GRACE", 1.0)
    own = supervisor.Supervisor(bench.root)
    scheduler.queue.mark_cancelled(submission.id)
    began = time.monotonic()
    while own.look():
        time.sleep(0.05)
        assert time.monotonic() - began < 20
    assert time.monotonic() - began > 1.0
    assert events(JobFolder(submission.folders[0]))[-1] in ("metric", "progress", "checkpoint")


@pytest.mark.slow
def test_the_time_limit_warns_requeues_and_resumes(bench: Bench) -> None:
    """Through submitit: SIGUSR2 at half of a short limit, checkpoint, the same submission again."""
    bench.behave(slow={"steps": 110, "pause": 0.05})
    quick, slow = bench.job("quick"), bench.job("slow")
    scheduler = local(bench, 1)
    submission = bench.submission(quick, slow, hours=7 / 3600)
    scheduler.submit([submission])
    bench.wait_idle(60)
    attempts = len(list(slow.journals.iterdir()))
    assert attempts >= 2
    assert len(list(quick.journals.iterdir())) == 1
    first, last = records(slow), records(slow, attempts)
    assert "time limit or preemption" in first[-1]["reason"]
    assert records(slow, 2)[2]["step"] == first[-1]["step"]
    assert last[-1]["event"] == "finished"
    assert {record["submission"] for record in (first[0], last[0])} == {submission.id}


def test_the_sites_shell_lines_are_recorded_nowhere(bench: Bench) -> None:
    """They may hold secrets, and a results root is for all to read."""
    bench.behave(all={"steps": 10_000, "pause": 0.05})
    site = bench.root.path.parent / "site.yaml"
    secret = "resources: {default: {setup: [export SECRET=s3cr3t], container: run s3cr3t}}\n"
    site.write_text(secret)
    bench.start("launch", bench.sweep(), "--scheduler", "local", VITOK_SITE=str(site))
    wait_until(lambda: bench.trace("began"), 120)
    files = [path for path in bench.root.path.rglob("*") if path.is_file()]
    assert {"entry.json", "1.json", "1.jsonl"} <= {path.name for path in files}
    for path in files:
        with suppress(FileNotFoundError):  # a temporary file, which was renamed meanwhile
            assert b"s3cr3t" not in path.read_bytes(), path


def test_a_submission_that_cannot_be_started_costs_only_itself(bench: Bench) -> None:
    broken, good = many(bench, 2)
    (broken.folders[0] / "logs").write_text("a file where a folder should be")
    local(bench, 1).submit([broken, good])
    bench.wait_idle()
    assert bench.order() == ["job1"]


def test_a_damaged_entry_is_passed_over(bench: Bench) -> None:
    queue = Queue(bench.root)
    for name, broken in (("s.1", "entry.json"), ("s.2", "started.json"), ("s.3", "")):
        content = {"order": 0, "jobs": ["j"], "after": [], "resources": {}, "code": ""}
        queue.put(name, content)
        if broken:
            (queue.folder / name / broken).write_text("")
    (queue.folder / "limits.json").write_text("{")
    found = {entry.id: entry.started for entry in queue.entries()}
    assert found == {"s.2": {"t": 0.0, "gpus": []}, "s.3": None}  # never started a second time
    assert queue.limits() == Limits()
