"""Fixtures over stub jobs (`stubbed.py`). No process outlives its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import databases as databases
from databases import server as server
from stubbed import ODD, Bench, copy_packages, stub_functions


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
