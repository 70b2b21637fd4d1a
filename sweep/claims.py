"""Claims: a launcher's word, in the job's folder, that it is about to submit the job."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.journal import create_atomic
from sweep.layout import JobFolder
from sweep.model import Resources
from vitok_core.context import Paths


@dataclass(frozen=True)
class Given:
    """What the newest claim gives the worker."""

    resources: Resources = field(default_factory=lambda: Resources.model_validate({}))
    paths: Paths = field(default_factory=Paths)
    submission: str | None = None


def claim(folder: JobFolder, content: Mapping[str, Any]) -> int | None:
    """Create the job's next claim, whole and exclusively; None: another launcher was first."""
    folder.claims.mkdir(exist_ok=True)
    number = max(_numbers(folder), default=0) + 1
    path = folder.claims / f"{number}.json"
    record = {"claim": number, "t": time.time(), **content}
    return number if create_atomic(path, json.dumps(record).encode() + b"\n") else None


def newest_claim(folder: JobFolder) -> Given:
    """Resources and paths of the newest claim; the defaults where a job was never claimed."""
    numbers = _numbers(folder)
    if not numbers:
        return Given()
    record = json.loads((folder.claims / f"{max(numbers)}.json").read_text())
    paths = record.get("paths", {})
    return Given(
        Resources.model_validate(record.get("resources", {})),
        Paths(data=paths.get("data", {}), weights=paths.get("weights", {})),
        record.get("submission"),
    )


def _numbers(folder: JobFolder) -> list[int]:
    return [int(path.stem) for path in folder.claims.glob("*.json") if path.stem.isdecimal()]
