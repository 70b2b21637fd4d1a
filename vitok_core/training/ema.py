"""The exponential moving average of the weights in training (§2.3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Ema:
    """Averaged weights, from those at the start on: average ← decay·average + (1 - decay)·weights.

    It starts at trained weights in stage 2, so there is no bias to correct; a generator's starts at
    untrained ones, as DiT's does, and forgets them over 1/(1 - decay) steps. What is frozen is not
    averaged.

    Args:
        model: whose parameters that require gradients are followed.
        decay: per step, 0 <= decay < 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.averages = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        averages = list(self.averages.values())
        torch._foreach_lerp_(averages, list(self._weights.values()), 1.0 - self.decay)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from these averages; weights that are not followed are passed over."""
        for name, average in self.averages.items():
            average.copy_(state[name])
