"""The grid: which values each point has. Pure algebra over checked values.

axes × zip × seeds, plus `include`, minus `exclude`. Seeds vary slowest, so that a first complete
picture (seed 0 of every configuration) stands as early as it can; axes vary in the order of the
file, the last one fastest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sweep.spec.problems import Mark
from sweep.spec.stages import Stage
from sweep.spec.values import Given

Values = Mapping[str, Given]  # by dotted path


@dataclass(frozen=True)
class Axis:
    """A swept field: each choice is the values it sets (`tokenizer.size` sets two towers)."""

    path: str
    choices: tuple[Values, ...]
    mark: Mark


@dataclass(frozen=True)
class Entry:
    """One `include`: a point of its own, which may override anything."""

    values: Values
    stages: tuple[Stage, ...] | None
    seeds: tuple[int, ...] | None
    mark: Mark


@dataclass(frozen=True)
class Exclusion:
    """One `exclude`: matches a point when for each field one of its alternatives does."""

    tests: Mapping[str, tuple[Values, ...]]
    seeds: tuple[int, ...] | None
    mark: Mark


@dataclass(frozen=True)
class Row:
    """One point to be: what it sets on top of the file's values."""

    values: Values
    seed: int
    mark: Mark
    stages: tuple[Stage, ...] | None = field(default=None, compare=False)
    included: bool = False


def rows(
    axes: tuple[Axis, ...],
    zipped: tuple[Axis, ...],
    include: tuple[Entry, ...],
    seeds: tuple[int, ...],
    mark: Mark,
) -> Iterator[Row]:
    """All points before `exclude`. Without axes or zip, `include` alone makes the points; without
    any of them, the file itself is the one point."""
    has_grid = bool(axes or zipped or not include)
    start = axes[0].mark if axes else zipped[0].mark if zipped else mark
    of_entry = [frozenset(entry.seeds or seeds) for entry in include]
    for seed in seeds:
        for values in _grid(axes, zipped) if has_grid else ():
            yield Row(values, seed, start)
        for entry, wanted in zip(include, of_entry, strict=True):
            if seed in wanted:
                yield Row(entry.values, seed, entry.mark, entry.stages, included=True)
    everywhere = frozenset(seeds)
    for entry in include:
        for seed in entry.seeds or ():
            if seed not in everywhere:
                yield Row(entry.values, seed, entry.mark, entry.stages, included=True)


def _grid(axes: tuple[Axis, ...], zipped: tuple[Axis, ...]) -> Iterator[Values]:
    moving: list[tuple[Values, ...]] = [axis.choices for axis in axes]
    if zipped:
        together = zip(*(axis.choices for axis in zipped), strict=True)
        moving.append(tuple(_joined(choices) for choices in together))
    for choices in product(*moving):
        yield _joined(choices)


def _joined(choices: tuple[Values, ...]) -> Values:
    joined: dict[str, Given] = {}
    for choice in choices:
        joined.update(choice)
    return joined


class Excluder:
    """Applies `exclude` and remembers which entries matched: one that never does is a mistake."""

    def __init__(
        self, exclude: tuple[Exclusion, ...], base: Values, defaults: Mapping[str, Any]
    ) -> None:
        self._exclude = exclude
        self._base = base
        self._defaults = defaults
        self._matched: set[int] = set()

    def drops(self, row: Row) -> bool:
        """Whether any entry matches the row."""
        dropped = False
        for number, exclusion in enumerate(self._exclude):
            if self._matches(exclusion, row):
                self._matched.add(number)
                dropped = True
        return dropped

    def unmatched(self) -> list[Exclusion]:
        """The entries that matched no row."""
        return [each for n, each in enumerate(self._exclude) if n not in self._matched]

    def _matches(self, exclusion: Exclusion, row: Row) -> bool:
        if exclusion.seeds is not None and row.seed not in exclusion.seeds:
            return False
        return all(
            any(self._equal(alternative, row) for alternative in alternatives)
            for alternatives in exclusion.tests.values()
        )

    def _equal(self, alternative: Values, row: Row) -> bool:
        return all(self._value(path, row) == given.value for path, given in alternative.items())

    def _value(self, path: str, row: Row) -> Any:
        given = row.values.get(path) or self._base.get(path)
        if given is not None:
            return given.value
        whole, _, part = path.rpartition(".")
        if whole.count(".") == 1 and not whole.startswith("resources"):  # tokenizer.encoder.width
            return getattr(self._value(whole, row), part, None)
        return self._defaults.get(path)
