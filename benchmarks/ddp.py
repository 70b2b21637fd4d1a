"""One training as two processes and as one, at the same global batch: speed, and the same curve."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from timing import Row

from sweep.claims import claim
from sweep.journal import read_from
from sweep.layout import JobFolder, Root
from sweep.model import Resources

BATCH, STEPS = 32, 40
TOWER = {"width": 128, "blocks": 2, "heads": 4}
CONFIG = {
    "tokenizer": {"encoder": TOWER, "decoder": TOWER, "patch": 8, "channels": 16},
    "data": {"name": "photos-train", "resolution": 64},
    "train": {"steps": STEPS, "batch": BATCH, "precision": "fp32"},
}
SAME = 1e-4  # relative: sums of two halves round otherwise than the whole


def measure(folder: Path) -> Iterator[Row]:
    """Seconds of one step, each process with one thread; two cores let two be twice as fast."""
    (two, curve), (one, expected) = (_train(folder, processes) for processes in (2, 1))
    apart = max(abs(a - b) / b for a, b in zip(curve, expected, strict=True))
    if apart > SAME:
        raise RuntimeError(f"two processes train otherwise than one: losses differ by {apart:.1e}")
    what = f"training step, batch {BATCH}, loss curves equal to {apart:.0e}"
    yield Row(what, {"2 processes": two, "1 process": one})


def _train(folder: Path, processes: int) -> tuple[float, list[float]]:
    """The median seconds of a step, and the loss curve."""
    job = Root(folder / "ddp").job_folder(f"tokenizer-{processes}", f"{processes:012x}")
    job.path.mkdir(parents=True)
    spec = {"kind": "tokenizer", "config": CONFIG, "parents": []}
    job.spec.write_text(json.dumps(spec))
    claim(job, {"resources": Resources(processes=processes).model_dump()})
    command = [sys.executable, "-m", "sweep.worker", str(job.path)]
    subprocess.run(command, check=True, capture_output=True)
    rates = _metric(job, "images_per_second")
    return BATCH / statistics.median(rates[1:]), _metric(job, "loss")


def _metric(job: JobFolder, name: str) -> list[float]:
    records = read_from(job.journals / "1.jsonl")[0]
    return [record["value"] for record in records if record.get("name") == name]
