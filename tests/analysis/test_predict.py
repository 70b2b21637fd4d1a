"""Expected metrics: statsmodels' intervals, coverage on the paper's points, warnings, bad input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from synthetic import FRECHET, quickstart, results

import analysis
from analysis.metrics import metric
from analysis.predict import Prediction, Query, predict, predict_all
from analysis.series import Series, series
from analysis.stats.holdout import HeldOut, leave_one_group_out
from analysis.stats.inputs import Array, NoFit
from analysis.surface import NONE, PUBLISHED, Departures, fit_surface, tabulate
from vitok_core.errors import UserError

PAPER = analysis.load_published()
S_B = Query("S", "B", patch=16, channels=24)
FIGURE_2: dict[str, Any] = {"encoder": "S", "decoder": "B", "resolution": 256}


@cache
def points(figures: tuple[str, ...]) -> tuple[tuple[Array, Array, pl.DataFrame], ...]:
    """Tables, scaled values and rows of S-B at each metric and data set."""
    rows = PAPER.measurements.filter(
        pl.col("figure").is_in(figures), pl.col("encoder") == "S", pl.col("decoder") == "B"
    )
    return tuple(
        (tabulate(each.to_dict(as_series=False)), metric(name).scale(each["value"]), each)
        for (name, _), each in rows.group_by("metric", "dataset", maintain_order=True)
    )


def held_out(figures: tuple[str, ...], by: str, departures: Departures) -> list[HeldOut]:
    def groups(table: Array, rows: pl.DataFrame) -> Array:
        codes = {"patch": table[:, 1], "rate": table[:, 0].round(6), "E": rows["E"].to_numpy()}
        return codes.get(by, np.arange(len(table)))

    return [
        leave_one_group_out(
            table, y, groups(table, rows), fit=lambda x, y: fit_surface(x, y, departures)
        )
        for table, y, rows in points(figures)
    ]


def coverage(*found: list[HeldOut]) -> float:
    return float(np.mean(np.concatenate([one.inside for each in found for one in each])))


def error(found: list[HeldOut]) -> float:
    """Root mean squared error, in sds of the metric."""
    return float(np.sqrt(np.mean([(one.rmse / one.actual.std()) ** 2 for one in found])))


def only(found: list[Prediction], name: str, dataset: str) -> Prediction:
    (one,) = (each for each in found if (each.metric, each.dataset) == (name, dataset))
    return one


def test_without_departures_it_is_statsmodels_prediction_interval() -> None:
    for table, y, _ in points(("2",)):
        rate, patch = table[:, 0], table[:, 1]
        design = np.column_stack([np.ones(15), rate, rate**2, patch])
        new = np.array([[-6.5, 4, 8, 0, *table[0, 4:]], [-3, 3, 8, 0, *table[0, 4:]]])
        at = np.column_stack([np.ones(2), new[:, 0], new[:, 0] ** 2, new[:, 1]])
        frame = sm.OLS(y, design).fit().get_prediction(at).summary_frame(alpha=0.05)
        ours = fit_surface(table, y, NONE).prediction_band(new)
        theirs = frame[["mean", "obs_ci_lower", "obs_ci_upper"]].to_numpy().T
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("by", ["patch", "rate", "run"])
def test_published_points_are_covered_when_left_out(by: str) -> None:
    images, clips = (held_out(each, by, PUBLISHED) for each in (("2", "4"), ("11",)))
    assert coverage(images, clips) >= 0.95
    assert coverage(held_out(("2",), by, PUBLISHED)) >= 0.95
    assert coverage(clips) >= 0.95
    assert coverage(images) >= 0.95


def test_ordinary_least_squares_does_not_cover_a_new_patch() -> None:
    plain = held_out(("2",), "patch", NONE)
    assert coverage(plain) == pytest.approx(76 / 105)
    # The departures better the predictions, not the width of the intervals alone.
    assert error(held_out(("2",), "patch", PUBLISHED)) < 0.85 * error(plain)
    assert error(held_out(("2",), "rate", PUBLISHED)) < 0.5 * error(held_out(("2",), "rate", NONE))


def test_towers_of_figure_6_fall_into_their_intervals() -> None:
    inside = []
    for each in series(PAPER, datasets=["imagenet1k"]):
        errors, half = each.surface.left_out()
        towers = (each.rows["decoder"] != "B") | (each.rows["encoder"] != "S")
        assert towers.sum() == 6
        inside += list((np.abs(errors) <= half)[towers.to_numpy()])
    assert len(inside) == 24
    assert np.mean(inside) >= 0.95


def test_prediction_lies_between_measured_neighbours() -> None:
    found = predict(PAPER, S_B)
    assert [(each.metric, each.dataset) for each in found] == [
        ("rFID", "coco2017"), ("rFID", "imagenet1k"), ("rIS", "imagenet1k"),
        ("rSSIM", "coco2017"), ("rSSIM", "imagenet1k"), ("rPSNR", "coco2017"),
        ("rPSNR", "imagenet1k"),
    ]  # fmt: skip
    for each in found:
        # Figure 2: p 16, c 16 and 32.
        low, high = sorted(
            PAPER.measurements.filter(
                pl.col("figure") == "2", pl.col("p") == 16, pl.col("c").is_in([16, 32]),
                pl.col("metric") == each.metric, pl.col("dataset") == each.dataset,
            )["value"]
        )  # fmt: skip
        assert low < each.expected < high
        assert each.low < each.expected < each.high
        assert each.warnings == ()
        assert each.protocol == "published: ViTok, arXiv 2501.09755"
    assert only(found, "rPSNR", "imagenet1k").n == 15 + 3 + 6
    # Pooled over patches without curvature, the interval was ± 2 · 0.78 in log2 rFID.
    rfid = only(found, "rFID", "imagenet1k")
    assert np.log2(rfid.high / rfid.low) / 2 < 0.6
    # A line through the neighbours in log-log, at log2 24 = 4.585.
    assert rfid.expected == pytest.approx(1.584 * (0.876 / 1.584) ** 0.585, rel=0.05)


def test_a_larger_decoder_helps_as_figure_7_has_it() -> None:
    base, large = (
        only(predict(PAPER, Query("S", size, 16, 16)), "rPSNR", "imagenet1k") for size in "BL"
    )
    # Figure 7: 26.12 dB with decoder B, 26.47 with L.
    assert 0.1 < large.expected - base.expected < 0.5


def over_channels(channels: Array, patch: int) -> Iterator[tuple[Series, tuple[Array, ...]]]:
    """Per series of images: expected, low and high of S-B on the scale of the fits."""
    for each in series(PAPER, datasets=["imagenet1k", "coco2017"]):
        base = tabulate(each.rows.filter(**FIGURE_2, p=patch).head(1).to_dict(as_series=False))
        table = np.repeat(base, len(channels), axis=0)
        table[:, 0] = np.log2(channels / (3 * patch**2))
        yield each, each.surface.prediction_band(table)


def mask(rows: pl.DataFrame, **values: int | str) -> NDArray[np.bool_]:
    found = rows.select(pl.all_horizontal(pl.col(name) == value for name, value in values.items()))
    return found.to_series().to_numpy()


@pytest.mark.parametrize("patch", [8, 16, 32])
@pytest.mark.parametrize("trained", [8, 16, 32])
def test_a_trained_width_is_no_island(patch: int, trained: int) -> None:
    for _, (mean, low, high) in over_channels(trained + np.array([-1.0, 0, 1]), patch):
        step = mean[2] - mean[0]
        assert abs(mean[1] - mean[0] - step / 2) < 0.2 * abs(step)
        assert np.ptp(high - low) < 0.2 * (high - low)[1]


@pytest.mark.parametrize("patch", [8, 16, 32])
def test_more_channels_are_expected_to_reconstruct_better(patch: int) -> None:
    for each, (mean, *_) in over_channels(np.arange(4.0, 65), patch):
        better = mean * metric(each.metric).better
        fall = (np.maximum.accumulate(better) - better).max()
        # Figure 2's rIS at p 8 is flat at its end: 234.9 at c 32, 236.6 at c 64.
        flat = (each.metric, patch) == ("rIS", 8)
        assert fall <= (0.02 * np.ptp(better) if flat else 0)


def test_a_width_left_out_is_told_as_well_as_by_its_neighbours() -> None:
    """Against the mean of c/2 and 2c, which knows of no other patch."""
    for each in series(PAPER, datasets=["imagenet1k", "coco2017"]):
        rows = each.rows
        figure = rows.filter(**FIGURE_2).select("p", "c", "scaled").rows()
        values = {(p, c): value for p, c, value in figure}
        table, y = tabulate(rows.to_dict(as_series=False)), rows["scaled"].to_numpy()
        errors, neighbours = [], []
        for p, c in ((p, c) for p in (8, 16, 32) for c in (8, 16, 32)):
            # The towers of Figure 6 are left out with it.
            held = mask(rows, p=p, c=c, resolution=256)
            at = table[held & mask(rows, encoder="S", decoder="B")]
            mean = fit_surface(table[~held], y[~held]).prediction_band(at)[0]
            errors.append(float(mean[0]) - values[p, c])
            neighbours.append((values[p, c // 2] + values[p, 2 * c]) / 2 - values[p, c])
        assert np.linalg.norm(errors) < 1.15 * np.linalg.norm(neighbours), each.metric


def test_a_second_run_is_expected_near_the_first() -> None:
    at, between = (
        only(predict(PAPER, Query("S", "B", 16, c)), "rPSNR", "imagenet1k") for c in (16, 23)
    )
    # Figure 2, p 16, c 16.
    assert at.expected == pytest.approx(26.117716, abs=0.05)
    assert at.high - at.low < between.high - between.low < 1.5 * (at.high - at.low)


def test_data_sets_that_cannot_tell_are_named() -> None:
    (found,) = predict_all(PAPER, [Query("S", "L", 16, 16)])
    assert {each.dataset for each in found.predictions} == {"imagenet1k"}
    assert found.notes == (
        "rFID, rSSIM, rPSNR on coco2017: no prediction, every point has decoder B",
    )


def test_clips_are_predicted_from_clips() -> None:
    found = predict(PAPER, Query("S", "B", 16, 16, stride=4, frames=16), metrics=["rFVD"])
    assert {each.dataset for each in found} == {"ucf101", "kinetics700", "shutterstock"}
    ucf = only(found, "rFVD", "ucf101")
    assert ucf.low < 32.546545 < ucf.high  # Figure 11
    assert ucf.n == 10


@pytest.mark.parametrize(
    ("query", "warning"),
    [
        (Query("S", "B", 16, 16, resolution=1024), "resolution 1024 lies outside the measured 256"),
        (Query("S", "B", 4, 4), "p 4 lies outside the measured 8 to 32"),
        (Query("S", "B", 32, 2), "E 128 lies outside the measured 256 to 65536"),
        (Query("w768b80h12", "B", 16, 16), "encoder .* lies outside the measured 43.3 to 383.7"),
        (Query("S", "w768b2h12", 16, 16), "decoder .* lies outside the measured 43.3 to 383.7"),
        # Every number is among the measured ones, the combination is not.
        (Query("S", "B", 32, 1024), "far from every point: leverage"),
    ],
)
def test_extrapolation_warns(query: Query, warning: str) -> None:
    for each in predict(PAPER, query, datasets=["imagenet1k"]):
        assert any(re.match(warning, line) for line in each.warnings), each.warnings


def test_extrapolation_is_less_certain() -> None:
    widths = []
    for patch, channels in ((16, 16), (16, 24), (4, 1)):
        one = only(predict(PAPER, Query("S", "B", patch, channels)), "rPSNR", "imagenet1k")
        widths.append(one.high - one.low)
    assert widths == sorted(widths)
    assert widths[2] > 2 * widths[1]


def test_intervals_stay_within_what_a_metric_can_be() -> None:
    found = predict(PAPER, Query("S", "B", 8, 128))
    ssim = only(found, "rSSIM", "imagenet1k")
    assert ssim.expected <= ssim.high == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch": 15}, "patch 15 does not divide resolution 256"),
        ({"frames": 16, "stride": 3}, "stride 3 does not divide frames 16"),
        ({"channels": 0}, "channels must be from 1 to 2147483647, not 0"),
        ({"encoder": "b"}, "unknown size 'b', did you mean B"),
        ({"decoder": "w130b2h4"}, "size 'w130b2h4': no such transformer"),
        ({"frames": 8}, "every point has frames 16"),
    ],
)
def test_nonsense_is_refused(values: dict[str, int | str], message: str) -> None:
    given = {"encoder": "S", "decoder": "B", "patch": 16, "channels": 16, **values}
    with pytest.raises(UserError, match=message):
        predict(PAPER, Query(**given))  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="no scores of metric 'rfid', did you mean rFID"):
        predict(PAPER, S_B, metrics=["rfid"])
    with pytest.raises(UserError, match="no results on data set 'coco', did you mean"):
        predict(PAPER, S_B, datasets=["coco"])


def test_own_points_predict_their_own_metrics() -> None:
    made = quickstart(datasets=("photos-heldout",))
    query = Query("w128b2h4", "w128b4h4", 16, 24, resolution=64)
    found = predict(made, query)
    assert {each.metric for each in found} >= {FRECHET, "rPSNR", "rSSIM"}
    assert "kl_bits_per_pixel" not in {each.metric for each in found}
    one = only(found, "rPSNR", "photos-heldout")
    assert one.n == 15  # configurations, whatever their seeds
    x = np.log2(16 * 24)
    truth = 15.5 + 1.75 * (x - 3) + 0.02 * (x - 8) ** 2
    assert one.expected == pytest.approx(truth, abs=0.1)
    assert one.low < truth < one.high
    with pytest.raises(UserError, match=r"every point has resolution 64, encoder w128b2h4"):
        predict(made, Query("S", "w128b4h4", 16, 24))


def test_a_sweeps_own_size_goes_by_its_name() -> None:
    made = quickstart(datasets=("photos-heldout",))
    names = pl.col("encoder", "decoder").replace({"w128b2h4": "T1", "w128b4h4": "T2"})
    named = replace(made, points=made.points.with_columns(names))
    (by_name,), (by_numbers,) = (
        predict(results, Query(*sizes, 16, 24, resolution=64), metrics=["rPSNR"])
        for results, sizes in ((named, ("T1", "T2")), (made, ("w128b2h4", "w128b4h4")))
    )
    assert by_name == by_numbers
    with pytest.raises(UserError, match=r"unknown size 'T3'.*T1, T2"):
        predict(named, Query("T3", "T2", 16, 24, resolution=64))


def test_too_few_points_say_so() -> None:
    made = quickstart(datasets=("photos-heldout",), patches=(16,))
    with pytest.raises(UserError, match="needs 8 finished points with different"):
        predict(made, Query("w128b2h4", "w128b4h4", 16, 24, resolution=64))
    with pytest.raises(UserError, match="no reconstruction has been scored yet"):
        predict(results([], []), S_B)


def test_equal_rates_carry_no_curve() -> None:
    table = np.array([[-5.0, p, 8, 0, 5, 6] for p in range(10)])
    with pytest.raises(NoFit, match="three rates"):
        fit_surface(table, np.arange(10.0))


def test_columns_that_move_together_cannot_be_told_apart() -> None:
    table = np.array([[-n, 3 + n % 3, 6 + n % 3, 0, 5, 6] for n in range(10)], dtype=float)
    with pytest.raises(NoFit, match="rate, its square, patch, resolution: regressors are coll"):
        fit_surface(table, np.arange(10.0))


def test_many_queries_are_one_fit() -> None:
    queries = [Query("S", "B", p, c) for p in (8, 16, 32) for c in range(4, 68)] * 10
    found = predict_all(PAPER, queries)
    assert len(found) == len(queries)
    assert found[20].predictions == found[20 + 192].predictions
    for many, alone in zip(found[0].predictions, predict(PAPER, queries[0]), strict=True):
        assert many.high == pytest.approx(alone.high, rel=1e-9)


def test_a_series_has_one_protocol() -> None:
    made = quickstart()
    keys = [(each.metric, each.dataset, each.protocol) for each in series(made)]
    assert len(set(keys)) == len(keys)
    assert all(isinstance(each, Series) and each.rows["protocol"].n_unique() == 1
               for each in series(made))  # fmt: skip
