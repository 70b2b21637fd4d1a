"""A toy chain: a tokenizer, its latents and a generator, each of a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import GeneratorJob, LatentsJob, TokenizerJob
from vitok_core.context import Machine, Parent
from vitok_core.data.latents import LatentSet, latents_folder

TOWER = {"width": 24, "blocks": 1, "heads": 2}


def tokenizer(folder: Path, data: str = "photos-tune", frames: int = 1, **sizes: Any) -> Parent:
    """Trained for two steps at 32 px."""
    job = TokenizerJob.model_validate(
        {
            "tokenizer": {
                "encoder": TOWER, "decoder": TOWER, "patch": 8, "channels": 4, **sizes,
            },
            "data": {"name": data, "resolution": 32, "frames": frames},
            "train": {"steps": 2, "batch": 4, "base_lr": 0.1, "precision": "fp32"},
        }
    )  # fmt: skip
    context = RecordingContext(folder)
    jobs.tokenizer(job, context)
    return Parent("t0", "tokenizer", job.model_dump(mode="json"), folder)


def latents_job(dataset: str = "photos-tune", **fields: Any) -> LatentsJob:
    """Of the photos at 32 px, one crop of each."""
    return LatentsJob.model_validate(
        {"dataset": dataset, "resolution": 32, "samples": 17, **fields}
    )


def encoded(
    folder: Path, of: Parent, job: LatentsJob, machine: Machine | None = None
) -> tuple[LatentSet, RecordingContext]:
    """The set that the job leaves."""
    context = RecordingContext(folder, machine=machine or Machine(), parents=(of,))
    jobs.latents(job, context)
    return LatentSet(latents_folder(folder)), context


def generator(folder: Path, latents: Path, **fields: Any) -> Parent:
    """Trained for three steps on the latents in that job's folder."""
    job = GeneratorJob.model_validate(
        {
            "generator": {"model": TOWER, **fields},
            "train": {"steps": 3, "batch": 4, "precision": "fp32", "ema": 0.5},
        }
    )
    parent = Parent("l0", "latents", {}, latents)
    jobs.generator(job, RecordingContext(folder, parents=(parent,)))
    return Parent("g0", "generator", job.model_dump(mode="json"), folder)
