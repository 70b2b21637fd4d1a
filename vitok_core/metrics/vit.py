"""The plain ViT of which DINOv2 and CLIP's image tower are two: pre-norm blocks, a class token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HEAD = 64  # width of an attention head, in both families at every size


class Block(nn.Module):
    """Attention and feed-forward, each scaled per channel."""

    def __init__(self, width: int, hidden: int, eps: float, quick: bool) -> None:
        super().__init__()
        self.quick = quick
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps) for _ in range(2))
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.scale1, self.scale2 = (nn.Parameter(torch.ones(width)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """x (b, l, d)."""
        qkv = self.qkv(self.norm1(x)).unflatten(2, (3, -1, _HEAD))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (b, heads, l, 64) each
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.scale1 * self.project(y)
        y = self.fc1(self.norm2(x))
        # OpenAI's approximation of GELU, or GELU itself.
        y = y * torch.sigmoid(1.702 * y) if self.quick else F.gelu(y)
        output: Tensor = x + self.scale2 * self.fc2(y)
        return output


class ViT(nn.Module):
    """From images to the class token's features; the sizes are those of the weights.

    Args:
        weights: named as this module's parameters; positions for the input's patches. Without
            `scale1` and `scale2` a block's branches are not scaled.
        kind: epsilon of the norms, the activation, and whether a norm stands before the blocks.
    """

    def __init__(self, weights: Mapping[str, Tensor], kind: Literal["dinov2", "clip"]) -> None:
        super().__init__()
        width, _, patch, _ = weights["patch.weight"].shape
        hidden = len(weights["blocks.0.fc1.weight"])
        depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
        clip = kind == "clip"
        eps = 1e-5 if clip else 1e-6
        self.patch = nn.Conv2d(3, width, patch, patch, bias=not clip)
        self.token = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(weights["positions"].shape))
        self.before = nn.LayerNorm(width, eps) if clip else nn.Identity()
        self.blocks = nn.Sequential(*(Block(width, hidden, eps, clip) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps)
        scales = {name: value for name, value in self.state_dict().items() if "scale" in name}
        self.load_state_dict({**scales, **weights})
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (b, 3, h, w) → (b, width)."""
        x = self.patch(images).flatten(2).mT  # (b, h·w/p², d)
        x = torch.cat([self.token.expand(len(x), 1, -1), x], 1) + self.positions
        features: Tensor = self.norm(self.blocks(self.before(x))[:, 0])
        return features


def renamed(weights: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights in float32 with parts of their names replaced, in the order given."""
    found = {}
    for name, value in weights.items():
        for old, new in names.items():
            name = name.replace(old, new)
        found[name] = value.float()
    return found


def normalised(images: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    """Images (b, 3, h, w) in [0, 255] as a network wants them, per channel."""
    middle, spread = (
        torch.tensor(each, device=images.device).view(3, 1, 1) for each in (mean, deviation)
    )
    return (images / 255.0 - middle) / spread
