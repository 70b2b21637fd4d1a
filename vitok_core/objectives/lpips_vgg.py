"""LPIPS 0.1 on VGG-16 (Zhang et al. 2018): the paper's perceptual loss, by the package `lpips`.

The package brings the heads; the trunk's weights are torchvision's file. Neither library is let
near the network: the modules are made without weights, and ours are put in.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitok_core.metrics.networks import NETWORKS
from vitok_core.objectives.perceptual import FeatureDistance

_HEADS = "weights/v0.1/vgg.pth"  # within the package


class Trunk(nn.Module):
    """VGG-16 after relu1_2, 2_2, 3_3, 4_3 and 5_3, with LPIPS's scaling of its input."""

    def __init__(self, scaling: nn.Module, net: nn.Module) -> None:
        super().__init__()
        self.scaling, self.net = scaling, net

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Frames (n, 3, h, w) in [-1, 1], h and w of at least 16."""
        return list(self.net(self.scaling(frames)))


def load(path: Path) -> FeatureDistance:
    """LPIPS with the trunk from `path`, a state dict of torchvision's `vgg16`."""
    import lpips

    vgg = torch.load(path, map_location="cpu", weights_only=True)
    beside = Path(lpips.__file__).parent / _HEADS
    heads = torch.load(beside, map_location="cpu", weights_only=True)
    model = _without_weights(lpips)
    state = {name: vgg[_in_torchvision(name)] for name in model.net.state_dict()}
    model.net.load_state_dict(state, assign=True)
    weights = [heads[f"lin{i}.model.1.weight"].flatten() for i in range(model.L)]
    protocol = (
        f"LPIPS 0.1 (package {_version()}), VGG-16 {NETWORKS['lpips-vgg'].sha256[:12]}, "
        "frames as they are"
    )
    return FeatureDistance("lpips-vgg", protocol, Trunk(lpips.ScalingLayer(), model.net), weights)


def _without_weights(lpips: Any) -> Any:
    """The package's model on no device: nothing is drawn, nothing is downloaded."""
    with warnings.catch_warnings(), torch.device("meta"):
        # The package calls torchvision by an argument that has another name now.
        warnings.simplefilter("ignore", UserWarning)
        return lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)


def _in_torchvision(name: str) -> str:
    """`slice3.10.weight` of lpips is torchvision's `features.10.weight`."""
    return f"features.{name.partition('.')[2]}"


def _version() -> str:
    from importlib.metadata import version

    return version("lpips")
