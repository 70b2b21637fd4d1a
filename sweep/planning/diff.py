"""In which fields two points, jobs or sweep files differ. Pure: reading them is not done here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.model import Plan, Point
from sweep.planning.plan import full_config


@dataclass(frozen=True)
class Change:
    """One field's value on either side; None where a side does not have the field."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Difference:
    """What differs between two things; points only for sweep files."""

    fields: tuple[Change, ...]
    removed: tuple[Point, ...] = field(default=())
    added: tuple[Point, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The `diff --json` document."""
        return {
            "fields": [{"field": c.field, "old": c.old, "new": c.new} for c in self.fields],
            "points_removed": [{"id": p.id, "slug": p.slug} for p in self.removed],
            "points_added": [{"id": p.id, "slug": p.slug} for p in self.added],
        }


Spec = Mapping[str, Any]  # the content of a job.json


def diff_jobs(old: Spec, new: Spec, specs: Mapping[str, Spec]) -> Difference:
    """Compare two jobs and the jobs that they stem from.

    Args:
        specs: job.json by id, for the parents.
    """
    return Difference(_changes(_job_fields(old, specs), _job_fields(new, specs)))


def diff_points(old: Sequence[Spec], new: Sequence[Spec]) -> Difference:
    """Compare two points by the jobs that train them, of stage 1 and of stage 2: these share the
    sections that both have."""
    return Difference(_changes(_point_fields(old), _point_fields(new)))


def diff_plans(old: Plan, new: Plan) -> Difference:
    """Compare two sweep files: the resolved documents, and which points each has."""
    before = {point.id: point for point in old.points}
    after = {point.id: point for point in new.points}
    return Difference(
        _changes(dict(_flat(old.document)), dict(_flat(new.document))),
        removed=tuple(point for key, point in before.items() if key not in after),
        added=tuple(point for key, point in after.items() if key not in before),
    )


def _job_fields(spec: Spec, specs: Mapping[str, Spec], depth: int = 0) -> dict[str, Any]:
    """A job's configuration with its defaults, its parents' below `parent.`."""
    found = {"kind": spec["kind"], "revision": spec["revision"]}
    found |= dict(_flat(full_config(spec["kind"], spec["config"]).model_dump(mode="json")))
    parents: Sequence[str] = spec["parents"]
    for number, parent in enumerate(parents, 1):
        name = "parent" if len(parents) == 1 else f"parent{number}"
        if parent in specs and depth < len(specs):
            above = _job_fields(specs[parent], specs, depth + 1)
            found |= {f"{name}.{key}": value for key, value in above.items()}
        else:
            found[name] = parent
    return found


def _point_fields(trained: Sequence[Spec]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for spec in trained:
        found |= dict(_flat(full_config(spec["kind"], spec["config"]).model_dump(mode="json")))
    return found


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves by dotted path; lists are leaves, as they are replaced whole."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    paths = [*old, *(path for path in new if path not in old)]
    changes = (Change(path, old.get(path), new.get(path)) for path in paths)
    return tuple(change for change in changes if change.old != change.new)
