"""Metrics of users' own: functions (originals, reconstructions) → one value per image, averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vitok_core import plugins
from vitok_core.config import ExtraMetric
from vitok_core.context import Context
from vitok_core.errors import UserError


class Extra:
    """One metric's mean over a set, gathered batch by batch in float64.

    Its function takes two tensors (b, 3, h, w) uint8 and returns (b,) finite values.
    """

    def __init__(self, config: ExtraMetric) -> None:
        self.config = config
        self._function: Callable[[Tensor, Tensor], Tensor] = plugins.load(
            config.code, config.sha256
        )
        self._sum, self._images = 0.0, 0

    @torch.no_grad()
    def add(self, originals: Tensor, rebuilt: Tensor) -> None:
        """Take in one batch; UserError where the function does not return what it should."""
        values = self._function(originals, rebuilt)
        if not isinstance(values, Tensor) or values.shape != (len(originals),):
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise UserError(
                f"evaluation.extra: {self.config.name} returns {got}, expected one value for each "
                f"image, ({len(originals)},)"
            )
        if not bool(values.isfinite().all()):
            raise UserError(f"evaluation.extra: {self.config.name} returns what is no number")
        self._sum += float(values.double().sum())
        self._images += len(values)

    def report(self, measured: str, context: Context) -> None:
        """The mean, with the package's version and source as its protocol."""
        config = self.config
        source = f"{config.code} {config.version}, source {config.sha256[: plugins.KEY_DIGITS]}"
        how = f"{source}; per image then mean, 8-bit; N={self._images}"
        context.result(config.name, self._sum / self._images, f"{how}; {measured}")
