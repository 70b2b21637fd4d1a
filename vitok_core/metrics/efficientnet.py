"""EfficientNet-Lite0, the ImageNet classifier that serves where no Inception or VGG is to be had.

Architecture after Google's EfficientNet-Lite release: no squeeze-excitation, ReLU6, TensorFlow's
"same" padding, batch norm with ε = 1e-3. For speed on CPUs batch norms are folded into their
convolutions, 1×1 convolutions run as matrix products, and the asymmetric padding of strided
convolutions is folded into a kernel that is one larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.metrics.features import Outputs
from vitok_core.metrics.resize import bicubic

INPUT = 224  # pixels
WIDTH = 1280
STAGE_WIDTH = 112  # mean features of the last block at 14×14, for sets smaller than WIDTH
CLASSES = 1000

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_MAP_BLOCKS = (0, 2, 4, 10, 15)  # the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input
_BATCH_NORM_EPS = 1e-3


class EfficientNetLite0(nn.Module):
    """The network with folded weights; evaluation only."""

    layers: ClassVar[Mapping[str, int]] = {"": WIDTH, str(STAGE_WIDTH): STAGE_WIDTH}
    classes = CLASSES
    prepared = f"{INPUT}px bicubic, 8-bit"

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stem = _folded(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(_Block(weights, i, s) for i, s in enumerate(_STRIDES))
        self.head = _folded(weights, "_conv_head", "_bn1")
        self.classifier = nn.Linear(WIDTH, CLASSES)
        self.classifier.load_state_dict(
            {"weight": weights["_fc.weight"], "bias": weights["_fc.bias"]}
        )
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def prepare(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w) uint8 at the network's size, in [0, 255]."""
        return bicubic(images, INPUT)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Outputs:
        """Look at images (b, 3, 224, 224) in [0, 255], any float or integer type."""
        *_, stage, last = self.maps(images)
        features = F.relu6(_apply(self.head, last)).mean((2, 3))
        layers = {"": features, str(STAGE_WIDTH): stage.mean((2, 3))}
        return Outputs(layers, self.classifier(features))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps (b, k, h/s, w/s) at strides s = 2, 4, 8, 16, 32, k = 16, 24, 40, 112, 320.

        Args:
            images: (b, 3, h, w) in [0, 255], multiples of 32 px; gradients pass through to them.
        """
        x = (images.float() - 127.0) / 128.0
        x = F.relu6(_apply(self.stem, x.contiguous(memory_format=torch.channels_last)))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _MAP_BLOCKS:
                maps.append(x)
        return maps


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, weights: Mapping[str, Tensor], index: int, stride: int) -> None:
        super().__init__()
        name = f"_blocks.{index}."
        depthwise = f"{name}_depthwise_conv"
        expands = f"{name}_expand_conv.weight" in weights
        self.expand = _folded(weights, f"{name}_expand_conv", f"{name}_bn0") if expands else None
        width = weights[f"{depthwise}.weight"].shape[0]
        self.depthwise = _folded(weights, depthwise, f"{name}_bn1", stride, groups=width)
        self.project = _folded(weights, f"{name}_project_conv", f"{name}_bn2")
        entry = self.expand.in_channels if self.expand is not None else width
        self.residual = stride == 1 and entry == self.project.out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(_apply(self.expand, x), inplace=True)
        y = _apply(self.project, F.relu6(self.depthwise(y), inplace=True))
        return y.add_(x) if self.residual else y


def _folded(
    weights: Mapping[str, Tensor], conv: str, norm: str, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution with its batch norm folded in, exact to float32 rounding."""
    spread = (weights[f"{norm}.running_var"].double() + _BATCH_NORM_EPS).sqrt()
    scale = weights[f"{norm}.weight"].double() / spread
    kernel = weights[f"{conv}.weight"].double() * scale[:, None, None, None]
    bias = weights[f"{norm}.bias"].double() - weights[f"{norm}.running_mean"].double() * scale
    size = kernel.shape[-1]
    if stride == 2:
        # TensorFlow pads (k - 2) // 2 before and (k - 1) // 2 after: one less before.
        kernel = F.pad(kernel, (1, 0, 1, 0))
    folded = nn.Conv2d(
        kernel.shape[1] * groups, kernel.shape[0], kernel.shape[-1], stride, (size - 1) // 2,
        groups=groups,
    )  # fmt: skip
    with torch.no_grad():
        folded.weight.copy_(kernel)
        cast(Tensor, folded.bias).copy_(bias)
    return folded


def _apply(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """`conv(x)`; a 1×1 convolution as a product over channels-last pixels."""
    if conv.kernel_size != (1, 1):
        return cast(Tensor, conv(x))
    y = F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias)
    return y.permute(0, 3, 1, 2)


def load(path: Path) -> EfficientNetLite0:
    """The network from `path`, a state dict with `efficientnet_lite_pytorch`'s names."""
    return EfficientNetLite0(torch.load(path, map_location="cpu", weights_only=True))
