"""Results roots whose jobs left more than scores: curves, device time, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synthetic import write_root

from analysis.frames import Results
from sweep.layout import JobFolder, Root


def root_of(folder: Path, made: Results) -> Root:
    """A results root with the journals of `made`."""
    return Root(write_root(folder, made))


def jobs(root: Root, kind: str) -> list[JobFolder]:
    """Folders of the jobs of a kind, by name."""
    found = [JobFolder(path) for path in sorted(root.jobs.iterdir())]
    return [job for job in found if json.loads(job.spec.read_text())["kind"] == kind]


def config(job: JobFolder) -> dict[str, Any]:
    """What a job computed."""
    found: dict[str, Any] = json.loads(job.spec.read_text())["config"]
    return found


def parent(root: Root, job: JobFolder) -> JobFolder:
    """The tokenizer before a scoring job."""
    (identity,) = json.loads(job.spec.read_text())["parents"]
    return root.job_folders()[identity]


def append(job: JobFolder, attempt: int, lines: Iterable[dict[str, Any]]) -> None:
    """More lines in the journal of an attempt, each with a time."""
    with (job.journals / f"{attempt}.jsonl").open("a") as journal:
        for line in lines:
            journal.write(json.dumps({"t": 1000.0, **line}) + "\n")


def metric(step: int, value: float, name: str = "loss") -> dict[str, Any]:
    """A line of a learning curve."""
    return {"event": "metric", "step": step, "name": name, "value": value}


def artifact(name: str, kind: str) -> dict[str, Any]:
    """A line about a picture."""
    return {"event": "artifact", "path": f"artifacts/{name}", "kind": kind, "bytes": 1}
