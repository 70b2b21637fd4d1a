"""Resizing 8-bit images for the networks that look at them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bicubic(images: Tensor, size: int, rounded: bool = True) -> Tensor:
    """Images (b, 3, h, w) uint8 at size×size px, antialiased; float values, and the images
    themselves where they have that size.

    Args:
        rounded: to 8 bits again, as Pillow does; else they may leave 0..255, as jax's resize has
            them.
    """
    if images.shape[-2:] == (size, size):
        return images
    resized = F.interpolate(images.float(), (size, size), mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255) if rounded else resized
