"""Fits of a sample that give effects and ratios of effects, clustered where tokenizers repeat.

Data sets and CFG scales are strata: each has its own level, and its own slope over what is named
`sloped`; an effect is then the average over the strata. Tokenizers that are measured in several
strata are clusters (`analysis.stats.clusters`, CR2).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.claims.verdict import Effect, Interval
from analysis.stats.clusters import clustered
from analysis.stats.fieller import fieller
from analysis.stats.inputs import Array, NoFit, student
from analysis.stats.ols import ols

Labels = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Fit:
    """A linear model of `y` (n,) with an intercept; columns by name."""

    columns: Mapping[str, Array]
    y: Array
    clusters: Labels | None  # (n,): measurements with one label are not independent

    def effect(self, name: str) -> Effect:
        """The coefficient of a column.

        Raises:
            NoFit: too few measurements or clusters, or collinear columns.
        """
        coefficients, covariance, dof = _solve(self)
        index = 1 + list(self.columns).index(name)
        error = math.sqrt(max(covariance[index, index], 0.0))
        return Effect(float(coefficients[index]), error, float(dof[index]))

    def ratio(self, numerator: str, denominator: str) -> SharedRatio:
        """One coefficient over another, e.g. an effect in doublings of E."""
        return SharedRatio(self, numerator, denominator)


@dataclass(frozen=True, eq=False)
class SharedRatio:
    """A ratio of two coefficients of one fit; exact tests, Fieller's set as the interval."""

    fit: Fit
    numerator: str
    denominator: str

    @property
    def estimate(self) -> float:
        below = self.scale.estimate
        return self.fit.effect(self.numerator).estimate / below if below else math.nan

    @property
    def scale(self) -> Effect:
        return self.fit.effect(self.denominator)

    def minus(self, value: float) -> Effect:
        """numerator - value·denominator: the numerator's coefficient once its column, times
        `value`, is added to the denominator's."""
        if not math.isfinite(value):
            return self.fit.effect(self.numerator)
        columns = dict(self.fit.columns)
        columns[self.denominator] = columns[self.denominator] + value * columns[self.numerator]
        return Fit(columns, self.fit.y, self.fit.clusters).effect(self.numerator)

    def interval(self) -> Interval | None:
        coefficients, covariance, dof = _solve(self.fit)
        names = list(self.fit.columns)
        pick = [1 + names.index(self.numerator), 1 + names.index(self.denominator)]
        above, below = (float(coefficients[index]) for index in pick)
        quantile = student(float(dof[pick].min()), 0.95)
        found = fieller(above, below, covariance[np.ix_(pick, pick)], quantile)
        return (found.low, found.high) if found.bounded else None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two effects from different fits, their errors taken for independent.

    The degrees of freedom of a combination are Satterthwaite's.
    """

    numerator: Effect
    scale: Effect

    @property
    def estimate(self) -> float:
        below = self.scale.estimate
        return self.numerator.estimate / below if below else math.nan

    def minus(self, value: float) -> Effect:
        above, below = self.numerator, self.scale
        if not math.isfinite(value):
            return above
        parts = (above.standard_error**2, (value * below.standard_error) ** 2)
        total = sum(parts)
        weights = parts[0] ** 2 / above.dof + parts[1] ** 2 / below.dof
        dof = total**2 / weights if weights > 0 else min(above.dof, below.dof)
        return Effect(above.estimate - value * below.estimate, math.sqrt(total), dof)

    def interval(self) -> Interval | None:
        above, below = self.numerator, self.scale
        covariance = np.diag([above.standard_error**2, below.standard_error**2])
        quantile = student(min(above.dof, below.dof), 0.95)
        found = fieller(above.estimate, below.estimate, covariance, quantile)
        return (found.low, found.high) if found.bounded else None


def stratified(
    y: Array,
    columns: Mapping[str, Array],
    strata: Labels,
    tokenizers: Labels,
    *,
    sloped: Collection[str] = (),
    levels: bool = True,
) -> Fit:
    """A fit with a level per stratum and, of the columns in `sloped`, a slope per stratum.

    Contrasts between strata sum to zero, so that a column's own coefficient is the mean over them.

    Args:
        levels: False where the columns hold the strata's levels already.
    """
    names = np.unique(strata)
    built = dict(columns)
    for name in names[1:]:
        contrast = (strata == name) - 1 / len(names)
        if levels:
            built[f"level {name}"] = contrast
        for column in sloped:
            built[f"{column} {name}"] = columns[column] * contrast
    repeated = len(np.unique(tokenizers)) < len(tokenizers)
    return Fit(built, y, tokenizers if repeated else None)


def _solve(fit: Fit) -> tuple[Array, Array, Array]:
    """Coefficients (k,), their covariance (k, k) and degrees of freedom (k,)."""
    table = np.column_stack(list(fit.columns.values()))
    if fit.clusters is None:
        model = ols(table, fit.y)
        return model.coefficients, model.covariance, np.full(len(model.coefficients), model.dof)
    robust = clustered(table, fit.y, fit.clusters)
    if not np.all(np.isfinite(robust.dof) & (robust.dof > 0)):
        raise NoFit("the tokenizers are too few for an error that is theirs")
    return robust.model.coefficients, robust.covariance, robust.dof
