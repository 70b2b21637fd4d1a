"""Fixtures over stub jobs (`stubbed.py`) and a played Slurm. No process outlives its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurmfake import Fake
from slurmqueued import Queued
from stubbed import ODD, Bench, copy_packages, stub_functions

from sweep.launchlog import new_uid
from sweep.schedulers.slurm import limits


@pytest.fixture(scope="session")
def stub_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with stubs for job functions."""
    return copy_packages(tmp_path_factory.mktemp("packages") / "stub code")


@pytest.fixture
def new_bench(tmp_path: Path, stub_code: Path) -> Iterator[Callable[..., Bench]]:
    """Makes results roots with stub jobs, in folders with an odd name."""
    made: list[Bench] = []

    def make(name: str = ODD, code: Path = stub_code) -> Bench:
        made.append(Bench(tmp_path / name / "results", code))
        return made[-1]

    yield make
    for bench in made:
        bench.kill_all()


@pytest.fixture
def bench(new_bench: Callable[..., Bench]) -> Bench:
    return new_bench()


@pytest.fixture
def here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench, with the stubs in this process too: for what runs jobs inside it."""
    for name, function in stub_functions().items():
        monkeypatch.setattr(f"vitok_core.jobs.{name}", function)
    monkeypatch.setattr("sweep.ranks.meeting._PACKAGES", bench.code)
    return bench


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Slurm's commands on PATH, played; nothing is remembered of another test's cluster."""
    limits.cluster.cache_clear()
    limits.policy.cache_clear()
    yield Fake(tmp_path / "slurm", monkeypatch)
    limits.cluster.cache_clear()
    limits.policy.cache_clear()


@pytest.fixture
def queued(bench: Bench, fake: Fake) -> Queued:
    """A submission that Slurm took."""
    return Queued(bench, fake)


@pytest.fixture
def orphan(bench: Bench, fake: Fake) -> Queued:
    """Its launcher, of this machine, died before it recorded what sbatch answered."""
    stamp, _, rest = new_uid().split("-", 2)
    bench.uid = f"{stamp}-999999999-{rest}"
    return Queued(bench, fake)
