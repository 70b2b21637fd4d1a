"""How a verdict is reached: every test and every power against what others compute."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from analysis.claims.association import explains, explains_little
from analysis.claims.contrast import mean_effect
from analysis.claims.linear import Fit, Ratio, stratified
from analysis.claims.verdict import Effect, Finding, Part, Region, Word, decide, reading, settle

SAMPLE = [0.31, -0.12, 0.28, 0.44, 0.05, 0.19, 0.36]


def test_one_sided_p_is_the_t_tests() -> None:
    part = decide(mean_effect(SAMPLE), Region(low=0.1), truth=0.3)
    assert part.p == pytest.approx(stats.ttest_1samp(SAMPLE, 0.1, alternative="greater").pvalue)
    assert part.p_against == pytest.approx(
        stats.ttest_1samp(SAMPLE, 0.1, alternative="less").pvalue
    )
    assert part.interval == pytest.approx(stats.ttest_1samp(SAMPLE, 0).confidence_interval(0.95))


def test_power_is_that_of_statsmodels() -> None:
    part = decide(mean_effect(SAMPLE), Region(low=0.1), truth=0.3)
    size = 0.2 / np.std(SAMPLE, ddof=1)
    other = TTestPower().power(size, len(SAMPLE), 0.05, alternative="larger")
    assert part.power == pytest.approx(other, abs=1e-9)


def test_sameness_is_two_one_sided_tests() -> None:
    part = decide(mean_effect(SAMPLE), Region(-0.4, 0.4), truth=0.0)
    other, _, _ = DescrStatsW(SAMPLE).ttost_mean(-0.4, 0.4)
    assert part.p == pytest.approx(other)


def test_a_large_p_of_a_difference_supports_no_sameness() -> None:
    noisy = mean_effect([3.0, -2.8, 1.5, -1.9, 0.4])
    assert stats.ttest_1samp([3.0, -2.8, 1.5, -1.9, 0.4], 0).pvalue > 0.9
    part = decide(noisy, Region(-0.5, 0.5), truth=0.0)
    ((word, _, _),) = settle({"same": Finding((part,))}).values()
    assert word is Word.INCONCLUSIVE
    assert part.power is not None
    assert part.power < 0.05


def test_holm_is_over_the_family_and_both_ways() -> None:
    effects = [3.0, 2.5, 2.2, 0.3, -2.9]
    found = {
        str(at): Finding((decide(Effect(at, 1.0, 12.0), Region(low=0.0), truth=1.0),))
        for at in effects
    }
    ps = [finding.p for finding in found.values()]
    against = [finding.p_against for finding in found.values()]
    settled = settle(found)
    assert [one[1] for one in settled.values()] == pytest.approx(
        multipletests(ps, method="holm")[1]
    )
    assert [one[2] for one in settled.values()] == pytest.approx(
        multipletests(against, method="holm")[1]
    )
    assert [one[0] for one in settled.values()] == [
        Word.SUPPORTED, Word.INCONCLUSIVE, Word.INCONCLUSIVE, Word.INCONCLUSIVE, Word.CONTRADICTED,
    ]  # fmt: skip
    assert ps[1] is not None
    assert ps[1] < 0.05


def test_readings_are_outside_the_family() -> None:
    found = {
        "read": Finding((reading(1.0, Region(0, 2)),)),
        "tested": Finding((decide(Effect(2.0, 1.0, 12.0), Region(low=0.0), truth=1.0),)),
    }
    settled = settle(found)
    assert settled["read"] == (Word.SUPPORTED, None, None)
    assert settled["tested"][1] == found["tested"].p


def test_a_claim_of_parts_is_as_sure_as_its_weakest() -> None:
    parts = tuple(decide(Effect(at, 1.0, 20.0), Region(low=0.0), truth=1.0, label=str(at))
                  for at in (5.0, 0.4, 4.0))  # fmt: skip
    finding = Finding(parts)
    assert finding.worst.label == "0.4"
    assert finding.p == parts[1].p
    assert finding.p_against == min(1.0, 3 * min(part.p_against or 1 for part in parts))
    assert Finding((reading(1, Region(0, 2)), reading(3, Region(0, 2)))).holds is False


def ratio_data() -> Fit:
    noise = np.random.default_rng(4)
    x, z = noise.normal(size=30), noise.normal(size=30)
    return Fit({"a": x, "b": z}, 1.2 * x + 2 * z + noise.normal(0, 0.8, 30), None)


def test_ratio_tests_turn_where_fiellers_set_ends() -> None:
    ratio = ratio_data().ratio("a", "b")
    assert ratio.interval() is not None
    low, high = ratio.interval() or (0, 0)
    assert low < ratio.estimate < high
    assert ratio.minus(low).p_above == pytest.approx(0.025, abs=1e-9)
    assert ratio.minus(high).p_below == pytest.approx(0.025, abs=1e-9)


def test_ratio_of_separate_fits() -> None:
    ratio = Ratio(Effect(1.0, 0.2, 10.0), Effect(2.0, 0.1, 10.0))
    low, high = ratio.interval() or (0, 0)
    # Satterthwaite's dof are more than either fit's, so the tests turn a little inside the set.
    assert 0.015 < ratio.minus(low).p_above < 0.025
    assert 0.015 < ratio.minus(high).p_below < 0.025
    assert Ratio(Effect(1.0, 0.2, 10.0), Effect(0.1, 0.1, 10.0)).interval() is None


def test_a_ratio_over_what_may_be_zero_contradicts_nothing() -> None:
    unsure = Ratio(Effect(5.0, 0.5, 10.0), Effect(0.05, 0.2, 10.0))
    part = decide(unsure, Region(-0.25, 0.25), truth=0.0)
    assert part.p is not None
    assert part.p > 0.05
    assert part.p_against is not None
    assert part.p_against > 0.05


def test_strata_have_their_own_levels_and_their_mean_slope() -> None:
    x = np.array([1.0, 2, 3, 4, 1, 2, 3, 4])
    strata = np.array(["a"] * 4 + ["b"] * 4)
    y = np.where(strata == "a", 1 + 2 * x, 7 + 4 * x) + np.tile([0.01, -0.01, 0, 0.02], 2)
    alone = np.array([f"t{i}" for i in range(8)])
    fit = stratified(y, {"E": x}, strata, alone, sloped=("E",))
    assert fit.clusters is None
    assert fit.effect("E").estimate == pytest.approx(3.0, abs=0.01)
    # Shared tokenizers are clusters.
    shared = stratified(y, {"E": x}, strata, np.tile(alone[:4], 2))
    assert shared.clusters is not None


X = np.repeat(np.arange(8.0, 17.0), [1, 1, 2, 2, 3, 2, 2, 1, 1])  # the paper's 15 log2 E


@pytest.mark.parametrize(("true", "expected"), [(0.5, 0.05), (0.8, None)])
def test_r2_test_keeps_its_level_and_its_power(true: float, expected: float | None) -> None:
    noise = np.random.default_rng(1)
    signal = (X - X.mean()) / X.std() * math.sqrt(true / (1 - true))
    parts = [explains(X, signal + noise.normal(size=15), Region(low=0.5), truth=true)
             for _ in range(1200)]  # fmt: skip
    rejected = np.mean([part.p < 0.05 for part in parts])  # type: ignore[operator]
    assert rejected == pytest.approx(expected or parts[0].power, abs=0.02)
    covered = np.mean([part.interval[0] <= true <= part.interval[1] for part in parts])  # type: ignore[index]
    assert covered == pytest.approx(0.95, abs=0.015)


def test_r2_of_the_wrong_sign_is_against() -> None:
    y = -X + np.random.default_rng(0).normal(0, 0.5, 15)
    part = explains(X, y, Region(low=0.5), truth=0.9)
    assert part.estimate < -0.9
    assert part.p == pytest.approx(1)
    assert part.p_against is not None
    assert part.p_against < 1e-6


def test_little_explained_keeps_its_level() -> None:
    noise = np.random.default_rng(2)
    signal = (X - X.mean()) / X.std()  # R² of one half
    level = np.mean([
        explains_little(X, signal + noise.normal(size=15), Region(high=0.5)).p < 0.05  # type: ignore[operator]
        for _ in range(2000)
    ])  # fmt: skip
    assert level == pytest.approx(0.05, abs=0.015)
    nothing = explains_little(X, noise.normal(size=15), Region(high=0.5))
    assert 0.8 < (nothing.power or 0) < 1


def test_no_test_is_inconclusive_and_outside_the_family() -> None:
    settled = settle({"x": Finding((Part(float("nan"), power=0.0),))})
    assert settled == {"x": (Word.INCONCLUSIVE, None, None)}
