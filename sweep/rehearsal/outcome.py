"""What became of each job of a rehearsal, from its state and its journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from sweep.attempt import journals
from sweep.journal import read_from
from sweep.layout import JobFolder, Root
from sweep.reconcile import State
from sweep.rehearsal.script import Rehearsed, Script
from sweep.status import JobStatus

_SPEED = "images_per_second"  # vitok_core.training's metric


class Passed(StrEnum):
    """How a rehearsed job came out."""

    OK = "ok"
    MISSING = "missing"  # it ran, without a network that this machine lacks
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """One job.

    Args:
        reason: why it failed, or what it did without; "" where all is well.
        seconds: from its start to its end, after the start of its process.
        peak_bytes: see `vitok_core.used`; of rank 0.
        images_per_second: of a training the median of its steps but the first; of a scoring over
            all but the first batches. Samples: a clip counts as one.
    """

    rehearsed: Rehearsed
    passed: Passed
    reason: str = ""
    seconds: float | None = None
    peak_bytes: int | None = None
    images_per_second: float | None = None
    device_name: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it ran with all that the job names: its speed is the job's."""
        return self.passed is Passed.OK and not self.rehearsed.drawn

    def as_json(self) -> dict[str, Any]:
        """The job as `rehearse --json` prints it."""
        job = self.rehearsed.job
        return {
            "id": job.id,
            "kind": job.kind,
            "slug": job.slug,
            "stands_for": list(self.rehearsed.stands_for),
            "outcome": str(self.passed),
            "reason": self.reason,
            "drawn": list(self.rehearsed.drawn),
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
            "images_per_second": self.images_per_second,
            "device": self.device_name,
        }


def outcomes(script: Script, jobs: Sequence[JobStatus], root: Root) -> list[Outcome]:
    """The rehearsal's jobs in their order."""
    status, folders = {job.id: job for job in jobs}, root.job_folders()
    return [_outcome(each, status.get(key), folders.get(key)) for key, each in script.jobs.items()]


def _outcome(job: Rehearsed, status: JobStatus | None, folder: JobFolder | None) -> Outcome:
    if status is None or folder is None:
        return Outcome(job, Passed.FAILED, "was not started")
    records = [record for _, path in journals(folder) for record in read_from(path)[0]]
    ended: dict[str, Any] = next((r for r in records if r["event"] == "finished"), {})
    done = status.state is State.DONE
    # What the job did without may be why it failed: it is said either way.
    reasons = ([] if done else [f"{status.state}: {status.reason}"]) + list(job.lacks)
    passed = Passed.FAILED if not done else Passed.MISSING if job.lacks else Passed.OK
    return Outcome(
        job,
        passed,
        "; ".join(reasons),
        ended.get("seconds"),
        ended.get("peak_bytes"),
        _speed(records),
        ended.get("device_name"),
    )


def _speed(records: Sequence[dict[str, Any]]) -> float | None:
    steps = [r["value"] for r in records if r["event"] == "metric" and r["name"] == _SPEED]
    if len(steps) > 1:  # the first step compiles, and fills caches
        return float(median(steps[1:]))
    return None if steps else _progress([r for r in records if r["event"] == "progress"])


def _progress(records: Sequence[dict[str, Any]]) -> float | None:
    """Of a scoring: its progress is written at most once a second, and at its end."""
    if len(records) < 2 or records[-1]["t"] <= records[0]["t"]:
        return None
    gained, took = records[-1]["done"] - records[0]["done"], records[-1]["t"] - records[0]["t"]
    return float(gained / took) if gained > 0 else None


def counts(found: Iterable[Outcome]) -> dict[str, int]:
    """How many came out how; every outcome is named."""
    all_ = [each.passed for each in found]
    return {str(passed): all_.count(passed) for passed in Passed}
