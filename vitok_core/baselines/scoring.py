"""The job `baseline`: a codec, or a tokenizer that was not trained here, one data set, its scores.

The crops, metrics and protocols are those of `reconstruct`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vitok_core.baselines import table
from vitok_core.baselines.lossy import PROTOCOL, Lossy, bicubic
from vitok_core.baselines.pretrained import Pretrained, open_pair, weights_sha256
from vitok_core.config import BaselineJob, ReconstructJob
from vitok_core.context import Context
from vitok_core.errors import UserError
from vitok_core.metrics.evaluation import evaluation_crops, sheet
from vitok_core.metrics.scoring import Rebuild, score
from vitok_core.training.distributed import join

CHUNK = 8  # images in one forward pass, where the machine says no other: 256 px fit into 16 GB


def baseline(config: BaselineJob, context: Context) -> None:
    """Score it; UserError where its weights are missing or its size does not fit. Several processes
    share the batches."""
    torch.set_num_threads(context.machine.threads)
    with join(context.machine) as world:
        rebuild = _open(config, context, world.device)
        scored = ReconstructJob(
            dataset=config.dataset,
            version=config.version,
            resolution=config.resolution,
            frames=config.frames,
            fps=config.fps,
            evaluation=config.evaluation,
        )
        crops, bits = evaluation_crops(config.dataset, config.version, scored, context)
        source = f"{config.dataset}@{config.version}"
        account = rebuild if isinstance(rebuild, Lossy) else None
        score(crops, rebuild, source, bits, config.evaluation, context, world, account)
        if not world.first:
            return
        measured = f"{source}: {crops.protocol}"
        if isinstance(rebuild, Lossy):
            how = f"{PROTOCOL[config.codec.kind]}; {measured}"
            context.result("bits_per_pixel", rebuild.bits_per_pixel, how)
        if isinstance(rebuild, Pretrained) and rebuild.values is not None:
            how = f"values of one image's code; {measured}"
            context.result("code_values", rebuild.values, how)
        sheet(crops, rebuild, context)


def _open(config: BaselineJob, context: Context, device: torch.device) -> Rebuild:
    codec = config.codec
    if (reason := table.fault(config)) is not None:
        raise UserError(reason)
    if codec.kind in ("jpeg", "webp"):
        return Lossy(codec.kind, table.picture_bits(config), context.machine.threads)
    if codec.factor is not None:
        return _bicubic(codec.factor)
    return _pretrained(config, context, device)


def _bicubic(factor: int) -> Rebuild:
    def rebuild(samples: Tensor) -> Tensor:
        return bicubic(samples, factor)

    return rebuild


def _pretrained(config: BaselineJob, context: Context, device: torch.device) -> Pretrained:
    codec, machine = config.codec, context.machine
    if (reason := table.missing(codec, context.paths.weights)) is not None:
        raise UserError(reason)
    folder = None
    if codec.kind != "functions":
        folder = Path(context.paths.weights[codec.name]).expanduser()
        # As of a data set: a name and version stand for the same bytes in all of a results root.
        found = weights_sha256(codec, folder)
        context.data_fingerprint(f"weights-{codec.name}", codec.version, found)
    pair = open_pair(codec, folder, device)
    return Pretrained(codec.name, pair, device, machine.micro_batch or CHUNK)
