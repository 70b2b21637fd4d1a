"""DINOv2's ViT-L/14, whose Fréchet distance follows people's judgement (Stein et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.metrics.features import Outputs
from vitok_core.metrics.resize import bicubic
from vitok_core.metrics.vit import ViT, normalised, renamed

INPUT = 224  # pixels
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# DINOv2's own positions for other sizes than its 518 px are stretched by (n + 0.1)/37 for n
# patches a side: an old workaround for rounding that its features came to depend on.
_OFFSET = 0.1

_NAMES = {
    "patch_embed.proj": "patch",
    "cls_token": "token",
    "pos_embed": "positions",
    ".attn.qkv": ".qkv",
    ".attn.proj": ".project",
    ".mlp.": ".",
    ".ls1.gamma": ".scale1",
    ".ls2.gamma": ".scale2",
}


class DinoV2(nn.Module):
    """The class token after the last norm; evaluation only."""

    classes = None
    prepared = f"{INPUT}px bicubic, 8-bit"

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        own = renamed({k: v for k, v in weights.items() if k != "mask_token"}, _NAMES)
        patches = INPUT // own["patch.weight"].shape[-1]
        own["token"] = own["token"].flatten()
        own["positions"] = stretched(own["positions"][0], patches)
        self.vit = ViT(own, "dinov2")
        self.layers = {"": len(own["token"])}

    def prepare(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w) uint8 at 224×224 px, normalised as on ImageNet."""
        return normalised(bicubic(images, INPUT), _MEAN, _DEVIATION)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Outputs:
        """Look at prepared images (b, 3, 224, 224)."""
        return Outputs({"": self.vit(x)})


def stretched(positions: Tensor, patches: int) -> Tensor:
    """Positions (1 + m², d) of m×m patches for patches×patches; the first is the class token's."""
    side = round((len(positions) - 1) ** 0.5)
    if side == patches:
        return positions
    grid = positions[1:].reshape(side, side, -1).permute(2, 0, 1)[None]
    scale = (patches + _OFFSET) / side
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([positions[:1], grid[0].flatten(1).T])


def load(path: Path) -> DinoV2:
    """The network with the weights of `path`, DINOv2's backbone file."""
    return DinoV2(torch.load(path, map_location="cpu", weights_only=True))
