"""Lines over log2 E: the paper's published numbers as oracle, seeds, degenerate sweeps."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from analysis.configurations import configuration_means
from analysis.fits import Line, LineFit, fit_lines, line
from analysis.metrics import choose, metric
from analysis.published import fits as published_fits
from analysis.published.measured import measured
from analysis.stats.ols import NoFit

# What the paper prints in Figure 2, and the same to four decimals from the published points.
PRINTED = {
    ("rFID", "coco2017"): ("0.92", 0.9159),
    ("rFID", "imagenet1k"): ("0.94", 0.9439),
    ("rIS", "imagenet1k"): ("0.91", 0.9068),
    ("rSSIM", "coco2017"): ("0.98", 0.9792),
    ("rSSIM", "imagenet1k"): ("0.98", 0.9835),
    ("rPSNR", "coco2017"): ("0.93", 0.9310),
    ("rPSNR", "imagenet1k"): ("0.92", 0.9230),
}


def published(panel: str, dataset: str) -> pl.DataFrame:
    rows = measured("2").filter(pl.col("metric") == panel, pl.col("dataset") == dataset)
    assert len(rows) == 15
    return rows


def repeated(frame: pl.DataFrame, seeds: int) -> pl.DataFrame:
    """The same rows once for every seed."""
    return pl.concat([frame.with_columns(seed=pl.lit(seed, pl.Int64)) for seed in range(seeds)])


@pytest.mark.parametrize(("panel", "dataset"), PRINTED)
def test_figure_2_prints_our_r2(panel: str, dataset: str) -> None:
    rows, (printed, exact) = published(panel, dataset), PRINTED[panel, dataset]
    fit = line(rows["E"], rows["value"], panel)
    assert f"{fit.r2:.2f}" == printed
    assert fit.r2 == pytest.approx(exact, abs=6e-5)


def test_figure_2_drawn_line() -> None:
    rows = published("rFID", "imagenet1k")
    fit = line(rows["E"], rows["value"], "rFID")
    np.testing.assert_allclose(fit.coefficients, [17.346625, -1.3828901], rtol=1e-6)


@pytest.mark.parametrize(("panel", "dataset"), PRINTED)
def test_perturbing_one_published_point_changes_the_printed_r2(panel: str, dataset: str) -> None:
    rows, (printed, _) = published(panel, dataset), PRINTED[panel, dataset]
    moved = rows["value"].to_numpy().copy()
    moved[7] *= 4 if panel == "rFID" else 1.3
    assert f"{line(rows['E'], moved, panel).r2:.2f}" != printed


@pytest.mark.parametrize(("panel", "dataset"), PRINTED)
def test_a_shuffled_size_explains_nothing(panel: str, dataset: str) -> None:
    rows, noise = published(panel, dataset), np.random.default_rng(3)
    r2 = [line(noise.permutation(rows["E"]), rows["value"], panel).r2 for _ in range(200)]
    assert np.mean(r2) == pytest.approx(1 / 14, abs=0.03)  # its expectation under no relation
    assert np.quantile(r2, 0.99) < 0.5


def one(frame: pl.DataFrame) -> LineFit:
    (fit,) = fit_lines(frame)
    return fit


def test_seeds_are_averaged_not_counted() -> None:
    rows = repeated(published("rPSNR", "imagenet1k"), seeds=3)
    noise = np.random.default_rng(0).normal(0, 0.2, (3, 15))
    noise -= noise.mean(axis=0)
    rows = rows.with_columns(pl.col("value") + noise.ravel())  # three seeds around each value
    fit, alone = one(rows), one(published("rPSNR", "imagenet1k"))
    assert fit.n == alone.n == 15
    assert (fit.seeds, alone.seeds) == ((0, 1, 2), ())
    assert fit.seeds_per_configuration == (3, 3)
    assert fit.model is not None
    assert alone.model is not None
    np.testing.assert_allclose(fit.model.covariance, alone.model.covariance, rtol=1e-9)
    assert fit.between_seed_sd == pytest.approx(np.sqrt((noise**2).sum() / 30))
    assert alone.between_seed_sd is None


def test_fid_is_averaged_where_it_is_fitted() -> None:
    rows = repeated(published("rFID", "imagenet1k"), seeds=2)
    halved = pl.when(pl.col("seed") == 0).then(0.5).otherwise(2.0)
    rows = rows.with_columns(value=pl.col("value") * halved)
    means = configuration_means(rows).sort("config_id")
    expected = published("rFID", "imagenet1k").sort("config_id")
    assert means["config_id"].to_list() == expected["config_id"].to_list()
    np.testing.assert_allclose(means["value"], expected["value"], rtol=1e-12)
    assert one(rows).between_seed_sd == pytest.approx(np.sqrt(2))


def test_the_band_comes_back_in_the_metric_s_own_scale() -> None:
    fit = one(published("rFID", "imagenet1k"))
    assert fit.model is not None
    mean, low, high = fit.band([4096])
    scaled = [np.log2(end) for end in (mean, low, high)]
    np.testing.assert_allclose(scaled, fit.model.band([12.0]), rtol=1e-12)
    assert low[0] < mean[0] < high[0]


def test_the_record_is_what_scripts_read() -> None:
    fit = one(published("rFID", "imagenet1k")).record()
    assert fit["panel"] == "rFID"
    assert (fit["x_transform"], fit["y_transform"], fit["form"]) == ("log2", "log2", "linear")
    assert fit["coefficients"]["slope"] == pytest.approx(-1.3828901, rel=1e-6)
    low, high = fit["ci95"]["slope"]
    assert low < -1.3828901 < high
    assert fit["ci95_hc3"]["slope"] != fit["ci95"]["slope"]
    assert {"dataset", "r2", "n", "residual_sd", "protocol", "seeds", "between_seed_sd",
            "source"} <= fit.keys()  # fmt: skip


@pytest.mark.parametrize(
    ("E", "values", "message"),
    [
        ([16, 32], [1.0, 2.0], "needs 3 configurations; there are 2"),
        ([16], [1.0], "there is 1"),
        ([64, 64, 64], [1.0, 2.0, 3.0], "have E = 64"),
        ([16, 32, 0], [1.0, 2.0, 3.0], "E must be positive"),
        ([16, 32, 64], [1.0, 0.0, 3.0], "not positive"),
        ([16, 32, 64], [1.0, np.nan, 3.0], "not finite"),
    ],
)
def test_no_silent_number(E: list[float], values: list[float], message: str) -> None:
    with pytest.raises(NoFit, match=message):
        line(E, values, "rFID")


def test_two_configurations_give_a_fit_that_says_why_there_is_none() -> None:
    fit = one(repeated(published("rPSNR", "imagenet1k").head(2), seeds=3))
    assert (fit.model, fit.r2, fit.slope, fit.n) == (None, None, None, 2)
    assert "3 configurations" in fit.note
    assert fit.record()["coefficients"] is None
    with pytest.raises(NoFit, match="3 configurations"):
        fit.band([16])


def test_equal_values_have_no_r2() -> None:
    rows = published("rPSNR", "imagenet1k").with_columns(value=pl.lit(20.0))
    record = one(rows).record()
    assert record["r2"] is None
    assert "R²" in record["note"]


# Every line and curve that a legend of the paper gives an R², by what our columns call its axes.
OVER = {
    "Floating Points, E": "E", "Channel Width, c": "c", "Pixels Per Channel": "pixels_per_channel",
    "Encoder Size (M)": "encoder_params_m", "Decoder Size (M)": "decoder_params_m",
}  # fmt: skip
DRAWN = published_fits().filter(
    pl.col("source") == "drawn", pl.col("x_variable").is_in(list(OVER))
)  # fmt: skip


@pytest.mark.parametrize("row", range(len(DRAWN)))
def test_every_printed_r2_over_a_size_comes_out(row: int) -> None:
    drawn = DRAWN.row(row, named=True)
    wanted = Line(drawn["form"], OVER[drawn["x_variable"]], drawn["x_transform"])
    rows = measured(drawn["figure"]).filter(
        pl.col("metric") == drawn["panel"],
        pl.col("dataset") == drawn["dataset"],
        pl.col("cfg_scale").eq_missing(pl.lit(drawn["cfg_scale"], pl.Float64)),
    )
    (fit,) = fit_lines(rows, wanted)
    assert fit.metric.transform == drawn["y_transform"]
    assert fit.n == drawn["n_points"]
    assert fit.r2 == pytest.approx(drawn["r2_recomputed"], abs=1e-6)
    assert f"{fit.r2:.2f}" == f"{drawn['r2_annotated']:.2f}"
    assert fit.r2_printed == drawn["r2_annotated"]
    assert fit.model is not None
    expected = [drawn[name] for name in ("c0", "c1", "c2") if drawn[name] is not None]
    if drawn["figure"] == "4":  # drawn over a quarter of the true E
        expected[0] -= 2 * expected[1]
    np.testing.assert_allclose(fit.model.coefficients, expected, rtol=2e-6, atol=2e-6)


def test_every_line_over_a_size_is_tried() -> None:
    assert len(DRAWN) == 54  # of the 58; the other four are Figure 10's, metric over metric


def test_a_curve_for_every_patch_has_the_extremum_of_our_own_records() -> None:
    recorded = published_fits().filter(pl.col("source") != "drawn", pl.col("panel") == "gFID")
    fits = fit_lines(
        measured("5").filter(pl.col("metric") == "gFID"), Line("quadratic", by=("p",))
    )  # fmt: skip
    assert len(fits) == len(recorded) == 6
    for fit in fits:
        ((_, p),) = fit.group
        row = recorded.filter(
            pl.col("subset") == f"p={p}", pl.col("cfg_scale") == fit.cfg_scale
        ).row(0, named=True)
        assert fit.vertex is not None
        assert fit.vertex["type"] == row["vertex_type"]
        assert np.log2(fit.vertex["x"]) == pytest.approx(row["vertex_x"], rel=1e-6)
        assert fit.vertex["value"] == pytest.approx(row["vertex_value"], rel=1e-6)
        assert fit.r2_printed is None


def test_an_optimum_has_the_interval_of_statsmodels_or_none() -> None:
    found = {}
    for fit in fit_lines(measured("5"), Line("quadratic", by=("p",))):
        ((_, p),) = fit.group
        rows = measured("5").filter(
            pl.col("metric") == fit.panel, pl.col("cfg_scale") == fit.cfg_scale, pl.col("p") == p
        )
        x, y = np.log2(rows["E"]), fit.metric.scale(rows["value"])
        theirs = sm.OLS(y, sm.add_constant(np.column_stack([x, x**2]))).fit()
        assert fit.vertex is not None
        found[fit.panel, fit.cfg_scale, p] = fit.vertex
        # The set has two ends where the curvature is told from zero at 5%.
        assert fit.vertex["bounded"] == (theirs.pvalues[2] < 0.05)
        for end in fit.vertex["interval"]:
            # At an end the slope is just told from zero.
            at = None if end is None else theirs.t_test([0, 1, 2 * np.log2(end)]).pvalue
            assert at == (pytest.approx(0.05, rel=1e-5) if fit.vertex["bounded"] else None)
    assert {one["bounded"] for one in found.values()} == {True, False}
    assert found["gFID", 1.5, 16]["place"] == "inside"
    assert found["gFID", 1.5, 8]["place"] == "edge"
    assert found["gFID", 3.0, 8]["place"] == "outside"


def test_a_turn_too_far_away_for_a_number_is_null() -> None:
    E = [16, 32, 64, 128, 256]
    wiggle = -1e-9 * np.array([1.0, 0, 0, 0, 1])
    made = published("rPSNR", "imagenet1k").head(5).with_columns(
        E=pl.Series(E), value=pl.Series(np.log2(E) + wiggle)
    )  # fmt: skip
    (fit,) = fit_lines(made, Line("quadratic"))
    assert fit.vertex is not None
    assert fit.vertex["x"] is None
    assert fit.vertex["place"] == "outside"


@pytest.mark.parametrize(
    ("E", "message"),
    [
        ([16, 32, 64], "a quadratic with an error needs 4 configurations"),
        ([16, 16, 64, 64], "E has two values only"),
    ],
)
def test_no_curvature_from_too_little(E: list[float], message: str) -> None:
    with pytest.raises(NoFit, match=message):
        line(E, np.arange(1.0, len(E) + 1), "rPSNR", "quadratic")


@pytest.mark.parametrize(
    ("name", "family", "transform", "better"),
    [
        ("rFID", "frechet", "log2", -1),
        ("gFVD", "fvd", "log2", -1),
        ("rFD[efficientnet-lite0-112]", "frechet", "log2", -1),
        ("rIS", "is", "identity", 1),
        ("rIS[efficientnet-lite0]", "is", "identity", 1),
        ("rKID", "kernel", "identity", -1),
        ("gKD[efficientnet-lite0-112]", "kernel", "identity", -1),
        ("gFD[dinov2-vitl14]", "frechet", "log2", -1),
        ("gCMMD", "cmmd", "identity", -1),
        ("gPrecision", "precision", "identity", 1),
        ("rRecall[efficientnet-lite0]", "recall", "identity", 1),
        ("rSSIM", "ssim", "identity", 1),
        ("rPSNR", "psnr", "identity", 1),
        ("kl_bits_per_pixel", "other", "identity", 0),
        ("rFIDelity", "other", "identity", 0),
    ],
)
def test_a_metric_is_known_by_its_name(name: str, family: str, transform: str, better: int) -> None:
    chosen = metric(name)
    assert (chosen.family, chosen.transform, chosen.better) == (family, transform, better)


def test_the_standard_network_is_drawn_where_it_was_measured() -> None:
    offline = ["rFD[efficientnet-lite0-112]", "rFD[efficientnet-lite0]"]
    assert choose("frechet", offline) == "rFD[efficientnet-lite0]"
    assert choose("frechet", [*offline, "rFID"]) == "rFID"
    assert choose("frechet", ["rPSNR"]) is None
