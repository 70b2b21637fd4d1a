"""Claims: a launcher's word, in the job's folder, that it is about to submit the job."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.journal import create_atomic
from sweep.layout import JobFolder, number_of
from sweep.model import Resources
from vitok_core.context import Paths


@dataclass(frozen=True)
class Given:
    """What the newest claim gives the worker."""

    resources: Resources = field(default_factory=lambda: Resources.model_validate({}))
    paths: Paths = field(default_factory=Paths)
    submission: str | None = None


def claim(folder: JobFolder, content: Mapping[str, Any], after: int | None = None) -> int | None:
    """Create the job's next claim, whole and exclusively; None: another launcher was first.

    Args:
        after: the newest claim that the launcher decided by: one that has come since, perhaps on
            another login node, is another launcher's. None: whatever there is.
    """
    folder.claims.mkdir(exist_ok=True)
    there = max(_numbers(folder), default=0)
    if after is not None and there > after:
        return None
    path = folder.claims / f"{there + 1}.json"
    record = {"claim": there + 1, "t": time.time(), **content}
    return there + 1 if create_atomic(path, json.dumps(record).encode() + b"\n") else None


def withdraw(folder: JobFolder, submission: str) -> None:
    """Mark the claim of a submission that its scheduler refused: workers pass over it."""
    for number in sorted(_numbers(folder), reverse=True):
        if _read(folder, number).get("submission") == submission:
            create_atomic(folder.claims / f"{number}.refused", b"")
            return


def newest_claim(folder: JobFolder) -> Given:
    """Resources and paths of the newest whole claim that was not refused; else the defaults."""
    refused = {path.stem for path in folder.claims.glob("*.refused")}
    numbers = [number for number in _numbers(folder) if str(number) not in refused]
    records = (_read(folder, number) for number in sorted(numbers, reverse=True))
    record = next((record for record in records if record), {})
    paths = record.get("paths", {})
    return Given(
        Resources.model_validate(record.get("resources", {})),
        Paths(data=paths.get("data", {}), weights=paths.get("weights", {})),
        record.get("submission"),
    )


def _read(folder: JobFolder, number: int) -> dict[str, Any]:
    """A claim's content; {} of a torn one, which was never submitted."""
    try:
        record = json.loads((folder.claims / f"{number}.json").read_bytes())
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _numbers(folder: JobFolder) -> list[int]:
    found = (number_of(path.stem) for path in folder.claims.glob("*.json"))
    return [number for number in found if number is not None]
