"""What figures stand on: shared jobs once, floors beside their points, nothing dropped silently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import FRECHET, metrics, point, quickstart, results

from analysis.figures.lanes import lanes
from analysis.fits import configuration_means, fit_lines
from analysis.floor import against_floor, differences
from analysis.frames import Results
from analysis.observations import COLUMNS, observe, reported
from vitok_core.errors import UserError


def test_rows_are_tidy_and_floors_have_no_seed() -> None:
    frame = observe(quickstart(), metrics=["rPSNR"], datasets=["photos-heldout"]).frame
    assert list(frame.columns[: len(COLUMNS)]) == COLUMNS
    trained, floor = frame[frame["series"] == "trained"], frame[frame["series"] == "floor"]
    assert (len(trained), len(floor)) == (45, 15)
    assert floor["seed"].isna().all()
    assert set(trained["seed"]) == {0, 1, 2}
    assert set(floor["config_id"]) == set(trained["config_id"])
    assert (frame["E"] == frame["L"] * frame["c"]).all()


def test_a_job_that_two_sweeps_share_counts_once() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",), floor=False)
    shared = made.points[made.points["point_id"] == "cfg-p16c16-s0"]
    other = shared.assign(point_id="other-s0", config_id="other")
    rows = made.point_metrics[made.point_metrics["point_id"] == "cfg-p16c16-s0"]
    both = replace(
        made,
        points=pd.concat([made.points, other]),
        point_metrics=pd.concat([made.point_metrics, rows.assign(point_id="other-s0")]),
    )
    (fit,) = fit_lines(observe(both, metrics=["rPSNR"]).distinct)
    (alone,) = fit_lines(observe(made, metrics=["rPSNR"]).distinct)
    assert fit.n == alone.n == 15
    assert fit.r2 == alone.r2


def test_a_shared_floor_stays_with_each_of_its_configurations() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",))
    twin_points = made.points.assign(
        point_id=made.points["point_id"] + "-twin", config_id=made.points["config_id"] + "-twin"
    )
    twin_rows = made.point_metrics.assign(
        point_id=made.point_metrics["point_id"] + "-twin",
        job_id=made.point_metrics["job_id"].where(
            made.point_metrics["kind"] == "floor", made.point_metrics["job_id"] + "-twin"
        ),
    )
    both = replace(
        made,
        points=pd.concat([made.points, twin_points]),
        point_metrics=pd.concat([made.point_metrics, twin_rows]),
    )
    seen = observe(both, metrics=["rPSNR"])
    assert against_floor(seen.frame)[0].n == 30
    trained, floor = fit_lines(seen.distinct)
    assert (trained.n, floor.n) == (30, 15)
    assert any("several configurations" in note for note in seen.notes)


def test_differences_are_trained_minus_floor_on_the_scale_of_the_fit() -> None:
    made = quickstart(seeds=(0, 1), datasets=("photos-heldout",))
    frame = observe(made, metrics=[FRECHET, "rPSNR", "kl_bits_per_pixel"]).frame
    table = differences(frame).set_index(["panel", "config_id"])
    means = configuration_means(frame).set_index(["panel", "series", "config_id"])["value"]
    at = "cfg-p8c4"
    psnr = means["rPSNR", "trained", at] - means["rPSNR", "floor", at]
    frechet = np.log2(means[FRECHET, "trained", at] / means[FRECHET, "floor", at])
    assert table.loc[("rPSNR", at), "difference"] == pytest.approx(psnr)
    assert table.loc[(FRECHET, at), "difference"] == pytest.approx(frechet)
    assert "kl_bits_per_pixel" not in table.index.get_level_values("panel")


def test_better_is_lower_for_distances_and_higher_for_psnr() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",))
    rows = made.point_metrics.copy()
    floor = rows["kind"] == "floor"
    rows.loc[~floor, "value"] = 10.0
    rows.loc[floor, "value"] = np.where(rows.loc[floor, "point_id"] == "cfg-p8c4-s0", 9.0, 11.0)
    frame = observe(replace(made, point_metrics=rows), metrics=[FRECHET, "rPSNR"]).frame
    better = {one.panel: one.better for one in against_floor(frame)}
    assert better == {FRECHET: 14, "rPSNR": 1}


def test_what_cannot_be_used_is_left_out_with_a_note() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",), floor=False)
    rows = made.point_metrics.copy()
    at = rows["point_id"] == "cfg-p32c8-s0"
    rows.loc[at & (rows["metric"] == "rPSNR"), "value"] = np.nan
    rows.loc[at & (rows["metric"] == FRECHET), "value"] = 0.0
    seen = observe(replace(made, point_metrics=rows))
    assert f"{FRECHET}: 1 of 15 values left out (not finite or ≤ 0): p32 c8" in seen.notes
    assert "rPSNR: 1 of 15 values left out (not finite): p32 c8" in seen.notes
    assert {fit.panel: fit.n for fit in fit_lines(seen.distinct)}["rPSNR"] == 14


def test_a_mixture_is_told() -> None:
    made = quickstart(seeds=(0,))
    points = made.points.assign(resolution=[64] * 8 + [128] * 7)
    notes = observe(replace(made, points=points)).notes
    assert any("resolutions (128, 64)" in note for note in notes)


def test_an_evaluated_length_sets_the_size() -> None:
    rows = metrics("cfg-p8c4-s0", "r", "reconstruct", "imagenet1k-val", 256, 8, _noise())
    short = [{**row, "job_id": "s", "eval_length": 16, "eval_E": 64} for row in rows]
    made = results([point(8, 4, 64, 0)], [*rows, *short])
    frame = observe(made, metrics=["rPSNR"]).frame
    assert sorted(zip(frame["L"], frame["E"], strict=True)) == [(16, 64), (64, 256)]


def test_generated_images_never_enter() -> None:
    made = quickstart(seeds=(0,))
    rows = made.point_metrics.head(1).assign(kind="generate", metric="gFID", job_id="g")
    made = replace(made, point_metrics=pd.concat([made.point_metrics, rows]))
    assert "gFID" not in set(observe(made).frame["metric"])


def test_nothing_scored_yet_says_what_to_do() -> None:
    made = quickstart(seeds=(0,))
    floors = made.point_metrics[made.point_metrics["kind"] == "floor"]
    with pytest.raises(UserError, match="no reconstruction has been scored yet; `vitok-sweep"):
        observe(replace(made, point_metrics=floors))


def test_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean photos-tune"):
        observe(quickstart(seeds=(0,)), datasets=["photos-tun"])


def test_a_report_leaves_out_what_a_recipe_was_chosen_on() -> None:
    assert reported(["photos-heldout", "photos-tune"]) == ["photos-heldout"]
    assert reported(["imagenet1k-val", "coco2017-val"]) == ["imagenet1k-val", "coco2017-val"]
    assert reported(["photos-tune"]) == ["photos-tune"]
    assert reported(["my-own"]) == ["my-own"]


def test_protocols_never_share_a_lane() -> None:
    made = quickstart(seeds=(0,))
    found = lanes(observe(made, datasets=["all"]).distinct)
    assert [lane.datasets for lane in found] == [("photos-heldout",), ("photos-tune",)]
    rows = made.point_metrics.assign(
        protocol=made.point_metrics["protocol"].str.replace("; photos-.*", "", regex=True)
    )
    alike = replace(made, point_metrics=rows)
    (lane,) = lanes(observe(alike).distinct)
    assert lane.datasets == ("photos-heldout", "photos-tune")
    # One of the four metrics under another protocol is enough to part them.
    at = (rows["dataset"] == "photos-tune") & (rows["metric"] == "rSSIM")
    parted = replace(made, point_metrics=rows.assign(
        protocol=rows["protocol"].mask(at, "another window")
    ))  # fmt: skip
    assert len(lanes(observe(parted).distinct)) == 2


def test_two_protocols_on_one_data_set_part_too() -> None:
    made = quickstart(seeds=(0, 1), datasets=("photos-heldout",), floor=False)
    at = made.point_metrics["point_id"].str.endswith("s1")
    rows = made.point_metrics.assign(
        protocol=made.point_metrics["protocol"].mask(at, "n=64, of another version")
    )
    observed = observe(replace(made, point_metrics=rows)).distinct
    found = lanes(observed)
    assert len(found) == 2
    sizes = [len(lane.select(observed, "rPSNR")) for lane in found]
    assert sizes == [15, 15]


def test_a_partial_job_joins_the_lane_it_does_not_contradict() -> None:
    made: Results = quickstart(seeds=(0,), datasets=("photos-heldout",))
    rows = made.point_metrics
    gone = (rows["point_id"] == "cfg-p8c4-s0") & (rows["metric"] != "rPSNR")
    assert len(lanes(observe(replace(made, point_metrics=rows[~gone])).distinct)) == 1


def _noise() -> np.random.Generator:
    return np.random.default_rng(0)
