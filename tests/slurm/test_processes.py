"""Jobs that run as several processes, on several nodes: what they train, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from desk import SITE, Desk, attempts
from stubbed import records, wait_until

from sweep.layout import JobFolder, Root

pytestmark = pytest.mark.slurm

PACKAGES = Path(__file__).parent.parent.parent
ONE = ("--only", "p=8", "--no-watch")
TOKENIZER = "tokenizer-64x1-64x1-p8-c4"
FOUR = "  tokenizer: {nodes: 2, processes: 2}\n"
TRAINED = """\
sizes:
  T: {width: 64, blocks: 1, heads: 2}
tokenizer: {size: T-T, patch: 8, channels: 4}
data: {name: photos-train, resolution: 32}
train: {steps: 400, batch: 8, precision: fp32}
stages: [{train: stage1}]
resources:
  default: {memory_gb: 0.5, hours: 1, checkpoint_every: 10}
"""


@pytest.fixture
def four(desk: Desk) -> Desk:
    """A desk whose tokenizers run as two processes on each of two nodes."""
    desk.site.write_text(SITE + FOUR)
    return desk


def trained(desk: Desk) -> list[dict[str, Any]]:
    """What the tokenizer's processes were given, by rank."""
    began = [each for each in desk.bench.trace("began") if each["kind"] == "tokenizer"]
    return sorted(began, key=lambda each: int(each["rank"]))


def launched(desk: Desk) -> JobFolder:
    """The tokenizer's folder, once all of its processes are at work."""
    done = desk.launch(desk.bench.sweep(), *ONE)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(trained(desk)) == 4, 120)
    return desk.bench.folder("tokenizer")


def test_slurm_starts_them_and_only_one_reports(four: Desk) -> None:
    four.bench.behave(tokenizer={"steps": 5})
    launched(four)
    four.wait(120, done=3)
    assert [each["rank"] for each in trained(four)] == [0, 1, 2, 3]
    nodes = [each["node"] for each in trained(four)]
    assert nodes[0] == nodes[1] != nodes[2] == nodes[3]
    others = [each for each in four.bench.trace("began") if each["kind"] != "tokenizer"]
    assert {each["size"] for each in others} == {1}
    four.check()


def test_a_failing_process_fails_the_job_and_frees_its_nodes(four: Desk) -> None:
    four.bench.behave(tokenizer={"steps": 50, "pause": 0.1},
                      rank3={"fail_at": 2, "message": "bad luck"})  # fmt: skip
    folder = launched(four)
    four.wait(120, failed=1)
    assert "bad luck" in records(folder)[-1]["message"]
    wait_until(lambda: not [n for _, n, _ in four.cluster.jobs() if "tokenizer@" in n], 60)


def test_a_killed_process_ends_all_and_the_next_launch_goes_on(four: Desk) -> None:
    four.bench.behave(tokenizer={"steps": 300, "pause": 0.05})
    folder = launched(four)
    wait_until(lambda: list(folder.checkpoints.glob("1/*.pt")), 60)
    os.kill(trained(four)[2]["pid"], signal.SIGKILL)
    wait_until(lambda: four.job(TOKENIZER)["state"] == "lost", 90)
    assert four.launch(four.bench.sweep(), *ONE).returncode == 0
    four.wait(180, done=3)
    assert len(attempts(folder)) == 2


class Training:
    """A real training under a results root of its own."""

    def __init__(self, folder: Path, resources: str = "") -> None:
        folder.mkdir()
        self.root = Root(folder / "results")
        self.sweep = folder / "trained.yaml"
        self.sweep.write_text(TRAINED + resources)

    def launch(self, *options: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", "from sweep.cli.app import main; main()", "launch",
             str(self.sweep), "--yes", *options],
            cwd=self.sweep.parent, capture_output=True, text=True, timeout=400, check=False,
            env={**os.environ, "PYTHONPATH": str(PACKAGES), "VITOK_RESULTS": str(self.root.path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    @property
    def folder(self) -> JobFolder:
        (found,) = self.root.job_folders().values()
        return found

    def ended(self) -> bool:
        return (self.folder.artifacts / "training.json").exists()

    def weights(self) -> str:
        found = json.loads((self.folder.artifacts / "training.json").read_text())
        return str(found["weights_sha256"])

    def losses(self) -> list[float]:
        """The learning curve of its first attempt."""
        return [r["value"] for r in records(self.folder)
                if r["event"] == "metric" and r["name"] == "loss"]  # fmt: skip


Disturb = Callable[[Cluster, str], object]


@pytest.mark.slow
def test_four_processes_on_two_nodes_train_as_one(cluster: Cluster, tmp_path: Path) -> None:
    one = Training(tmp_path / "one")
    one.launch("--scheduler", "local")
    four = Training(tmp_path / "four", FOUR)
    four.launch("--scheduler", "slurm")
    assert four.losses() == pytest.approx(one.losses(), rel=1e-4)


@pytest.mark.longest
def test_warned_and_requeued_they_end_with_an_undisturbed_runs_weights(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Bit for bit."""
    four = Training(tmp_path / "four", FOUR)
    four.launch("--scheduler", "slurm")
    disturbances: dict[str, Disturb] = {
        "warned": lambda cluster, task: cluster.run("scancel", "--signal=USR2", task),
        "requeued": lambda cluster, task: cluster.run("scontrol", "requeue", task),
    }
    for name, disturb in disturbances.items():
        training = Training(tmp_path / name, FOUR)
        training.launch("--scheduler", "slurm", "--no-watch")
        (task,) = cluster.wait_running("tokenizer@")
        wait_until(lambda t=training: list(t.folder.checkpoints.glob("1/step-*.pt")), 120)
        disturb(cluster, task)
        wait_until(training.ended, 300)
        assert training.weights() == four.weights(), name
        (resumed,) = [r for r in records(training.folder, 2) if r["event"] == "resumed"]
        assert 0 < resumed["step"] < 400
        first = records(training.folder, 1)[-1]
        assert first["event"] == ("preempted" if name == "warned" else first["event"])
