"""The perceptual distance that needs no download, on EfficientNet-Lite0's features.

Not LPIPS: that has heads which were fitted to its own trunks. Here all channels weigh the same, and
the distance is 1 - cosine similarity, averaged over positions and stages: about the size of LPIPS.
The five stages are the outputs of the last blocks at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input (16,
24, 40, 112 and 320 channels). Frames keep their size, so that the cost is theirs and not that of
224 px; sides that 32 does not divide are stretched to the next multiple, for the network halves its
input five times.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.metrics import efficientnet
from vitok_core.metrics.networks import NETWORKS
from vitok_core.objectives.perceptual import FeatureDistance

_MULTIPLE = 32  # pixels
_WIDTHS = (16, 24, 40, 112, 320)
NAME = "efficientnet-lite0"


class Stages(nn.Module):
    """The network behind the model's pixel range."""

    def __init__(self, network: efficientnet.EfficientNetLite0) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Frames (n, 3, h, w) in [-1, 1], of any size."""
        size = tuple(-(-side // _MULTIPLE) * _MULTIPLE for side in frames.shape[-2:])
        x = frames.float()
        if size != x.shape[-2:]:
            x = F.interpolate(x, size, mode="bilinear", align_corners=False)
        return self.network.maps((x + 1.0) * 127.5)


def load(path: Path) -> FeatureDistance:
    """The distance with the classifier's weights from `path`."""
    protocol = (
        f"{NAME} {NETWORKS[NAME].sha256[:12]}, mean of 1 - cosine similarity over 5 stages, "
        "frames as they are (sides stretched to multiples of 32)"
    )
    # ‖a - b‖² = 2·(1 - cos) for vectors of length 1.
    heads = [torch.full((width,), 0.5 / len(_WIDTHS)) for width in _WIDTHS]
    return FeatureDistance(NAME, protocol, Stages(efficientnet.load(path)), heads)
