"""What a discriminator costs, by formula and by torch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitok_core.cost import discriminator_macs

discriminator = pytest.importorskip("vitok_core.models.discriminator")


@pytest.mark.parametrize(("resolution", "width"), [(64, 64), (32, 32), (64, 8)])
def test_multiply_accumulates(resolution: int, width: int) -> None:
    """The formula leaves out blurs and linear maps: 6% of a narrow one, 1% of the paper's."""
    model = discriminator.Discriminator(resolution, width, torch.Generator())
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 3, 1, resolution, resolution))
    counted = counter.get_total_flops() / 2 / 2
    assert 1.0 <= counted / discriminator_macs(width, resolution) < 1.08
    assert discriminator_macs(width, resolution, frames=3) == 3 * discriminator_macs(
        width, resolution
    )
