"""StyleGAN2's residual discriminator (Karras et al. 2020), which judges single frames (§3.4).

Weights are drawn from N(0, 1) and scaled at run time (equalised learning rate). Everything is
averaged with the filter [1, 3, 3, 1] before it is halved.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.judging import GROUP, LEAST_RESOLUTION

MOST_CHANNELS = 512
_TAPS = (1.0, 3.0, 3.0, 1.0)
_SLOPE, _GAIN = 0.2, math.sqrt(2)


class Discriminator(nn.Module):
    """One score per frame: high where it takes the frame for a real one.

    Args:
        resolution: height and width of the frames, at least 8. It is halved (rounding down) until
            4 to 7 are left.
        width: channels at full resolution; they double with every halving, up to 512.
        generator: what the weights are drawn from.
    """

    def __init__(self, resolution: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        if resolution < LEAST_RESOLUTION:
            raise ValueError(f"the discriminator needs {LEAST_RESOLUTION} px, not {resolution}")
        halvings = resolution.bit_length() - 3
        channels = [min(MOST_CHANNELS, width << i) for i in range(halvings + 1)]
        last, side = channels[-1], resolution >> halvings
        self.from_rgb = EqualConv(3, channels[0], 1)
        self.blocks = nn.ModuleList(map(Residual, channels[:-1], channels[1:]))
        self.conv = EqualConv(last + 1, last, 3)
        self.hidden = EqualLinear(last * side * side, last)
        self.score = EqualLinear(last, 1)
        for module in self.modules():
            if isinstance(module, EqualConv | EqualLinear):
                nn.init.normal_(module.weight, generator=generator)

    def forward(self, clips: Tensor) -> Tensor:
        """Scores (t·b,) in float32 of the frames of clips (b, 3, t, h, w) in [-1, 1]."""
        time = clips.shape[2]
        x = clips.permute(2, 0, 1, 3, 4).flatten(0, 1)  # (t·b, 3, h, w)
        x = _leaky(self.from_rgb(x))
        for block in self.blocks:
            x = block(x)
        x = torch.cat([x, spread(x, time)], 1)
        x = _leaky(self.conv(x))
        x = _leaky(self.hidden(x.flatten(1)))
        return cast(Tensor, self.score(x).flatten().float())


class Residual(nn.Module):
    """Two convolutions beside a linear path; half as many pixels a side come out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3)
        self.skip = EqualConv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, k, h, w) → (n, k', h // 2, w // 2)."""
        y = _leaky(self.first(x))
        y = _leaky(self.second(blur(y, 2), stride=2, padding=0))
        return cast(Tensor, y + self.skip(blur(x, 1, stride=2))) / math.sqrt(2)


class EqualConv(nn.Module):
    """A convolution whose weight is divided by the square root of its fan-in at run time."""

    def __init__(self, inputs: int, outputs: int, size: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1.0 / math.sqrt(inputs * size * size)
        self.padding = size // 2

    def forward(self, x: Tensor, stride: int = 1, padding: int | None = None) -> Tensor:
        """(n, k, h, w); padded to keep the size unless told otherwise."""
        padding = self.padding if padding is None else padding
        return F.conv2d(x, self.weight * self.scale, self.bias, stride, padding)


class EqualLinear(nn.Module):
    """A linear map whose weight is divided by the square root of its fan-in at run time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1.0 / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, k) → (n, k')."""
        return F.linear(x, self.weight * self.scale, self.bias)


def blur(x: Tensor, padding: int, stride: int = 1) -> Tensor:
    """Filter (n, k, h, w) by [1, 3, 3, 1]/8 in both directions; zeros beyond the border."""
    taps = torch.tensor(_TAPS, dtype=x.dtype, device=x.device) / sum(_TAPS)
    channels = x.shape[1]
    down = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    across = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    x = F.conv2d(x, down, None, (stride, 1), (padding, 0), groups=channels)
    return F.conv2d(x, across, None, (1, stride), (0, padding), groups=channels)


def spread(x: Tensor, time: int = 1) -> Tensor:
    """Minibatch standard deviation: one more channel (t·b, 1, h, w), float32.

    Within each group of `GROUP` consecutive clips, and at each of the `time` frames, the standard
    deviation over the clips, averaged over channels and pixels. The last group may be smaller.
    """
    n, _, h, w = x.shape
    means = []
    clips = x.float().reshape(time, n // time, *x.shape[1:])  # (t, b, k, h, w)
    for group in torch.split(clips, GROUP, dim=1):  # (t, g, k, h, w)
        deviation = (group.var(1, correction=0) + 1e-8).sqrt()  # (t, k, h, w)
        means.append(deviation.mean((1, 2, 3))[:, None].expand(-1, group.shape[1]))
    return torch.cat(means, 1).reshape(n, 1, 1, 1).expand(n, 1, h, w)


def _leaky(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance of its input about the same."""
    return F.leaky_relu(x, _SLOPE) * _GAIN
