"""Sweep files that search over stub jobs, whose best point the test says (`stubs/jobs.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
from stubbed import Bench
from sweepfiles import write

from sweep.search.trials import Trials
from sweep.spec import document, read

HEAD = """\
sizes:
  T: {width: 64, blocks: 1, heads: 2}
tokenizer: {size: T-T}
data: {name: photos-train, resolution: 64}
train: {steps: 20, batch: 4}
stages:
  - train: stage1
  - reconstruct: [photos-tune]
resources:
  default: {threads: 1, memory_gb: 0.1, checkpoint_every: 2, chain: true}
"""
SEARCH = """\
search:
  space:
    tokenizer.patch: [8, 16, 32]
    tokenizer.channels: 4..64 x2
  objectives: [{maximize: rPSNR}]
  trials: 6
"""


def text(search: str = SEARCH, **changed: str) -> str:
    """A whole file; `trials="3"` and the like replace or add lines of the section."""
    lines = [line for line in search.splitlines() if line.strip().split(":")[0] not in changed]
    return (
        HEAD + "\n".join([*lines, *(f"  {key}: {value}" for key, value in changed.items())]) + "\n"
    )


def trials_of(folder: Path, file: str) -> Trials:
    """The trials of a file, as a controller plans them."""
    return Trials(read.read(document.load(write(folder, file))), "cpu-core")


def trials(bench: Bench) -> list[dict[str, Any]]:
    """The trials in the order of their choosing, as the journals have them."""
    records = []
    for path in sorted(bench.root.launches.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            record = json.loads(line)
            if record["event"] == "trial":
                records.append(record)
    return sorted(records, key=lambda record: record["t"])


def params(bench: Bench) -> list[dict[str, Any]]:
    return [record["params"] for record in trials(bench)]


def study(bench: Bench, name: str, file: str | None = None) -> optuna.Study:
    """A study as optuna-dashboard would open it."""
    url = f"sqlite:///{bench.root.searches / f'{file or name}.db'}"
    return optuna.load_study(study_name=name, storage=url)
