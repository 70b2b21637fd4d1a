"""job.json, claims and launcher journals as rows. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, Float

from sweep.store.schema import imported, sweep_points
from sweep.store.values import Unreadable, as_json, line, maybe, needed, real, whole

Row = tuple[Any, ...]
_TEXTS = ("config_id", "slug", "variant", "encoder", "decoder")
_WHOLES = ("seed", "p", "q", "c", "L", "E", "resolution", "frames")
_REALS = ("pixels_per_channel", "params_m", "gflops")
_IMPORTED = list(imported.columns)[2:]
_POINT = [column.name for column in sweep_points.columns][3:]


def job_rows(data: bytes, job: str, folder: str) -> tuple[Row, list[Row]]:
    """The row of `jobs` and the rows of `edges` of a job.json.

    Raises:
        Unreadable: not JSON, or not this job's.
    """
    spec = _object(data)
    if spec.get("id") != job:
        raise Unreadable(f"its id {spec.get('id')!r} is not the folder's, {job}")
    config = needed(_mapping, spec, "config")
    parents = [line(parent) for parent in needed(_list, spec, "parents")]
    row = (
        job,
        needed(line, spec, "kind"),
        maybe(whole, spec.get("revision")),
        needed(line, spec, "slug"),
        folder,
        as_json(config),
        *_evaluation(config),
    )
    return row, [(job, position, parent) for position, parent in enumerate(parents)]


def _evaluation(config: Mapping[str, Any]) -> Row:
    """What `point_metrics` needs of a config: data set, CFG scale, the shape of its samples, and
    the milestone.

    Training kinds name these under `data`, evaluating kinds at the top.
    """
    data = config.get("data")
    nested: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    dataset = config.get("dataset", config.get("reference"))
    shape = nested if dataset is None or "resolution" not in config else config
    return (
        maybe(line, dataset or nested.get("name")),
        maybe(real, config.get("cfg_scale", config.get("cfg"))),
        maybe(whole, config.get("resolution", shape.get("resolution"))),
        maybe(whole, config.get("frames", shape.get("frames"))),
        maybe(whole, config.get("length")),
        maybe(whole, config.get("step")),
    )


def claim_row(data: bytes, job: str, claim: int) -> Row:
    """The row of `claims`; a file that is not whole (yet) gives a claim without a submission."""
    try:
        content = _object(data)
    except Unreadable:
        return job, claim, None, None, None, None, None
    texts = [maybe(line, content.get(k)) for k in ("submission", "scheduler", "host", "launch")]
    return job, claim, maybe(real, content.get("t")), *texts


def event_row(record: Mapping[str, Any], launch: str, at: int) -> Row:
    """The row of `launcher_events`."""
    event = needed(line, record, "event")
    own = record.get("scheduler_id")
    return (
        launch,
        at,
        event,
        _time(record),
        maybe(line, record.get("job")),
        maybe(whole, record.get("claim")),
        maybe(line, record.get("submission")),
        maybe(line, record.get("scheduler")),
        str(own) if isinstance(own, int) else maybe(line, own),
        None if event in WHOLE else as_json(record),
    )


def sweep_rows(record: Mapping[str, Any], launch: str, at: int) -> dict[str, list[Row]]:
    """The rows of one registration by table: all or none."""
    head = _head(record, launch, at)
    registration = head[0]
    points = needed(_list, record, "points")
    point_rows = [_point(registration, position, point) for position, point in enumerate(points)]
    pairs = dict.fromkeys(
        (line(point["id"]), line(job)) for point in points for job in _list(point.get("jobs", []))
    )
    members = [(registration, *pair, position) for position, pair in enumerate(pairs)]
    called = [_registered(registration, job) for job in _list(record.get("jobs", []))]
    return {
        "sweeps": [(*head, as_json(record.get("document")))],
        "sweep_points": point_rows,
        "sweep_jobs": members,
        "registered_jobs": list({each[1]: each for each in called}.values()),
    }


def import_rows(record: Mapping[str, Any], launch: str, at: int) -> dict[str, list[Row]]:
    """The rows of one imported table by table of the index: all or none."""
    head = _head(record, launch, at)
    given = [_mapping(each) for each in needed(_list, record, "rows")]
    numbers = [
        (head[0], position, *(_cell(column, each) for column in _IMPORTED))
        for position, each in enumerate(given)
    ]
    return {"imports": [(*head, maybe(line, record.get("sha256")))], "imported": numbers}


def _head(record: Mapping[str, Any], launch: str, at: int) -> Row:
    """What `sweeps` and `imports` begin with; the registration is its first."""
    return (
        f"{launch}@{at}",
        launch,
        maybe(line, record.get("uid")) or launch,
        needed(line, record, "name"),
        _time(record),
        maybe(line, record.get("file")),
    )


def _cell(column: Column[Any], given: Mapping[str, Any]) -> Any:
    read: Callable[[Any], Any] = line
    if isinstance(column.type, Float):
        read = real
    elif isinstance(column.type, BigInteger):
        read = whole
    if column.nullable:
        return maybe(read, given.get(column.name))
    return needed(read, given, column.name)


def _registered(registration: str, job: Any) -> Row:
    facts = _mapping(job)
    parents = [line(parent) for parent in _list(facts.get("parents", []))]
    texts = (needed(line, facts, name) for name in ("id", "kind", "slug"))
    return registration, *texts, json.dumps(parents)


def _point(registration: str, position: int, point: Any) -> Row:
    facts = _mapping(point)
    values: dict[str, Any] = {name: maybe(line, facts.get(name)) for name in _TEXTS}
    values |= {name: maybe(whole, facts.get(name)) for name in _WHOLES}
    values |= {name: maybe(real, facts.get(name)) for name in _REALS}
    return registration, position, needed(line, facts, "id"), *(values[name] for name in _POINT)


def _time(record: Mapping[str, Any]) -> float:
    t = needed(real, record, "t")
    if t is None:
        raise Unreadable("t is not a number")
    return t


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not a JSON object: {error}") from error


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable(f"{type(value).__name__} where a mapping was expected")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(f"{type(value).__name__} where a list was expected")
    return value


# Events that are rows of other tables too, whole or not at all.
WHOLE: dict[str, Callable[[Mapping[str, Any], str, int], dict[str, list[Row]]]] = {
    "sweep": sweep_rows,
    "import": import_rows,
}
