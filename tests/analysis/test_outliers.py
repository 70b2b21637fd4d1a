"""Runs outside what the others lead one to expect: spoilt ones are found, sound ones left alone."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from synthetic import quickstart, results

from analysis.frames import Results
from analysis.outliers import check
from analysis.series import series
from analysis.surface import fit_surface

MADE = quickstart(datasets=("photos-heldout",))
SPOILT = "r-cfg-p16c16-s1-photos-heldout"


def spoilt(by: float) -> Results:
    """With one run's PSNR lower by so many decibels."""
    wrong = (pl.col("job_id") == SPOILT) & (pl.col("metric") == "rPSNR")
    value = pl.when(wrong).then(pl.col("value") - by).otherwise("value")
    return replace(MADE, point_metrics=MADE.point_metrics.with_columns(value=value))


def test_a_spoilt_run_is_found_and_its_seeds_are_not() -> None:
    before, after = check(MADE), check(spoilt(3))
    assert len(before.scores) == len(after.scores) == 5 * 45
    found = [each for each in after.outliers if each.metric == "rPSNR"]
    assert [each.job_id for each in found] == [SPOILT]
    assert found[0].value < found[0].low < found[0].expected < found[0].high
    assert found[0].n == 14
    assert SPOILT not in {each.job_id for each in before.outliers}


def test_sound_runs_fall_outside_no_more_than_by_chance() -> None:
    found = check(MADE)
    assert len(found.outliers) <= 0.05 * len(found.scores)


def test_seeds_that_scatter_widen_the_interval_of_a_run() -> None:
    means = {one.metric: one for one in series(MADE)}["rPSNR"]
    within = MADE.measurements.filter(
        pl.col("metric") == "rPSNR", pl.col("series") == "trained"
    ).group_by("config_id").agg(pl.col("value").var())["value"].mean()  # fmt: skip
    assert means.seed_variance == pytest.approx(within * (1 - 1 / 3))
    one = quickstart(datasets=("photos-heldout",), seeds=(0,))
    assert {each.seed_variance for each in series(one)} == {0.0}


def test_the_interval_comes_from_the_other_configurations() -> None:
    (one,) = (each for each in check(spoilt(3)).outliers if each.metric == "rPSNR")
    (each,) = (each for each in series(spoilt(3)) if each.metric == "rPSNR")
    surface, kept = each.surface, (each.rows["config_id"] != "cfg-p16c16").to_numpy()
    refitted = fit_surface(
        surface.points[kept], each.rows["scaled"].to_numpy()[kept], seeds=each.seed_variance
    )
    # A centre that one point moves changes nothing but rounding.
    band = refitted.prediction_band(surface.points[~kept])
    assert (one.expected, one.low, one.high) == pytest.approx([float(end[0]) for end in band])


def test_only_the_asked_for_jobs_are_held() -> None:
    found = check(spoilt(3), {SPOILT})
    assert {job for job, _, _ in found.scores} == {SPOILT}
    assert {each.job_id for each in found.outliers} == {SPOILT}


def test_too_few_or_no_points_are_a_note() -> None:
    few = check(quickstart(datasets=("photos-heldout",), patches=(16,)))
    assert few.scores == ()
    assert any("needs 8 finished points" in note for note in few.notes)
    none = check(results([], []))
    assert "no reconstruction has been scored yet" in none.notes[0]
