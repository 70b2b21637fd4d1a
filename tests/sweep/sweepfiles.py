"""Sweep files for tests: short ones that are valid, to be changed in one place."""

from __future__ import annotations

from pathlib import Path

from sweep.model import Plan, PlannedJob

BROKEN = Path(__file__).parent.parent / "broken_sweeps"

# Complete, without bases: what a test says about it depends on no shipped file.
SMALL = """\
sizes:
  T: {width: 64, blocks: 1, heads: 2}
tokenizer: {size: T-T}
data: {name: photos-train, resolution: 64}
train: {steps: 20, batch: 4}
axes:
  tokenizer.patch: [8, 16]
  tokenizer.channels: [4, 8]
stages:
  - train: stage1
"""

# The head of a file without a grid: one tokenizer, on one line each.
ONE = """\
sizes: {T: {width: 64, blocks: 1, heads: 2}}
tokenizer: {size: T-T, patch: 8, channels: 4}
data: {name: photos-train, resolution: 64}
"""


def write(folder: Path, text: str, name: str = "sweep.yaml") -> str:
    """Write a file into a folder; its path as the command line takes it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def replaced(old: str, new: str) -> str:
    """SMALL with one part replaced, which must be there."""
    assert SMALL.count(old) == 1, old
    return SMALL.replace(old, new)


def of_kind(plan: Plan, kind: str) -> list[PlannedJob]:
    """The jobs of one kind, in the plan's order."""
    return [job for job in plan.jobs if job.kind == kind]
