"""A sweep of stub jobs on the test cluster, driven by the command line."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from cluster import Cluster
from stubbed import Bench, wait_until

from sweep.layout import JobFolder

SITE = """\
scheduler: slurm
resources:
  default: {memory_gb: 0.2, hours: 1}
"""


class Desk:
    """A results root with stub jobs on a cluster."""

    def __init__(self, bench: Bench, cluster: Cluster, site: str = SITE) -> None:
        self.bench = bench
        self.cluster = cluster
        self.site = bench.root.path.parent / "site.yaml"
        self.site.write_text(site)

    @property
    def env(self) -> dict[str, str]:
        return {"VITOK_SITE": str(self.site)}

    def cli(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.bench.cli(*arguments, **{**self.env, **env})

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return self.bench.start(*arguments, **{**self.env, **env})

    def launch(self, file: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.cli("launch", file, "--yes", *options)

    def status(self) -> list[dict[str, Any]]:
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        jobs: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
        return jobs

    def states(self) -> Counter[str]:
        return Counter(job["state"] for job in self.status())

    def job(self, start: str) -> dict[str, Any]:
        """The one job whose slug starts so."""
        (found,) = [job for job in self.status() if job["slug"].startswith(start)]
        return found

    def wait(self, seconds: float = 120, **counts: int) -> None:
        """Until so many jobs are in these states."""
        wait_until(lambda: all(self.states()[s] == n for s, n in counts.items()), seconds)

    def batches(self) -> list[dict[str, Any]]:
        """What each sbatch handed over."""
        return [
            json.loads(path.read_text())
            for path in sorted(self.bench.root.slurm.glob("*/batch.json"))
        ]

    def weights(self) -> dict[str, str]:
        """What each job has counted to, by slug: equal to an undisturbed run's, bit for bit."""
        return {
            folder.slug: (folder.artifacts / "weights.txt").read_text()
            for folder in self.bench.root.job_folders().values()
        }

    def ended(self) -> Counter[str]:
        """How often each job came to its end."""
        return Counter(self.bench.order())

    def check(self) -> None:
        done = self.cli("db", "check")
        assert done.returncode == 0, done.stdout


def attempts(folder: JobFolder) -> list[Path]:
    """The journals of a job, in order."""
    return sorted(folder.journals.glob("*.jsonl"), key=lambda path: int(path.stem))
