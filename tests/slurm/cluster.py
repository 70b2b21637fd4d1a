"""A running test cluster (`tests/servers/slurm.sh up`): ask it, disturb it, mend it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
from stubbed import wait_until

SCRIPT = Path(__file__).parent.parent / "servers" / "slurm.sh"
NODES = ("n1", "n2", "n3")


class Cluster:
    """The cluster whose state lives in `root`; SLURM_CONF points at it in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str) -> str:
        """A command's output; it must succeed."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def jobs(self) -> list[tuple[str, str, str]]:
        """(id, name, state) of every task that is queued or runs."""
        text = self.run("squeue", "-h", "-r", "-o", "%i|%j|%T")
        return [tuple(line.split("|")) for line in text.splitlines()]  # type: ignore[misc]

    def accounted(self, mark: str) -> list[tuple[str, str, str]]:
        """(id, name, state) of every run that accounting knows, of jobs whose name has `mark`."""
        text = self.run("sacct", "-a", "-n", "-P", "-X", "-D", "-S", "now-2hours",
                        "-o", "JobID,JobName%200,State")  # fmt: skip
        rows = [line.split("|") for line in text.splitlines()]
        return [(row[0], row[1], row[2]) for row in rows if mark in row[1]]

    def submit(self, *options: str, wrap: str = "sleep 1000") -> str:
        """Somebody else's job; its id."""
        text = self.run("sbatch", "--parsable", "-o", "/dev/null", *options, f"--wrap={wrap}")
        return text.strip()

    def daemon(self, name: str) -> psutil.Process | None:
        """`slurmctld`, `slurmdbd` or `slurmd.n1`, if it lives."""
        try:
            pid = int((self.root / "run" / f"{name}.pid").read_text())
            return psutil.Process(pid)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def kill(self, name: str) -> None:
        """kill -9 a daemon; what it started lives on."""
        process = self.daemon(name)
        if process is not None:
            process.send_signal(signal.SIGKILL)
            wait_until(lambda: not process.is_running() or process.status() == "zombie")
            (self.root / "run" / f"{name}.pid").unlink(missing_ok=True)

    def hasty(self, path: Path) -> Path:
        """Write a slurm.conf whose commands give a dead controller up in one second, not nine."""
        path.write_text((self.root / "etc" / "slurm.conf").read_text() + "MessageTimeout=2\n")
        return path

    def mend(self) -> None:
        """Start what is down; wait until every node takes jobs."""
        done = subprocess.run(
            ["bash", str(SCRIPT), "up"], capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "CLUSTER_ROOT": str(self.root)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.wait_ready()

    def wait_ready(self) -> None:
        """Give nodes back that Slurm drained for what a test did to them; wait for all of them."""

        def resumed() -> bool:
            if self.is_ready():
                return True
            for node in NODES:
                subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"],
                               capture_output=True, check=False)  # fmt: skip
            time.sleep(0.5)
            return False

        wait_until(resumed, 120)

    def clear(self) -> None:
        """Wait until nothing is left of the test before. A node whose jobs never end, as it can be
        after a controller's restart under load, is taken down and given back."""
        with contextlib.suppress(AssertionError):
            wait_until(self._is_idle, 30)
            return
        for node in NODES:
            for state in ("down", "resume"):
                self.run("scontrol", "update", f"nodename={node}", f"state={state}", "reason=test")
        wait_until(self._is_idle, 60)

    def _is_idle(self) -> bool:
        self.wait_ready()
        return self._in_state("idle") == set(NODES)

    def is_ready(self) -> bool:
        """Whether all nodes can take jobs."""
        return self._in_state("idle,mix,alloc") == set(NODES)

    def _in_state(self, states: str) -> set[str]:
        done = subprocess.run(["sinfo", "-h", "-N", "-p", "main", "-t", states, "-o", "%N"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        return set(done.stdout.split())

    def node_of(self, job: str) -> str:
        """Where a task runs."""
        return self.run("squeue", "-h", "-r", "-j", job, "-o", "%N").strip()

    def wait_running(self, mark: str, count: int = 1, seconds: float = 90) -> list[str]:
        """Ids of the running tasks whose name has `mark`, once there are so many."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [i for i, name, state in self.jobs() if mark in name and state == "RUNNING"]
            return len(found) >= count

        wait_until(there, seconds)
        return found

    def settle(self) -> None:
        """Long enough for accounting to hear of what has just ended."""
        time.sleep(2)
