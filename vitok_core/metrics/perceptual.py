"""Perceptual distances of reconstructions, averaged over a set.

The networks of the perceptual loss, looked at as a score. `LPIPS` is the standard network's alone
(VGG-16 with torchvision's weights under the heads of its authors); what another network gives is
called after it, `rPD[efficientnet-lite0]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vitok_core.context import Context
from vitok_core.data.pixels import to_model
from vitok_core.metrics.networks import open_network
from vitok_core.objectives.perceptual import PerceptualNetwork

STANDARD = "lpips-vgg"
_CHUNK = 4  # images at a time: a CPU's cache holds the activations of no more


class Perceptual:
    """One network's mean distance, gathered batch by batch in float64.

    Raises:
        UserError: its weights are absent or not the pinned ones.
    """

    def __init__(self, name: str, context: Context) -> None:
        self._device = torch.device(context.machine.device)
        network = open_network(name, "perceptual", context.paths.weights)
        self._network: PerceptualNetwork = network.to(self._device)
        self.name = "LPIPS" if name == STANDARD else f"rPD[{name}]"
        self._sum, self._images = 0.0, 0

    @torch.inference_mode()
    def add(self, originals: Tensor, rebuilt: Tensor) -> None:
        """Take in one batch, both (b, 3, h, w) uint8."""
        pairs = zip(torch.split(rebuilt, _CHUNK), torch.split(originals, _CHUNK), strict=True)
        for x, y in pairs:
            a, b = (to_model(each.to(self._device)) for each in (x, y))
            self._sum += float(self._network.distance(a, b).double().sum())
        self._images += len(originals)

    def report(self, measured: str, context: Context) -> None:
        """The mean over all images, on which data `measured` says."""
        how = f"{self._network.protocol}; per image then mean, 8-bit; N={self._images}"
        context.result(self.name, self._sum / self._images, f"{how}; {measured}")
