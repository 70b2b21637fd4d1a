"""The scheduler contract over a real Slurm."""

from __future__ import annotations

import pytest
from schedulercontract import *  # noqa: F403  (the tests)
from schedulercontract import Driver
from stubbed import Bench

from sweep.schedulers.base import Liveness
from sweep.schedulers.slurm.scheduler import SlurmScheduler

pytestmark = pytest.mark.slurm


@pytest.fixture
def driver(bench: Bench) -> Driver:
    # What no batch holds was never told to Slurm: there everything is on the shared disk.
    return Driver(bench, SlurmScheduler(bench.root, code=bench.code), forgotten=Liveness.GONE)
