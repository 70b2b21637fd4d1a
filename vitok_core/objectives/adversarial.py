"""The adversarial term of Eq. 1, for tokenizer and discriminator; no adaptive weight (§8.2).

Scores are the discriminator's, higher for what it takes for real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["hinge", "non_saturating"]


def discriminator_loss(kind: Kind, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises, from the scores of originals and reconstructions (n,).

    Hinge: E[max(0, 1 - D(x))] + E[max(0, 1 + D(x̂))]. Non-saturating (Goodfellow et al. 2014):
    -E[log σ(D(x))] - E[log(1 - σ(D(x̂)))].
    """
    if kind == "hinge":
        return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(kind: Kind, fake: Tensor) -> Tensor:
    """What the tokenizer minimises: -E[D(x̂)] by hinge, else -E[log σ(D(x̂))]."""
    return -fake.mean() if kind == "hinge" else F.softplus(-fake).mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018): ½·E‖∇D(x)‖², per frame of the originals (b, 3, t, h, w).

    Taken at every step, not lazily, and in float32 whatever the autocast: squared gradients of
    half precision under- and overflow.
    """
    real = real.detach().requires_grad_(True)
    with torch.autocast(real.device.type, enabled=False):
        scores = discriminator(real)
        (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return 0.5 * slope.square().sum() / len(scores)
