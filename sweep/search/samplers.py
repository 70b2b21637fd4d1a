"""Optuna's samplers over a space in which only some combinations may run.

A proposal depends on the seed, the number of trials before it and what they gave, on nothing that
a killed controller would lose: each is made by a new sampler. It is then moved to the nearest
combination that is within the constraints and not tried yet, so that a study holds only what runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweep.search.model import Dimension, Interval, Param, Params, Search
from sweep.search.space import in_order, nearest
from sweep.search.trials import Trial

Distributions = dict[str, BaseDistribution]
Accept = Callable[[Params], Trial | None]

# Of a small budget the start, which asks no model, must stay a small part.
_START, _LEAST_START, _MOST_START = 0.25, 3, 10
_LEAST_POPULATION, _MOST_POPULATION = 4, 50


def distributions(search: Search) -> Distributions:
    """The space as Optuna has it. Listed numbers are floats between their ends: their order and
    their scale are known then, and the dashboard shows them as they are."""
    return {each.path: _distribution(each) for each in search.space}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Interval):
        if dimension.whole:
            return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    if len(dimension.numbers) < len(dimension.labels):
        return CategoricalDistribution([str(label) for label in dimension.labels])
    return FloatDistribution(min(dimension.numbers), max(dimension.numbers), log=dimension.log)


def told(search: Search, params: Params) -> dict[str, Any]:
    """A trial's parameters as Optuna has them."""
    return {each.path: _told(each, params[each.path]) for each in search.space}


def _told(dimension: Dimension, param: Param) -> Any:
    if isinstance(dimension, Interval):
        return int(param) if dimension.whole else float(param)
    return float(param) if len(dimension.numbers) == len(dimension.labels) else str(param)


def meant(search: Search, params: Mapping[str, Any]) -> dict[str, Param]:
    """And back: of a list the nearest label."""
    return {each.path: _meant(each, params[each.path]) for each in search.space}


def _meant(dimension: Dimension, value: Any) -> Param:
    if isinstance(dimension, Interval):
        return int(value) if dimension.whole else float(value)
    if len(dimension.numbers) == len(dimension.labels):
        place = dimension.unit(value)
        return min(dimension.labels, key=lambda label: abs(dimension.unit(label) - place))
    return next(label for label in dimension.labels if str(label) == value)


class Exhausted(Exception):  # noqa: N818  (an answer, not an error)
    """Nothing is left to try."""


class Within(BaseSampler):
    """Another sampler, whose proposals are moved to what may run.

    Args:
        number: of trials before this one.
        total: of trials in all, as far as is known.
        accept: the trial of a combination that may run and was not tried; None refuses it.
    """

    def __init__(self, search: Search, number: int, total: int, accept: Accept) -> None:
        self._search, self._accept = search, accept
        self.taken: Trial | None = None
        self._space = distributions(search)
        seed = Random(f"{search.seed} {number}").randrange(2**31)
        self._dice = Random(seed)
        self._inner = _sampler(search, number, total, seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Distributions:
        """The whole space: a combination is moved as a whole."""
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Distributions
    ) -> dict[str, Any]:
        """The proposal, moved; of a grid the next one of the file's order."""
        if self._search.sampler == "grid":
            return self._taken(in_order(self._search.space, self._accept))
        own = self._inner.infer_relative_search_space(study, trial)
        found = dict(self._inner.sample_relative(study, trial, own))
        for name, each in self._space.items():
            if name not in found:
                found[name] = self._inner.sample_independent(study, trial, name, each)
        proposed = meant(self._search, found)
        moved = nearest(self._search.space, proposed, self._accept, self._dice)
        return self._taken(moved)

    def _taken(self, trial: Trial | None) -> dict[str, Any]:
        if trial is None:
            raise Exhausted
        self.taken = trial
        return told(self._search, trial.params)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Never asked: `sample_relative` has given every parameter."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the inner sampler does."""
        self._inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """As the inner sampler does."""
        self._inner.after_trial(study, trial, state, values)


def _sampler(search: Search, number: int, total: int, seed: int) -> BaseSampler:
    samplers = optuna.samplers
    start = min(_MOST_START, max(_LEAST_START, round(total * _START)))
    spread = _Spread(search, number)
    if search.sampler in ("random", "grid"):  # a grid asks nobody
        return samplers.RandomSampler(seed=seed)
    if search.sampler == "qmc" or (search.sampler in ("tpe", "gp") and number < start):
        return spread
    if search.sampler == "nsga2":
        population = min(_MOST_POPULATION, max(_LEAST_POPULATION, round(total * _START)))
        return samplers.NSGAIISampler(population_size=population, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if search.sampler == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=2, independent_sampler=spread)
        return samplers.TPESampler(seed=seed, n_startup_trials=2, multivariate=True)


class _Spread(BaseSampler):
    """A low-discrepancy sequence, of which the n-th trial takes the n-th point, whoever asks.

    Roberts' R_d (2018): multiples of powers of the generalized golden ratio, shifted at random.
    """

    def __init__(self, search: Search, number: int) -> None:
        ratio = 2.0
        for _ in range(64):  # the root of x^(d+1) = x + 1
            ratio = (1.0 + ratio) ** (1.0 / (len(search.space) + 1))
        dice = Random(search.seed)
        shifts = [dice.random() for _ in search.space]
        self._values = {
            each.path: _at(each, (shift + number / ratio**power) % 1.0)
            for power, (each, shift) in enumerate(zip(search.space, shifts, strict=True), 1)
        }

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Distributions:
        """Nothing: each parameter is given by itself."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Distributions
    ) -> dict[str, Any]:
        """Nothing, as above."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """The point's coordinate."""
        return self._values[param_name]


def _at(dimension: Dimension, unit: float) -> Any:
    if isinstance(dimension, Interval):
        return _told(dimension, dimension.at(unit))
    numbers = len(dimension.numbers) == len(dimension.labels)
    labels = sorted(dimension.labels, key=float) if numbers else list(dimension.labels)
    return _told(dimension, labels[int(unit * len(labels))])
