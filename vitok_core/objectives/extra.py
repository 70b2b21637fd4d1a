"""Losses of users' own: functions (output, target, posterior) → scalar, each with a weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from vitok_core import plugins
from vitok_core.config import LossConfig
from vitok_core.errors import UserError
from vitok_core.models.posterior import Posterior


class ExtraTerm(NamedTuple):
    """One term of the loss beside Eq. 1's."""

    name: str
    weight: float
    function: Callable[[Tensor, Tensor, Posterior], Tensor]

    def value(self, output: Tensor, target: Tensor, posterior: Posterior) -> Tensor:
        """The term, unweighted; UserError where the function returns no scalar tensor."""
        value = self.function(output, target, posterior)
        if not isinstance(value, Tensor) or value.ndim:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"loss.extra: {self.name} returns {got}, expected a scalar tensor")
        return value


def open_extra(config: LossConfig) -> tuple[ExtraTerm, ...]:
    """Import what `loss.extra` names; UserError where its source is not what was planned."""
    return tuple(
        ExtraTerm(each.name, each.weight, plugins.load(each.code, each.sha256))
        for each in config.extra
    )
