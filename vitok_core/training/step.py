"""The parts of one optimizer step that trainings share: forward, micro-batches, clip, guard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from vitok_core.data.counter import noise
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.data.samples import Batch
from vitok_core.errors import UserError
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.objectives.perceptual import PerceptualNetwork
from vitok_core.objectives.reconstruction import Loss, reconstruction_loss
from vitok_core.training.lengths import kept_lengths
from vitok_core.training.setup import Forward, Run, TokenizerRun

NOISE_STREAM = "posterior noise"
# Adds the gradient of one micro-batch, times its share of the batch; returns its terms.
Backward = Callable[[Batch, float], Mapping[str, Tensor]]


class Diverged(UserError):  # noqa: N818  (named for what happened)
    """The loss or its gradient stopped being a number; the last checkpoint holds good weights."""

    exit_code = 1


def batch_gradients(
    run: Run,
    batch: Batch,
    backward: Backward,
    parameters: Iterable[nn.Parameter],
) -> dict[str, float]:
    """Gradients of the whole batch, micro-batch by micro-batch; returns the batch's mean terms.

    Args:
        batch: this process's share of it, still where the loader put it.
        backward: is given its parts, on the job's device.
        parameters: whose gradients these are.
    """
    terms: dict[str, Tensor] = {}  # stay where they are: reading one waits for the GPU
    size = len(batch.samples)
    for rows in _micro_batches(size, run.context.machine.micro_batch):
        share = (rows.stop - rows.start) / size
        for name, value in backward(batch.part(rows, run.device), share).items():
            addend = share * value.to(run.device, torch.float64)
            terms[name] = terms[name] + addend if name in terms else addend
    return run.world.average(parameters, terms)


def autoencode(
    run: TokenizerRun,
    model: AutoEncoder,
    forward: Forward,
    perceptual: PerceptualNetwork | None,
    batch: Batch,
) -> tuple[Tensor, Tensor, Loss]:
    """Reconstruct a batch from samples of its posteriors; Eq. 1 but for its GAN.

    The posterior's noise, and how much of a masked code is kept, are drawn from sample indices.

    Returns:
        The clips (b, 3, t, h, w), their reconstructions, and the loss.
    """
    seed, device, indices = run.config.seed, run.device, batch.indices.tolist()
    x = as_clips(to_model(batch.samples))  # (b, 3, t, h, w)
    draws = noise(seed, NOISE_STREAM, indices, model.code_shape).to(device)  # (b, l, c)
    kept = kept_lengths(model.config.lengths, seed, indices, device)
    with autocast(run):
        output, posterior = forward(x, draws, kept)
        loss = reconstruction_loss(output, x, posterior, run.config.loss, perceptual, run.extra)
    return x, output, loss


def autocast(run: Run) -> torch.autocast:
    """The precision of forward passes, the frozen networks' too."""
    return torch.autocast(run.device.type, torch.bfloat16, enabled=run.train.precision == "bf16")


def clip(model: nn.Module, limit: float | None) -> float:
    """Scale the gradients to a global norm of at most `limit`; returns their norm before.

    It comes after all of backward: before it, it would do nothing.
    """
    limit = math.inf if limit is None else limit
    return float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameter groups this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def guard(values: Mapping[str, float], step: int, remedy: str) -> None:
    """Stop before a NaN or an infinity reaches the weights.

    Args:
        step: the one that is being done, the first is 1.
        remedy: what the user may change.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise Diverged(
                f"training diverged: the {name} is {value} at step {step}; the weights "
                f"and checkpoints before it are good. {remedy}"
            )


def _micro_batches(batch: int, size: int | None) -> Iterator[slice]:
    """Slices of at most `size` samples; None: the whole batch at once."""
    size = batch if size is None else size
    for start in range(0, batch, size):
        yield slice(start, min(batch, start + size))
