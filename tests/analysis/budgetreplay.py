"""The tables of `docs/budget.md`: `plan --budget` replayed on the paper's own grid.

`python tests/analysis/budgetreplay.py` measures and prints them; with `--write` it replaces the
page's. `test_budget_replay.py` measures them again and holds the page to them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.metrics import metric
from analysis.published.measured import measured
from analysis.stats.inputs import student
from analysis.stats.ols import Ols, ols
from sweep.cli.budgeting import Criterion, Fit, Typed, budgeted
from sweep.planning.plan import plan_file

PAGE = Path(__file__).parents[2] / "docs/budget.md"
BEGIN, END = "<!-- replay -->\n", "<!-- /replay -->\n"
SWEEP = "bottleneck_256p"
COUNTS = (4, 5, 6, 7, 8, 9, 11, 13, 15)
BUDGETS = ("6points", "8points", "2000h")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """What a number of points is expected to give."""

    points: int
    hours: float
    width: float
    error: float

    def markdown(self) -> str:
        return f"| {self.points} | {self.hours:,.0f} | {self.error:.2f} | {self.width:.2f} |"


@dataclass(frozen=True)
class Replayed:
    """One metric's slope over log2 E from the chosen points, beside that of all 15."""

    budget: str
    points: int
    metric: str
    dataset: str
    expected: float
    whole: Ols
    part: Ols
    typical: float  # median realised width over all sets of as many points

    @property
    def width(self) -> float:
        """Realised, over the whole grid's."""
        return _width(self.part) / _width(self.whole)

    @property
    def spread(self) -> float:
        """Residual sd over the whole grid's."""
        return self.part.residual_sd / self.whole.residual_sd

    @property
    def covered(self) -> bool:
        """Whether the interval holds the slope of all points."""
        low, high = self.part.intervals()[1]
        return bool(low <= self.whole.coefficients[1] <= high)

    def markdown(self) -> str:
        cells = [
            f"{self.budget} ({self.points})" if self.budget.endswith("h") else str(self.points),
            self.metric, self.dataset, _slope(self.whole), _slope(self.part),
            "yes" if self.covered else "no", f"{self.spread:.2f}", f"{self.expected:.2f}",
            f"{self.width:.2f}", f"{self.typical:.2f}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def _width(fit: Ols) -> float:
    low, high = fit.intervals()[1]
    return float(high - low)


def _slope(fit: Ols) -> str:
    low, high = fit.intervals()[1]
    return f"{fit.coefficients[1]:.3g} ({low:.3g} .. {high:.3g})"


@cache
def designed(budget: str) -> dict[str, Any]:
    """What `plan bottleneck_256p --budget …` says, before anything has run."""
    made = plan_file(SWEEP, device="h100")
    typed = Typed(SWEEP, (), None, Path("results"), None, None)
    return budgeted(made, {}, budget, Fit.SLOPE, Criterion.C, typed)


def expectations() -> list[Expected]:
    """By the number of points."""
    lasts = [(n, designed(f"{n}points")["points"][-1]) for n in COUNTS]
    return [
        Expected(n, last["cumulated_device_hours"], last["relative_width"], last["relative_error"])
        for n, last in lasts
    ]


@dataclass(frozen=True)
class Series:
    """One metric of Figure 2 on one data set, on the scale of its fit."""

    metric: str
    dataset: str
    x: Array  # (15,) log2 E
    y: Array
    points: tuple[tuple[int, int], ...]  # p and c of each

    @property
    def whole(self) -> Ols:
        return ols(self.x, self.y)


@cache
def figure() -> list[Series]:
    """The seven lines of Figure 2, their points in one order."""
    made = []
    for (name, dataset), rows in measured("2").group_by("metric", "dataset", maintain_order=True):
        rows = rows.sort("p", "c")
        x, y = np.log2(rows["E"].to_numpy()), metric(str(name)).scale(rows["value"].to_numpy())
        points = tuple(zip(rows["p"], rows["c"], strict=True))
        made.append(Series(str(name), str(dataset), x, y, points))
    return made


def replays() -> Iterator[Replayed]:
    """Every budget on every line."""
    for budget in BUDGETS:
        points = designed(budget)["points"]
        chosen = {(each["p"], each["c"]) for each in points}
        for line in figure():
            there = np.array([each in chosen for each in line.points])
            assert there.sum() == len(points)
            typical = float(np.median(any_set(line, len(points))[1])) / _width(line.whole)
            yield Replayed(
                budget, len(points), line.metric, line.dataset, points[-1]["relative_width"],
                line.whole, ols(line.x[there], line.y[there]), typical,
            )  # fmt: skip


def any_set(line: Series, size: int) -> tuple[Array, Array]:
    """Slopes and their intervals' widths from each set of so many points, of two E at least."""
    sets = np.array(list(combinations(range(len(line.x)), size)))
    away = line.x[sets] - line.x[sets].mean(1, keepdims=True)
    over = (away**2).sum(1)
    sets, away, over = sets[over > 0], away[over > 0], over[over > 0]
    values = line.y[sets] - line.y[sets].mean(1, keepdims=True)
    slopes = (away * values).sum(1) / over
    sse = ((values - slopes[:, None] * away) ** 2).sum(1)
    quantile = student(size - 2, 0.95)
    return slopes, np.asarray(2 * quantile * np.sqrt(sse / (size - 2) / over))


def lucky(size: int) -> tuple[int, int, int]:
    """How many sets there are, how many have all seven widths within 1.2 of the whole grid's, and
    how many of these intervals hold all seven slopes."""
    narrow, holding = np.array(True), np.array(True)
    for line in figure():
        slopes, wide = any_set(line, size)
        narrow = narrow & (wide <= 1.2 * _width(line.whole))
        holding = holding & (abs(slopes - line.whole.coefficients[1]) <= wide / 2)
    return narrow.size, int(narrow.sum()), int((narrow & holding).sum())


def tables() -> str:
    """All three in Markdown."""
    lines = [
        "| points | device-hours | standard error | expected width |",
        "| --- | --- | --- | --- |",
        *(each.markdown() for each in expectations()),
        "",
        "| points | metric | data set | slope of all 15 | slope of these | holds it | residual sd "
        "| expected width | realised width | any as many |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(each.markdown() for each in replays()),
        "",
        "| sets of | there are | within 1.2× on all seven lines | of them hold all seven slopes |",
        "| --- | --- | --- | --- |",
        *(f"| {n} | {' | '.join(f'{each:,}' for each in lucky(n))} |" for n in (6, 8)),
    ]
    return "\n".join(lines) + "\n"


def main(show: Callable[[str], object] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/budget.md")
    given, made = parser.parse_args(), tables()
    show(made)
    if given.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(before + BEGIN + made + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
