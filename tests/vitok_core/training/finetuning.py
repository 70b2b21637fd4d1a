"""A parent tokenizer and stage-2 jobs small enough to train in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recording import RecordingContext

from vitok_core.config import FinetuneJob, TokenizerJob
from vitok_core.context import Machine, Parent
from vitok_core.training.finetune import FinetuneStage
from vitok_core.training.tokenizer import train_tokenizer

_TOWER = {"width": 24, "blocks": 1, "heads": 2}
_SHARED: dict[str, dict[str, Any]] = {
    "tokenizer": {"encoder": _TOWER, "decoder": _TOWER, "patch": 8, "channels": 4},
    "data": {"name": "photos-train", "resolution": 16},
    "loss": {"kl": 1e-3},
}
# A batch of 16 makes one of the GAN's steps (of 256 clips) 16: its term rises by 1/16 at each.
_STAGE_2: dict[str, dict[str, Any]] = {
    "gan": {"weight": 0.1, "width": 4, "disc_lr": 1e-3, "disc_warmup": 1, "start": 0, "ramp": 1},
    "finetune": {
        "steps": 10, "batch": 16, "base_lr": 0.016, "precision": "fp32", "ema": 0.8,
        "warmup": 0.2, "clip_norm": 1.0,
    },
}  # fmt: skip


def parent(folder: Path, **sections: dict[str, Any]) -> Parent:
    """A tokenizer of three steps."""
    train = {"steps": 3, "batch": 8, "base_lr": 0.128, "precision": "fp32"}
    job = TokenizerJob.model_validate(_changed({**_SHARED, "train": train}, sections))
    train_tokenizer(job, RecordingContext(folder))
    return Parent("t0", "tokenizer", job.model_dump(mode="json"), folder)


def finetune_job(seed: int = 0, **sections: dict[str, Any]) -> FinetuneJob:
    """A stage-2 job for that parent; keywords replace fields of one section."""
    fields = _changed({**_SHARED, **_STAGE_2}, sections)
    return FinetuneJob.model_validate({**fields, "seed": seed})


def context_of(folder: Path, of: Parent, attempt: int = 1, **machine: Any) -> RecordingContext:
    """A context whose parent is that tokenizer."""
    return RecordingContext(folder, attempt, Machine(**machine), parents=(of,))


def stepped(job: FinetuneJob, context: RecordingContext, steps: int) -> FinetuneStage:
    """A stage after some steps, without the loop's records."""
    stage, batch = FinetuneStage(job, context), job.finetune.batch
    for step in range(steps):
        indices = range(step * batch, (step + 1) * batch)
        stage.update(stage.run.data.batch(indices)[0])
        stage.run.step += 1
    return stage


def _changed(
    fields: dict[str, dict[str, Any]], sections: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    return {name: {**values, **sections.get(name, {})} for name, values in fields.items()}
