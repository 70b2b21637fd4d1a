"""`launch`, `run`, `cancel`, `retry` as typed: exit codes, messages, and traces on disk."""

from __future__ import annotations

import json
import re
import shlex
import signal
import threading
import time
from pathlib import Path

import pytest
from stubbed import PACKAGES, Bench, ends, events, records, wait_until

from sweep.cli.submitting import _gpu_ids
from sweep.layout import JobFolder
from sweep.turns import turn
from vitok_core.errors import UserError

INLINE = ("--scheduler", "inline")
LONG = {"steps": 10_000, "pause": 0.02}


def slugs(bench: Bench) -> list[str]:
    return sorted(folder.slug for folder in bench.launched())


def states(bench: Bench) -> dict[str, str]:
    """Of the jobs that were ever submitted, by kind."""
    status = json.loads(bench.cli("status", "--json").stdout)
    there = bench.root.job_folders()
    return {j["slug"].split("-")[0]: j["state"] for j in status["jobs"] if j["id"] in there}


def tokenizer(bench: Bench) -> JobFolder:
    return bench.folder("tokenizer")


def test_a_sweep_from_start_to_end_and_again(bench: Bench) -> None:
    file = bench.sweep(chain=True)
    first = bench.cli("launch", file, *INLINE)
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    assert "jobs: 6 submitted" in first.stderr
    assert "6 jobs: 6 done" in first.stderr
    assert all(attempts == ["finished"] for attempts in ends(bench.root).values())
    again = bench.cli("launch", file, *INLINE)
    assert again.returncode == 3
    assert "nothing to do: every job is done" in again.stderr
    dry = bench.cli("launch", file, "--dry-run", *INLINE)
    assert (dry.returncode, dry.stdout) == (0, "")
    assert dry.stderr.splitlines() == [
        "jobs: 6 done already", "nothing to submit: no script to show",
    ]  # fmt: skip
    assert bench.cli("db", "check").returncode == 0
    assert not any(record["torch"] for record in bench.trace())


@pytest.mark.slow
def test_local_with_everything(bench: Bench) -> None:
    """Failure, what depends on it, being left alone, retry, and the end."""
    file = bench.sweep()
    bench.behave(tokenizer={"fail_at": 2, "message": "no such thing\nat all"})
    only = ("--only", "p=16", "-j", "2")
    failed = bench.cli("launch", file, *only)
    assert failed.returncode == 4
    name = tokenizer(bench).path.name
    assert f"failed: {name}: RuntimeError: no such thing" in failed.stderr
    assert "\nat all" not in failed.stderr
    assert (
        "see `vitok-sweep why JOB` and `logs JOB`; then `vitok-sweep retry JOB` and `"
        + shlex.join(["vitok-sweep", "launch", file, "--only", "p=16", "--results"])
        in failed.stderr.splitlines()[-1]
    )
    found = states(bench)
    assert found.pop("reconstruct") in ("blocked", "lost")
    assert found == {"tokenizer": "failed", "floor": "done"}

    left = bench.cli("launch", file, *only)
    assert left.returncode == 4
    assert f"left alone: {name}: failed" in left.stderr
    assert f"`vitok-sweep retry {tokenizer(bench).id}`" in left.stderr
    assert events(tokenizer(bench))[-1] == "failed"

    bench.behave()
    assert bench.cli("retry", tokenizer(bench).id).returncode == 0
    done = bench.cli("launch", file, *only)
    assert done.returncode == 0, done.stderr
    assert "2 submitted, 1 done already" in done.stderr
    assert records(tokenizer(bench), 2)[2]["event"] == "resumed"
    assert set(states(bench).values()) == {"done"}
    assert bench.cli("retry", tokenizer(bench).id).returncode == 3
    assert bench.cli("cancel", "stub").returncode == 3


