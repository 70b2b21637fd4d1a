"""The job `reconstruct`: one trained tokenizer, one data set, its scores and its picture sheet."""

from __future__ import annotations

import torch
from torch import Tensor

from vitok_core.config import ReconstructJob
from vitok_core.context import Context
from vitok_core.data.images import MissingData
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import as_clips, as_samples, to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.data.sources import check_version, fingerprint, missing
from vitok_core.metrics.rate import Codes, Rate
from vitok_core.metrics.scoring import Rebuild, eight_bits, score
from vitok_core.metrics.sheet import write_sheet
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.tubelets import grid_of
from vitok_core.training.distributed import join
from vitok_core.training.trained import load_model


def reconstruct(config: ReconstructJob, context: Context) -> None:
    """Score the parent tokenizer's reconstructions from the posterior mean; several processes share
    the batches.

    Raises:
        UserError: a reconstruction is not finite; or a data set is not here as it was planned.
    """
    torch.set_num_threads(context.machine.threads)
    (parent,) = context.parents
    with join(context.machine) as world:
        code = _Code(load_model(parent.folder, config.step), config, world.device)
        crops, bits = evaluation_crops(config.dataset, config.version, config, context)
        source = f"{config.dataset}@{config.version}"
        score(crops, code, source, bits, config.evaluation, context, world, code)
        if world.first:
            code.rate.report(f"{source}: {crops.protocol}", context)
            sheet(crops, code, context)


class _Code:
    """Rebuilds batches through a tokenizer, and keeps account of the code."""

    def __init__(self, model: AutoEncoder, config: ReconstructJob, device: torch.device) -> None:
        self._model, self._device = model.to(device), device
        sizes, side = model.config, config.resolution
        grid = grid_of(config.frames, side, side, sizes.stride, sizes.patch)
        self._kept = model.kept_length(config.length, grid)
        self.rate = Rate(sizes.channels, config.frames * side**2, sizes.latents is None)

    @torch.inference_mode()
    def __call__(self, samples: Tensor) -> Tensor:
        """(b, 3, h, w) or (b, 3, t, h, w) uint8 → the same, rebuilt, in [-1, 1]."""
        clips = as_clips(to_model(samples.to(self._device)))
        self._posterior = self._model.encode(clips).keep(self._kept)
        rebuilt = self._model.rebuild(self._posterior.mean, self._posterior.grid, self._kept)
        return as_samples(rebuilt).float().cpu()

    @torch.inference_mode()
    def look(self) -> Codes:
        """What the last batch's codes carry."""
        return self.rate.look(self._posterior)

    def add(self, seen: Codes) -> None:
        """Take in what was seen of the next batch, in the set's order."""
        self.rate.add(seen)


def evaluation_crops(
    name: str, version: str, config: ReconstructJob, context: Context
) -> tuple[EvalCrops, str]:
    """The data set's evaluation crops and the fingerprint of its bytes, which is journalled."""
    bits = journal_data(name, version, context)
    source = open_source(name, context.paths.data, context.cache)
    samples = config.evaluation.samples
    return EvalCrops(source, config.resolution, samples, config.frames, config.fps), bits


def journal_data(name: str, version: str, context: Context) -> str:
    """Journal the fingerprint of a data set's bytes, and return it; MissingData where it is not."""
    paths = context.paths.data
    if (reason := missing(name, paths)) is not None:
        raise MissingData(reason)
    check_version(name, version)
    bits = fingerprint(name, paths)
    context.data_fingerprint(name, version, bits)
    return bits


def sheet(crops: EvalCrops, rebuild: Rebuild, context: Context) -> None:
    """Leave `artifacts/sheet.png`: the first crops, their reconstructions and the differences.

    Of clips the middle frame is shown.
    """
    context.artifacts.mkdir(parents=True, exist_ok=True)
    path = context.artifacts / "sheet.png"
    samples = crops.samples(range(min(8, len(crops))))
    originals, rebuilt = (as_clips(each) for each in (samples, eight_bits(rebuild(samples))))
    middle = crops.frames // 2
    write_sheet(path, originals[:, :, middle], rebuilt[:, :, middle])
    context.artifact(path, "sheet")
