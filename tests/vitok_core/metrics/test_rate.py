"""The rate of codes whose posterior is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from vitok_core.metrics.rate import Rate
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid

GRID = Grid(1, 2, 3)
PIXELS = 16 * 24


def rate_of(mean: Tensor, logvar: Tensor, *cuts: int) -> Rate:
    rate = Rate(mean.shape[-1], PIXELS)
    for start, stop in pairwise([0, *cuts, len(mean)]):
        rate.add(Posterior(mean[start:stop], logvar[start:stop], GRID))
    return rate


def test_a_code_that_is_the_prior_says_nothing() -> None:
    zero = torch.zeros(4, 6, 5)
    rate = rate_of(zero, zero)
    assert rate.bits_per_pixel == 0.0
    assert rate.active_channels == 0


def test_a_known_posterior_in_closed_form() -> None:
    # Per element: ½ (μ² + σ² − 1 − ln σ²) nats, with μ = 2 and σ² = ¼.
    mean, logvar = torch.full((3, 6, 5), 2.0), torch.full((3, 6, 5), math.log(0.25))
    nats = 6 * 5 * 0.5 * (4 + 0.25 - 1 + math.log(4))
    assert rate_of(mean, logvar).bits_per_pixel == pytest.approx(
        nats / math.log(2) / PIXELS, rel=1e-6
    )


def test_any_posterior_agrees_with_torch_under_any_batching() -> None:
    draws = torch.Generator().manual_seed(0)
    mean = torch.randn(7, 6, 5, generator=draws)
    logvar = torch.randn(7, 6, 5, generator=draws) - 3
    q = Normal(mean.double(), (0.5 * logvar.double()).exp())
    per_image = kl_divergence(q, Normal(0.0, 1.0)).sum((1, 2))
    expected = float(per_image.mean()) / math.log(2) / PIXELS
    for cuts in ((), (3,), (1, 2, 6)):
        rate = rate_of(mean, logvar, *cuts)
        assert rate.bits_per_pixel == pytest.approx(expected, rel=1e-6)
        assert rate.active_channels == 5


def test_active_channels_are_those_whose_mean_varies() -> None:
    draws = torch.Generator().manual_seed(1)
    unit = torch.randn(50, 6, 1, generator=draws)
    unit = (unit - unit.mean()) / unit.std()
    # Standard deviations on both sides of √0.01, and a constant far from zero.
    mean = torch.cat([unit * s for s in (1.0, 0.11, 0.09, 1e-4)] + [unit * 0 + 30], dim=-1)
    assert rate_of(mean, torch.zeros_like(mean)).active_channels == 2
    # Noise is not activity, and neither is an offset: 1e4 ± 0.11 is active still.
    shifted = mean.double() + 1e4
    assert rate_of(shifted, torch.full_like(shifted, 5.0), 9, 20).active_channels == 2


def test_a_channel_that_varies_over_places_only_is_active() -> None:
    mean = torch.zeros(4, 6, 2)
    mean[:, :, 0] = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    assert rate_of(mean, torch.zeros_like(mean), 1).active_channels == 1
