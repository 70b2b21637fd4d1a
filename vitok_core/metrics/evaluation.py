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
from vitok_core.metrics.rate import Rate
from vitok_core.metrics.scoring import Rebuild, eight_bits, score
from vitok_core.metrics.sheet import write_sheet
from vitok_core.models.tubelets import grid_of
from vitok_core.training.trained import load_model


def reconstruct(config: ReconstructJob, context: Context) -> None:
    """Score the parent tokenizer's reconstructions from the posterior mean.

    Raises:
        UserError: a reconstruction is not finite; or a data set is not here as it was planned.
    """
    torch.set_num_threads(context.machine.threads)
    (parent,) = context.parents
    device = torch.device(context.machine.device)
    model = load_model(parent.folder, config.step).to(device)
    size, p, q = config.resolution, model.config.patch, model.config.stride
    kept = model.kept_length(config.length, grid_of(config.frames, size, size, q, p))
    on_grid = model.config.latents is None
    rate = Rate(model.config.channels, config.frames * config.resolution**2, on_grid)

    @torch.inference_mode()
    def rebuild(samples: Tensor) -> Tensor:
        posterior = model.encode(as_clips(to_model(samples.to(device)))).keep(kept)
        rate.add(posterior)
        return as_samples(model.rebuild(posterior.mean, posterior.grid, kept)).float().cpu()

    crops, bits = evaluation_crops(config.dataset, config.version, config, context)
    source = f"{config.dataset}@{config.version}"
    score(crops, rebuild, source, bits, config.evaluation, context)
    rate.report(f"{source}: {crops.protocol}", context)
    sheet(crops, rebuild, context)


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
