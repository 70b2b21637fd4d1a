"""Hundreds of short jobs on a cluster that a seeded monkey takes apart meanwhile.

`make chaos` runs both, a few minutes and a quarter of an hour; CI does not.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
from cluster import NODES, Cluster
from desk import SITE, Desk
from stubbed import Bench

SWEEP = """\
sizes:
  T: {width: 64, blocks: 1, heads: 2}
tokenizer: {size: T-T}
data: {name: photos-train, resolution: 64}
train: {steps: 20, batch: 4}
axes:
  tokenizer.patch: [4, 8, 16, 32]
  tokenizer.channels: CHANNELS
stages:
  - train: stage1
  - reconstruct: [photos-tune, photos-heldout]
  - floor: [photos-tune]
resources:
  default: {threads: 1, memory_gb: 0.1, checkpoint_every: 2}
"""


class Monkey:
    """One fault after another, chosen by a seed; counts those that it brought about."""

    def __init__(self, desk: Desk, file: str, seed: int) -> None:
        self.desk = desk
        self.cluster: Cluster = desk.cluster
        self.file = file
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.launcher: subprocess.Popen[str] | None = None
        self.strangers: list[str] = []  # others' jobs, which preempt ours
        self._down_since: dict[str, float] = {}

    def act(self) -> None:
        """One fault; nothing where there is nothing to disturb."""
        actions: dict[str, tuple[int, Callable[[], bool]]] = {
            "worker killed": (8, self._kill_worker),
            "launcher killed": (3, self._kill_launcher),
            "job requeued": (6, self._requeue),
            "jobs preempted": (1, self._preempt),
            "slurmd killed": (2, lambda: self._kill(f"slurmd.{self.random.choice(NODES)}")),
            "slurmctld killed": (1, lambda: self._kill("slurmctld")),
            "slurmdbd killed": (1, lambda: self._kill("slurmdbd")),
        }
        weights = [weight for weight, _ in actions.values()]
        (name,) = self.random.choices(list(actions), weights)
        if actions[name][1]():
            self.faults[name] += 1

    def keep_going(self, mend_after: float = 8.0) -> bool:
        """Restart what has been down long enough, and the launcher; False when all is done."""
        if any(time.monotonic() - since > mend_after for since in self._down_since.values()):
            self._down_since.clear()
            self.cluster.mend()
        if self.launcher is None or self.launcher.poll() is not None:
            if self.launcher is not None and self.launcher.returncode in (0, 3):
                return False
            self.launcher = subprocess.Popen(
                self._launch_command(), env=self._launch_env(), text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return True

    def _launch_command(self) -> list[str]:
        return [sys.executable, "-c", "from sweep.cli.app import main; main()", "launch",
                self.file, "--yes"]  # fmt: skip

    def _launch_env(self) -> dict[str, str]:
        return {**os.environ, **self.desk.env, "PYTHONPATH": str(self.desk.bench.code),
                "PYTHONSAFEPATH": "1", "VITOK_RESULTS": str(self.desk.bench.root.path)}  # fmt: skip

    def _kill_worker(self) -> bool:
        processes = self.desk.bench.processes()
        self.random.shuffle(processes)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                if "sweep.schedulers.slurm.task" in process.cmdline():
                    process.send_signal(signal.SIGKILL)
                    return True
        return False

    def _kill_launcher(self) -> bool:
        if self.launcher is None or self.launcher.poll() is not None:
            return False
        self.launcher.kill()
        self.launcher.wait()
        return True

    def _requeue(self) -> bool:
        running = self._ours("RUNNING")
        if not running:
            return False
        command = ["scontrol", "requeue", self.random.choice(running)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _preempt(self) -> bool:
        if "slurmctld" in self._down_since or not self._ours("RUNNING"):
            return False
        own = self.cluster.submit("-p", "high", "--exclusive", "-N", "1", wrap="sleep 2")
        self.strangers.append(own)
        return True

    def _kill(self, daemon: str) -> bool:
        if daemon in self._down_since or self.cluster.daemon(daemon) is None:
            return False
        self.cluster.kill(daemon)
        self._down_since[daemon] = time.monotonic()
        return True

    def _ours(self, wanted: str) -> list[str]:
        if "slurmctld" in self._down_since:
            return []
        return [job for job, name, state in self.cluster.jobs() if "@" in name and state == wanted]


def undisturbed(bench: Bench, text: str) -> dict[str, str]:
    """What the jobs count to in one process that nobody disturbs."""
    site = bench.root.path.parent / "site.yaml"
    site.write_text("scheduler: inline\n")
    bench.behave(all={"steps": 20, "pause": 0})
    done = bench.cli("launch", bench.sweep(text=text), "--yes", VITOK_SITE=str(site))
    assert done.returncode == 0, done.stderr
    return Desk(bench, None).weights()  # type: ignore[arg-type]


def survive(desk: Desk, calm: Bench, text: str, seed: int, every: float) -> Counter[str]:
    """Run the sweep under the monkey to its end; the faults that it survived."""
    expected = undisturbed(calm, text)
    desk.site.write_text(SITE.replace("hours: 1", "hours: 1, partition: sudden"))
    desk.bench.behave(all={"steps": 20, "pause": 0.1})
    monkey = Monkey(desk, desk.bench.sweep(text=text), seed)
    deadline = time.monotonic() + 3600
    try:
        while monkey.keep_going():
            assert time.monotonic() < deadline, desk.states()
            monkey.act()
            time.sleep(monkey.random.uniform(0.5, 1.5) * every)
    finally:
        monkey._kill_launcher()
        desk.cluster.mend()
        for job in monkey.strangers:  # one may be held: its node died as it began
            subprocess.run(["scancel", job], capture_output=True, check=False)
    assert desk.states() == {"done": len(expected)}
    assert desk.weights() == expected
    finished = Counter(
        folder.slug
        for folder in desk.bench.root.job_folders().values()
        for path in folder.journals.glob("*.jsonl")
        if b'"event":"finished"' in path.read_bytes()
    )
    assert finished == dict.fromkeys(expected, 1)
    desk.check()
    return monkey.faults


@pytest.mark.longest
@pytest.mark.slurm
def test_a_small_sweep_survives(desk: Desk, new_bench: Callable[..., Bench]) -> None:
    """Fault enough to meet most kinds; which ones, the seed and the machine decide."""
    text = SWEEP.replace("CHANNELS", "[4, 8]")  # 8 points, 32 jobs
    faults = survive(desk, new_bench("calm"), text, seed=1, every=1.0)
    assert sum(faults.values()) >= 10, faults


@pytest.mark.longest
@pytest.mark.slurm
@pytest.mark.parametrize("seed", [2])
def test_three_hundred_jobs_survive(desk: Desk, new_bench: Callable[..., Bench], seed: int) -> None:
    text = SWEEP.replace("CHANNELS", "1..20")  # 80 points, 320 jobs
    faults = survive(desk, new_bench("calm"), text, seed, every=1.0)
    print(f"\nfaults survived: {sum(faults.values())}: {dict(faults)}")  # noqa: T201
    assert set(faults) == {
        "worker killed", "launcher killed", "job requeued", "jobs preempted", "slurmd killed",
        "slurmctld killed", "slurmdbd killed",
    }  # fmt: skip
    assert sum(faults.values()) >= 100
