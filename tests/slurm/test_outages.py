"""The controller, or the accounting, is down: what can be said, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk
from stubbed import wait_until

pytestmark = pytest.mark.slurm


def test_without_accounting(desk: Desk) -> None:
    desk.cluster.kill("slurmdbd")
    try:
        done = desk.launch(desk.bench.sweep())
        assert done.returncode == 0, done.stderr
        assert desk.states() == {"done": 6}
        assert desk.ended() == dict.fromkeys(desk.weights(), 1)
    finally:
        desk.cluster.mend()
    desk.check()


def test_without_a_controller(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.bench.behave(all={"held": True})
    assert desk.launch(desk.bench.sweep(), "--no-watch", "--only", "p=8").returncode == 0
    desk.wait(running=2, submitted=1)
    desk.cluster.kill("slurmctld")
    try:
        with monkeypatch.context() as patch:
            patch.setenv("SLURM_CONF", str(desk.cluster.hasty(tmp_path / "slurm.conf")))
            assert "Squeue does not answer" in desk.cli("why", "reconstruct-64x1-64x1-p8").stdout
            states = {job["slug"].split("-")[0]: job["state"] for job in desk.status()
                      if job["state"] != "planned"}  # fmt: skip
            # What writes its journal runs; of what waits nobody can tell, and it is not called
            # dead.
            assert states == {"tokenizer": "running", "floor": "running", "reconstruct": "unknown"}
            desk.cluster.kill("slurmdbd")  # and now nobody can be asked
            assert "slurm does not answer" in desk.cli("status").stderr
            before = sorted(path.name for path in desk.bench.root.launches.iterdir())
            more = desk.launch(desk.bench.sweep(), "--no-watch")
            assert more.returncode == 5, more.stderr
            assert len(more.stderr.strip().splitlines()[-1]) < 300
            assert desk.cli("cancel", "stub").returncode == 5
            assert sorted(path.name for path in desk.bench.root.launches.iterdir()) == before
        desk.bench.release()
        wait_until(lambda: len(desk.bench.order()) == 2)  # and nobody hears of it
    finally:
        desk.cluster.mend()
    done = desk.launch(desk.bench.sweep())
    assert done.returncode == 0, done.stderr
    assert desk.states() == {"done": 6}
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)
    desk.check()


def test_a_watching_launch_outlives_the_controller(desk: Desk) -> None:
    desk.bench.behave(all={"steps": 400, "pause": 0.02})
    watching = desk.start("launch", desk.bench.sweep(), "--yes")
    wait_until(lambda: desk.states()["running"] == 4, 60)
    desk.cluster.kill("slurmctld")
    try:
        wait_until(lambda: desk.cluster.daemon("slurmctld") is None)
    finally:
        desk.cluster.mend()
    _, said = watching.communicate(timeout=180)
    assert watching.returncode == 0, said
    assert desk.states() == {"done": 6}
    assert desk.ended() == dict.fromkeys(desk.weights(), 1)
