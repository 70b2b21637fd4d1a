"""A finished tokenizer on disk: written once by training; `trained` reads it."""

from __future__ import annotations

import json

from vitok_core.files import replace_atomically
from vitok_core.training.checkpoint import config_sha256, save_checkpoint, weights_hash
from vitok_core.training.setup import Run

NAME = "final.pt"
SUMMARY = "training.json"


def milestone_name(step: int) -> str:
    """The file of the weights after `step` optimizer steps."""
    return f"milestone-{step:09d}.pt"


def save_final(run: Run) -> None:
    """Write the trained weights with their configuration, and a summary with the weights' hash."""
    weights = run.model.state_dict()
    digest = weights_hash(weights)
    path = run.context.checkpoints / NAME
    state = {
        "model": weights,
        "step": run.step,
        "config": run.config.model_dump(mode="json"),
        "config_sha256": config_sha256(run.config),
        "weights_sha256": digest,
    }
    save_checkpoint(path, state)
    run.context.checkpoint(path, run.step)
    _write_summary(run, digest)


def _write_summary(run: Run, digest: str) -> None:
    """The artifact by which people compare two trainings: same hash, same bits."""
    images = run.step * run.config.train.batch
    summary = {"weights_sha256": digest, "steps": run.step, "images": images}
    path = run.context.artifacts / SUMMARY
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=1) + "\n"
    replace_atomically(path, lambda file: file.write(text.encode()))
    run.context.artifact(path, "training-summary")
