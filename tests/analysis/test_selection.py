"""What figures stand on: shared jobs once, floors beside their points, nothing dropped silently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from experiments import Run, build, finetunings
from synthetic import FRECHET, metrics, point, quickstart, results

from analysis.configurations import configuration_means
from analysis.figures.lanes import Lane, lanes
from analysis.fits import fit_lines
from analysis.floor import against_floor, differences
from analysis.frames import Results
from analysis.measurements import SCHEMA
from analysis.selection import Selection, reported, select
from vitok_core.errors import UserError

POINT, METRIC, KIND = pl.col("point_id"), pl.col("metric"), pl.col("kind")


def with_rows(made: Results, *changes: pl.Expr, **named: pl.Expr) -> Results:
    """The same results with other scores."""
    return replace(made, point_metrics=made.point_metrics.with_columns(*changes, **named))


def test_rows_are_tidy_and_floors_have_no_seed() -> None:
    frame = select(quickstart(), metrics=["rPSNR"], datasets=["photos-heldout"]).frame
    assert frame.schema == SCHEMA
    trained = frame.filter(pl.col("series") == "trained")
    floor = frame.filter(pl.col("series") == "floor")
    assert (len(trained), len(floor)) == (45, 15)
    assert floor["seed"].null_count() == 15
    assert set(trained["seed"]) == {0, 1, 2}
    assert set(floor["config_id"]) == set(trained["config_id"])
    assert (frame["E"] == frame["L"] * frame["c"]).all()


def test_a_job_that_two_sweeps_share_counts_once() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",), floor=False)
    at = POINT == "cfg-p16c16-s0"
    other = pl.lit("other-s0")
    both = replace(
        made,
        points=pl.concat([made.points, made.points.filter(at).with_columns(
            point_id=other, config_id=pl.lit("other")
        )]),
        point_metrics=pl.concat(
            [made.point_metrics, made.point_metrics.filter(at).with_columns(point_id=other)]
        ),
    )  # fmt: skip
    (fit,) = fit_lines(select(both, metrics=["rPSNR"]).distinct)
    (alone,) = fit_lines(select(made, metrics=["rPSNR"]).distinct)
    assert fit.n == alone.n == 15
    assert fit.r2 == alone.r2


def test_a_shared_floor_stays_with_each_of_its_configurations() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",))
    own = pl.when(KIND == "floor").then("job_id").otherwise(pl.col("job_id") + "-twin")
    twins = made.points.with_columns(POINT + "-twin", pl.col("config_id") + "-twin")
    rows = made.point_metrics.with_columns(POINT + "-twin", job_id=own)
    both = replace(
        made,
        points=pl.concat([made.points, twins]),
        point_metrics=pl.concat([made.point_metrics, rows]),
    )
    seen = select(both, metrics=["rPSNR"])
    assert against_floor(seen.frame)[0].n == 30
    trained, floor = fit_lines(seen.distinct)
    assert (trained.n, floor.n) == (30, 15)
    assert any("several configurations" in note for note in seen.notes)


def test_differences_are_trained_minus_floor_on_the_scale_of_the_fit() -> None:
    made = quickstart(seeds=(0, 1), datasets=("photos-heldout",))
    frame = select(made, metrics=[FRECHET, "rPSNR", "kl_bits_per_pixel"]).frame
    at = pl.col("config_id") == "cfg-p8c4"
    table = dict(differences(frame).filter(at).select("metric", "difference").rows())
    means = {
        (name, series): value
        for name, series, value in configuration_means(frame)
        .filter(at)
        .select("metric", "series", "value")
        .rows()
    }
    assert table["rPSNR"] == pytest.approx(means["rPSNR", "trained"] - means["rPSNR", "floor"])
    assert table[FRECHET] == pytest.approx(
        np.log2(means[FRECHET, "trained"] / means[FRECHET, "floor"])
    )
    assert "kl_bits_per_pixel" not in table


def test_better_is_lower_for_distances_and_higher_for_psnr() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",))
    floor = pl.when(POINT == "cfg-p8c4-s0").then(9.0).otherwise(11.0)
    made = with_rows(made, value=pl.when(KIND == "floor").then(floor).otherwise(10.0))
    frame = select(made, metrics=[FRECHET, "rPSNR"]).frame
    assert {one.panel: one.better for one in against_floor(frame)} == {FRECHET: 14, "rPSNR": 1}


def test_what_cannot_be_used_is_left_out_with_a_note() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",), floor=False)
    at = POINT == "cfg-p32c8-s0"
    for bad in (None, float("nan"), float("inf"), -1e160):
        changed = pl.when(at & (METRIC == "rPSNR")).then(pl.lit(bad, pl.Float64))
        changed = changed.when(at & (METRIC == FRECHET)).then(0.0).otherwise("value")
        seen = select(with_rows(made, value=changed))
        assert (
            f"{FRECHET}: 1 of 15 values left out (not finite, absurd or ≤ 0): p32 c8" in seen.notes
        )
        assert "rPSNR: 1 of 15 values left out (not finite or absurd): p32 c8" in seen.notes
        assert {fit.panel: fit.n for fit in fit_lines(seen.distinct)}["rPSNR"] == 14


def test_a_mixture_is_told_unless_it_is_the_point() -> None:
    made = quickstart(seeds=(0,))
    points = made.points.with_columns(resolution=pl.Series([64] * 8 + [128] * 7))
    mixed = replace(made, points=points)
    (note,) = select(mixed).notes
    assert note.endswith("resolutions (128, 64)"), "one sweep's already: no advice to ask for one"
    (note,) = select(replace(mixed, sweep=None)).notes
    assert note.endswith("resolutions (128, 64): --sweep NAME keeps one sweep's")
    assert not select(mixed, varied=["resolution"]).notes


def test_an_evaluated_length_sets_the_size() -> None:
    rows = metrics("cfg-p8c4-s0", "r", "reconstruct", "imagenet1k-val", 256, 8, _noise())
    short = [{**row, "job_id": "s", "eval_length": 16, "eval_E": 64} for row in rows]
    made = results([point(8, 4, 64, 0)], [*rows, *short])
    frame = select(made, metrics=["rPSNR"]).frame
    assert sorted(frame.select("L", "E", "pixels_per_channel").rows()) == [
        (16, 64, 192.0), (64, 256, 48.0),
    ]  # fmt: skip


def test_generated_images_stand_apart_from_reconstructions() -> None:
    made = quickstart(seeds=(0, 1), cfg=(1.5, 3.0))
    assert "gFD[efficientnet-lite0]" not in set(select(made).frame["metric"])
    frame = select(made, kind="generate").frame
    assert set(frame["kind"]) == {"generate"}
    assert set(frame["cfg_scale"]) == {1.5, 3.0}
    assert len(frame) == 15 * 2 * 2 * 2
    # One tokenizer for both CFG scales and all data sets: they are not independent.
    every = made.measurements.filter(pl.col("kind") != "floor")
    assert every["tokenizer"].n_unique() == 30
    assert every.group_by("tokenizer").agg(pl.col("point_id").n_unique())["point_id"].max() == 1


def test_nothing_scored_yet_says_what_to_do() -> None:
    made = quickstart(seeds=(0,))
    floors = made.point_metrics.filter(KIND == "floor")
    with pytest.raises(UserError, match="no reconstruction has been scored yet; `vitok-sweep"):
        select(replace(made, point_metrics=floors))
    with pytest.raises(UserError, match="no generation of video has been scored yet"):
        select(made, kind="generate", needs="of video")
    seen = select(made.with_published(), kind="generate", figures=["5"])
    assert "no generation of ours has been scored yet" in seen.notes


def test_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean photos-tune"):
        select(quickstart(seeds=(0,)), datasets=["photos-tun"])


def test_a_report_leaves_out_what_a_recipe_was_chosen_on() -> None:
    assert reported(["photos-heldout", "photos-tune"]) == ["photos-heldout"]
    assert reported(["imagenet1k-val", "coco2017-val"]) == ["imagenet1k-val", "coco2017-val"]
    assert reported(["photos-tune"]) == ["photos-tune"]
    assert reported(["my-own"]) == ["my-own"]


def in_panels(selection: Selection) -> pl.DataFrame:
    """As the engine does: a panel per metric."""
    return selection.distinct.with_columns(panel="metric")


def test_protocols_never_share_a_lane() -> None:
    made = quickstart(seeds=(0,))
    found = lanes(in_panels(select(made, datasets=["all"])))
    assert [lane.datasets for lane in found] == [("photos-heldout",), ("photos-tune",)]
    alike = with_rows(made, pl.col("protocol").str.replace("; photos-.*", ""))
    (lane,) = lanes(in_panels(select(alike)))
    assert lane.datasets == ("photos-heldout", "photos-tune")
    # One of the four metrics under another protocol is enough to part them.
    at = (pl.col("dataset") == "photos-tune") & (METRIC == "rSSIM")
    other = pl.when(at).then(pl.lit("another window")).otherwise("protocol")
    assert len(lanes(in_panels(select(with_rows(alike, protocol=other))))) == 2


def test_two_protocols_on_one_data_set_part_too() -> None:
    made = quickstart(seeds=(0, 1), datasets=("photos-heldout",), floor=False)
    other = pl.when(POINT.str.ends_with("s1")).then(pl.lit("n=64, of another version"))
    frame = in_panels(select(with_rows(made, protocol=other.otherwise("protocol"))))
    found = lanes(frame)
    assert len(found) == 2
    assert [len(lane.select(frame, "rPSNR")) for lane in found] == [15, 15]


def test_a_partial_job_joins_the_lane_it_does_not_contradict() -> None:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",))
    gone = (POINT == "cfg-p8c4-s0") & (METRIC != "rPSNR")
    rows = made.point_metrics.filter(~gone)
    assert len(lanes(in_panels(select(replace(made, point_metrics=rows))))) == 1


def test_ours_stand_above_the_paper_s_and_share_axes_under_one_protocol_only() -> None:
    made = quickstart(seeds=(0,), datasets=("imagenet1k",), floor=False)
    names = ["rSSIM", "rPSNR"]

    def rows_of(results: Results) -> list[Lane]:
        both = select(results.with_published(), metrics=names, figures=["2"])
        return lanes(in_panels(both))

    assert [lane.sources for lane in rows_of(made)] == [("db",), ("published",)]
    theirs = pl.lit("published: ViTok, arXiv 2501.09755, Figure 2")
    (lane,) = rows_of(with_rows(made, protocol=theirs))
    assert lane.sources == ("db", "published")
    assert set(lane.datasets) == {"imagenet1k", "coco2017"}


def _noise() -> np.random.Generator:
    return np.random.default_rng(0)


def test_scores_along_a_training_count_only_where_asked() -> None:
    tuned = finetunings(seeds=(0,))
    ends = select(tuned, metrics=["rPSNR"]).frame
    assert (len(ends), set(ends["step"]), set(ends["stage"])) == (6, {100_000}, {2})
    assert len(select(tuned, metrics=["rPSNR"], along=True).frame) == 60
    stage1 = build([Run(c=4, steps=(10, 20, None)), Run(steps=(10, None))], seeds=(0,))
    (steps,) = select(stage1, metrics=["rPSNR"]).frame.group_by("stage").agg("step")["step"]
    assert steps.to_list() == [None, None], "the final weights of both"
    along = select(stage1, metrics=["rPSNR"], along=True).frame
    assert sorted(along["step"].drop_nulls()) == [10, 10, 20]


def test_a_point_scored_after_both_stages() -> None:
    """As gan_ablation has them: the stage-1 scores are of every point that shares the tokenizer."""
    made = finetunings(seeds=(0,))
    point = made.points["point_id"][1]
    (tokenizer,) = made.jobs.filter(pl.col("kind") == "tokenizer")["job_id"]
    first = made.point_metrics.filter(point_id=point, metric="rPSNR").head(1)
    first = first.with_columns(
        job_id=pl.lit("r1"),
        stage=pl.lit(1, pl.Int64),
        step=pl.lit(None, pl.Int64),
        value=pl.lit(9.0),
    )
    job = pl.DataFrame([("r1", "reconstruct", "{}")], schema=made.jobs.schema, orient="row")
    edge = pl.DataFrame([("r1", tokenizer)], schema=made.edges.schema, orient="row")
    both = replace(
        made,
        point_metrics=pl.concat([made.point_metrics, first]),
        jobs=pl.concat([made.jobs, job]),
        edges=pl.concat([made.edges, edge]),
    )
    rows = select(both, metrics=["rPSNR"]).frame.filter(point_id=point).sort("stage")
    assert rows["stage"].to_list() == [1, 2]
    assert rows["step"].to_list() == [None, 100_000]
    assert rows["loss"].to_list() == ["L2 + 1.0*LP", "L2+LP+GAN"]
    assert len(configuration_means(rows)) == 2, "never averaged"
    wide = both.wide(metrics=["rPSNR"]).filter(point_id=point)
    assert (wide["stage"].item(), wide["step"].item()) == (2, 100_000)
    before = both.wide(metrics=["rPSNR"], stage=1)
    assert before.select("point_id", "stage", "rPSNR").rows() == [(point, 1, 9.0)]
    assert before["gan_weight"].item() == 0
    on_the_way = both.wide(metrics=["rPSNR"], step=10_000)
    assert set(on_the_way["step"]) == {10_000}
