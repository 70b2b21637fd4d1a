"""The perceptual term of Eq. 1: a distance between the features of a frozen network.

`lpips-vgg` is LPIPS, the paper's. `efficientnet-lite0` is what the package brings along, for runs
without VGG's weights: no LPIPS, on a scale of its own. For video it is taken per frame (§3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vitok_core.config import LossConfig
from vitok_core.context import Context
from vitok_core.metrics.networks import open_network

_EPS = 1e-10  # as in LPIPS: keeps the direction of a zero vector defined


class PerceptualNetwork(Protocol):
    """A frozen network that tells how far apart frames look."""

    @property
    def name(self) -> str:
        """What `loss.perceptual` calls it."""

    @property
    def protocol(self) -> str:
        """Weights, stages, normalisation and input size, in full."""

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Distance (n,) of frames (n, 3, h, w) in [-1, 1]; the gradient reaches `output` alone."""


class FeatureDistance(nn.Module):
    """Zhang et al. 2018, Eq. 1: at every stage both feature vectors of a position are scaled to
    length 1, the squared difference is summed over channels, weighted by the stage's head, and
    averaged over positions; the stages' values add up.

    Args:
        stages: frames (n, 3, h, w) in [-1, 1] → feature maps, one per stage.
        heads: the channels' weights (k,) of each stage.
    """

    def __init__(
        self, name: str, protocol: str, stages: nn.Module, heads: Sequence[Tensor]
    ) -> None:
        super().__init__()
        self.name, self.protocol = name, protocol
        self.stages = stages
        self.heads = nn.ParameterList(heads)
        self.eval().requires_grad_(False)

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Distance (n,) in float32, whatever precision the network itself runs in."""
        with torch.no_grad():
            wanted = self.stages(target)
        found = self.stages(output)
        with torch.autocast(output.device.type, enabled=False):
            parts = []
            for head, a, b in zip(self.heads, found, wanted, strict=True):
                gap = (_unit(a) - _unit(b)).square()  # (n, k, h', w')
                parts.append((gap * head.view(1, -1, 1, 1)).sum(1).mean((1, 2)))
            return torch.stack(parts).sum(0)


def frames(clips: Tensor) -> Tensor:
    """The frames (t·b, 3, h, w) of clips (b, 3, t, h, w), all clips' first ones first."""
    return clips.permute(2, 0, 1, 3, 4).flatten(0, 1)


def open_perceptual(config: LossConfig, context: Context) -> PerceptualNetwork | None:
    """The network that the loss names, on the job's device; None where it names none.

    Raises:
        UserError: its weights are not on this machine, or are not the pinned ones.
    """
    if config.perceptual is None:
        return None
    network = open_network(config.perceptual, "perceptual", context.paths.weights)
    return cast(PerceptualNetwork, network.to(torch.device(context.machine.device)))


def _unit(features: Tensor) -> Tensor:
    """Feature vectors (n, k, h, w) scaled to length 1 over k."""
    features = features.float()
    return features / (features.square().sum(1, keepdim=True).sqrt() + _EPS)
