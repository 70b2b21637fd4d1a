"""A sweep on a real Slurm, from `launch` to `db check`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from desk import SITE, Desk
from stubbed import SWEEP, Bench, copy_packages, wait_until

pytestmark = pytest.mark.slurm


def test_a_sweep_runs_to_its_end(desk: Desk) -> None:
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 0, done.stderr
    assert desk.states() == {"done": 6}
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)
    order = desk.bench.order()
    for patch in ("p8", "p16"):
        trained, scored = (
            next(n for n, slug in enumerate(order) if slug.startswith(kind) and patch in slug)
            for kind in ("tokenizer", "reconstruct")
        )
        assert trained < scored
    desk.check()
    again = desk.launch(desk.bench.sweep())
    assert again.returncode == 3
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)


def test_few_arrays_not_many_jobs(desk: Desk) -> None:
    text = SWEEP.replace("[8, 16]", "[4, 8, 16, 32]").replace("channels: 4", "channels: 8")
    done = desk.launch(desk.bench.sweep(text=text))
    assert done.returncode == 0, done.stderr
    assert sorted(len(batch["tasks"]) for batch in desk.batches()) == [4, 4, 4]
    scripts = [path.read_text() for path in desk.bench.root.slurm.glob("*/script.sh")]
    assert sum("dependency=aftercorr" in text for text in scripts) == 1
    assert not any("afterok" in text for text in scripts)


def test_a_failed_job_holds_up_its_own_child_alone(desk: Desk) -> None:
    desk.bench.behave(**{"tokenizer-64x1-64x1-p8-c4-64p-s0": {"fail_at": 1}})
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 4
    assert desk.states() == {"done": 4, "failed": 1, "blocked": 1}
    assert "stub failure" in desk.cli("why", "tokenizer-64x1-64x1-p8").stdout
    blocked = desk.cli("why", "reconstruct-64x1-64x1-p8").stdout
    assert "is blocked" in blocked
    assert "tokenizer-64x1-64x1-p8-c4-64p-s0" in blocked

    # Mended and retried, both run; what is done does not.
    desk.bench.behave()
    assert desk.cli("retry", "stub").returncode == 0
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 0, done.stderr
    assert desk.states() == {"done": 6}
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)


def test_a_dry_run_prints_scripts_and_leaves_no_trace(desk: Desk) -> None:
    desk.bench.root.path.rmdir()
    done = desk.launch(desk.bench.sweep(), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("#!/bin/bash") == 3
    assert "#SBATCH --array=" in done.stdout
    assert not desk.bench.root.path.exists()


def test_cancel_and_take_up_again(desk: Desk) -> None:
    desk.bench.behave(all={"steps": 100_000, "pause": 0.02})
    assert desk.launch(desk.bench.sweep(), "--no-watch").returncode == 0
    desk.wait(running=4, submitted=2)
    waiting = desk.cli("why", "reconstruct-64x1-64x1-p8").stdout
    assert "Dependency" in waiting
    assert desk.cli("cancel", "stub").returncode == 0
    desk.wait(cancelled=6)
    desk.bench.behave()
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 0, done.stderr
    assert desk.states() == {"done": 6}
    assert any(each["attempts"] == 2 for each in desk.status())


def test_a_jobs_own_scancel_is_a_cancel_and_said(desk: Desk) -> None:
    desk.bench.behave(all={"steps": 100_000, "pause": 0.02})
    assert desk.launch(desk.bench.sweep(), "--no-watch", "--only", "p=8").returncode == 0
    desk.wait(running=2)
    desk.cluster.run("scancel", desk.job("floor-p8")["scheduler_id"])
    wait_until(lambda: desk.job("floor-p8")["state"] == "cancelled", 60)
    assert desk.job("tokenizer-64x1-64x1-p8")["state"] == "running"


def test_jobs_run_the_code_of_their_launch(desk: Desk, tmp_path: Path, stub_code: Path) -> None:
    """The checkout is edited, then deleted, while jobs queue."""
    checkout = copy_packages(tmp_path / "checkout")
    bench = Bench(tmp_path / "own" / "results", checkout)
    own = Desk(bench, desk.cluster, SITE)
    bench.behave(tokenizer={"steps": 200, "pause": 0.02})
    assert own.launch(bench.sweep(), "--no-watch").returncode == 0
    (checkout / "vitok_core" / "jobs.py").write_text("raise RuntimeError('edited')\n")
    shutil.rmtree(checkout)
    bench.code = stub_code  # to look at it
    own.wait(done=6)
    (frozen,) = [path for path in bench.root.code.iterdir() if not path.name.startswith(".")]
    assert {record["code"] for record in bench.trace()} == {str(frozen)}
