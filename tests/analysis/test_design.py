"""Designs: statsmodels' errors, simulated widths, all sets of small grids, textbook optima."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from analysis.design import Costs, Design
from analysis.exchange import TooLittle, choose, running_order
from analysis.stats.inputs import NoFit
from analysis.stats.ols import ols

Array = NDArray[np.float64]
PAPER = np.log2([256, 512, 1024, 2048, 4096, 1024, 2048, 4096, 8192, 16384, 4096, 8192,
                 16384, 32768, 65536])  # fmt: skip


def one(n: int, *rows: int) -> NDArray[np.bool_]:
    """The set of these rows, (1, n)."""
    return np.isin(np.arange(n), rows)[None]


def expected(x: Array, fit: str) -> tuple[float, float]:
    """Standard error and expected interval width per true sd, by statsmodels and scipy."""
    k = 2 if fit == "slope" else 3
    powers = np.vander(x, k, increasing=True)
    done = sm.OLS(np.sin(np.arange(len(x))), powers).fit()
    at = np.unique(PAPER)
    directions = [[0, 1]] if fit == "slope" else [[0, 1, 2 * each] for each in at]
    variance = np.mean([np.array(d) @ done.normalized_cov_params @ np.array(d) for d in directions])
    low, high = done.conf_int()[1]
    error = math.sqrt(variance)
    quantile = (high - low) / 2 / done.bse[1]
    dof = len(x) - k
    return error, 2 * quantile * error * stats.chi(dof).mean() / math.sqrt(dof)


@pytest.mark.parametrize("fit", ["slope", "vertex"])
@pytest.mark.parametrize("rows", [(0, 1, 7, 14), (0, 4, 6, 8, 9, 12), tuple(range(3, 15))])
def test_errors_and_widths_are_statsmodels(fit: Any, rows: tuple[int, ...]) -> None:
    design = Design(PAPER, [0] * 15, fit)
    error, width = expected(PAPER[list(rows)], fit)
    whole_error, whole_width = expected(PAPER, fit)
    assert design.errors(one(15, *rows))[0, 0] == pytest.approx(error / whole_error, rel=1e-8)
    assert design.widths(one(15, *rows))[0, 0] == pytest.approx(width / whole_width, rel=1e-8)


def simulated(x: Array, draws: int = 1500) -> float:
    """Mean width of the slope's interval over data sets with noise of sd 1."""
    noise = np.random.default_rng(3).normal(size=(draws, len(x)))
    intervals = np.array([ols(x, 2 * x + each).intervals()[1] for each in noise])
    held = np.mean((intervals[:, 0] <= 2) & (intervals[:, 1] >= 2))
    assert held == pytest.approx(0.95, abs=0.015)
    return float(np.diff(intervals).mean())


def test_worse_designs_really_have_wider_intervals() -> None:
    """The promise is what comes out, of good designs and of bad ones."""
    design = Design(PAPER, [0] * 15)
    best = np.flatnonzero(choose(design, Costs([{str(n): 1.0} for n in range(15)]), 6))
    middle = np.argsort(abs(PAPER - PAPER.mean()), kind="stable")[:6]
    whole = simulated(PAPER)
    promised = {}
    for name, rows in (("best", best), ("lowest", np.argsort(PAPER)[:6]), ("middle", middle)):
        promised[name] = design.widths(one(15, *rows))[0, 0]
        assert simulated(PAPER[rows]) / whole == pytest.approx(promised[name], rel=0.03), name
    assert 1.5 * promised["best"] < promised["lowest"] < promised["middle"]


def test_textbook_optima() -> None:
    """A line wants both ends; a parabola's D-optimum is ends and middle alike (Atkinson)."""
    x = np.repeat(np.linspace(0, 1, 5), 3)
    costs = Costs([{str(n): 1.0} for n in range(15)])
    ends = choose(Design(x, [0] * 15), costs, 6)
    assert sorted(x[ends]) == [0] * 3 + [1] * 3
    three = choose(Design(x, [0] * 15, "vertex", "D"), costs, 6)
    assert sorted(x[three]) == [0, 0, 0.5, 0.5, 1, 1]


def problems(number: int) -> Iterator[tuple[Design, list[dict[str, float]], NDArray[np.bool_]]]:
    """Drawn grids with two fits at times, costs over two decades, shared jobs, finished points."""
    random = np.random.default_rng(11)
    while number:
        fit, criterion = random.choice(["slope", "vertex"]), random.choice(["c", "D"])
        n = int(random.integers(8, 11))
        groups = [0] * n if number % 3 else [i % 2 for i in range(n)]
        try:
            design = Design(random.integers(8, 17, n).astype(float), groups, fit, criterion)
        except NoFit:
            continue
        shared = {f"shared{i}": float(random.uniform(0, number % 4)) for i in range(3)}
        parts = []
        for i in range(n):
            name = f"shared{random.integers(3)}"
            parts.append({f"own{i}": float(np.exp(random.normal())), name: shared[name]})
        free = random.uniform(size=n) < (0.2 if number % 4 == 0 else 0)
        yield design, [{} if done else each for each, done in zip(parts, free, strict=True)], free
        number -= 1


@cache
def length(dof: int) -> float:
    """Half an interval's mean width in true errors."""
    return float(stats.t.ppf(0.975, dof) * stats.chi(dof).mean() / math.sqrt(dof))


