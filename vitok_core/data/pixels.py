"""The pixel convention: uint8 0..255 in data and metrics, float32 in [-1, 1] at the model.

And that of shape: data and metrics have images (b, 3, h, w) where T = 1 and clips (b, 3, t, h, w)
where it is more; the model has clips alone.
"""

from __future__ import annotations

import torch


def to_model(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 → float32 in [-1, 1], any shape. `to_uint8` gives back the very same bytes."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float in [-1, 1] → uint8 0..255, clipped and rounded (never truncated), any shape."""
    return images.to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def as_clips(samples: torch.Tensor) -> torch.Tensor:
    """Images as clips of one frame, (b, 3, 1, h, w); clips as they are."""
    return samples.unsqueeze(2) if samples.ndim == 4 else samples


def as_samples(clips: torch.Tensor) -> torch.Tensor:
    """Clips of one frame as images: undoes `as_clips`."""
    return clips.squeeze(2) if clips.shape[2] == 1 else clips


def as_images(samples: torch.Tensor) -> torch.Tensor:
    """All frames as images, (b·t, 3, h, w), clip by clip; images as they are."""
    if samples.ndim == 4:
        return samples
    return samples.transpose(1, 2).flatten(0, 1)


def as_shaped(images: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Frames (b·t, 3, h, w), clip by clip, in the shape of `samples`: undoes `as_images`."""
    if samples.ndim == 4:
        return images.contiguous()
    return images.reshape(len(samples), -1, *images.shape[1:]).transpose(1, 2).contiguous()
