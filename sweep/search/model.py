"""What the `search:` section of a sweep file asks for. Pure data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.planning.grid import Axis, Values
from sweep.spec.problems import Mark
from sweep.spec.values import Given

Param = int | float | str
Params = Mapping[str, Param]  # what a trial sets, by dotted path, as people write it

SAMPLERS = ("tpe", "gp", "nsga2", "qmc", "grid", "random")
COSTS = ("gflops", "params_m", "E", "L", "device_hours")  # known before anything runs
RULES = ("median", "quartile")
MOST_TRIALS = 1000  # each registers the sweep with all trials so far


@dataclass(frozen=True)
class Listed:
    """A dimension of listed values. Numbers are taken in their order, whatever the list's."""

    path: str
    labels: tuple[Param, ...]
    choices: tuple[Values, ...]
    mark: Mark

    @property
    def axis(self) -> Axis:
        """The same as an axis of a grid."""
        return Axis(self.path, self.choices, self.mark)

    @property
    def numbers(self) -> tuple[float, ...]:
        """Its values where all are numbers; else none: they have no order."""
        return tuple(float(each) for each in self.labels if not isinstance(each, str))

    @property
    def log(self) -> bool:
        """Whether its steps grow, as those of 4..64 x2 do."""
        rising = sorted(self.numbers)
        if len(rising) < 3 or rising[0] <= 0:
            return False
        return rising[-1] - rising[-2] > rising[1] - rising[0]

    def values(self, param: Param) -> Values:
        """What one of its labels sets; ValueError if it is none."""
        return self.choices[self.labels.index(param)]

    def unit(self, param: Param) -> float:
        """A number's place between the smallest (0) and the largest (1)."""
        return _unit(float(param), min(self.numbers), max(self.numbers), self.log)


@dataclass(frozen=True)
class Interval:
    """A dimension of all numbers between two, both included."""

    path: str
    low: float
    high: float
    log: bool
    whole: bool  # whole numbers alone
    mark: Mark

    @property
    def axis(self) -> Axis:
        """Its two ends as an axis of a grid: what a plan shows and checks of it."""
        return Axis(self.path, (self.values(self.low), self.values(self.high)), self.mark)

    def values(self, param: Param) -> Values:
        """What one of its numbers sets; ValueError if it lies outside."""
        number = float(param)
        if not self.low <= number <= self.high or (self.whole and number != int(number)):
            raise ValueError(f"{param} is not in the interval of {self.path}")
        return {self.path: Given(int(number) if self.whole else number, self.mark)}

    def at(self, unit: float) -> Param:
        """The number at a place between the low end (0) and the high one (1)."""
        low, high = (math.log(each) if self.log else each for each in (self.low, self.high))
        number = low + unit * (high - low)
        number = min(max(math.exp(number) if self.log else number, self.low), self.high)
        return round(number) if self.whole else number


def _unit(number: float, low: float, high: float, log: bool) -> float:
    if low == high:
        return 0.0
    if log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low)


Dimension = Listed | Interval


@dataclass(frozen=True)
class Objective:
    """One number to be made small or large: a result of the trial's jobs, or a cost.

    Args:
        metric: its name, as in the database; one of COSTS is a cost.
        data: the data set, of a result.
        cfg: the guidance scale, where samples are scored at several.
        stage: of the tokenizer; None: the last one that the trial scores.
    """

    metric: str
    maximize: bool
    data: str | None
    cfg: float | None
    stage: int | None
    mark: Mark = field(compare=False)

    @property
    def is_cost(self) -> bool:
        return self.metric in COSTS

    def __str__(self) -> str:
        parts = [self.metric, *([f"on {self.data}"] if self.data else [])]
        parts += [f"at cfg {self.cfg:g}"] if self.cfg is not None else []
        return " ".join(parts + ([f"of stage {self.stage}"] if self.stage else []))


@dataclass(frozen=True)
class Constraint:
    """A bound on a cost: what lies outside is never run."""

    cost: str
    at_most: bool
    bound: float

    def holds(self, costs: Mapping[str, float | None]) -> bool:
        """Whether these costs keep it; a cost that nobody could count does not."""
        value = costs[self.cost]
        if value is None:
            return False
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True)
class Pruner:
    """When to stop a trial early.

    Args:
        metric: of the training's curve.
        rule: `median`: worse than half of the trials before it were at the same step; `quartile`:
            worse than three quarters of them.
        after: steps before which nothing is stopped.
    """

    metric: str
    maximize: bool
    rule: str
    after: int


@dataclass(frozen=True)
class Search:
    """The section as a whole.

    Args:
        trials: of each study; None: a grid's all.
        studies: one, or one for each combination of what the grid sweeps besides.
    """

    space: tuple[Dimension, ...]
    sampler: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    trials: int | None
    parallel: int
    pruner: Pruner | None
    seed: int
    mark: Mark
    studies: int = 1

    def within(self, costs: Mapping[str, float | None]) -> bool:
        """Whether every constraint holds."""
        return all(each.holds(costs) for each in self.constraints)

    @property
    def finite(self) -> bool:
        """Whether all of its dimensions are lists."""
        return all(isinstance(each, Listed) for each in self.space)
