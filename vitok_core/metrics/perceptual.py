"""Perceptual distances of reconstructions as scores.

The networks of the perceptual loss, looked at as a score. `LPIPS` is the standard network's alone
(VGG-16 with torchvision's weights under the heads of its authors); what another network gives is
called after it, `rPD[efficientnet-lite0]`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vitok_core.context import Context
from vitok_core.data.pixels import to_model
from vitok_core.metrics.networks import open_network
from vitok_core.objectives.perceptual import PerceptualNetwork

STANDARD = "lpips-vgg"
_CHUNK = 4  # images at a time: a CPU's cache holds the activations of no more


def named(name: str) -> str:
    """What a network's score is called."""
    return "LPIPS" if name == STANDARD else f"rPD[{name}]"


def opened(name: str, context: Context) -> tuple[str, Callable[[Tensor, Tensor], Tensor]]:
    """A network's protocol, and its distances (b,) of images (b, 3, h, w) uint8.

    Raises:
        UserError: its weights are absent or not the pinned ones.
    """
    device = torch.device(context.machine.device)
    network: PerceptualNetwork = open_network(name, "perceptual", context.paths.weights).to(device)

    @torch.inference_mode()
    def distances(rebuilt: Tensor, originals: Tensor) -> Tensor:
        pairs = zip(torch.split(rebuilt, _CHUNK), torch.split(originals, _CHUNK), strict=True)
        return torch.cat(
            [network.distance(*(to_model(each.to(device)) for each in pair)) for pair in pairs]
        )

    return f"{network.protocol}; per image then mean, 8-bit", distances
