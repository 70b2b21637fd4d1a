"""Counts the pretrained tokenizers of the table: `python -m vitok_core.baselines.count`.

Each is built with random weights on torch's meta device (nothing is allocated), from its public
configuration, and one image is encoded and decoded. The convention is the paper's, as in
`vitok_core.cost`: multiply-accumulates of all products (convolutions, linear layers, QKᵀ and AV),
and normalisations at 5 operations an element; not softmax, activations or resizing. Parameters are
those of both ways, without those of a discriminator or loss.

Diffusers brings all networks but Cosmos's, which are counted layer by layer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitok_core.baselines.table import KNOWN

NORM_OPERATIONS = 5  # per element
_NORMS = ("GroupNorm", "LayerNorm", "RMSNorm", "BatchNorm2d")

# Stable Diffusion's; sdxl-vae differs in its weights alone.
_SD: Mapping[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}


def _dc_ae(channels: int, wider: tuple[int, ...]) -> Mapping[str, Any]:
    """dc-ae-f32c32-in-1.0, or with the blocks `wider` behind it."""
    blocks = 3 + len(wider)
    return {
        "latent_channels": channels,
        "encoder_block_types": ("ResBlock",) * 3 + ("EfficientViTBlock",) * blocks,
        "decoder_block_types": ("ResBlock",) * 3 + ("EfficientViTBlock",) * blocks,
        "encoder_block_out_channels": (128, 256, 512, 512, 1024, 1024, *wider),
        "decoder_block_out_channels": (128, 256, 512, 512, 1024, 1024, *wider),
        "encoder_layers_per_block": (0, 4, 8, *(2,) * blocks),
        "decoder_layers_per_block": (0, 5, 10, *(2,) * blocks),
        "encoder_qkv_multiscales": ((),) * (3 + blocks),
        "decoder_qkv_multiscales": ((),) * (3 + blocks),
        "decoder_norm_types": ("batch_norm",) * 3 + ("rms_norm",) * blocks,
        "decoder_act_fns": ("relu",) * 3 + ("silu",) * blocks,
    }


CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "sd-vae": {**_SD, "latent_channels": 4},
    "sd-vae-ft-ema": {**_SD, "latent_channels": 4},
    "sdxl-vae": {**_SD, "latent_channels": 4},
    "sd3-vae": {
        **_SD, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False,
    },
    "oai-consistency": {},  # the class's defaults
    "dc-ae-f32c32": _dc_ae(32, ()),
    "dc-ae-f64c128": _dc_ae(128, (2048,)),
}  # fmt: skip


@dataclass(frozen=True)
class Count:
    """Of encoder and decoder together; multiply-accumulates of one image."""

    parameters: int
    macs: int


def count(name: str, *resolutions: int) -> list[Count]:
    """A tokenizer of the table at these resolutions; needs diffusers for all but Cosmos's."""
    known = KNOWN[name]
    if name.startswith("cosmos-ci"):
        return [_cosmos(known.factor, side) for side in resolutions]
    with torch.device("meta"):
        model = getattr(import_module("diffusers"), known.kind)(**CONFIGURATIONS[name]).eval()
    parameters = sum(each.numel() for each in model.parameters())
    return [Count(parameters, _macs(known.kind, model, side)) for side in resolutions]


