"""Several generators of one tokenizer: never averaged, each one's numbers under its name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from claimsdb import Run, Score, database, values
from pages import assert_text_is_whole

from analysis.claims import CLAIMS, judge
from analysis.configurations import configuration_means
from analysis.figures import FIGURES, Request
from analysis.fits import fit_lines
from analysis.frames import EDGES, JOBS, Results
from analysis.guidance import guidance
from analysis.page.charts import Pictures, chart_data
from analysis.page.lines import fits_table
from analysis.page.runs import run_table
from analysis.summary import fit_table
from analysis.summary import guidance_table as guidance_text
from analysis.tables import table
from vitok_core.errors import UserError
from vitok_core.variants import DIT_SIZES

METRIC = "gFD[efficientnet-lite0]"
NAMES = ("DiT-S, noise, 1000 steps", "DiT-L, noise, 1000 steps")


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
        assert f"imagenet1k-val, {fit.generator}, CFG 1.5\nmetric" in fit_table(fits)
    shown = [row[1].text for row in fits_table(fits).rows]
    assert shown == [f"imagenet1k-val, {name}, CFG 1.5" for name in sorted(NAMES)]


def test_a_figure_tells_generators_apart(made: Results) -> None:
    """Each has a colour, a shape where patches have none, a curve and a name; once a patch size
    alone had all of that."""
    drawing = FIGURES["e_vs_generation"].draw(made, Request())
    assert sorted({fit.generator for fit in drawing.fits}) == sorted(NAMES)
    assert {tuple(fit.group) for fit in drawing.fits} == {(("generator", each),) for each in NAMES}
    (legend,) = drawing.canvas.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["DiT-L", "DiT-S"]
    looks = [(line.get_marker(), line.get_markerfacecolor()) for line in legend.get_lines()][:2]
    assert len({marker for marker, _ in looks}) == len({colour for _, colour in looks}) == 2
    axes = drawing.canvas.axes[0]
    drawn = {(line.get_marker(), line.get_markerfacecolor()): line.get_ydata()
             for line in axes.get_lines() if len(line.get_ydata()) == 4}  # fmt: skip
    assert list(drawn) == looks
    large, small = drawn.values()
    assert (np.asarray(large) < np.asarray(small)).all(), "the better one by its own mark"
    heads = [text.get_text().partition(":")[0] for text in axes.get_legend().get_texts()]
    assert heads == ["DiT-L", "DiT-S"]
    assert "all generators: noise, 1000 steps" in drawing.notes
    assert not any("--sweep" in note for note in drawing.notes)


def test_a_figure_of_several_patches_and_generators(made: Results) -> None:
    """Shapes say the patch, colours the generator."""
    more = made.points.with_columns(p=pl.when(pl.col("c") > 8).then(8).otherwise("p"))
    rows = made.point_metrics.with_columns(cfg_scale=3.0)  # its title has room
    drawing = FIGURES["e_vs_generation"].draw(
        replace(made, points=more, point_metrics=rows), Request()
    )
    (legend,) = drawing.canvas.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said[:4] == ["patch 8", "patch 16", "DiT-L", "DiT-S"]
    assert len(drawing.fits) == 2 * 2
    assert any("each has one curve" in note for note in drawing.notes)
    assert_text_is_whole(drawing.canvas)


def test_many_generators_without_a_curve_do_not_fill_the_head(made: Results) -> None:
    """One line of the panel's head for all, and looks that differ beyond the seven colours."""
    configs = made.jobs.filter(kind="generator")["config"].to_list()
    steps = iter(range(10**6))
    jobs = made.jobs.with_columns(
        config=pl.when(kind="generator").then(
            pl.col("config").map_elements(
                lambda text: json.dumps({**json.loads(text), "train": {"steps": next(steps)}}),
                return_dtype=pl.String,
            )
        ).otherwise("config")
    )  # fmt: skip
    rows = made.point_metrics.with_columns(cfg_scale=3.0)  # its title has room
    drawing = FIGURES["e_vs_generation"].draw(
        replace(made, jobs=jobs, point_metrics=rows), Request()
    )
    heads = drawing.canvas.axes[0].get_legend().get_texts()
    (head,) = [text.get_text() for text in heads]
    assert head == f"no line for {len(configs)}, n = 1"
    handles = [line for legend in drawing.canvas.legends for line in legend.get_lines()]
    looks = {(line.get_marker(), line.get_markerfacecolor()) for line in handles}
    assert len(looks) == len(handles) == len(configs) > 7
    assert_text_is_whole(drawing.canvas)


def test_reasons_for_missing_lines_are_said_once(made: Results) -> None:
    rows = made.measurements.filter(pl.col("c") < 8)
    text = fit_table(fit_lines(rows))
    assert "–" not in text.partition("Protocols")[0], "no row for a line that is not there"
    (why,) = [line for line in text.splitlines() if "a line with an error needs" in line]
    assert "imagenet1k-val, all 2 generators, CFG 1.5, gFD" in why


def test_a_guidance_table_has_a_row_for_each(made: Results) -> None:
    rows = made.measurements
    guided = pl.concat([rows, rows.with_columns(cfg_scale=3.0, value=pl.col("value") + 50)])
    (first, *_) = guidance_text(guidance(guided)).split("\n\n")
    title, header, _, *body = first.splitlines()
    assert title == f"Guidance: {METRIC} ↓, imagenet1k-val, noise, 1000 steps"
    assert header.split()[:4] == ["generator", "p", "c", "E"]
    assert [line.split()[0] for line in body] == ["DiT-L"] * 4 + ["DiT-S"] * 4


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
    with pytest.raises(UserError, match=f"generator: {NAMES[1]}; {NAMES[0]}"):
        made.wide(kind="generate", metrics=METRIC)
    large, small = (
        made.wide(kind="generate", metrics=METRIC, generator=name).sort("point_id")
        for name in reversed(NAMES)
    )
    assert len(large) == len(small) == 8
    assert set(large["generator"]) == {NAMES[1]}
    assert (large[METRIC] < small[METRIC]).all()
    with pytest.raises(UserError, match=f"generators: {NAMES[1]}; {NAMES[0]}"):
        made.wide(kind="generate", generator="DiT-M, noise, 1000 steps")
