"""Inside of an allocation, and which scheduler is the default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sweep.schedulers import allocation, default_name
from sweep.schedulers.machine import capacity
from sweep.schedulers.queue import Limits

INSIDE = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1", "SLURM_CPUS_ON_NODE": "4"}


@pytest.mark.parametrize(
    ("environ", "threads"),
    [
        ({}, None),
        (INSIDE, 4),
        ({**INSIDE, "SLURM_CPUS_ON_NODE": "72(x2)"}, 72),
        # A shell on the login node that holds an allocation elsewhere.
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CPUS_ON_NODE": "4"}, None),
        # salloc on the one node that there is.
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "here", "SLURM_CPUS_ON_NODE": "4"}, 4),
    ],
)
def test_what_an_allocation_is(environ: Mapping[str, str], threads: int | None) -> None:
    found = allocation.current(environ, "here")
    assert (found.threads if found else None) == threads


def test_the_machine_is_as_large_as_the_allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**INSIDE, "SLURM_CPUS_ON_NODE": "1"}.items():
        monkeypatch.setenv(name, value)
    assert capacity(Limits()).threads == 1


def test_the_default_scheduler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in INSIDE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert default_name() == "local"
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    assert default_name() == "slurm"
    for name, value in INSIDE.items():
        monkeypatch.setenv(name, value)
    assert default_name() == "local"
