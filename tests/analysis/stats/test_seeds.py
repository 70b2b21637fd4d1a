"""Seeds: means, pooled spread and lack of fit, against statsmodels and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.anova import anova_lm

from analysis.stats.ols import NoFit
from analysis.stats.seeds import configuration_means, lack_of_fit, pooled_sd

X = np.repeat([8.0, 9, 10, 10, 11, 12], [3, 2, 3, 1, 3, 2])
LABELS = np.repeat(["d", "a", "c", "b", "e", "f"], [3, 2, 3, 1, 3, 2])


def test_means_keep_the_order_of_appearance() -> None:
    y = np.random.default_rng(0).normal(size=14)
    means = configuration_means(y, LABELS)
    assert list(means.configurations) == ["d", "a", "c", "b", "e", "f"]
    assert list(means.counts) == [3, 2, 3, 1, 3, 2]
    np.testing.assert_allclose(means.means, [y[name == LABELS].mean() for name in "dacbef"])
    np.testing.assert_allclose(means.sds[[0, 4]], [y[:3].std(ddof=1), y[9:12].std(ddof=1)])
    assert np.isnan(means.sds[3])
    assert means.dof == 8
    np.testing.assert_array_equal(X[means.first], [8, 9, 10, 10, 11, 12])
    assert means.pooled_sd == pytest.approx(pooled_sd([y[name == LABELS] for name in "dacbef"]))


def test_pooled_sd_is_the_root_of_the_within_mean_square() -> None:
    groups = [[1.0, 2.0, 4.0], [5.0], [7.0, 9.0]]
    squares = sum(np.var(group) * len(group) for group in groups)
    assert pooled_sd(groups) == pytest.approx(np.sqrt(squares / 3))
    assert pooled_sd([[1.0], [2.0]]) is None


def test_lack_of_fit_is_anova_of_the_line_within_the_configurations() -> None:
    y = 3 * X + np.random.default_rng(1).normal(0, 1, 14) + (X - 10) ** 2
    line = sm.OLS(y, sm.add_constant(X)).fit()
    cells = sm.OLS(y, (LABELS[:, None] == np.unique(LABELS)).astype(float)).fit()
    theirs = anova_lm(line, cells).iloc[1]
    ours = lack_of_fit(X, y, LABELS)
    assert ours.statistic == pytest.approx(theirs["F"], rel=1e-10)
    assert ours.p == pytest.approx(theirs["Pr(>F)"], rel=1e-8)
    assert ours.dof == (4, 8)


def test_lack_of_fit_rejects_a_true_line_five_times_in_a_hundred() -> None:
    noise = np.random.default_rng(2)
    p = [lack_of_fit(X, X + noise.normal(0, 1, 14), LABELS).p for _ in range(1500)]
    assert 0.035 < np.mean(np.array(p) < 0.05) < 0.065
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_degenerate_seeds_say_why() -> None:
    y = np.random.default_rng(3).normal(size=14)
    with pytest.raises(NoFit, match="no configuration has two seeds"):
        lack_of_fit(X[:6] + np.arange(6), y[:6], np.arange(6))
    with pytest.raises(NoFit, match="agree exactly"):
        lack_of_fit(X, X**2, LABELS)
    with pytest.raises(NoFit, match="nothing is left"):
        lack_of_fit(X[:5], y[:5], LABELS[:5])
    with pytest.raises(NoFit, match="no value"):
        configuration_means([], [])
    with pytest.raises(NoFit, match="not finite"):
        configuration_means([1, np.nan], ["a", "a"])
    with pytest.raises(ValueError, match="differ in x"):
        lack_of_fit(np.arange(14.0), y, LABELS)
