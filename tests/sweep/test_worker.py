"""One attempt from start to end, chains, fencing, and who may run what."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from stubbed import Bench, events, records, resources, wait_until

from sweep.claims import claim
from sweep.journal import dump_line
from sweep.layout import JobFolder
from sweep.ranks.meeting import Spawned
from sweep.snapshot import code_identity
from sweep.stopping import SUPERSEDED, Signals
from sweep.worker import Outcome, Worker, run_job


def run(folder: JobFolder, **options: Any) -> Outcome:
    signals = Signals()
    with Spawned(signals) as crew:
        return run_job(folder, signals, crew, **options)


def test_an_attempt_says_all_that_is_known_of_it(here: Bench) -> None:
    folder = here.job("floor")
    claim(folder, {"submission": "s.1", "resources": resources(threads=3).model_dump()})
    assert run(folder, submission="s.1", scheduler="local") is Outcome.FINISHED
    started = records(folder)[0]
    expected = {"attempt": 1, "pid": os.getpid(), "submission": "s.1", "scheduler": "local",
                "threads": 3, "device": "cpu", "code": code_identity()}  # fmt: skip
    assert {name: started[name] for name in expected} == expected
    assert started["packages"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"host", "pid_start", "scheduler_id", "precision"} <= started.keys()
    assert events(folder)[-1] == "finished"
    assert events(folder).count("metric") == 3
    assert run(folder) is Outcome.ALREADY_DONE
    assert not (folder.journals / "2.jsonl").exists()


def test_later_attempts_keep_threads_and_device_of_the_first(here: Bench) -> None:
    folder = here.job("floor")
    here.behave(all={"steps": 6})
    claim(folder, {"submission": "a", "resources": resources(threads=2).model_dump()})
    assert run(folder, submission="a", limit=2) is Outcome.STOPPED
    later = resources(threads=1, gpus=1, checkpoint_every=1, checkpoint_activations=True)
    claim(folder, {"submission": "b", "resources": later.model_dump()})
    assert run(folder, submission="b") is Outcome.FINISHED
    given = [(each["threads"], each["device"]) for each in here.trace("began")]
    assert given == [(2, "cpu"), (2, "cpu")]
    # What shapes no bit may change.
    assert events(folder, 2).count("checkpoint") == 4
    assert [each["checkpoint_activations"] for each in here.trace("began")] == [False, True]


@pytest.mark.parametrize("user", [True, False])
def test_a_failure_is_journalled_in_full(here: Bench, user: bool) -> None:
    folder = here.job("floor")
    here.behave(floor={"fail_at": 2, "message": "odd ü", "user": user})
    assert run(folder) is Outcome.FAILED
    failed = records(folder)[-1]
    assert failed["event"] == "failed"
    assert failed["class"] == ("UserError" if user else "RuntimeError")
    assert (failed["message"], failed["user"]) == ("odd ü", user)
    assert 'raise error(behaviour.get("message", "stub failure"))' in failed["traceback"]


def test_debugging_lets_the_exception_through(here: Bench) -> None:
    folder = here.job("floor")
    here.behave(floor={"fail_at": 0})
    with pytest.raises(RuntimeError, match="stub failure"):
        run(folder, debug=True)
    assert events(folder)[-1] == "failed"


def test_a_config_that_this_release_does_not_know_fails(here: Bench) -> None:
    folder = here.job("floor")
    folder.spec.write_text(folder.spec.read_text().replace('"patch"', '"pitch"'))
    assert run(folder) is Outcome.FAILED
    assert records(folder)[-1]["class"] == "ValidationError"


def test_a_job_that_leaves_the_interpreter_fails(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitok_core.jobs.floor", lambda config, context: sys.exit(0))
    folder = here.job("floor")
    assert run(folder) is Outcome.FAILED
    assert records(folder)[-1]["class"] == "SystemExit"


def test_changed_data_refuses(here: Bench) -> None:
    here.behave(all={"fingerprint": "one"})
    assert run(here.job("a")) is Outcome.FINISHED
    here.behave(all={"fingerprint": "two"})
    folder = here.job("b")
    assert run(folder) is Outcome.FAILED
    failed = records(folder)[-1]
    assert (failed["class"], failed["user"]) == ("UserError", True)


def test_a_failure_blocks_its_children_alone(here: Bench) -> None:
    first, second = here.job("first"), here.job("second")
    child = here.job("child", first, kind="reconstruct")
    grandchild = here.job("grandchild", child, kind="reconstruct")
    here.behave(first={"fail_at": 1})
    folders = [str(folder.path) for folder in (first, child, grandchild, second)]
    outcomes = Worker(tuple(folders))()
    assert list(outcomes.values()) == ["failed", "blocked", "blocked", "finished"]
    assert not child.journals.exists()
    here.behave()
    assert set(Worker(tuple(folders))().values()) == {"finished", "already done"}
    assert here.order() == ["second", "first", "child", "grandchild"]


def test_a_parent_without_a_folder_blocks(here: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    parent = here.job("parent")
    child = here.job("child", parent, kind="reconstruct")
    parent.spec.unlink()
    assert run(child) is Outcome.BLOCKED
    assert "has no folder; launch again" in capsys.readouterr().err


def test_a_newer_attempt_makes_the_older_stop(here: Bench) -> None:
    """The older one ends its own journal, writes no artifact, and starts no other job."""
    first, second = here.job("first"), here.job("second")
    here.behave(first={"steps": 10_000, "pause": 0.005})

    def supersede() -> None:
        wait_until(lambda: first.journals.exists() and events(first)[-1:] == ["metric"])
        (first.journals / "2.jsonl").write_bytes(dump_line({"event": "started"}))

    thread = threading.Thread(target=supersede)
    thread.start()
    outcomes = Worker((str(first.path), str(second.path)))()
    thread.join()
    assert list(outcomes.values()) == ["stopped"]
    assert records(first)[-1]["event"] == "preempted"
    assert records(first)[-1]["reason"] == SUPERSEDED
    assert not list(first.artifacts.iterdir())
    assert not second.journals.exists()


def test_a_submission_leaves_jobs_alone_that_another_has_claimed(here: Bench) -> None:
    folder = here.job("floor")
    claim(folder, {"submission": "old"})
    claim(folder, {"submission": "new"})
    assert run(folder, submission="old") is Outcome.SUPERSEDED
    assert not folder.journals.exists()
    assert run(folder) is Outcome.FINISHED  # by hand, on purpose


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")]
)
def test_a_signal_checkpoints_and_the_handlers_come_back(
    here: Bench, number: int, reason: str
) -> None:
    folder, after = here.job("floor"), here.job("after")
    here.behave(all={"steps": 10_000, "pause": 0.005})
    handlers = [signal.getsignal(each) for each in signal.valid_signals() if each < 32]
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    timer.start()
    assert Worker((str(folder.path), str(after.path)))() == {folder.path.name: "stopped"}
    assert [signal.getsignal(each) for each in signal.valid_signals() if each < 32] == handlers
    last = records(folder)[-1]
    assert (last["event"], last["reason"]) == ("preempted", reason)
    assert records(folder)[-2]["event"] == "checkpoint"
    assert records(folder)[-2]["step"] == last["step"] > 0
    here.behave(all={"steps": last["step"] + 1})
    assert run(folder) is Outcome.FINISHED
    assert records(folder, 2)[2]["event"] == "resumed"
    assert records(folder, 2)[2]["step"] == last["step"]


def test_a_second_interrupt_stops_at_once(here: Bench) -> None:
    folder = here.job("floor")
    here.behave(all={"steps": 100_000, "pause": 0.005, "deaf": True})
    for delay in (0.2, 0.4):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Worker((str(folder.path),))()
    assert time.monotonic() - began < 5
    assert records(folder)[-1]["event"] == "preempted"


def test_a_warning_requeues_after_the_checkpoint(here: Bench) -> None:
    """submitit's handler comes last, and in its requeue nothing done is repeated."""
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    first, second = here.job("first"), here.job("second")
    here.behave(second={"steps": 10_000, "pause": 0.005})
    worker = Worker((str(first.path), str(second.path)))
    try:
        threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGUSR2)).start()
        assert list(worker().values()) == ["finished", "stopped"]
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [signal.SIGUSR2]
    assert "time limit or preemption" in records(second)[-1]["reason"]
    again = worker.checkpoint().function
    here.behave(second={"steps": 1})
    assert list(again().values()) == ["already done", "finished"]


def test_a_worker_is_pickled_by_name(bench: Bench) -> None:
    worker = Worker((str(bench.job("floor").path),), "s.1", "local")
    data = pickle.dumps(worker)
    assert b"sweep.worker" in data
    assert len(data) < 1000
    assert pickle.loads(data) == worker


def test_by_hand(bench: Bench, stub_code: Path) -> None:
    def by_hand(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sweep.worker", *arguments], capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(stub_code)}, cwd=bench.root.path, check=False,
        )  # fmt: skip

    folder = bench.job("floor")
    name = folder.path.name
    done = by_hand(f"jobs/{name}")
    assert (done.returncode, done.stdout) == (0, f"{name}: finished\n")
    assert records(folder)[0]["submission"] is None
    assert by_hand(str(folder.path)).stdout == f"{name}: already done\n"
    bench.behave(all={"fail_at": 0})
    assert by_hand(str(bench.job("other").path)).returncode == 4
    assert by_hand().returncode == 2
    assert not bench.trace()[0]["torch"]
