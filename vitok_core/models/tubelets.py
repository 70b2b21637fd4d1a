"""Clips as sequences of tubelets: the 3D convolutions of ViTok written as matrix products.

A convolution whose kernel equals its stride reads every pixel once, so it is one linear map on each
tubelet of q·p·p pixels. The values of a tubelet are ordered as `Conv3d`'s weight is, (3, q, p, p);
hence `Linear.weight.view(d, 3, q, p, p)` is the weight of the equal `nn.Conv3d`, and the transposed
weight of the unembedding that of the equal `nn.ConvTranspose3d`. The product is here for its form,
which `init: pca` fills as a matrix, not for speed: at inference it takes about as long.
"""

from __future__ import annotations

from typing import NamedTuple

from einops import rearrange
from torch import Tensor


class Grid(NamedTuple):
    """How many tubelets a clip has along time, height and width."""

    t: int
    h: int
    w: int

    @property
    def tokens(self) -> int:
        """L = T/q · H/p · W/p."""
        return self.t * self.h * self.w


def grid_of(frames: int, height: int, width: int, stride: int, patch: int) -> Grid:
    """The grid of tubelets of a T×H×W clip; raises ValueError where they do not tile it."""
    if frames % stride or height % patch or width % patch:
        raise ValueError(
            f"tubelets of {stride}x{patch}x{patch} do not tile a {frames}x{height}x{width} clip"
        )
    return Grid(frames // stride, height // patch, width // patch)


def to_tubelets(x: Tensor, stride: int, patch: int) -> Tensor:
    """Cut clips (b, 3, t, h, w) into tubelets (b, l, 3·q·p·p), in raster order over (t, y, x)."""
    pattern = "b c (t q) (h p1) (w p2) -> b (t h w) (c q p1 p2)"
    return rearrange(x, pattern, q=stride, p1=patch, p2=patch)


def from_tubelets(values: Tensor, grid: Grid, stride: int, patch: int) -> Tensor:
    """Put tubelets (b, l, 3·q·p·p) back together as clips (b, 3, t, h, w)."""
    pattern = "b (t h w) (c q p1 p2) -> b c (t q) (h p1) (w p2)"
    axes = {"t": grid.t, "h": grid.h, "w": grid.w}
    return rearrange(values, pattern, q=stride, p1=patch, p2=patch, **axes)
