"""What a mirror makes of one job: what there is to show, in the order of its journals. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

ENDS = frozenset({"finished", "failed", "preempted"})


class Scalars(NamedTuple):
    """The metrics of one step; `t` in Unix seconds."""

    step: int
    t: float
    values: Mapping[str, float]


class Score(NamedTuple):
    """A result of the job, after `step` steps."""

    name: str
    value: float
    protocol: str
    step: int
    t: float


class Ended(NamedTuple):
    """How an attempt ended: finished, failed, preempted."""

    outcome: str
    t: float


Shown = Scalars | Score | Ended


class Sink(Protocol):
    """One run of a tracker, from its beginning. Called by one thread."""

    def show(self, what: Shown) -> None:
        """Take it in."""

    def flush(self) -> None:
        """Let readers see what was taken in."""

    def close(self) -> str:
        """End it, all on disk; the name of what was written, below the mirror's folder."""


class Tracker(Protocol):
    """Makes runs below a folder. `name` is what the command line calls it."""

    name: str

    def open(self, spec: Mapping[str, Any], out: Path) -> Sink:
        """A new run for the job of a job.json; whatever an earlier one of the job left is gone."""

    def remove(self, job: str, out: Path) -> None:
        """Remove what a run of the job has left, whole or not."""


@dataclass
class Reader:
    """Turns a job's records into what is shown, each number once.

    A resumed attempt trains some steps anew, with the same outcome: of each metric and step the
    first record counts.
    """

    _seen: dict[str, int] = field(default_factory=dict)  # highest step by metric
    _step: int = 0

    def read(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Shown]:
        """Further records of the job, attempts in their order; damaged ones show nothing."""
        step, t, values = -1, 0.0, dict[str, float]()
        for record in records:
            event, known = record.get("event"), _number(record.get("t"))
            at = 0.0 if known is None else known
            if event == "metric":
                found = self._metric(record)
                if found is None:
                    continue
                if found[0] != step and values:
                    yield Scalars(step, t, values)
                    values = {}
                step, t = found[0], at
                values[found[1]] = found[2]
                continue
            if values:
                yield Scalars(step, t, values)
                values = {}
            if event == "result":
                name, value = record.get("name"), _number(record.get("value"))
                if isinstance(name, str) and value is not None:
                    yield Score(name, value, str(record.get("protocol", "")), self._step, at)
            elif event in ENDS:
                yield Ended(str(event), at)
        if values:
            yield Scalars(step, t, values)

    def _metric(self, record: Mapping[str, Any]) -> tuple[int, str, float] | None:
        step, name, value = record.get("step"), record.get("name"), _number(record.get("value"))
        if type(step) is not int or not isinstance(name, str) or value is None:
            return None
        if step <= self._seen.get(name, -1):
            return None
        self._seen[name] = step
        self._step = max(self._step, step)
        return step, name, value


def _number(value: Any) -> float | None:
    """A number, also one that JSON has no sign for."""
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good and abs(value) < 1e308 else None


def config_text(spec: Mapping[str, Any]) -> str:
    """A job's configuration for a reader."""
    return json.dumps(spec, indent=1, sort_keys=True)
