"""docs/mini-reproduction/: what one run of `reproduce --mini` wrote; all of it is of that run."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import polars as pl
import pytest

import analysis
from analysis.claims import judge
from analysis.figures import FIGURES
from sweep.cli.reproducing import MINI
from sweep.planning.plan import plan_file

DOCS = Path(__file__).parent.parent.parent / "docs"
OUTCOME = DOCS / "mini-reproduction"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> analysis.Results:
    """The committed database."""
    path = tmp_path_factory.mktemp("mini") / "results.db"
    path.write_bytes(gzip.decompress((OUTCOME / "results.db.gz").read_bytes()))
    return analysis.load(f"sqlite:///{path}")


@pytest.mark.parametrize("name", [name for name in MINI if name != "mini_search"])
def test_every_job_that_a_file_means_is_done(outcome: analysis.Results, name: str) -> None:
    """The files are those that ran: another grid, seed or split would be other jobs."""
    scored = set(outcome.jobs["job_id"])
    assert {job.id for job in plan_file(name).jobs} <= scored


def test_the_committed_claims_follow_from_the_committed_numbers(outcome: analysis.Results) -> None:
    kept = json.loads((OUTCOME / "claims.json").read_text())
    judged = [one.record() for one in judge(outcome.with_published())]
    for one, again in zip(kept, judged, strict=True):
        for name in ("id", "source", "verdict", "n", "runs"):
            assert one[name] == again[name]
        assert one["statistic"] == pytest.approx(again["statistic"], nan_ok=True), one["id"]


def test_the_committed_points_are_the_databases(outcome: analysis.Results) -> None:
    kept = pl.read_parquet(OUTCOME / "point_metrics.parquet")
    assert kept.height == outcome.point_metrics.height
    assert kept["value"].sum() == pytest.approx(outcome.point_metrics["value"].sum())


def test_the_page_shows_what_is_there() -> None:
    text = (DOCS / "mini-reproduction.md").read_text()
    shown = re.findall(r"mini-reproduction/(\w+)/(\w+)\.png", text)
    assert len(shown) >= len(MINI) // 2
    for sweep, figure in shown:
        assert figure in MINI[sweep]
        assert figure in FIGURES
        assert (OUTCOME / sweep / f"{figure}.png").is_file()
