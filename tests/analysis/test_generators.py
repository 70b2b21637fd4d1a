"""Several generators of one tokenizer: never averaged, each one's numbers under its name."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest
from claimsdb import Run, Score, database, values

from analysis.claims import CLAIMS, judge
from analysis.configurations import configuration_means
from analysis.fits import fit_lines
from analysis.frames import EDGES, JOBS, Results
from analysis.page.charts import Pictures, chart_data
from analysis.page.lines import fits_table
from analysis.page.runs import run_table
from analysis.selection import select
from analysis.summary import fit_table
from analysis.tables import table
from vitok_core.errors import UserError
from vitok_core.variants import DIT_SIZES

METRIC = "gFD[efficientnet-lite0]"
NAMES = ("DiT-S, 1000 steps", "DiT-L, 1000 steps")


@pytest.fixture(scope="module")
def made() -> Results:
    """Of every tokenizer, of which there are two seeds, DiT-L scores three doublings better."""

    def scores(run: Run) -> list[Score]:
        return [
            ("generate", "imagenet1k-val", 1.5, None, values(run.x + better, "g"))
            for better in (0, 3)
        ]

    found = database(
        [Run(16, c, seed, resolution=256) for c in (4, 8, 16, 32) for seed in (0, 1)], scores
    )
    jobs, edges = [], []
    for index, name in enumerate(("DiT-S", "DiT-L")):
        model = DIT_SIZES[name].model_dump()
        config = {"generator": {"model": model}, "train": {"steps": 1000}}
        for job in found.edges["job_id"].to_list():
            if job.startswith(f"generate-{index}-"):
                # As though every generator had a seed of its own.
                jobs.append((f"d-{job}", "generator", json.dumps(config | {"seed": len(jobs)})))
                edges.append((job, f"d-{job}"))
    return replace(
        found,
        jobs=pl.concat([found.jobs, pl.DataFrame(jobs, schema=dict(JOBS), orient="row")]),
        edges=pl.concat([found.edges, pl.DataFrame(edges, schema=dict(EDGES), orient="row")]),
    )


def test_means_are_over_the_seeds_of_one_generator(made: Results) -> None:
    means = configuration_means(made.measurements).filter(metric=METRIC)
    assert means.height == 4 * 2
    assert set(means["n_seeds"]) == {2}
    assert set(means["seed_sd"]) == {0.0}
    small, large = (means.filter(generator=name)["scaled"] for name in NAMES)
    assert (small - large).to_list() == pytest.approx([3 * 0.8] * 4)


def test_repeats_of_one_seed_are_one_seed(made: Results) -> None:
    twice = pl.concat([made.measurements, made.measurements])
    assert set(configuration_means(twice)["n_seeds"]) == {2}


def test_each_generator_has_a_line_under_its_name(made: Results) -> None:
    fits = fit_lines(made.measurements.filter(metric=METRIC))
    assert [fit.generator for fit in fits] == sorted(NAMES)
    assert [fit.record()["generator"] for fit in fits] == sorted(NAMES)
    for fit in fits:
        assert fit.n == 4
        assert fit.slope == pytest.approx(-0.8)
        assert f"imagenet1k-val {fit.generator} CFG 1.5" in fit_table(fits)
    shown = [row[1].text for row in fits_table(fits).rows]
    assert shown == [f"imagenet1k-val, {name}, CFG 1.5" for name in sorted(NAMES)]


def test_a_figure_says_that_generators_differ(made: Results) -> None:
    notes = select(made, kind="generate").notes
    assert any("differ in their generators (DiT-L, 1000 steps, DiT-S" in note for note in notes)


def test_a_table_has_a_row_for_each(made: Results) -> None:
    shown = table(6, made)
    at = [column.key for column in shown.columns].index("generator")
    named = [row.cells[at].text for row in shown.rows]
    assert sorted(named) == sorted(NAMES * 4)
    assert shown.caption.count("2 seeds") == 1


def test_the_page_keeps_them_apart(made: Results) -> None:
    rows = made.measurements
    runs = run_table(made, rows, None)
    notes = {one.note for one in runs.table.columns if one.label.startswith(METRIC)}
    assert notes == {f"imagenet1k-val, {name}, CFG 1.5" for name in NAMES}
    data = chart_data(rows, fit_lines(rows), runs.rows, Pictures({}, {}))
    panels = [one for one in data["panels"] if one["metric"] == METRIC]
    assert {one["dataset"] for one in panels} == notes
    assert [(len(one["at"]), len(one["lines"])) for one in panels] == [(8, 1)] * 2


def test_claims_are_judged_all_the_same(made: Results) -> None:
    """A configuration with two generators gave two rows where claims pivot."""
    assert len(judge(made)) == len(CLAIMS)


def test_wide_asks_which_one(made: Results) -> None:
    with pytest.raises(UserError, match=r"generator: DiT-L, 1000 steps; DiT-S, 1000 steps"):
        made.wide(kind="generate", metrics=METRIC)
    large, small = (
        made.wide(kind="generate", metrics=METRIC, generator=name).sort("point_id")
        for name in reversed(NAMES)
    )
    assert len(large) == len(small) == 8
    assert set(large["generator"]) == {"DiT-L, 1000 steps"}
    assert (large[METRIC] < small[METRIC]).all()
    with pytest.raises(UserError, match=r"generators: DiT-L, 1000 steps; DiT-S"):
        made.wide(kind="generate", generator="DiT-M, 1000 steps")
