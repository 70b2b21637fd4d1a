"""Scores that compare each reconstruction with its original: a value per pair, averaged over a set.

Adding one is a function (reconstructions, originals) → one value per image, and a line in
`comparisons`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Context
from vitok_core.metrics import extra, perceptual
from vitok_core.metrics.pixels import (
    MS_SSIM_PROTOCOL,
    PSNR_PROTOCOL,
    SSIM_PROTOCOL,
    ms_ssim,
    psnr,
    ssim,
)

Values = NDArray[np.float64]


class Comparison:
    """The mean over images of what `function` gives for each, in float64.

    Args:
        name: of the result.
        how: the protocol before the data.
        function: (reconstructions, originals), both (b, 3, h, w) uint8 → (b,).
        counted: whether the protocol says how many images there were.
    """

    def __init__(
        self, name: str, how: str, function: Callable[[Tensor, Tensor], Tensor], counted: bool
    ) -> None:
        self.name, self.how, self.counted = name, how, counted
        self._function = function
        self._sum, self._images = 0.0, 0

    def look(self, originals: Tensor, rebuilt: Tensor) -> Values:
        """The values (b,) of one batch, both (b, 3, h, w) uint8."""
        values: Values = self._function(rebuilt, originals).double().cpu().numpy()
        return values

    def add(self, values: Values) -> None:
        """Take in a batch's values, in the set's order: one by one, so that batches change no bit
        of the sum."""
        for value in values.tolist():
            self._sum += value
        self._images += len(values)

    def report(self, measured: str, context: Context) -> None:
        """The mean over all images; `measured` says of which data, for the protocol."""
        parts = [self.how, *([f"N={self._images}"] if self.counted else []), measured]
        context.result(self.name, self._sum / self._images, "; ".join(parts))


def comparisons(evaluation: EvaluationConfig, context: Context) -> list[Comparison]:
    """What an evaluation compares originals with reconstructions by."""
    found = [
        Comparison("rPSNR", PSNR_PROTOCOL, psnr, counted=False),
        Comparison("rSSIM", SSIM_PROTOCOL, ssim, counted=False),
    ]
    if evaluation.ms_ssim:
        found.append(Comparison("rMS-SSIM", MS_SSIM_PROTOCOL, ms_ssim, counted=False))
    for name in evaluation.perceptual:
        how, distance = perceptual.opened(name, context)
        found.append(Comparison(perceptual.named(name), how, distance, counted=True))
    for config in evaluation.extra:
        how, function = extra.opened(config)
        found.append(Comparison(config.name, how, function, counted=True))
    return found
