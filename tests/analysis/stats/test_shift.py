"""ANCOVA shifts: statsmodels, simulated coverage, and the paper's 512p and video."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from published import CHANNELS, E_512P, E_VIDEO, RPSNR, RPSNR_512P, RPSNR_VIDEO, E
from statsmodels.stats.anova import anova_lm

from analysis.stats.ols import NoFit
from analysis.stats.shift import ancova

SIZES = np.concatenate([E, E_512P, E_VIDEO])
VALUES = np.concatenate([RPSNR, RPSNR_512P, RPSNR_VIDEO])
GROUPS = np.repeat(["256p", "512p", "video"], [15, 3, 10])


def test_statsmodels_gives_the_same_lines() -> None:
    ours = ancova(SIZES, VALUES, GROUPS, reference="256p")
    data = pd.DataFrame({"x": np.log2(SIZES), "y": VALUES, "g": GROUPS})
    small = smf.ols("y ~ x + C(g, Treatment('256p'))", data).fit()
    large = smf.ols("y ~ x * C(g, Treatment('256p'))", data).fit()
    theirs = anova_lm(small, large).iloc[1]
    assert [shift.group for shift in ours.shifts] == ["512p", "video"]
    np.testing.assert_allclose(
        [ours.slope, *(shift.difference for shift in ours.shifts)],
        small.params.iloc[[3, 1, 2]],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        ours.shifts[1].difference_interval, small.conf_int().iloc[2], rtol=1e-9
    )
    assert ours.equal_slopes is not None
    assert ours.equal_slopes.p == pytest.approx(theirs["Pr(>F)"], rel=1e-8)
    # At the ends of the set, equal quality at that many doublings is just rejected.
    for end in (ours.shifts[0].doublings_set.low, ours.shifts[0].doublings_set.high):
        test = small.t_test([0, 1, 0, end])
        assert float(test.pvalue) == pytest.approx(0.05, rel=1e-6)


def test_the_papers_512p_costs_more_e_and_four_times_is_not_excluded() -> None:
    """Equal rPSNR at c 16, three points a side: the estimate is under 4, the set holds 4."""
    same = CHANNELS == 16
    ours = ancova(
        np.concatenate([E[same], E_512P]),
        np.concatenate([RPSNR[same], RPSNR_512P]),
        np.repeat(["256p", "512p"], 3),
        reference="256p",
    ).shifts[0]
    assert ours.difference < 0
    assert 1.5 < ours.factor < 3.5
    assert ours.factor_set.bounded
    assert 4.0 in ours.factor_set
    assert 1.0 not in ours.factor_set


def test_the_set_covers_a_fourfold_shift() -> None:
    noise, x = np.random.default_rng(0), np.log2(SIZES)
    truth = 2.3 * (x - 2.0 * (GROUPS == "512p") - 3.0 * (GROUPS == "video"))
    inside = []
    for _ in range(1500):
        found = ancova(SIZES, truth + noise.normal(0, 1, 28), GROUPS, reference="256p").shifts
        inside.append([2.0 in found[0].doublings_set, 3.0 in found[1].doublings_set])
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.95, atol=0.015)


def test_without_a_trend_the_set_is_unbounded() -> None:
    noise = np.random.default_rng(1)
    y = noise.normal(0, 1, 28) + 5.0 * (GROUPS == "video")
    shift = ancova(SIZES, y, GROUPS, reference="256p").shifts[1]
    assert not shift.factor_set.bounded


def test_slopes_that_differ_are_told() -> None:
    x = np.log2(SIZES)
    y = x * np.where(GROUPS == "video", 4, 2) + np.random.default_rng(2).normal(0, 0.5, 28)
    found = ancova(SIZES, y, GROUPS, reference="256p").equal_slopes
    assert found is not None
    assert found.p < 1e-6


def test_a_group_of_one_size_is_shifted_but_not_tested() -> None:
    found = ancova([256, 512, 1024, 2048, 1024], [1, 2.1, 2.9, 4, 2], list("aaaab"), reference="a")
    assert found.equal_slopes is None
    assert "one E only" in found.note
    assert found.shifts[0].factor == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("slope", "gap"), [(3.0, -2.0), (0.7, 0.1)])
def test_lines_without_error_are_shifted_but_not_tested(slope: float, gap: float) -> None:
    sizes = np.array([64, 128, 256, 512] * 2)
    groups = np.repeat(["a", "b"], 4)
    found = ancova(sizes, slope * np.log2(sizes) + gap * (groups == "b"), groups, reference="a")
    assert found.equal_slopes is None
    assert "every point exactly" in found.note
    assert found.shifts[0].doublings == pytest.approx(-gap / slope)


@pytest.mark.parametrize(
    ("sizes", "y", "groups", "message"),
    [
        ([1, 2, 4, 8], [1, 2, 3, 4], list("aaaa"), "and another group; there is a"),
        ([1, 2, 4, 8], [1, 2, 3, 4], list("bbcc"), "needs 'a' and another group"),
        ([2, 2, 4, 4], [1, 2, 3, 4], list("aabb"), "no group has two different E"),
        ([0, 2, 4, 8], [1, 2, 3, 4], list("aabb"), "E has a value that is not positive"),
        ([1, 2, 4], [1, 2, 3], list("aab"), "at least 4 points"),
        ([1, 2, 4, 8], [1, 2, 3, np.nan], list("aabb"), "not finite"),
        ([1, 2, 1, 2], [1, 1, 1, 1], list("aabb"), "slope is zero"),
    ],
)
def test_degenerate_input_says_why(
    sizes: list[float], y: list[float], groups: list[str], message: str
) -> None:
    with pytest.raises(NoFit, match=message):
        ancova(sizes, y, groups, reference="a")
