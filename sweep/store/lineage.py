"""Which metric rows of a job's attempts are its one history, and which were superseded. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOTHING = -1  # no step is shown

_CHECKPOINT = re.compile(r"(?:^|/)checkpoints/(\d+)/")


@dataclass(frozen=True)
class Trace:
    """What one attempt left behind."""

    attempt: int
    resumed_step: int | None
    resumed_path: str | None
    last_step: int | None  # the highest step of a metric; None: it has none
    finished: bool


def shown(traces: Sequence[Trace]) -> dict[int, int | None]:
    """Up to which step each attempt's metrics belong to the history; None: all of them.

    The history ends in the canonical attempt (the lowest that finished, else the newest that
    trained) and is followed back: an attempt that resumed after step s goes on from the rows up to
    s of the attempt whose checkpoint it took. Later rows of that one, and all rows of attempts off
    this line, are superseded. An attempt that trained without a resume started the history anew;
    one that neither resumed nor trained (it died starting up) changes nothing.
    """
    trained = {trace.attempt: trace for trace in traces if _trained(trace)}
    limits: dict[int, int | None] = {
        trace.attempt: NOTHING if trained else None for trace in traces
    }
    finished = [attempt for attempt, trace in trained.items() if trace.finished]
    current: int | None = min(finished) if finished else max(trained, default=None)
    limit: int | None = None
    while current is not None:
        limits[current] = limit
        trace = trained[current]
        if trace.resumed_step is None:
            break
        limit = trace.resumed_step if limit is None else min(limit, trace.resumed_step)
        current = _parent(trace, trained)
    return limits


def _trained(trace: Trace) -> bool:
    return trace.finished or trace.resumed_step is not None or trace.last_step is not None


def _parent(trace: Trace, trained: Mapping[int, Trace]) -> int | None:
    """The attempt whose checkpoint was taken; where the path does not tell, the one before."""
    match = _CHECKPOINT.search(trace.resumed_path or "")
    if match and int(match[1]) in trained and int(match[1]) < trace.attempt:
        return int(match[1])
    return max((attempt for attempt in trained if attempt < trace.attempt), default=None)
