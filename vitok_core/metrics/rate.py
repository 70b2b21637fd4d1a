"""What the code really carries, whatever its nominal E: its rate and its active channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vitok_core.models.posterior import Posterior

# A channel is active when the variance of its posterior mean over data and tokens exceeds this
# (Burda et al. 2016, "Importance Weighted Autoencoders", §4).
ACTIVE_VARIANCE = 0.01

KL_PROTOCOL = "KL(q(z|x) || N(0,1)) per image in bits / (T H W), posterior as trained"
ACTIVE_PROTOCOL = f"channels with var of posterior mean > {ACTIVE_VARIANCE} over images and tokens"


class Rate:
    """Gathers a tokenizer's rate over a set, posterior by posterior, in float64."""

    def __init__(self, channels: int, pixels: int) -> None:
        self.pixels = pixels  # T·H·W of one sample
        self._images = 0
        self._tokens = 0
        self._nats = 0.0
        self._moments = torch.zeros(2, channels, dtype=torch.float64)

    def add(self, posterior: Posterior) -> None:
        """Take in the posteriors of one batch, (b, l, c); of each the tokens that it keeps."""
        mean: Tensor = posterior.mean[posterior.mask].double().cpu()  # (b·kept, c)
        self._images += len(posterior.mean)
        self._tokens += len(mean)
        self._nats += float(posterior.kl().double().sum())
        self._moments += torch.stack([mean.sum(0), mean.square().sum(0)])

    @property
    def bits_per_pixel(self) -> float:
        """KL in bits per pixel; an upper bound on what the code tells of the image."""
        return self._nats / math.log(2) / (self._images * self.pixels)

    @property
    def active_channels(self) -> int:
        """How many of the c channels vary over images and tokens."""
        mean, square = self._moments / self._tokens
        return int((square - mean.square() > ACTIVE_VARIANCE).sum())
