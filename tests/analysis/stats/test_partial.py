"""Partial effects and clustered errors: statsmodels, and coverage with few clusters."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from published import DECODER, ENCODER, RPSNR_SIZES

from analysis.stats.clusters import clustered
from analysis.stats.ols import NoFit, ols
from analysis.stats.partial import partial_effect

SIZES = np.log2(np.column_stack([ENCODER, DECODER]))
# Seven tokenizers scored on three data sets.
TOKENIZER = np.repeat(np.arange(7), 3)
STACKED = np.repeat(SIZES, 3, axis=0)


def _scores(noise: np.random.Generator, shared: float) -> np.ndarray:
    """Errors of which a part is the tokenizer's own."""
    return noise.normal(0, shared, 7)[TOKENIZER] + noise.normal(0, 1, 21)


def test_the_paper_s_decoder_effect_given_the_encoder() -> None:
    """Either size alone has R² .07 and .83; given the decoder the encoder adds little."""
    decoder, encoder = (partial_effect(SIZES, RPSNR_SIZES, of) for of in (1, 0))
    theirs = sm.OLS(RPSNR_SIZES, sm.add_constant(SIZES)).fit()
    for mine, index in ((encoder, 1), (decoder, 2)):
        assert mine.coefficient == pytest.approx(theirs.params[index], rel=1e-9)
        assert mine.standard_error == pytest.approx(theirs.bse[index], rel=1e-9)
        assert mine.p == pytest.approx(theirs.pvalues[index], rel=1e-8)
        np.testing.assert_allclose(mine.interval, theirs.conf_int()[index], rtol=1e-8)
        t = theirs.tvalues[index]
        assert mine.partial_r2 == pytest.approx(t**2 / (t**2 + 4), rel=1e-8)
    assert ols(SIZES[:, 0], RPSNR_SIZES).r2 == pytest.approx(0.067167404, abs=1e-6)
    assert ols(SIZES[:, 1], RPSNR_SIZES).r2 == pytest.approx(0.83143591, abs=1e-6)
    assert decoder.interval[0] > 0
    assert encoder.interval[0] < 0 < encoder.interval[1]


def test_the_added_variable_line_has_the_partial_slope() -> None:
    found = partial_effect(SIZES, RPSNR_SIZES, 1)
    line = ols(found.x_residuals, found.y_residuals)
    assert line.coefficients[1] == pytest.approx(found.coefficient, rel=1e-10)
    assert line.r2 == pytest.approx(found.partial_r2, rel=1e-10)
    assert partial_effect(SIZES, RPSNR_SIZES, -1).coefficient == found.coefficient


def test_cr1_is_statsmodels_cluster_covariance() -> None:
    y = STACKED @ [0.1, 0.5] + _scores(np.random.default_rng(0), 1)
    theirs = sm.OLS(y, sm.add_constant(STACKED)).fit()
    robust = theirs.get_robustcov_results(
        "cluster", groups=TOKENIZER, use_correction=True, df_correction=True, use_t=True
    )
    ours = clustered(STACKED, y, TOKENIZER, kind="CR1")
    np.testing.assert_allclose(ours.covariance, robust.cov_params(), rtol=1e-9)
    np.testing.assert_allclose(ours.intervals(), robust.conf_int(), rtol=1e-9)
    np.testing.assert_allclose(ours.p_values, robust.pvalues, rtol=1e-8)
    partial = partial_effect(STACKED, y, 1, clusters=TOKENIZER, kind="CR1")
    np.testing.assert_allclose(partial.interval, robust.conf_int()[2], rtol=1e-9)
    assert (partial.clusters, partial.dof, partial.n) == (7, 6, 21)


def test_cr2_of_single_measurements_is_hc2() -> None:
    y = STACKED @ [0.1, 0.5] + _scores(np.random.default_rng(1), 1)
    theirs = sm.OLS(y, sm.add_constant(STACKED)).fit().get_robustcov_results("HC2")
    ours = clustered(STACKED, y, np.arange(21), kind="CR2")
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-9)


def test_cr2_is_unbiased_for_independent_errors() -> None:
    """Bell & McCaffrey's defining property, by the exact expectation."""
    mean = sum(clustered(STACKED, error, TOKENIZER).covariance for error in np.eye(21))
    plain = np.linalg.inv(sm.add_constant(STACKED).T @ sm.add_constant(STACKED))
    np.testing.assert_allclose(mean, plain, rtol=1e-8, atol=1e-12)


def test_coverage_with_seven_tokenizers() -> None:
    """CR2 with Satterthwaite keeps 95%; treating data sets as independent does not."""
    noise, hits = np.random.default_rng(2), np.zeros(3)
    for _ in range(800):
        y = 0.5 * STACKED[:, 1] + _scores(noise, 1.5)
        found = [clustered(STACKED, y, TOKENIZER, kind=kind) for kind in ("CR2", "CR1")]
        plain = found[0].model.intervals()[2]
        hits += [low < 0.5 < high for low, high in (*(f.intervals()[2] for f in found), plain)]
    cr2, cr1, independent = hits / 800
    assert cr2 == pytest.approx(0.95, abs=0.02)
    assert 0.84 < cr1 < 0.93
    assert independent < 0.85


def test_degenerate_input_says_why() -> None:
    with pytest.raises(NoFit, match="another regressor"):
        partial_effect(SIZES[:, 0], RPSNR_SIZES, 0)
    with pytest.raises(NoFit, match="collinear"):
        partial_effect(SIZES[:, [0, 0]], RPSNR_SIZES, 0)
    with pytest.raises(NoFit, match="3 clusters are too few for 3 coefficients"):
        clustered(SIZES, RPSNR_SIZES, [0, 0, 1, 1, 2, 2, 2])
