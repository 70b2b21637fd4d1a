"""The space that a sampler moves in: from what it proposes to the nearest that may run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from random import Random
from typing import TypeVar

from sweep.search.model import Dimension, Interval, Listed, Param, Params

T = TypeVar("T")
_DRAWS = 200  # of an interval's numbers, before a space counts as empty


def nearest(
    space: Sequence[Dimension], proposed: Params, accept: Callable[[Params], T | None], dice: Random
) -> T | None:
    """What `accept` makes of the proposal, or else of the nearest combination that it takes.

    Combinations of the lists come nearest first, equally near ones in a random order, and keep the
    proposal's numbers of intervals; if none is taken, other numbers are drawn.

    Args:
        accept: None refuses a combination.

    Returns:
        None: nothing was taken.
    """
    intervals = [each for each in space if isinstance(each, Interval)]
    lists = [each for each in space if isinstance(each, Listed)]

    def take(listed: Params, numbers: Params) -> T | None:
        return accept({each.path: {**listed, **numbers}[each.path] for each in space})

    asked = {each.path: proposed[each.path] for each in intervals}
    for combination in _nearest_first(lists, proposed, dice):
        found = take(combination, asked)
        if found is not None:
            return found
    for _ in range(_DRAWS if intervals else 0):
        listed = {each.path: dice.choice(each.labels) for each in lists}
        found = take(listed, {each.path: each.at(dice.random()) for each in intervals})
        if found is not None:
            return found
    return None


def _nearest_first(
    lists: Sequence[Listed], proposed: Params, dice: Random
) -> list[dict[str, Param]]:
    """All combinations of the lists."""
    every = list(_combinations(lists))
    dice.shuffle(every)
    apart = {
        each.path: {label: _distance(each, label, proposed[each.path]) for label in each.labels}
        for each in lists
    }
    every.sort(key=lambda one: sum(apart[path][label] ** 2 for path, label in one.items()))
    return every


def in_order(space: Sequence[Dimension], accept: Callable[[Params], T | None]) -> T | None:
    """The first combination that `accept` takes, the last list varying fastest, as in a grid."""
    found = map(accept, _combinations([each for each in space if isinstance(each, Listed)]))
    return next((each for each in found if each is not None), None)


def _combinations(lists: Sequence[Listed]) -> Iterator[dict[str, Param]]:
    paths = [each.path for each in lists]
    for labels in product(*(each.labels for each in lists)):
        yield dict(zip(paths, labels, strict=True))


def _distance(dimension: Listed, one: Param, other: Param) -> float:
    """0 to 1: along the order of numbers, else whether they are the same."""
    if len(dimension.numbers) < len(dimension.labels):
        return float(one != other)
    return abs(dimension.unit(one) - dimension.unit(other))
