"""Stage 1's loss: L = REC + β·KL (Eq. 1, with the perceptual and adversarial weights at zero).

REC is the mean squared error over all values of clips in [-1, 1]. KL is averaged over the L·c code
elements, of a masked code over those that are kept. The mean is what β = 1e-3 means in the authors'
code: summed per clip it would weigh L·c times more and the code would collapse. Both are logged.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from vitok_core.config import LossConfig
from vitok_core.errors import UserError
from vitok_core.models.posterior import Posterior


class Loss(NamedTuple):
    """The value to minimise and its named terms, detached, for the learning curves."""

    total: Tensor
    terms: dict[str, Tensor]


def check_supported(config: LossConfig) -> None:
    """Refuse what this release does not build: a named term must never be left out in silence."""
    if config.perceptual is not None:
        raise UserError(
            f"loss.perceptual: {config.perceptual} is not built in this release; set it to null "
            "and loss.perceptual_weight to 0"
        )


def reconstruction_loss(
    output: Tensor, target: Tensor, posterior: Posterior, config: LossConfig
) -> Loss:
    """Eq. 1 without its perceptual and adversarial terms.

    Args:
        output, target: clips (b, 3, t, h, w) in [-1, 1].
        posterior: of the codes (b, l, c) that `output` was decoded from.
    """
    check_supported(config)
    rec = F.mse_loss(output.float(), target)
    elements = posterior.kl()  # (b, l, c), nats
    kl = posterior.kl_mean().mean()
    total = rec + config.kl * kl
    terms = {
        "loss": total.detach(),
        "loss_rec": rec.detach(),
        "loss_kl": kl.detach(),
        "kl_sum": elements.detach().sum((1, 2)).mean(),  # nats per clip
    }
    return Loss(total, terms)