def loss(design: Design, chosen: NDArray[np.bool_]) -> float:
    """The criterion by its definition."""
    x, k = np.asarray(design.x), 2 if design.fit == "slope" else 3
    total = 0.0
    for label in design.labels:
        mine = np.array([each == label for each in design.groups])
        at = np.unique(x[mine])
        powers = np.vander(x[mine & chosen], k, increasing=True)
        dof = len(powers) - k
        if dof < 1 or len(set(x[mine & chosen])) < k:
            return math.inf
        information = powers.T @ powers
        if design.criterion == "D":
            total -= math.log(np.linalg.det(information)) / 2 / k
            continue
        directions = [[0, 1]] if k == 2 else [[0, 1, 2 * each] for each in at]
        inverse = np.linalg.inv(information)
        variance = np.mean([np.array(d) @ inverse @ np.array(d) for d in directions])
        total += math.log(length(dof)) + math.log(variance) / 2
    return total / len(design.labels)


def price(parts: list[dict[str, float]], chosen: NDArray[np.bool_]) -> float:
    jobs: dict[str, float] = {}
    for each, there in zip(parts, chosen, strict=True):
        jobs |= each if there else {}
    return sum(jobs.values())


def test_choices_are_the_best_of_all_sets_and_exchange_comes_near() -> None:
    exact, number = 0, 20
    random = np.random.default_rng(5)
    for design, parts, free in problems(number):
        costs = Costs(parts)
        sets = np.array(list(product([False, True], repeat=design.n)))
        sets = sets[(sets | ~free).all(1)]
        prices = np.array([price(parts, each) for each in sets])
        np.testing.assert_allclose(costs.of(sets), prices, rtol=1e-9, atol=1e-12)
        losses = np.array([loss(design, each) for each in sets])
        least = prices[np.isfinite(losses)].min()
        budget = least + random.uniform(0.1, 0.8) * (prices.max() - least)
        best = losses[prices <= budget].min()

        found = choose(design, costs, budget, free)
        assert found[free].all()
        assert price(parts, found) <= budget * (1 + 1e-6)
        assert loss(design, found) == pytest.approx(best, abs=1e-7)
        near = choose(design, costs, budget, free, whole=0)
        assert price(parts, near) <= budget * (1 + 1e-6)
        exact += (away := loss(design, near) - best) < 1e-7
        assert away < math.log(1.05)
        assert sorted(running_order(design, costs, found, free)) == [*np.flatnonzero(found & ~free)]
        if least > 0:
            with pytest.raises(TooLittle) as error:
                choose(design, costs, least * 0.99, free)
            assert error.value.price == pytest.approx(least)
    assert exact >= 0.9 * number


def test_a_grid_beyond_all_sets_is_searched_the_same_each_time() -> None:
    x = np.repeat(np.arange(8.0, 16), 4)
    parts = [{str(n): 2.0 ** (x[n] - 8), "shared": 3.0} for n in range(32)]
    design, costs = Design(x, [0] * 32), Costs(parts)
    found = choose(design, costs, 500)
    assert (found == choose(design, costs, 500)).all()
    assert price(parts, found) <= 500
    random, others = np.random.default_rng(1), []
    for _ in range(300):  # sets that spend the budget in a random order
        blind = np.zeros(32, bool)
        for n in random.permutation(32):
            blind[n] = True
            blind[n] = price(parts, blind) <= 500
        others.append(blind)
    assert design.scores(found[None])[0] < design.scores(np.array(others)).min()


def test_more_points_never_widen_and_each_start_of_the_order_is_worth_it() -> None:
    hours = np.repeat([4.0, 2.0, 1.0], 5)
    design, costs = Design(PAPER, [0] * 15), Costs([{str(n): h} for n, h in enumerate(hours)])
    order = running_order(design, costs, np.ones(15, bool))
    starts = np.array([np.isin(np.arange(15), order[: n + 1]) for n in range(15)])
    widths = design.widths(starts)[:, 0]
    assert np.isinf(widths[:2]).all()
    assert (np.diff(widths[2:]) < 0).all()
    assert widths[-1] == pytest.approx(1)
    random = np.random.default_rng(0)
    better = 0
    for _ in range(200):  # beside any order, at the same hours spent
        other = random.permutation(15)
        spent, ours = hours[other].cumsum(), hours[order].cumsum()
        at = int(random.integers(4, 14))
        mine = widths[np.searchsorted(ours, spent[at] + 1e-9, side="right") - 1]
        better += mine <= design.widths(one(15, *other[: at + 1]))[0, 0] + 1e-9
    assert better >= 190


def test_before_there_is_an_interval_the_cheapest_are_first() -> None:
    design, costs = Design(np.array([8.0, 9, 10]), [0] * 3), Costs([{"a": 3}, {"b": 1}, {"c": 2}])
    assert running_order(design, costs, np.ones(3, bool)) == [1, 2, 0]


@pytest.mark.parametrize(
    ("x", "fit", "says"),
    [
        ([8, 9], "slope", "needs 3 configurations of 2 different E"),
        ([8, 8, 8], "slope", "there are 3, of 1"),
        ([8, 9, 10], "vertex", "needs 4 configurations of 3 different E"),
        ([8, 9, 9, 8, 9], "vertex", "there are 5, of 2"),
        ([8, math.nan, 9], "slope", "not finite"),
    ],
)
def test_grids_that_carry_no_interval(x: list[float], fit: Any, says: str) -> None:
    with pytest.raises(NoFit, match=says):
        Design(np.array(x), [0] * len(x), fit)


def test_no_six_points_of_the_papers_grid_reach_a_fifth_more() -> None:
    """What docs/budget.md says of six: none is expected to, and eight are."""
    design = Design(PAPER, [0] * 15)
    for size, reached in ((6, False), (7, False), (8, True)):
        sets = np.array([np.isin(np.arange(15), each) for each in combinations(range(15), size)])
        assert (design.widths(sets).min() <= 1.2) is np.bool_(reached)
