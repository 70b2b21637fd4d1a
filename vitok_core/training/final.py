"""A finished tokenizer on disk: written once by training, read by every job that follows."""

from __future__ import annotations

import json
from pathlib import Path

from vitok_core.config import TokenizerJob
from vitok_core.errors import UserError
from vitok_core.files import replace_atomically
from vitok_core.models.build import build_tokenizer
from vitok_core.models.tokenizer import ViTok
from vitok_core.training.checkpoint import (
    State,
    config_sha256,
    load_checkpoint,
    save_checkpoint,
    weights_hash,
)
from vitok_core.training.setup import Run

NAME = "final.pt"
SUMMARY = "training.json"


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


def load_tokenizer(place: Path) -> ViTok:
    """The trained tokenizer in evaluation mode, on the CPU.

    Args:
        place: a final checkpoint, or a job's folder. Of several attempts that finished, the lowest
            whole one counts (contract 4).
    """
    state = load_checkpoint(place) if place.is_file() else _lowest(place)
    config = TokenizerJob.model_validate(state["config"])
    model = build_tokenizer(config.tokenizer, config.data.frames, config.data.resolution)
    model.load_state_dict(state["model"])
    return model.eval().requires_grad_(False)


def _lowest(folder: Path) -> State:
    """The final checkpoint of the lowest attempt that has a whole one."""
    found = folder.glob(f"checkpoints/*/{NAME}")
    for path in sorted(found, key=lambda path: (len(path.parent.name), path.parent.name)):
        try:
            return load_checkpoint(path)
        except ValueError:
            continue
    raise UserError(f"{folder}: no whole {NAME} below checkpoints/; train this tokenizer again")


def _write_summary(run: Run, digest: str) -> None:
    """The artifact by which people compare two trainings: same hash, same bits."""
    images = run.step * run.config.train.batch
    summary = {"weights_sha256": digest, "steps": run.step, "images": images}
    path = run.context.artifacts / SUMMARY
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=1) + "\n"
    replace_atomically(path, lambda file: file.write(text.encode()))
    run.context.artifact(path, "training-summary")
