"""Latents of a toy mixture, and generators small enough to train on them in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from recording import RecordingContext

from vitok_core.config import GeneratorJob
from vitok_core.context import Machine, Parent
from vitok_core.data.latents import latents_folder
from vitok_core.data.latentwriter import Encoded, LatentWriter

CENTRES = (-4.0, 2.0, 8.0)  # of the classes' codes, in all channels but the last
GRID, CHANNELS, SPREAD = (1, 2, 2), 3, 0.5
_JOB: dict[str, dict[str, Any]] = {
    "generator": {"model": {"width": 24, "blocks": 2, "heads": 2}},
    "train": {
        "steps": 10, "batch": 6, "base_lr": 2e-3, "precision": "fp32", "ema": 0.8, "warmup": 0.1,
    },
}  # fmt: skip


def latents(folder: Path, n: int = 96, grid: tuple[int, ...] = GRID) -> Parent:
    """A finished job `latents`: class k at its centre, the last channel a thousandfold."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(n) % len(CENTRES)
    tokens = int(torch.tensor(grid).prod())
    mean = torch.tensor(CENTRES)[label][:, None, None].repeat(1, tokens, CHANNELS)
    mean += SPREAD * torch.randn(mean.shape, generator=generator)
    mean[..., -1] = 1000 * torch.randn(mean.shape[:-1], generator=generator)
    writer = LatentWriter(latents_folder(folder), {"data": "toy mixture"})
    writer.write(0, Encoded(mean, torch.full_like(mean, -6.0), label))
    writer.finish({"grid": list(grid), "dataset": "toys"})
    return Parent("l0", "latents", {}, folder)


def generator_job(seed: int = 0, **sections: dict[str, Any]) -> GeneratorJob:
    """A job for those latents; keywords replace fields of one section."""
    fields = {name: {**values, **sections.get(name, {})} for name, values in _JOB.items()}
    return GeneratorJob.model_validate({**fields, "seed": seed})


def context_of(folder: Path, of: Parent, attempt: int = 1, **machine: Any) -> RecordingContext:
    """A context whose parent is those latents."""
    return RecordingContext(folder, attempt, Machine(**machine), parents=(of,))
