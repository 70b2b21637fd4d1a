"""Trials as points and jobs: what each combination of a search's space would run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sweep.model import Plan
from sweep.planning.grid import Entry, Excluder, Row, Values, rows
from sweep.planning.plan import plan_of
from sweep.search.costs import Costs, costs
from sweep.search.model import Listed, Params, Search
from sweep.spec.fields import tower_name
from sweep.spec.problems import SpecError
from sweep.spec.read import Spec
from sweep.spec.searching import shown_whole
from sweep.spec.sweeping import defaults
from vitok_core.variants import Tower


@dataclass(frozen=True)
class Study:
    """One search: of the whole file, or, under `axes`, of one combination of theirs."""

    name: str
    values: Values  # that the axes give it


@dataclass(frozen=True)
class Trial:
    """What one combination runs: with several seeds a point of each."""

    study: str
    params: Params
    points: tuple[str, ...]  # ids
    jobs: tuple[str, ...]  # ids
    slug: str  # of the first point
    costs: Costs  # of each point: seeds cost the same

    @property
    def words(self) -> str:
        """Its parameters in words: `tokenizer.patch 8, tokenizer.channels 16`."""
        return ", ".join(f"{path} {_short(value)}" for path, value in self.params.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Trials:
    """Plans the trials of a file that has a search, remembering all that it has seen."""

    def __init__(self, spec: Spec, device: str) -> None:
        assert spec.search is not None
        self.spec, self.search, self._device = spec, spec.search, device
        self.studies = tuple(_studies(spec, spec.search))
        self._seen: dict[tuple[object, ...], Trial | None] = {}

    def trial(self, study: Study, params: Params) -> Trial | None:
        """The trial of a combination; None where the file excludes it, a constraint does, or it
        makes no valid point."""
        key = (study.name, *params.items())
        if key not in self._seen:
            self._seen[key] = self._make(study, params)
        return self._seen[key]

    def plan(self, chosen: Sequence[Trial]) -> Plan:
        """All of these as one plan."""
        studies = {study.name: study for study in self.studies}
        return self._plan([self._entry(studies[each.study], each.params) for each in chosen])

    def size(self, study: Study) -> int | None:
        """How many different trials a study has; None: it has intervals."""
        if not self.search.finite:
            return None
        lists = {each.path: each.labels for each in self.search.space if isinstance(each, Listed)}
        found = (
            self.trial(study, dict(zip(lists, labels, strict=True)))
            for labels in product(*lists.values())
        )
        return len({each.jobs for each in found if each is not None})

    def _make(self, study: Study, params: Params) -> Trial | None:
        try:
            entry = self._entry(study, params)
            if self._excluded(entry):
                return None
            plan = self._plan([entry])
        except (SpecError, ValueError):
            return None
        jobs = {job.id: job for job in plan.jobs}
        known = costs(plan.points[0], jobs)
        if not self.search.within(known):
            return None
        points = tuple(point.id for point in plan.points)
        return Trial(study.name, dict(params), points, tuple(jobs), plan.points[0].slug, known)

    def _entry(self, study: Study, params: Params) -> Entry:
        values: dict[str, Any] = dict(study.values)
        for dimension in self.search.space:
            values |= dimension.values(params[dimension.path])
        return Entry(values, None, None, self.search.mark)

    def _excluded(self, entry: Entry) -> bool:
        excluder = Excluder(self.spec.exclude, self.spec.values, defaults())
        made = (Row(entry.values, seed, entry.mark) for seed in self.spec.seeds)
        return any(excluder.drops(row) for row in made)

    def _plan(self, entries: Sequence[Entry]) -> Plan:
        alone = replace(
            self.spec, axes=(), zipped=(), include=tuple(entries), exclude=(), search=None
        )
        return replace(plan_of(alone, self._device), search=self.search)


def _studies(spec: Spec, search: Search) -> Iterator[Study]:
    paths = {dimension.path for dimension in search.space}
    axes = tuple(axis for axis in spec.axes if axis.path not in paths)
    for row in rows(axes, spec.zipped, (), (0,), spec.mark):
        words = ", ".join(f"{path}={_said(each.value, spec)}" for path, each in row.values.items())
        yield Study(f"{spec.name}: {words}" if words else spec.name, row.values)


def _said(value: Any, spec: Spec) -> str:
    return (
        tower_name(value, spec.sizes) if isinstance(value, Tower) else shown_whole(value).strip("'")
    )
