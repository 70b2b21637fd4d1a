"""Lines over log2 E: the paper's published numbers as oracle, seeds, degenerate sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.fits import LineFit, configuration_means, fit_lines, line
from analysis.metrics import choose, metric
from analysis.ols import NoFit

FIGURE2 = pd.read_csv(Path(__file__).parent.parent / "data" / "figure2.csv", comment="#")
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


def published(panel: str, dataset: str) -> pd.DataFrame:
    rows = FIGURE2[(FIGURE2["panel"] == panel) & (FIGURE2["dataset"] == dataset)]
    assert len(rows) == 15
    return rows


def observations(frame: pd.DataFrame, seeds: int = 1) -> pd.DataFrame:
    """Tidy rows, one configuration each, repeated over seeds."""
    rows = frame.assign(
        series="trained", q=1, L=1, protocol="as published",
        config_id=[f"p{p}c{c}" for p, c in zip(frame["p"], frame["c"], strict=True)],
    )  # fmt: skip
    return pd.concat([rows.assign(seed=seed) for seed in range(seeds)], ignore_index=True)


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


def one(frame: pd.DataFrame) -> LineFit:
    (fit,) = fit_lines(frame)
    return fit


def test_seeds_are_averaged_not_counted() -> None:
    rows = observations(published("rPSNR", "imagenet1k"), seeds=3)
    noise = np.random.default_rng(0).normal(0, 0.2, len(rows))
    noise -= pd.Series(noise).groupby(rows["config_id"]).transform("mean").to_numpy()
    rows["value"] += noise  # three seeds around each published value
    fit, alone = one(rows), one(observations(published("rPSNR", "imagenet1k")))
    assert fit.n == alone.n == 15
    assert fit.seeds == (0, 1, 2)
    assert fit.seeds_per_configuration == (3, 3)
    assert fit.model is not None
    assert alone.model is not None
    np.testing.assert_allclose(fit.model.covariance, alone.model.covariance, rtol=1e-9)
    assert fit.between_seed_sd == pytest.approx(np.sqrt((noise**2).sum() / 30))
    assert alone.between_seed_sd is None


def test_fid_is_averaged_where_it_is_fitted() -> None:
    rows = observations(published("rFID", "imagenet1k"), seeds=2)
    rows["value"] *= np.where(rows["seed"] == 0, 0.5, 2.0)
    means = configuration_means(rows).set_index("config_id")["value"]
    expected = observations(published("rFID", "imagenet1k")).set_index("config_id")["value"]
    np.testing.assert_allclose(means, expected[means.index], rtol=1e-12)
    assert one(rows).between_seed_sd == pytest.approx(np.sqrt(2))


def test_the_band_comes_back_in_the_metric_s_own_scale() -> None:
    fit = one(observations(published("rFID", "imagenet1k")))
    assert fit.model is not None
    mean, low, high = fit.band([4096])
    scaled = [np.log2(end) for end in (mean, low, high)]
    np.testing.assert_allclose(scaled, fit.model.band([12.0]), rtol=1e-12)
    assert low[0] < mean[0] < high[0]


def test_the_record_is_what_scripts_read() -> None:
    fit = one(observations(published("rFID", "imagenet1k"))).record()
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
    rows = observations(published("rPSNR", "imagenet1k").head(2), seeds=3)
    fit = one(rows)
    assert (fit.model, fit.r2, fit.slope, fit.n) == (None, None, None, 2)
    assert "3 configurations" in fit.note
    assert fit.record()["coefficients"] is None
    with pytest.raises(NoFit, match="3 configurations"):
        fit.band([16])


def test_equal_values_have_no_r2() -> None:
    rows = observations(published("rPSNR", "imagenet1k"))
    rows["value"] = 20.0
    record = one(rows).record()
    assert record["r2"] is None
    assert "R²" in record["note"]


@pytest.mark.parametrize(
    ("name", "family", "transform", "better"),
    [
        ("rFID", "frechet", "log2", -1),
        ("gFVD", "fvd", "log2", -1),
        ("rFD[efficientnet-lite0-112]", "frechet", "log2", -1),
        ("rIS", "is", "identity", 1),
        ("rIS[efficientnet-lite0]", "is", "identity", 1),
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
