"""Fixtures over a running cluster, `VITOK_TEST_SLURM`: the root that `tests/servers/slurm.sh` has.

The benches and their stub jobs are those of `tests/sweep/`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "sweep"))

from cluster import Cluster
from desk import Desk
from stubbed import ODD, Bench, copy_packages

from sweep.schedulers.slurm import limits
from sweep.schedulers.slurm.partitions import partitions


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster; its commands answer in this process and its children."""
    root = Path(os.environ["VITOK_TEST_SLURM"])
    monkeypatch.setenv("SLURM_CONF", str(root / "etc" / "slurm.conf"))
    limits.cluster.cache_clear()
    limits.policy.cache_clear()
    partitions.cache_clear()
    found = Cluster(root)
    found.clear()  # a node may be drained seconds after the test that was the reason for it
    return found


@pytest.fixture(scope="session")
def stub_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with stubs for job functions."""
    return copy_packages(tmp_path_factory.mktemp("packages") / "stub code")


@pytest.fixture
def new_bench(cluster: Cluster, tmp_path: Path, stub_code: Path) -> Iterator[Callable[..., Bench]]:
    """Makes results roots with stub jobs; what is left of them in the queue is cancelled."""
    made: list[Bench] = []

    def make(name: str = ODD, code: Path = stub_code) -> Bench:
        made.append(Bench(tmp_path / name / "results", code))
        return made[-1]

    yield make
    for bench in made:
        ours = {path.name for path in bench.root.slurm.glob("*")}
        left = [id for id, name, _ in cluster.jobs() if name.rpartition("@")[2] in ours]
        if left:
            cluster.run("scancel", *left)
        bench.kill_all()


@pytest.fixture
def bench(new_bench: Callable[..., Bench]) -> Bench:
    return new_bench()


@pytest.fixture
def desk(bench: Bench, cluster: Cluster) -> Desk:
    return Desk(bench, cluster)
