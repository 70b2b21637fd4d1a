"""Frozen networks that turn images into features: what one says of itself, and how it is run.

A feature network is one file: a module of the form `FeatureNetwork` and its loader, and an entry in
the table of `networks.py`. What its features are good for (`sets.py`) is none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vitok_core.context import Context
from vitok_core.data.pixels import to_uint8
from vitok_core.metrics.networks import NETWORKS, Network, open_network

MICRO_BATCH = 4  # a CPU's cache holds the activations of about four 224 px images


@dataclass(frozen=True)
class Outputs:
    """What a network says of a batch of b images, float32.

    Args:
        layers: (b, width) features by the layer's name; "" is the network's own layer.
        logits: (b, classes) of a classifier, else None.
    """

    layers: Mapping[str, Tensor]
    logits: Tensor | None = None


class FeatureNetwork(Protocol):
    """What a loader of the role `features` returns; usually a frozen `nn.Module`."""

    @property
    def layers(self) -> Mapping[str, int]:
        """Width of each layer by its name; the name stands in the names of its scores."""

    @property
    def classes(self) -> int | None:
        """Of its logits; None where it is no classifier."""

    @property
    def prepared(self) -> str:
        """How `prepare` changes images, for protocol strings."""

    def prepare(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w) uint8 of any size as the network's input."""

    def __call__(self, inputs: Tensor) -> Outputs:
        """Look at prepared images; without gradients."""

    def to(self, device: torch.device) -> FeatureNetwork:
        """The network on that device."""


@dataclass(frozen=True)
class Extractor:
    """A feature network of the table, loaded onto this job's device."""

    network: Network
    model: FeatureNetwork
    device: torch.device

    @classmethod
    def open(cls, name: str, context: Context) -> Extractor:
        """Load a network of the table; UserError where its weights are absent or not the pinned."""
        device = torch.device(context.machine.device)
        model: FeatureNetwork = open_network(name, "features", context.paths.weights)
        return cls(NETWORKS[name], model.to(device), device)

    @property
    def protocol(self) -> str:
        """Network, weights and input, for protocol strings."""
        return f"{self.network.name} {self.network.sha256[:12]}, {self.model.prepared}"

    def outputs(self, images: Tensor) -> Outputs:
        """Look at images (b, 3, h, w), uint8 or floats in [-1, 1], which are rounded to 8 bits."""
        size = MICRO_BATCH if self.device.type == "cpu" else len(images)
        if self.network.truncates:
            images = truncated(images)
        elif images.is_floating_point():
            images = to_uint8(images)
        batches = torch.split(images, size)
        parts = [self.model(self.model.prepare(each.to(self.device))) for each in batches]
        layers = {
            name: torch.cat([part.layers[name] for part in parts]) for name in parts[0].layers
        }
        logits = [part.logits for part in parts if part.logits is not None]
        return Outputs(layers, torch.cat(logits) if logits else None)


def truncated(images: Tensor) -> Tensor:
    """Images cut to 8 bits as in the authors' released evaluator, whose originals take the way
    through [-1, 1] too and lose a grey level here and there."""
    if not images.is_floating_point():
        images = (images.float() / 255.0 - 0.5) / 0.5
    return ((images * 0.5 + 0.5) * 255.0).clamp(0, 255).to(torch.uint8)