def _macs(kind: str, model: nn.Module, resolution: int) -> int:
    normalised = 0

    def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal normalised
        normalised += inputs[0].numel()

    norms = [each for each in model.modules() if type(each).__name__ in _NORMS]
    hooks = [each.register_forward_pre_hook(add) for each in norms]
    images = torch.zeros(1, 3, resolution, resolution, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as products:
        _forward(kind, model, images)
    for hook in hooks:
        hook.remove()
    return int(products.get_total_flops()) // 2 + NORM_OPERATIONS * normalised


def _forward(kind: str, model: Any, images: Tensor) -> None:
    if kind == "AutoencoderDC":
        model.decode(model.encode(images).latent)
    elif kind == "AutoencoderKL":
        model.decode(model.encode(images).latent_dist.mode())
    else:
        _consistency(model, images)


def _consistency(model: Any, images: Tensor) -> None:
    """Both evaluations of its U-Net, on the picture and the code at its size; without the
    scheduler, whose tables must have values."""
    code = model.encode(images).latent_dist.mode()
    noisy = torch.cat([images, nn.functional.interpolate(code, images.shape[-1])], dim=1)
    for _ in range(2):
        model.decoder_unet(noisy, torch.zeros(1, dtype=torch.int64, device="meta"))


@dataclass(frozen=True)
class _Layers:
    """Sums over the layers of a convolutional network: (parameters, multiply-accumulates)."""

    found: list[tuple[int, int]]

    def convolution(self, inputs: int, outputs: int, side: int, kernel: int = 3) -> None:
        weights = inputs * outputs * kernel**2
        self.found.append((weights + outputs, weights * side**2))

    def norm(self, channels: int, side: int) -> None:
        self.found.append((2 * channels, NORM_OPERATIONS * channels * side**2))

    def residual(self, inputs: int, outputs: int, side: int) -> None:
        """Norm, 3×3, norm, 3×3, and 1×1 beside them where the width changes."""
        for before in (inputs, outputs):
            self.norm(before, side)
            self.convolution(before, outputs, side)
        if inputs != outputs:
            self.convolution(inputs, outputs, side, kernel=1)

    def middle(self, channels: int, side: int) -> None:
        """Residual block, attention over all places, residual block."""
        self.residual(channels, channels, side)
        self.norm(channels, side)
        for _ in range(4):  # q, k, v, out
            self.convolution(channels, channels, side, kernel=1)
        self.found.append((0, 2 * side**4 * channels))  # QKᵀ and AV
        self.residual(channels, channels, side)


def resnet_autoencoder(
    resolution: int,
    patch: int,
    first: int,
    widths: tuple[int, ...],
    halvings: int,
    blocks: int,
    code: tuple[int, int],
) -> Count:
    """Latent Diffusion's convolutional auto-encoder, Cosmos's too.

    Args:
        patch: side of the pixels that one place has at first.
        first: channels behind the first convolution; `widths`: of each level.
        halvings: levels that are followed by one.
        blocks: residual blocks of an encoder's level; a decoder's has one more.
        code: channels that the encoder gives, and that the decoder takes.
    """
    layers, side, width = _Layers([]), resolution // patch, first
    given, taken = code
    layers.convolution(3 * patch**2, first, side)
    for level, wide in enumerate(widths):
        for _ in range(blocks):
            layers.residual(width, wide, side)
            width = wide
        if level < halvings:
            side //= 2
            layers.convolution(width, width, side)
    layers.middle(width, side)
    layers.norm(width, side)
    layers.convolution(width, given, side)
    layers.convolution(given, given, side, kernel=1)
    layers.convolution(taken, taken, side, kernel=1)
    layers.convolution(taken, width, side)
    layers.middle(width, side)
    for level, wide in reversed(list(enumerate(widths))):
        for _ in range(blocks + 1):
            layers.residual(width, wide, side)
            width = wide
        if level >= len(widths) - halvings:
            side *= 2
            layers.convolution(width, width, side)
    layers.norm(width, side)
    layers.convolution(width, 3 * patch**2, side)
    return Count(sum(each for each, _ in layers.found), sum(each for _, each in layers.found))


def _cosmos(factor: int, resolution: int) -> Count:
    """Continuous image: Haar patches of 4×4, 128·(2, 4, 4) channels, 16 in the code."""
    return resnet_autoencoder(
        resolution, 4, 128, (256, 512, 512), (factor // 4).bit_length() - 1, 2, (16, 16)
    )


if __name__ == "__main__":
    for name in KNOWN:
        found = count(name, 256, 512)
        line = {"name": name, "parameters": found[0].parameters, "macs": [n.macs for n in found]}
        sys.stdout.write(json.dumps(line) + "\n")
