"""Real jobs, not stubs: what Slurm runs equals what this machine runs, bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.longest]

PACKAGES = Path(__file__).parent.parent.parent
SMALL = ("--only", "p=16|32,c=4", "--set", "train.steps=12", "--set", "evaluation.samples=32")


def command(results: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from sweep.cli.app import main; main()", *arguments],
        cwd=results.parent, capture_output=True, text=True, timeout=400, check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGES), "VITOK_RESULTS": str(results)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def outcome(results: Path) -> tuple[dict[str, str], list[dict[str, object]]]:
    """The weights' hashes by job, and every score."""
    weights = {
        path.parent.parent.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in results.glob("jobs/*/checkpoints/*/final.pt")
    }
    sql = "SELECT job_id, metric, protocol, value FROM point_metrics ORDER BY job_id, metric, value"
    return weights, json.loads(command(results, "query", sql, "--json"))


def test_the_quickstart_on_slurm_equals_the_local_one(cluster: Cluster, tmp_path: Path) -> None:
    found = {}
    for scheduler in ("local", "slurm"):
        results = tmp_path / scheduler / "results"
        results.parent.mkdir()
        command(results, "launch", "quickstart", "--scheduler", scheduler, "--yes", *SMALL)
        command(results, "db", "check")
        found[scheduler] = outcome(results)
    weights, scores = found["local"]
    assert len(weights) == 2
    assert len(scores) > 20
    assert found["slurm"] == found["local"]
