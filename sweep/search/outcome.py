"""What has become of a trial. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Any, NamedTuple

from sweep.search.model import Objective
from sweep.search.trials import Trial


class TrialState(StrEnum):
    """How a trial stands; the words of Optuna's states."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """A trial's state, its values where it is complete, and why it is not otherwise."""

    state: TrialState
    values: tuple[float, ...] = ()
    why: str = ""


RUNNING = Outcome(TrialState.RUNNING)


@dataclass
class Run:
    """A trial, what the sampler noted of it, and what has become of it so far."""

    trial: Trial
    attrs: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = RUNNING


class Score(NamedTuple):
    """One row of `point_metrics`."""

    point: str
    job: str
    dataset: str | None
    cfg: float | None
    stage: int | None
    length: int | None
    metric: str
    value: float | None


def values(
    trial: Trial, objectives: Sequence[Objective], scores: Sequence[Score]
) -> tuple[float, ...] | str:
    """The trial's value of each objective, the mean over its points; or why one is lacking.

    Args:
        scores: of final weights, by the trial's jobs.
    """
    found = []
    for objective in objectives:
        if objective.is_cost:
            cost = trial.costs[objective.metric]
            if cost is None:
                return f"its {objective.metric} could not be counted"
            found.append(cost)
            continue
        of_points = [_value(objective, [s for s in scores if s.point == p]) for p in trial.points]
        lacking = [each for each in of_points if isinstance(each, str)]
        if lacking:
            return lacking[0]
        found.append(fmean(each for each in of_points if not isinstance(each, str)))
    return tuple(found)


def _value(objective: Objective, scores: Sequence[Score]) -> float | str:
    rows = [each for each in scores if each.metric == objective.metric]
    rows = [each for each in rows if objective.data in (None, each.dataset)]
    rows = [each for each in rows if objective.cfg in (None, each.cfg)]
    stage = objective.stage or max((each.stage or 0 for each in rows), default=0)
    rows = [each for each in rows if (each.stage or 0) == stage]
    length = max((each.length or 0 for each in rows), default=0)
    rows = [each for each in rows if (each.length or 0) == length]
    numbers = {each.value for each in rows}
    if not numbers:
        there = ", ".join(sorted({each.metric for each in scores})) or "nothing"
        return f"no {objective} among its results; there is {there}"
    if len(numbers) > 1:
        return f"{len(numbers)} results are {objective}"
    (value,) = numbers
    return f"{objective} is not a number" if value is None or not math.isfinite(value) else value


def diverged(objectives: Sequence[Objective], scores: Sequence[Score]) -> bool:
    """Whether a result that an objective names is there and not a number."""
    named = {each.metric for each in objectives}
    found = (each.value for each in scores if each.metric in named)
    return any(value is None or not math.isfinite(value) for value in found)


def best(ended: Mapping[int, Outcome], objectives: Sequence[Objective]) -> list[int]:
    """The trials that no other beats: the best one, or the Pareto front, best first by the first
    objective."""
    signs = [-1.0 if each.maximize else 1.0 for each in objectives]
    scored = {
        number: tuple(sign * value for sign, value in zip(signs, each.values, strict=True))
        for number, each in ended.items()
        if each.state is TrialState.COMPLETE
    }
    front = [
        number
        for number, own in scored.items()
        if not any(_beats(other, own) for other in scored.values())
    ]
    front.sort(key=lambda number: (scored[number], number))
    return front[:1] if len(objectives) == 1 else front


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
