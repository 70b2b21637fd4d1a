"""Nested F, equivalence, power and Holm: statsmodels, scipy's references and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from published import PATCH, RPSNR, E
from scipy.special import stdtrit
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from analysis.stats.compare import (
    equivalence,
    equivalence_power,
    f_power,
    f_test,
    holm,
    nested_f,
    partial_f,
)
from analysis.stats.ols import NoFit, ols

X = np.column_stack([np.log2(E), PATCH == 16, PATCH == 8]).astype(float)


def test_nested_and_partial_f_are_statsmodels_anova() -> None:
    small, large = (sm.OLS(RPSNR, sm.add_constant(x)).fit() for x in (X[:, :1], X))
    theirs = anova_lm(small, large).iloc[1]
    for ours in (nested_f(ols(X[:, 0], RPSNR), ols(X, RPSNR)), partial_f(X, RPSNR, [1, 2])):
        assert ours.statistic == pytest.approx(theirs["F"], rel=1e-10)
        assert ours.p == pytest.approx(theirs["Pr(>F)"], rel=1e-9)
        assert ours.dof == (2, 11)
    whole = partial_f(X, RPSNR, [0, 1, 2])
    assert whole.statistic == pytest.approx(large.fvalue, rel=1e-10)
    assert whole.p == pytest.approx(large.f_pvalue, rel=1e-8)


def test_an_injected_token_effect_is_found_and_shuffled_sizes_find_nothing() -> None:
    noise, x = np.random.default_rng(0), np.log2(E)
    tokens = np.log2((256 / PATCH) ** 2)
    p = np.array([
        [
            partial_f(np.column_stack([x, tokens]), x + effect * tokens + error, [1]).p
            for effect in (0.0, 1.0)
        ]
        for error in noise.normal(0, 0.5, (1000, 15))
    ])  # fmt: skip
    none, injected = (p < 0.05).mean(axis=0)
    assert none == pytest.approx(0.05, abs=0.015)
    assert injected > 0.99


def test_two_one_sided_tests_are_statsmodels() -> None:
    for mean in (0.0, 0.3, -0.6, 1.4):
        sample = mean + np.random.default_rng(2).normal(size=12)
        theirs = DescrStatsW(sample)
        p, *_ = theirs.ttost_mean(-1, 1)
        ours = equivalence(sample.mean(), theirs.std_mean, 11, 1.0)
        assert ours.p == pytest.approx(p, rel=1e-10)
        np.testing.assert_allclose(ours.interval, theirs.tconfint_mean(0.1), rtol=1e-10)
        inside = ours.interval[0] > -1 and ours.interval[1] < 1
        assert ours.equivalent == inside


def test_a_difference_that_is_not_significant_is_not_yet_equivalence() -> None:
    vague = equivalence(0.5, 1.0, 10, 1.0)
    assert not vague.equivalent
    assert vague.power < 0.05
    assert equivalence(0.0, 0.0, 5, 0.1).equivalent
    assert not equivalence(0.2, 0.0, 5, 0.1).equivalent


@pytest.mark.parametrize("effect", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("dof", [3, 11, 200])
def test_the_power_of_equivalence_is_how_often_it_succeeds(effect: float, dof: int) -> None:
    noise, margin, sd = np.random.default_rng(dof), 1.0, 0.35
    estimate = effect + noise.normal(0, sd, 200_000)
    error = sd * np.sqrt(noise.chisquare(dof, 200_000) / dof)
    success = np.abs(estimate) + stdtrit(dof, 0.95) * error < margin
    assert equivalence_power(sd, dof, margin, effect=effect) == pytest.approx(
        success.mean(), abs=0.003
    )
    if effect == margin:  # at the margin itself it errs at most alpha
        assert equivalence_power(sd, dof, margin, effect=effect) <= 0.05


def test_the_power_of_f_is_how_often_it_rejects() -> None:
    model = ols(X, RPSNR)
    effect = np.array([2.0, 5.0])
    covariance = model.covariance[1:, 1:][1:, 1:]
    expected = f_power(effect, covariance, model.dof)
    noise = np.random.default_rng(3)
    truth = X[:, 1:] @ effect
    errors = noise.normal(0, model.residual_sd, (1500, 15))
    rejected = [partial_f(X, truth + error, [1, 2]).p < 0.05 for error in errors]
    assert 0.2 < expected < 0.9
    assert np.mean(rejected) == pytest.approx(expected, abs=0.04)
    assert f_power([0, 0], covariance, model.dof) == pytest.approx(0.05, rel=1e-6)


def test_holm_is_statsmodels() -> None:
    p = np.array([0.04, 0.01, 0.03, 0.005, 0.9, 0.01])
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-14)
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("slope", [3.0, 0.7])
@pytest.mark.parametrize("gap", [-2.0, 0.1, 1e6])
def test_points_on_the_larger_model_leave_no_error_to_test_with(slope: float, gap: float) -> None:
    """Their residuals are rounding, of which either model may have the more."""
    x = np.log2([64, 128, 256, 512] * 2)
    group = np.repeat([0.0, 1.0], 4)
    table = np.column_stack([x, group, x * group])
    y = slope * x + gap * group
    for test in ([2], [1, 2], [0, 1, 2]):
        with pytest.raises(NoFit, match="every point exactly"):
            partial_f(table, y, test)
    with pytest.raises(NoFit, match="every point exactly"):
        nested_f(ols(table[:, :2], y), ols(table, y))
    with pytest.raises(NoFit, match="every point exactly"):
        nested_f(ols(table[:, 0], np.ones(8)), ols(table[:, :2], np.ones(8)))


def test_a_column_that_adds_nothing_has_f_of_zero() -> None:
    """Its coefficient is zero but for rounding, which may make its residuals the larger."""
    x = np.array([1.0, 2, 3, 4, 1, 2, 3, 4])
    group = np.repeat([-1.0, 1.0], 4)
    y = 1e5 + x + np.tile([0.1, -0.2, 0.3, -0.1], 2)
    found = partial_f(np.column_stack([x, group]), y, [1])
    assert found.statistic == pytest.approx(0, abs=1e-9)
    assert found.p == pytest.approx(1, abs=1e-4)
    assert f_test(5.0 * (1 - 1e-6), 4, 5.0, 3).statistic == 0


def test_far_from_zero_noise_is_still_tested() -> None:
    """A spread that is tiny beside the level or the trend is error all the same: F is the one that
    statsmodels has without either."""
    noise, x = np.random.default_rng(5), np.log2(E)
    error = noise.normal(0, 1, 15)
    near = anova_lm(*(sm.OLS(error, sm.add_constant(z)).fit() for z in (X[:, :1], X))).iloc[1]
    for level, trend in ((1e6, 0.0), (0.0, 1e4)):
        far = partial_f(X, level + trend * x + error, [1, 2])
        assert far.statistic == pytest.approx(near["F"], rel=1e-5)


def test_degenerate_comparisons_say_why() -> None:
    with pytest.raises(NoFit, match="every point exactly"):
        f_test(3.0, 4, 0.0, 3)
    with pytest.raises(ValueError, match="not nested"):
        f_test(3.0, 4, 2.0, 4)
    with pytest.raises(ValueError, match="points"):
        nested_f(ols(X[:9, 0], RPSNR[:9]), ols(X, RPSNR))
    with pytest.raises(NoFit, match="undefined"):
        equivalence(np.nan, 1, 5, 1)
    with pytest.raises(ValueError, match="margin"):
        equivalence(0, 1, 5, 0)
    with pytest.raises(NoFit, match="outside 0 to 1"):
        holm([0.5, 1.5])
    with pytest.raises(NoFit, match="not finite"):
        holm([0.5, np.nan])
