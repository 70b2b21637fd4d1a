"""Inception of 2015-12-05, the standard network of FID, KID and IS, as in torch-fidelity.

The weights are TensorFlow's, ported; TensorFlow's ways remain: its first bilinear resize, average
pools that do not count the padding, a maximum in the last block's pool, 1008 logits. Layers carry
the names of the weights' file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.metrics.features import Outputs

INPUT = 299  # pixels
WIDTH = 2048
CLASSES = 1008
_BATCH_NORM_EPS = 1e-3


class Conv(NamedTuple):
    """A convolution of a branch: its name, channels, kernel and stride. Strided ones do not pad."""

    name: str
    channels: int
    kernel: tuple[int, int]
    stride: int = 1

    @property
    def padding(self) -> tuple[int, int]:
        """Half the kernel, so that an unstrided convolution keeps the size."""
        return (0, 0) if self.stride > 1 else (self.kernel[0] // 2, self.kernel[1] // 2)


# A branch is a chain of steps: a convolution, two beside each other, or a pool.
_Step = Conv | tuple[Conv, Conv] | str
_Branches = Sequence[Sequence[_Step]]


def _chain(name: str, *steps: tuple[int, int, int], stride: int = 1) -> list[Conv]:
    """Convolutions `name_1`, `name_2`, … of (channels, rows, columns), the last one strided."""
    strides = [1] * (len(steps) - 1) + [stride]
    return [
        Conv(f"{name}_{i + 1}", channels, (rows, columns), strides[i])
        for i, (channels, rows, columns) in enumerate(steps)
    ]


def _one(name: str, channels: int) -> Conv:
    return Conv(name, channels, (1, 1))


def _fork(name: str, channels: int) -> tuple[Conv, Conv]:
    return Conv(f"{name}a", channels, (1, 3)), Conv(f"{name}b", channels, (3, 1))


def _block_a(pooled: int) -> _Branches:
    return (
        [_one("branch1x1", 64)],
        _chain("branch5x5", (48, 1, 1), (64, 5, 5)),
        _chain("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        ["mean", _one("branch_pool", pooled)],
    )


def _block_c(k: int) -> _Branches:
    twice = ((k, 1, 1), (k, 7, 1), (k, 1, 7), (k, 7, 1), (192, 1, 7))
    return (
        [_one("branch1x1", 192)],
        _chain("branch7x7", (k, 1, 1), (k, 1, 7), (192, 7, 1)),
        _chain("branch7x7dbl", *twice),
        ["mean", _one("branch_pool", 192)],
    )


def _block_e(pool: str) -> _Branches:
    return (
        [_one("branch1x1", 320)],
        [_one("branch3x3_1", 384), _fork("branch3x3_2", 384)],
        [*_chain("branch3x3dbl", (448, 1, 1), (384, 3, 3)), _fork("branch3x3dbl_3", 384)],
        [pool, _one("branch_pool", 192)],
    )


_BLOCKS: Mapping[str, tuple[int, _Branches]] = {
    "Mixed_5b": (192, _block_a(32)),
    "Mixed_5c": (256, _block_a(64)),
    "Mixed_5d": (288, _block_a(64)),
    "Mixed_6a": (
        288,
        (
            [Conv("branch3x3", 384, (3, 3), 2)],
            _chain("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3), stride=2),
            ["halve"],
        ),
    ),
    "Mixed_6b": (768, _block_c(128)),
    "Mixed_6c": (768, _block_c(160)),
    "Mixed_6d": (768, _block_c(160)),
    "Mixed_6e": (768, _block_c(192)),
    "Mixed_7a": (
        768,
        (
            _chain("branch3x3", (192, 1, 1), (320, 3, 3), stride=2),
            _chain("branch7x7x3", (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3), stride=2),
            ["halve"],
        ),
    ),
    "Mixed_7b": (1280, _block_e("mean")),
    "Mixed_7c": (2048, _block_e("max")),
}


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, entry: int, conv: Conv, padding: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entry, conv.channels, conv.kernel, conv.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(conv.channels, eps=_BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Branches over one input, side by side."""

    def __init__(self, entry: int, branches: _Branches) -> None:
        super().__init__()
        self.branches = branches
        for branch in branches:
            channels = entry
            for step in branch:
                if isinstance(step, str):
                    continue
                beside = [step] if isinstance(step, Conv) else list(step)
                for conv in beside:
                    self.add_module(conv.name, Unit(channels, conv, conv.padding))
                channels = sum(conv.channels for conv in beside)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for branch in self.branches:
            y = x
            for step in branch:
                y = self._step(y, step)
            outputs.append(y)
        return torch.cat(outputs, 1)

    def _step(self, x: Tensor, step: _Step) -> Tensor:
        if step == "mean":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if step == "max":
            return F.max_pool2d(x, 3, 1, 1)
        if step == "halve":
            return F.max_pool2d(x, 3, 2)
        if isinstance(step, Conv):
            return cast(Tensor, self.get_submodule(step.name)(x))
        return torch.cat([self._step(x, cast(Conv, conv)) for conv in step], 1)


class Inception2015(nn.Module):
    """The network up to its 1008 logits; evaluation only."""

    layers: ClassVar[Mapping[str, int]] = {"": WIDTH}
    classes = CLASSES
    prepared = f"{INPUT}px TF1 bilinear"

    def __init__(self) -> None:
        super().__init__()
        whole, half = (0, 0), (1, 1)
        self.Conv2d_1a_3x3 = Unit(3, Conv("", 32, (3, 3), 2), whole)
        self.Conv2d_2a_3x3 = Unit(32, Conv("", 32, (3, 3)), whole)
        self.Conv2d_2b_3x3 = Unit(32, Conv("", 64, (3, 3)), half)
        self.Conv2d_3b_1x1 = Unit(64, Conv("", 80, (1, 1)), whole)
        self.Conv2d_4a_3x3 = Unit(80, Conv("", 192, (3, 3)), whole)
        for name, (entry, branches) in _BLOCKS.items():
            self.add_module(name, Mixed(entry, branches))
        self.fc = nn.Linear(WIDTH, CLASSES)
        self.eval().requires_grad_(False)

    def prepare(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w) uint8 at 299×299 px, in [-1, 1)."""
        return (resize_as_tensorflow1(images, INPUT) - 128) / 128

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Outputs:
        """Look at prepared images (b, 3, 299, 299)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, 2)
        for name in _BLOCKS:
            x = self.get_submodule(name)(x)
        features = F.adaptive_avg_pool2d(x, 1).flatten(1)
        # The Inception Score is taken of logits without their bias, as it always was.
        return Outputs({"": features}, features @ self.fc.weight.T)


def resize_as_tensorflow1(images: Tensor, size: int) -> Tensor:
    """Images (b, 3, h, w) at size×size px by the bilinear resize of TensorFlow 1: float32.

    Pixel i looks at place i · h/size, so that the picture shifts by half a pixel, and nothing is
    smoothed where it shrinks.
    """
    x = images.float()
    for axis in (3, 2):
        before = x.shape[axis]
        place = torch.arange(size, dtype=torch.float32, device=x.device)
        place = place * torch.tensor(before / size, dtype=torch.float32)
        low = place.long()
        share = (place - low).reshape(-1, *[1] * (3 - axis))
        lower = x.index_select(axis, low)
        upper = x.index_select(axis, (low + 1).clamp_max(before - 1))
        x = lower + (upper - lower) * share
    return x


def load(path: Path) -> Inception2015:
    """The network with the weights of `path`, torch-fidelity's and pytorch-fid's file."""
    network = Inception2015()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network
