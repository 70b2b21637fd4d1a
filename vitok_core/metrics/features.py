"""Features of 8-bit images of any size, and the cached Gaussians of reference sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vitok_core.context import Context
from vitok_core.files import replace_atomically
from vitok_core.metrics.efficientnet import CLASSES, INPUT, STAGE_WIDTH, WIDTH, Outputs
from vitok_core.metrics.frechet import ClassifierScore, Moments, Reference
from vitok_core.metrics.networks import NETWORKS, Network, open_network

MICRO_BATCH = 4  # a CPU's cache holds the activations of about four 224 px images
PREPARED = f"{INPUT}px bicubic, 8-bit"


@dataclass(frozen=True)
class Extractor:
    """A feature network with the images' way into it."""

    network: Network
    model: Callable[[Tensor], Outputs]
    device: torch.device

    @classmethod
    def open(cls, name: str, context: Context) -> Extractor:
        """Load a network of the table; UserError where its weights are absent or not the pinned."""
        device = torch.device(context.machine.device)
        model = open_network(name, "features", context.paths.weights)
        return cls(NETWORKS[name], model.to(device), device)

    @property
    def protocol(self) -> str:
        """Network, weights and input, for protocol strings."""
        return f"{self.network.name} {self.network.sha256[:12]}, {PREPARED}"

    def outputs(self, images: Tensor) -> Outputs:
        """Look at images (b, 3, h, w) uint8."""
        size = MICRO_BATCH if self.device.type == "cpu" else len(images)
        parts = [self.model(prepare(part.to(self.device))) for part in torch.split(images, size)]
        return Outputs(*(torch.cat(each) for each in zip(*parts, strict=True)))


def prepare(images: Tensor) -> Tensor:
    """Resize (b, 3, h, w) uint8 to the network's input; antialiased, rounded to 8 bits again."""
    if images.shape[-2:] == (INPUT, INPUT):
        return images
    resized = F.interpolate(images.float(), (INPUT, INPUT), mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255)


class Statistics:
    """What a set's Fréchet distances and classifier score need, gathered batch by batch."""

    def __init__(self) -> None:
        self.features = Moments(WIDTH)
        self.stage = Moments(STAGE_WIDTH)
        self.score = ClassifierScore(CLASSES)

    def add(self, outputs: Outputs) -> None:
        """Take in one batch."""
        self.features.add(outputs.features.cpu().numpy())
        self.stage.add(outputs.stage.cpu().numpy())
        self.score.add(outputs.logits.cpu().numpy())


@dataclass(frozen=True)
class References:
    """The Gaussians of the original images at both widths."""

    features: Reference
    stage: Reference

    @classmethod
    def of(cls, statistics: Statistics) -> References:
        """Take the roots of both covariances."""
        both = (statistics.features, statistics.stage)
        return cls(*(Reference.of(each.mean, each.covariance) for each in both))


def cached_references(key: str, folder: Path, compute: Callable[[], References]) -> References:
    """The references kept under `key` (all that they depend on), computed where there are none.

    Two processes may compute the same at once: both write the same numbers, atomically.
    """
    path = folder / f"references-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    kept = _read(path)
    if kept is not None:
        return kept
    references = compute()
    folder.mkdir(parents=True, exist_ok=True)
    replace_atomically(path, lambda file: _write(file, references))
    return references


def _read(path: Path) -> References | None:
    try:
        with np.load(path, allow_pickle=False) as data:
            features = Reference(data["features_mean"], data["features_root"])
            return References(features, Reference(data["stage_mean"], data["stage_root"]))
    # Absent or damaged, which surfaces as almost any exception: it is a cache, compute it again.
    except Exception:
        return None


def _write(file: BinaryIO, references: References) -> None:
    np.savez(
        file,
        features_mean=references.features.mean,
        features_root=references.features.root,
        stage_mean=references.stage.mean,
        stage_root=references.stage.root,
    )
