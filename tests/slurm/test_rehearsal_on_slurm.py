"""A rehearsal through a real Slurm."""

from __future__ import annotations

import json

import pytest
from desk import Desk

pytestmark = pytest.mark.slurm


def test_a_rehearsal_is_one_submission_that_leaves_nothing(desk: Desk) -> None:
    done = desk.cli("rehearse", desk.bench.sweep(), "--on", "slurm", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["counts"] == {"ok": 6, "missing": 0, "failed": 0}
    assert not desk.bench.root.job_folders()
    assert list(desk.bench.root.rehearsals.glob("*/run-*")) == []
