"""The auto-encoder's part of Eq. 1: L = REC + β·KL + η·LPIPS.

REC is the mean squared (or absolute) error over all values of clips in [-1, 1]. KL is averaged over
the L·c code elements, of a masked code over those that are kept, unless the configuration says
otherwise. The mean is what β = 1e-3 means in the authors' code: summed per clip it weighs L·c times
more and the code collapses. Both are logged.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from vitok_core.config import LossConfig
from vitok_core.models.posterior import Posterior
from vitok_core.objectives.perceptual import PerceptualNetwork, frames

_ERRORS = {"l1": F.l1_loss, "l2": F.mse_loss}


class Loss(NamedTuple):
    """The value to minimise and its named terms, detached, for the learning curves."""

    total: Tensor
    terms: dict[str, Tensor]


def reconstruction_loss(
    output: Tensor,
    target: Tensor,
    posterior: Posterior,
    config: LossConfig,
    perceptual: PerceptualNetwork | None = None,
) -> Loss:
    """Eq. 1 without its adversarial term.

    Args:
        output, target: clips (b, 3, t, h, w) in [-1, 1].
        posterior: of the codes (b, l, c) that `output` was decoded from.
        perceptual: the network that `config.perceptual` names.
    """
    if (perceptual.name if perceptual else None) != config.perceptual:
        raise ValueError(f"the loss needs the perceptual network {config.perceptual}")
    rec = _ERRORS[config.reconstruction](output.float(), target)
    mean = posterior.kl_mean().mean()  # nats per code element
    summed = posterior.kl().sum((1, 2)).mean()  # nats per clip
    total = rec + config.kl * (mean if config.kl_reduction == "mean" else summed)
    terms = {"loss_rec": rec, "loss_kl": mean, "kl_sum": summed}
    if perceptual is not None:
        distance = perceptual.distance(frames(output), frames(target)).mean()
        total = total + config.perceptual_weight * distance
        terms["loss_perceptual"] = distance
    return Loss(total, {name: value.detach() for name, value in {"loss": total, **terms}.items()})
