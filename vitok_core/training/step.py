"""One optimizer step of stage 1: forward, loss, backward, clipping, guard, update."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vitok_core.data.counter import noise
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.errors import UserError
from vitok_core.objectives.reconstruction import reconstruction_loss
from vitok_core.training.lengths import kept_lengths
from vitok_core.training.schedule import learning_rate
from vitok_core.training.setup import Run

NOISE_STREAM = "posterior noise"


class Diverged(UserError):  # noqa: N818  (named for what happened)
    """The loss or its gradient stopped being a number; the last checkpoint holds good weights."""

    exit_code = 1


def train_step(run: Run, images: Tensor, indices: Sequence[int]) -> dict[str, float]:
    """One optimizer step on the global batch; returns the named terms of its learning curve.

    Args:
        images: (b, 3, h, w) uint8, clips (b, 3, t, h, w).
        indices: the global sample index of each, from which the posterior's noise is drawn.
    """
    train = run.config.train
    rate = learning_rate(train, run.config.data.frames, run.step)
    for group in run.optimizer.param_groups:
        group["lr"] = rate

    # Gradients of the whole batch, micro-batch by micro-batch.
    run.optimizer.zero_grad(set_to_none=True)
    terms: dict[str, float] = {}
    for part in _micro_batches(len(images), run.context.machine.micro_batch):
        share = (part.stop - part.start) / len(images)
        for name, value in _backward(run, images[part], indices[part], share).items():
            terms[name] = terms.get(name, 0.0) + share * float(value)

    # Clipping comes after all of backward: before it, it would do nothing.
    limit = math.inf if train.clip_norm is None else train.clip_norm
    norm = float(torch.nn.utils.clip_grad_norm_(run.model.parameters(), limit))
    _guard(run, terms["loss"], norm)

    run.optimizer.step()
    run.step += 1
    return {**terms, "grad_norm": norm, "lr": rate}


def _backward(run: Run, images: Tensor, indices: Sequence[int], share: float) -> dict[str, Tensor]:
    """Add `share` of a micro-batch's gradient; returns its loss terms."""
    x = as_clips(to_model(images.to(run.device, non_blocking=True)))  # (b, 3, t, h, w)
    draws = noise(run.config.seed, NOISE_STREAM, indices, run.model.code_shape).to(run.device)
    kept = kept_lengths(run.config.tokenizer.lengths, run.config.seed, indices, run.device)
    half = run.config.train.precision == "bf16"
    with torch.autocast(run.device.type, torch.bfloat16, enabled=half):
        output, posterior = run.forward(x, draws, kept)
    loss = reconstruction_loss(output, x, posterior, run.config.loss)
    (share * loss.total).backward()  # type: ignore[no-untyped-call]
    return loss.terms


def _micro_batches(batch: int, size: int | None) -> Iterator[slice]:
    """Slices of at most `size` samples; None: the whole batch at once."""
    size = batch if size is None else size
    for start in range(0, batch, size):
        yield slice(start, min(batch, start + size))


def _guard(run: Run, loss: float, norm: float) -> None:
    """Stop before a NaN or an infinity reaches the weights."""
    for name, value in (("loss", loss), ("gradient norm", norm)):
        if not math.isfinite(value):
            raise Diverged(
                f"training diverged: the {name} is {value} at step {run.step + 1}; the weights "
                "and checkpoints before it are good. Lower train.base_lr, or set train.clip_norm"
            )
