"""Metrics of users' own: functions (originals, reconstructions) → one value per image, averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vitok_core import plugins
from vitok_core.config import ExtraMetric
from vitok_core.errors import UserError


def opened(config: ExtraMetric) -> tuple[str, Callable[[Tensor, Tensor], Tensor]]:
    """A metric's protocol (the package's version and source), and its values (b,) of pairs
    (reconstructions, originals), both (b, 3, h, w) uint8.

    The values raise UserError where the function does not return what it should.
    """
    function: Callable[[Tensor, Tensor], Tensor] = plugins.load(config.code, config.sha256)

    @torch.no_grad()
    def values(rebuilt: Tensor, originals: Tensor) -> Tensor:
        found = function(originals, rebuilt)
        if not isinstance(found, Tensor) or found.shape != (len(originals),):
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UserError(
                f"evaluation.extra: {config.name} returns {got}, expected one value for each "
                f"image, ({len(originals)},)"
            )
        if not bool(found.isfinite().all()):
            raise UserError(f"evaluation.extra: {config.name} returns what is no number")
        return found

    source = f"{config.code} {config.version}, source {config.sha256[: plugins.KEY_DIGITS]}"
    return f"{source}; per image then mean, 8-bit", values
