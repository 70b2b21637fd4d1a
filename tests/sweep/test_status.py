"""`status`, `why`, `logs`: what they say of every state, from the index and one poll."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import psutil
import pytest
import typer
from journalled import Lab, line
from rich.console import Console
from stubbed import wait_until
from typer.testing import CliRunner, Result

import sweep.status
from sweep.cli import jobs as commands
from sweep.facts import Attempt, JobFacts
from sweep.layout import Root
from sweep.logs import follow, log_files, tail
from sweep.reconcile import State
from sweep.schedulers.base import Liveness, Report, SchedulerUnreachableError, Submission
from sweep.status import JobStatus, job_statuses, poll, process_liveness, progress
from sweep.statusview import brief_table, duration, status_table
from sweep.store import open_store, sync
from sweep.store.queries import facts
from vitok_core.errors import UserError


class FakeScheduler:
    """Answers as told; remembers what it was asked."""

    name = "local"

    def __init__(self) -> None:
        self.answers: dict[str, Liveness] = {}
        self.asked: list[dict[str, str]] = []

    def submit(self, submissions: Sequence[Submission]) -> Mapping[str, str]:
        raise AssertionError("status submits nothing")

    def poll(self, submissions: Mapping[str, str]) -> Mapping[str, Report]:
        self.asked.append(dict(submissions))
        return {each: Report(self.answers[each]) for each in submissions if each in self.answers}

    def cancel(self, submissions: Mapping[str, str]) -> None:
        raise AssertionError("status cancels nothing")


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> FakeScheduler:
    fake = FakeScheduler()

    def registered(name: str, root: Root) -> FakeScheduler:
        if name != "local":
            raise SchedulerUnreachableError(f"scheduler {name!r} does not answer")
        return fake

    monkeypatch.setattr(sweep.status, "_registered", registered)
    return fake


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """One job in each of seven states; `states` names them."""
    lab = Lab(tmp_path / "results")
    for job in ("done", "run", "fail", "wait", "lost", "away", "new"):
        lab.job(job)
    lab.job("stuck", "fail", kind="reconstruct")
    started = {"host": "n1", "scheduler": "local"}
    for job, scheduler in (
        ("run", "local"),
        ("wait", "local"),
        ("lost", "local"),
        ("away", "slurm"),
    ):
        lab.claim(job, submission=f"s-{job}", scheduler=scheduler)
    lab.write("done", 1, line("started", 2.0, **started), line("finished", 9.0))
    lab.write("run", 1, line("started", 2.0, submission="s-run", scheduler_id="77", **started))
    for done, t in ((0, 10.0), (25, 20.0)):
        lab.write("run", 1, line("progress", t, done=done, total=100, unit="steps"))
    lab.write("fail", 1, line("started", 2.0, **started))
    lab.write("fail", 1, line("failed", 3.0, **{"class": "UserError", "message": "no data\nat all",
                                                "user": True}))  # fmt: skip
    lab.sweep("demo", {"p1": ["run"], "p2": ["fail", "stuck"]})
    return lab


STATES = {
    "done": "done", "run": "running", "fail": "failed", "wait": "submitted", "lost": "lost",
    "away": "unknown", "new": "planned", "stuck": "blocked",
}  # fmt: skip


@pytest.fixture(autouse=True)
def answers(scheduler: FakeScheduler) -> None:
    scheduler.answers = {
        "s-run": Liveness.RUNNING, "s-wait": Liveness.WAITING, "s-lost": Liveness.GONE,
    }  # fmt: skip


def run(lab: Lab, *arguments: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    result = CliRunner().invoke(app, [*arguments, "--results", str(lab.root.path)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_json_is_the_documented_one(lab: Lab, scheduler: FakeScheduler) -> None:
    document = json.loads(run(lab, "status", "--json").stdout)
    assert set(document) == {"counts", "jobs"}
    found = {job["id"]: job for job in document["jobs"]}
    assert {job: entry["state"] for job, entry in found.items()} == STATES
    assert document["counts"] == {str(state): (state != "cancelled") for state in State}
    assert found["run"] == {
        "id": "run", "slug": "p16-c4", "kind": "tokenizer", "state": "running", "attempts": 1,
        "scheduler_id": "77", "reason": "attempt 1 on n1",
        "progress": {"done": 25.0, "total": 100.0, "unit": "steps", "percent": 25.0,
                     "per_second": 2.5, "seconds_left": 30.0},
        "scheduler": "local", "silent": False, "adopted": None,
    }  # fmt: skip
    assert found["fail"]["reason"] == "UserError: no data\nat all"
    # One question for all jobs; what is done or by hand is not asked about.
    assert scheduler.asked == [{"s-run": "77", "s-wait": "", "s-lost": ""}]


def test_a_sweep_alone(lab: Lab) -> None:
    document = json.loads(run(lab, "status", "demo", "--json").stdout)
    assert [job["id"] for job in document["jobs"]] == ["run", "fail", "stuck"]
    with pytest.raises(UserError, match="nearest: demo"):
        run(lab, "status", "dem0")


def test_the_table_names_every_job_and_why(lab: Lab) -> None:
    text = run(lab, "status", "--all").stdout
    assert text.startswith("8 jobs: 1 done, 1 running, 1 failed, 1 submitted")
    for job, state in STATES.items():
        (row,) = [row for row in text.splitlines() if f"-{job} " in f"{row} "]
        assert row.startswith(f"{state} ")
    assert "25% 2.5 steps/s 0:30 left" in text
    assert "parent fail is failed" in text


def test_done_jobs_are_counted_and_not_listed_unless_asked_for(lab: Lab) -> None:
    text = run(lab, "status").stdout
    assert text.startswith("8 jobs: 1 done, 1 running")
    (done,) = [job for job, state in STATES.items() if state == "done"]
    assert f"-{done} " not in text
    assert text.splitlines()[-1] == "… and 1 more (`--all` lists them)"
    alone = run(lab, "status", done).stdout.splitlines()
    assert alone == ["1 job: 1 done", "… and 1 more (`--all` lists them)"]


def test_of_a_part_that_is_done_the_jobs_are_listed(tmp_path: Path) -> None:
    """After `launch --only` the rest is planned, and nobody looks for that alone."""
    lab = Lab(tmp_path / "results")
    for job in ("one", "new"):
        lab.job(job)
    lab.write("one", 1, line("started", 2.0, host="n1"), line("finished", 9.0))
    text = run(lab, "status").stdout.splitlines()
    assert [row.split()[0] for row in text[2:]] == ["done", "planned"]


def test_no_results_are_no_jobs_and_no_trace(tmp_path: Path) -> None:
    missing = Lab(tmp_path / "x")
    missing.root.path.rmdir()
    assert json.loads(run(missing, "status", "--json").stdout)["jobs"] == []
    assert not missing.root.path.exists()


def test_watch_ends_with_the_last_job_and_says_so_by_its_code(
    lab: Lab, scheduler: FakeScheduler
) -> None:
    def end_soon() -> None:
        wait_until(lambda: len(scheduler.asked) >= 2, 60)
        lab.write("run", 1, line("finished", 30.0))

    thread = threading.Thread(target=end_soon)
    thread.start()
    result = run(lab, "status", "run", "--watch")
    thread.join()
    assert result.exit_code == 0
    assert len(scheduler.asked) >= 2
    assert run(lab, "status", "fail", "--watch").exit_code == 4


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("done", ["is done", "Nothing is to do"]),
        ("run", ["is running", "at 25 of 100 steps", "logs -f run"]),
        ("fail", ["is failed", "UserError: no data", "Mend what the message says", "retry fail"]),
        ("stuck", ["is blocked", "p16-c4-fail (failed: UserError: no data", "why fail"]),
        ("wait", ["is submitted", "Waiting in local"]),
        ("lost", ["is lost", "ended before the job started", "launch"]),
        ("away", ["is unknown", "Slurm does not answer", "lest it run twice"]),
        ("new", ["is planned", "launch"]),
    ],
)
def test_why_says_state_reason_and_remedy(lab: Lab, job: str, words: list[str]) -> None:
    text = run(lab, "why", job).stdout
    for word in words:
        assert word in text


def test_why_ends_with_the_log(lab: Lab) -> None:
    (lab.folder("fail").logs / "1_log.out").write_text("one\ntwo\n")
    assert run(lab, "why", "fail").stdout.endswith("Last lines of its log:\n  one\n  two\n")


def test_logs_are_the_newest_submissions(lab: Lab) -> None:
    logs = lab.folder("run").logs
    for name, age in (("76_0_log.out", 50), ("77_0_log.out", 100), ("77_0_log.err", 90)):
        (logs / name).write_text(f"in {name}\n")
        os.utime(logs / name, (time.time() - age,) * 2)
    (logs / "77_submitted.pkl").write_bytes(b"\x80")
    # By its scheduler's id, although another file is newer.
    assert run(lab, "logs", "run").stdout == "in 77_0_log.out\nin 77_0_log.err\n"
    assert run(lab, "logs", "wait").stdout == ""


def test_a_chained_job_has_its_log_in_the_chains_first_folder(lab: Lab) -> None:
    lab.claim("stuck", submission="s-run")
    place = lab.folder("run").logs / "s-run"
    place.mkdir()
    (place / "5_0_log.out").write_text("of both\n")
    assert run(lab, "logs", "stuck").stdout == "of both\n"


def test_tail_reads_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert tail(path, 2) == ["line 99998", "line 99999"]


def test_follow_writes_all_once_and_stops_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\n")
    looks, written = [0], []

    def ended() -> bool:
        looks[0] += 1
        with path.open("a") as file:
            file.write(f"look {looks[0]}\n")
        return looks[0] == 3

    follow(lambda: [path], ended, written.append, pause=0.0)
    assert "".join(written) == "a\nlook 1\nlook 2\nlook 3\n"


def test_logs_follow_until_the_job_ends(lab: Lab) -> None:
    path = lab.folder("run").logs / "77_0_log.out"
    path.write_text("first\n")

    def end_soon() -> None:
        time.sleep(0.7)
        path.write_text("first\nlast\n")
        lab.write("run", 1, line("finished", 30.0))

    thread = threading.Thread(target=end_soon)
    thread.start()
    assert run(lab, "logs", "-f", "run").stdout == "first\nlast\n"
    thread.join()


def test_a_living_process_is_known_by_its_start() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        start = psutil.Process(process.pid).create_time()
        host = socket.gethostname()
        own = Attempt(1, host=host, pid=process.pid, pid_start=start)
        assert process_liveness(own) is Liveness.RUNNING
        reused = Attempt(1, host=host, pid=process.pid, pid_start=start - 100)
        assert process_liveness(reused) is Liveness.GONE
        elsewhere = Attempt(1, host="other", pid=process.pid, pid_start=start)
        assert process_liveness(elsewhere) is Liveness.UNKNOWN
    finally:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_liveness(own) is Liveness.GONE  # a zombie, not waited for yet
    process.wait()
    assert process_liveness(own) is Liveness.GONE


def test_a_job_run_by_hand_is_running_while_its_process_lives(lab: Lab) -> None:
    start = psutil.Process().create_time()
    lab.write("new", 1, line("started", 5.0, host=socket.gethostname(), pid=os.getpid(),
                             pid_start=start))  # fmt: skip
    store = open_store(lab.root)
    sync(store, lab.root)
    assert job_statuses(store, lab.root, ["new"])[0].state is State.RUNNING


def test_a_silent_scheduler_leaves_jobs_unknown(lab: Lab, scheduler: FakeScheduler) -> None:
    store = open_store(lab.root)
    sync(store, lab.root)
    assert "s-away" not in poll(facts(store, ["away"]), lab.root)
    assert scheduler.asked == []


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (Attempt(1), None),
        (Attempt(1, done=5.0, done_t=1.0, first_done=5.0, first_t=1.0), (None, None, None)),
        (Attempt(1, done=5.0, total=0.0), (None, None, None)),
        (
            Attempt(1, done=4.0, total=8.0, done_t=3.0, first_done=2.0, first_t=1.0),
            (50.0, 1.0, 4.0),
        ),
        (
            Attempt(1, done=4.0, total=8.0, done_t=1.0, first_done=2.0, first_t=3.0),
            (50.0, None, None),
        ),
    ],
)
def test_progress(attempt: Attempt, expected: tuple[float | None, ...] | None) -> None:
    found = progress(attempt, State.RUNNING)
    shown = (found.percent, found.per_second, found.seconds_left) if found else None
    assert shown == expected


def test_durations() -> None:
    assert [duration(s) for s in (5, 750, 11045, 183600)] == ["0:05", "12:30", "3:04:05", "2 d 3 h"]


def test_status_needs_no_torch() -> None:
    code = (
        "import sys\nfrom sweep.cli import jobs, storing\nimport sweep.why, sweep.logs\n"
        "import sweep.watch, sweep.store.check, sweep.store.export\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_log_files_of_a_job_that_never_ran(lab: Lab) -> None:
    store = open_store(lab.root)
    assert log_files(store, lab.root, JobFacts("nobody")) == []


def test_a_narrow_terminal_keeps_ids_whole(lab: Lab) -> None:
    store = lab.synced()
    jobs = job_statuses(store, lab.root, None)
    screen = Console(file=StringIO(), width=80)
    screen.print(status_table(jobs, None, 80))
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    for job in jobs:
        assert f"{job.slug}-{job.id}" in text
    assert "parent fail is failed" in text


def test_a_watcher_sees_what_the_others_wait_for() -> None:
    waiting = [
        JobStatus(str(n), "a", "tokenizer", State.SUBMITTED, 0, None, None, reason)
        for n, reason in enumerate(["waiting in slurm 7_0: waits: Priority"] * 2 + ["x"])
    ]
    assert "2 wait: Priority" in str(brief_table(waiting, 9).caption)


def test_what_an_earlier_launch_left_unstarted_is_nobodys_plan(lab: Lab) -> None:
    lab.sweep("other", {"p1": ["once"]}, t=1.0, launch="l1")
    lab.sweep("other", {"p2": ["now"]}, t=2.0, launch="l2")
    for job in ("once", "now"):
        lab.job(job)
    listed = [job["id"] for job in json.loads(run(lab, "status", "--json").stdout)["jobs"]]
    assert "now" in listed
    assert "once" not in listed
    assert "no sweep has it any more" in run(lab, "why", "once").stdout
