"""The evaluator of the authors' released code: torchvision's Inception, its own resize, one split.

Other weights, another resize and images cut, not rounded, to 8 bits: its numbers are those of the
released code and comparable with no others. Hence a name of its own, and never the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.metrics.features import Outputs

INPUT = 299  # pixels
WIDTH = 2048
CLASSES = 1000


class TorchvisionInception(nn.Module):
    """torchvision's Inception-v3 with its ImageNet weights; evaluation only."""

    layers: ClassVar[Mapping[str, int]] = {"": WIDTH}
    classes = CLASSES
    prepared = f"{INPUT}px bilinear align-corners, truncated to 8-bit"

    def __init__(self) -> None:
        from torchvision.models import Inception3

        super().__init__()
        self.trunk = Inception3(transform_input=False, init_weights=False)
        self.eval().requires_grad_(False)

    def load_weights(self, weights: Mapping[str, Tensor]) -> TorchvisionInception:
        """Take torchvision's weights; the head then stands beside the trunk."""
        self.trunk.load_state_dict(weights)
        self.head, self.trunk.fc = self.trunk.fc, nn.Identity()
        return self

    def prepare(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w) uint8 at 299×299 px, in [-1, 1]."""
        x = 2 * (images.float() / 255) - 1
        return F.interpolate(x, (INPUT, INPUT), mode="bilinear", align_corners=True)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Outputs:
        """Look at prepared images (b, 3, 299, 299)."""
        features = self.trunk(x)
        return Outputs({"": features}, self.head(features))


def load(path: Path) -> TorchvisionInception:
    """The network with the weights of `path`."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return TorchvisionInception().load_weights(weights)
