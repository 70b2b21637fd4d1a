"""Trained weights on disk: written by a training, read by every job that follows.

`final.pt` is what a finished training leaves, `milestone-<step>.pt` what it was on the way. Both
hold `model`, the weights to evaluate: the averages, where a training averages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vitok_core.errors import UserError
from vitok_core.files import replace_atomically
from vitok_core.training.checkpoint import (
    Found,
    State,
    config_sha256,
    load_checkpoint,
    save_checkpoint,
    weights_hash,
)
from vitok_core.training.setup import Run

NAME = "final.pt"
SUMMARY = "training.json"


def milestone_name(step: int) -> str:
    """The file of the weights after `step` optimizer steps."""
    return f"milestone-{step:09d}.pt"


def save_final(run: Run, weights: State, summary: dict[str, str]) -> None:
    """Write the trained weights with their configuration, and a summary with the weights' hash."""
    digest = _save(run, weights, run.context.checkpoints / NAME)
    seen = {"steps": run.step, "samples": run.step * run.train.batch}
    _write_summary(run, {"weights_sha256": digest, **seen, **summary})


def save_milestone(run: Run, weights: State) -> None:
    """Write the weights as they are now; they are kept, and no resume takes them."""
    _save(run, weights, run.context.checkpoints / milestone_name(run.step))


def read_final(folder: Path, step: int | None = None) -> Found:
    """The weights that the job in `folder` left: of several attempts the lowest whole one's counts.

    Args:
        step: of the milestone to read; None: the final weights.

    Raises:
        UserError: there are none.
    """
    name = NAME if step is None else milestone_name(step)
    found = folder.glob(f"checkpoints/*/{name}")
    for path in sorted(found, key=lambda path: (len(path.parent.name), path.parent.name)):
        try:
            return Found(path, load_checkpoint(path))
        except ValueError:
            continue
    raise UserError(f"{folder}: no whole {name} below checkpoints/; run this training again")


def _save(run: Run, weights: State, path: Path) -> str:
    """Write `weights` with what they are the weights of; returns the hash of the model's."""
    digest = weights_hash(weights["model"])
    state = {
        **weights,
        "step": run.step,
        "config": run.config.model_dump(mode="json"),
        "config_sha256": config_sha256(run.config),
        "weights_sha256": digest,
    }
    save_checkpoint(path, state)
    run.context.checkpoint(path, run.step)
    return digest


def _write_summary(run: Run, summary: dict[str, Any]) -> None:
    """The artifact by which people compare two trainings: same hash, same bits."""
    path = run.context.artifacts / SUMMARY
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=1) + "\n"
    replace_atomically(path, lambda file: file.write(text.encode()))
    run.context.artifact(path, "training-summary")