def test_a_dry_run_leaves_no_trace(bench: Bench, tmp_path: Path) -> None:
    file = bench.sweep()
    bench.root.path.rmdir()
    before = sorted(tmp_path.rglob("*"))
    dry = bench.cli("launch", file, "--dry-run", "--only", "p=8")
    assert dry.returncode == 0
    assert "3 would be submitted" in dry.stderr
    assert [line.split("-")[0] for line in dry.stdout.split()] == [
        "tokenizer", "reconstruct", "floor",
    ]  # fmt: skip
    assert sorted(tmp_path.rglob("*")) == before
    elsewhere = bench.cli("launch", file, "--dry-run", "--db", f"sqlite:///{tmp_path}/index/a.db")
    assert elsewhere.returncode == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (str(PACKAGES / "sweeps" / "bottleneck_256p.yaml"),),
            r"data set \S+: its path is not set",
        ),
        (("stub.yaml", "--set", "resources.default.threads=999"), "asks for 999 threads"),
        (("stub.yaml", "--gpus", "0-x"), "expected ids such as 0-7"),
        (("stub.yaml", "--scheduler", "slrum"), "expected one of local, inline"),
        (("stub.yaml", "--set", "train.stepz=1"), "stepz"),
    ],
)
def test_what_cannot_run_exits_2_and_leaves_no_trace(
    bench: Bench, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    bench.sweep()
    bench.root.path.rmdir()
    before = sorted(tmp_path.rglob("*"))
    done = bench.cli("launch", *arguments, cwd=bench.root.path.parent)
    assert done.returncode == 2, done.stderr
    assert re.search(words, done.stderr)
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_not_watching_returns_at_once(bench: Bench) -> None:
    bench.behave(tokenizer={"held": True})
    file = bench.sweep(chain=True)
    done = bench.cli("launch", file, "--no-watch", "--only", "p=8")
    assert (done.returncode, bench.trace("ended")) == (0, [])
    bench.release()
    bench.wait_idle()
    assert len(bench.order()) == 3
    assert bench.cli("launch", file, "--only", "p=8").returncode == 3


def test_ctrl_c_leaves_the_jobs_running(bench: Bench) -> None:
    bench.behave(tokenizer={"held": True})
    process = bench.start("launch", bench.sweep(chain=True), "--only", "p=8")
    wait_until(lambda: bench.trace("began"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "vitok-sweep status stub --watch" in err
    assert "vitok-sweep cancel stub" in err
    assert "Traceback" not in err
    assert not bench.trace("ended")
    again = bench.start("launch", bench.sweep(chain=True), "--only", "p=8")
    assert again.stderr is not None
    while "3 running or waiting" not in (line := again.stderr.readline()):
        assert line, "it does not say so"
    bench.release()
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert all(attempts == ["finished"] for attempts in ends(bench.root).values() if attempts)
    assert len(bench.order()) == 3


def test_ctrl_c_inline_stops_after_a_checkpoint(bench: Bench) -> None:
    bench.behave(tokenizer=LONG)
    file = bench.sweep()
    process = bench.start("launch", file, *INLINE, "--only", "p=8")
    wait_until(lambda: bench.trace("began"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 4
    assert "stopping after a checkpoint" in err
    assert records(tokenizer(bench))[-1]["reason"] == "interrupted"
    bench.behave()
    assert bench.cli("launch", file, *INLINE, "--only", "p=8").returncode == 0
    assert [each[-1] for each in ends(bench.root).values()] == ["finished"] * 3


def test_a_failure_inline_does_not_wait_for_ever(bench: Bench) -> None:
    bench.behave(tokenizer={"fail_at": 1})
    done = bench.cli("launch", bench.sweep(), *INLINE, "--only", "p=8")
    assert done.returncode == 4
    found = states(bench)
    assert found.pop("reconstruct") in ("blocked", "lost")
    assert found == {"tokenizer": "failed", "floor": "done"}


@pytest.mark.parametrize("scheduler", ["local", "inline"])
def test_cancel_and_launch_again(bench: Bench, scheduler: str) -> None:
    bench.behave(tokenizer=LONG)
    file = bench.sweep()
    arguments = ("launch", file, "--scheduler", scheduler, "--only", "p=8", "-j", "1")
    process = bench.start(*arguments)
    wait_until(lambda: bench.trace("began"))
    cancelled = bench.cli("cancel", "stub")
    assert "cancelled 2 jobs, asked 1 job to stop" in cancelled.stderr
    process.communicate(timeout=30)
    assert process.returncode == 4
    assert set(states(bench).values()) == {"cancelled"}
    assert records(tokenizer(bench))[-1]["reason"] == "terminated"
    bench.behave()
    again = bench.cli(*arguments)
    assert (again.returncode, len(bench.order())) == (0, 3), again.stderr


@pytest.mark.slow
def test_run_by_hand(bench: Bench) -> None:
    file = bench.sweep(chain=True)
    bench.behave(all={"steps": 8}, tokenizer={"held": True})
    process = bench.start("launch", file, "--only", "p=8")
    wait_until(lambda: bench.trace("began"))
    name = tokenizer(bench).slug
    refused = bench.cli("run", name)
    assert refused.returncode == 2
    assert re.search(r"is running .*vitok-sweep cancel", refused.stderr)
    bench.release()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert bench.cli("run", name).returncode == 3

    # A job that nobody runs: some steps, then the rest by launch.
    bench.behave(all={"steps": 8, "fail_at": 0})
    assert bench.cli("launch", file, *INLINE).returncode == 4
    bench.behave(all={"steps": 8})
    (other,) = [f for f in bench.launched() if f.slug.startswith("tokenizer")
                and f.slug != name]  # fmt: skip
    steps = bench.cli("run", other.slug, "--steps", "3")
    assert (steps.returncode, records(other, 2)[-1]["step"]) == (0, 3)
    assert bench.cli("launch", file, *INLINE).returncode == 4  # its floor has failed before
    assert events(other, 3)[-1] == "finished"


@pytest.mark.slow
def test_two_launches_at_the_same_moment(bench: Bench) -> None:
    bench.behave(all={"steps": 5, "pause": 0.05})
    file = bench.sweep()
    running = [bench.start("launch", file, "-j", "2", "--only", "p=8") for _ in range(3)]
    for process in running:
        process.communicate(timeout=90)
        assert process.returncode in (0, 3)
    assert len(slugs(bench)) == 3
    assert all(attempts == ["finished"] for attempts in ends(bench.root).values())
    claims = [len(list(f.claims.iterdir())) for f in bench.launched()]
    assert claims == [1] * 3
    assert bench.cli("db", "check").returncode == 0


@pytest.mark.slow
def test_a_supervisor_killed_while_somebody_watches(bench: Bench) -> None:
    bench.behave(all={"steps": 8, "pause": 0.05})
    process = bench.start("launch", bench.sweep(), "-j", "1", "--only", "p=8")
    wait_until(lambda: bench.trace("began"))
    bench.supervisor().kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(bench.order()) == 3


def test_a_launcher_waits_for_its_turn_aloud(bench: Bench) -> None:
    import fcntl

    bench.root.launches.mkdir()
    with (bench.root.launches / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = bench.start("launch", bench.sweep(chain=True), "--only", "p=8", *INLINE)
        assert process.stderr is not None
        line: list[str] = []
        reader = threading.Thread(target=lambda: line.append(process.stderr.readline()))
        reader.start()
        reader.join(20)
        assert "another launch, cancel or gc is at work" in line[0]
    assert process.wait(30) == 0


@pytest.mark.slow
def test_a_cancel_finds_what_a_launch_is_just_handing_over(bench: Bench) -> None:
    """It waits for the launch to end, and stops what that has submitted."""
    file = bench.sweep()
    assert bench.cli("launch", file, *INLINE, "--only", "p=16").returncode == 0
    bench.behave(tokenizer=LONG)
    arguments = ("launch", file, "--scheduler", "local", "--only", "p=8", "--no-watch")
    with turn(bench.root, print):
        launched, cancelled = bench.start(*arguments), bench.start("cancel", "stub")
        time.sleep(3.0)
        assert launched.poll() is cancelled.poll() is None
    launched.communicate(timeout=60)
    cancelled.communicate(timeout=60)
    if cancelled.returncode == 3:  # its turn came before the launch's
        assert bench.cli("cancel", "stub").returncode == 0
    wait_until(lambda: states(bench)["tokenizer"] == "cancelled", 60)


@pytest.mark.parametrize(
    ("text", "ids"), [("0", (0,)), ("0-3", (0, 1, 2, 3)), ("2, 5-6,0", (2, 5, 6, 0))]
)
def test_gpu_ids(text: str, ids: tuple[int, ...]) -> None:
    assert _gpu_ids(text) == ids


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "0,0", "1-3,2", "²"])
def test_bad_gpu_ids(text: str) -> None:
    with pytest.raises(UserError, match="--gpus"):
        _gpu_ids(text)
