"""A job journal's records as rows. Pure: rows in, rows out; the order of the lines is the order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.store.schema import attempts
from sweep.store.values import LARGEST, Unreadable, as_json, line, maybe, needed, real, whole

Row = tuple[Any, ...]
Record = Mapping[str, Any]
_NAMES: set[str] = set()  # metric names that any database takes as they are
_MOST_NAMES = 10_000
_COLUMNS = tuple(column.name for column in attempts.columns)


@dataclass
class AttemptRows:
    """One attempt's row, as far as it has been read, and the new rows of its lines."""

    job: str
    attempt: int
    row: dict[str, Any]
    lines: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))  # by table
    unreadable: int = 0

    @classmethod
    def new(cls, job: str, attempt: int) -> AttemptRows:
        empty: dict[str, Any] = dict.fromkeys(_COLUMNS)
        return cls(job, attempt, empty | {"job_id": job, "attempt": attempt})

    def take(self, records: list[tuple[int, dict[str, Any] | None]]) -> None:
        """Fold further lines in, each with its byte offset; unreadable ones are counted."""
        for at, record in records:
            if record is None:
                self.unreadable += 1
            elif record["event"] != "metric" or not self._take_metric(at, record):
                try:
                    self._take(at, record)
                except Unreadable:
                    self.unreadable += 1

    def _take_metric(self, at: int, record: dict[str, Any]) -> bool:
        """The short way for the most frequent line, in its usual form; False for any other form."""
        t, step = record.get("t"), record.get("step")
        name, value = record.get("name"), record.get("value")
        if not (type(step) is int and type(value) is float and type(t) is float):
            return False
        if type(name) is not str or name not in _NAMES:
            if type(name) is str and len(_NAMES) < _MOST_NAMES and line(name) == name:
                _NAMES.add(name)
            return False
        if not (0 <= step <= LARGEST and value == value and t == t):
            return False
        self.lines["metrics"].append((self.job, self.attempt, at, t, step, name, value))
        last = self.row["last_step"]
        if last is None or step > last:
            self.row["last_step"] = step
        self.row["last_t"] = t
        return True

    def _take(self, at: int, record: dict[str, Any]) -> None:
        event = record["event"]
        t = maybe(real, record.get("t"))
        if not isinstance(event, str):
            raise Unreadable("an event is a name")
        values = _LINES.get(event)
        if values is not None:
            table, columns = values
            self.lines[table].append((self.job, self.attempt, at, t, *columns(record)))
        fold = _FOLDS.get(event)
        if fold is not None:
            fold(self.row, t, record)
        if t is not None:
            self.row["last_t"] = t


def _metric(record: Record) -> Row:
    return (
        needed(whole, record, "step"),
        needed(line, record, "name"),
        needed(real, record, "value"),
    )


def _result(record: Record) -> Row:
    return (
        needed(line, record, "name"),
        needed(line, record, "protocol"),
        needed(real, record, "value"),
    )


def _artifact(record: Record) -> Row:
    kind, size = maybe(line, record.get("kind")), maybe(whole, record.get("bytes"))
    return needed(line, record, "path"), kind, size


def _checkpoint(record: Record) -> Row:
    step, digest = maybe(whole, record.get("step")), maybe(line, record.get("sha256"))
    return step, needed(line, record, "path"), digest


def _data(record: Record) -> Row:
    version = maybe(line, record.get("version"))
    return needed(line, record, "name"), version, maybe(line, record.get("fingerprint"))


# Events that are rows of their own: their table, and its columns after job, attempt, at, t.
_LINES: dict[str, tuple[str, Callable[[Record], Row]]] = {
    "metric": ("metrics", _metric),
    "result": ("results", _result),
    "artifact": ("artifacts", _artifact),
    "checkpoint": ("checkpoints", _checkpoint),
    "data": ("data_sets", _data),
}


def _started(row: dict[str, Any], t: float | None, record: Record) -> None:
    row["started"] = t
    for name in ("host", "scheduler", "submission", "code", "device", "precision"):
        row[name] = maybe(line, record.get(name))
    for name in ("pid", "threads"):
        row[name] = maybe(whole, record.get(name))
    row["pid_start"] = maybe(real, record.get("pid_start"))
    own = record.get("scheduler_id")
    row["scheduler_id"] = str(own) if isinstance(own, int) else maybe(line, own)
    row["packages"] = as_json(record.get("packages"))


def _resumed(row: dict[str, Any], t: float | None, record: Record) -> None:
    row["resumed_step"] = needed(whole, record, "step")
    row["resumed_path"] = maybe(line, record.get("path"))


def _stepped(row: dict[str, Any], t: float | None, record: Record) -> None:
    step = record["step"]
    if row["last_step"] is None or step > row["last_step"]:
        row["last_step"] = whole(step)


def _progressed(row: dict[str, Any], t: float | None, record: Record) -> None:
    done, unit = needed(real, record, "done"), maybe(line, record.get("unit"))
    if row["progress_first_t"] is None or unit != row["progress_unit"]:
        row["progress_first_done"], row["progress_first_t"] = done, t
    row["progress_done"], row["progress_unit"], row["progress_t"] = done, unit, t
    row["progress_total"] = maybe(real, record.get("total"))


def _adopted(row: dict[str, Any], t: float | None, record: Record) -> None:
    for name in ("source", "sha256"):
        needed(line, record, name)
    told = {name: value for name, value in record.items() if name not in ("event", "t")}
    row["adopted"] = as_json(told)


def _finished(row: dict[str, Any], t: float | None, record: Record) -> None:
    row["outcome"], row["ended"] = "finished", t
    row["seconds"] = maybe(real, record.get("seconds"))


def _failed(row: dict[str, Any], t: float | None, record: Record) -> None:
    if row["outcome"] == "finished":  # whatever follows, the results stand
        return
    row["outcome"], row["ended"] = "failed", t
    row["error_class"] = maybe(line, record.get("class"))
    row["message"] = maybe(line, record.get("message"))
    row["traceback"] = maybe(line, record.get("traceback"))
    row["user_error"] = int(record.get("user") is True)


def _preempted(row: dict[str, Any], t: float | None, record: Record) -> None:
    if row["outcome"] == "finished":
        return
    row["outcome"], row["ended"] = "preempted", t
    row["message"] = maybe(line, record.get("reason"))
    row["preempted_step"] = maybe(whole, record.get("step"))


_FOLDS: dict[str, Callable[[dict[str, Any], float | None, Record], None]] = {
    "started": _started,
    "resumed": _resumed,
    "metric": _stepped,
    "progress": _progressed,
    "adopted": _adopted,
    "finished": _finished,
    "failed": _failed,
    "preempted": _preempted,
}
