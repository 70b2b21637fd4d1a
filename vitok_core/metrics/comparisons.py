"""Scores that compare each reconstruction with its original: a value per pair, averaged over a set.

Adding one is a function (reconstructions, originals) → one value per image, and a line in
`comparisons`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.metrics.extra import Extra
from vitok_core.metrics.perceptual import Perceptual
from vitok_core.metrics.pixels import (
    MS_SSIM_PROTOCOL,
    PSNR_PROTOCOL,
    SSIM_PROTOCOL,
    ms_ssim,
    psnr,
    ssim,
)


class Comparison(Protocol):
    """Gathers a set's pairs batch by batch."""

    def add(self, originals: Tensor, rebuilt: Tensor) -> None:
        """Take in one batch, both (b, 3, h, w) uint8."""

    def report(self, measured: str, context: Context) -> None:
        """Report its results; `measured` says on which data, for protocols."""


class Mean:
    """The mean over images of what `function` gives for each, in float64.

    Args:
        name: of the result.
        how: the protocol before the data.
        function: (reconstructions, originals), both (b, 3, h, w) uint8 → (b,).
    """

    def __init__(self, name: str, how: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.name, self.how, self._function = name, how, function
        self._sum, self._images = 0.0, 0

    def add(self, originals: Tensor, rebuilt: Tensor) -> None:
        """Take in one batch."""
        self._sum += float(self._function(rebuilt, originals).double().sum())
        self._images += len(originals)

    def report(self, measured: str, context: Context) -> None:
        """The mean over all images."""
        context.result(self.name, self._sum / self._images, f"{self.how}; {measured}")


def comparisons(evaluation: EvaluationConfig, context: Context) -> list[Comparison]:
    """What an evaluation compares originals with reconstructions by."""
    return [
        Mean("rPSNR", PSNR_PROTOCOL, psnr),
        Mean("rSSIM", SSIM_PROTOCOL, ssim),
        *([Mean("rMS-SSIM", MS_SSIM_PROTOCOL, ms_ssim)] if evaluation.ms_ssim else []),
        *(Perceptual(name, context) for name in evaluation.perceptual),
        *(Extra(each) for each in evaluation.extra),
    ]
