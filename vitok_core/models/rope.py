"""Rotary positions for any even head width: true 3D axial over (t, y, x), or 1D by raster index.

A head of width D has D/2 rotating pairs. `3d` deals them to the three axes as evenly as possible:
t gets D/2 // 3, y half of what is left and x the rest (D = 64: 10, 11, 11; D = 72: 12, 12, 12).
`1d` gives them all to the raster index, as the authors' released code does. Within an axis of n
pairs, pair i turns by position · θ^(-i/n). An image is a clip of one frame: t = 0, so its temporal
pairs stand still. Attention then depends on relative positions alone, on each axis by itself, and a
model runs at resolutions and lengths that it was not trained on.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vitok_core.models.tubelets import Grid

THETA = 1e4
Rope = Literal["3d", "1d"]


def split_pairs(head_width: int, axes: int = 3) -> tuple[int, ...]:
    """How many of a head's rotating pairs belong to each axis: to t, y and x, or to the index."""
    if head_width < 2 or head_width % 2:
        raise ValueError(f"RoPE turns pairs of channels: head width {head_width} is not even")
    left, split = head_width // 2, []
    for remaining in range(axes, 0, -1):
        split.append(left // remaining)
        left -= split[-1]
    return tuple(split)


def angles(positions: Tensor, head_width: int, theta: float = THETA) -> Tensor:
    """Rotation angles (l, D/2) in radians at the `positions` (l, axes)."""
    parts = []
    for axis, count in enumerate(split_pairs(head_width, positions.shape[1])):
        exponent = torch.arange(count, dtype=torch.float64) / max(count, 1)
        parts.append(positions[:, axis, None].double() * theta**-exponent)
    return torch.cat(parts, dim=1)


def grid_positions(grid: Grid, rope: Rope = "3d") -> Tensor:
    """Where every token in raster order stands: (l, 3) its (t, y, x), or (l, 1) its index."""
    if rope == "1d":
        return torch.arange(grid.tokens)[:, None]
    ranges = [torch.arange(size) for size in grid]
    return torch.cartesian_prod(*ranges)


def spread(places: Tensor, count: int) -> Tensor:
    """The places (count, axes) of tokens spread evenly over the raster order of `places`.

    As many tokens as places stand at the very places; more share them.
    """
    return places[(2 * torch.arange(count) + 1) * len(places) // (2 * count)]


class Rotations:
    """Cosines and sines of a grid, kept once computed: a model meets few grids in its life.

    They are no buffers: nothing of them is saved, and data-parallel training has nothing to sync.

    Args:
        head_width: D.
        rope: how the grid's tokens are placed.
        latents: how many latent tokens follow the grid's; they are spread over its places.
    """

    def __init__(self, head_width: int, rope: Rope = "3d", latents: int = 0) -> None:
        self.head_width, self.rope, self.latents = head_width, rope, latents
        self._cache: dict[tuple[Grid, torch.device], tuple[Tensor, Tensor]] = {}

    def at(self, grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
        """(cos, sin) of `grid`, each (l + latents, 1, D/2) float32, broadcast over heads."""
        if (grid, device) not in self._cache:
            # A tensor born in inference mode would break a training step that met it later.
            with torch.inference_mode(False):
                places = grid_positions(grid, self.rope)
                if self.latents:
                    places = torch.cat((places, spread(places, self.latents)))
                turn = angles(places, self.head_width)[:, None]
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
