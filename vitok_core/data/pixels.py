"""The pixel convention: uint8 0..255 in data and metrics, float32 in [-1, 1] at the model."""

from __future__ import annotations

import torch


def to_model(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 → float32 in [-1, 1], any shape. `to_uint8` gives back the very same bytes."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float in [-1, 1] → uint8 0..255, clipped and rounded (never truncated), any shape."""
    return images.to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
