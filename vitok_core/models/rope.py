"""True 3D axial rotary position embedding over (t, y, x), for any even head width.

A head of width D has D/2 rotating pairs. They are dealt to the three axes as evenly as possible:
t gets D/2 // 3, y half of what is left and x the rest (D = 64: 10, 11, 11; D = 72: 12, 12, 12).
Within an axis of n pairs, pair i turns by position · θ^(-i/n). An image is a clip of one frame:
t = 0, so its temporal pairs stand still. Attention then depends on relative positions alone, on
each axis by itself, and a model runs at resolutions that it was not trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vitok_core.models.tubelets import Grid

THETA = 1e4


def split_pairs(head_width: int) -> tuple[int, int, int]:
    """How many of a head's rotating pairs belong to t, y and x."""
    if head_width < 2 or head_width % 2:
        raise ValueError(f"RoPE turns pairs of channels: head width {head_width} is not even")
    pairs = head_width // 2
    temporal = pairs // 3
    vertical = (pairs - temporal) // 2
    return temporal, vertical, pairs - temporal - vertical


def angles(positions: Tensor, head_width: int, theta: float = THETA) -> Tensor:
    """Rotation angles (l, D/2) in radians at the (t, y, x) `positions` (l, 3)."""
    parts = []
    for axis, count in enumerate(split_pairs(head_width)):
        exponent = torch.arange(count, dtype=torch.float64) / max(count, 1)
        parts.append(positions[:, axis, None].double() * theta**-exponent)
    return torch.cat(parts, dim=1)


def grid_positions(grid: Grid) -> Tensor:
    """The (t, y, x) of every token in raster order, (l, 3)."""
    ranges = [torch.arange(size) for size in grid]
    return torch.cartesian_prod(*ranges)


class Rotations:
    """Cosines and sines of a grid, kept once computed: a model meets few grids in its life."""

    def __init__(self, head_width: int) -> None:
        self.head_width = head_width
        self._cache: dict[tuple[Grid, torch.device], tuple[Tensor, Tensor]] = {}

    def at(self, grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
        """(cos, sin) of `grid`, each (l, 1, D/2) in float32, to be broadcast over the heads."""
        if (grid, device) not in self._cache:
            turn = angles(grid_positions(grid), self.head_width)[:, None]
            self._cache[grid, device] = (
                turn.cos().float().to(device),
                turn.sin().float().to(device),
            )
        return self._cache[grid, device]


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the pairs (i, i + D/2) of queries or keys (..., l, heads, D)."""
    cos, sin = rotation
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.type_as(x)
