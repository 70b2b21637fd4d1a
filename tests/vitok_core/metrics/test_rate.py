"""The rate of codes whose posterior is known."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from recording import RecordingContext
from scipy.fft import dctn
from sklearn.decomposition import PCA
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
        rate.add(rate.look(Posterior(mean[start:stop], logvar[start:stop], GRID)))
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


def test_the_effective_rank_of_known_spectra() -> None:
    draws = torch.Generator().manual_seed(2)
    mean = torch.randn(40, 6, 5, generator=draws).double()
    tokens = mean.flatten(0, 1)
    white = (tokens - tokens.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(tokens.T.cov())).T
    code = white.view_as(mean)
    assert rate_of(code, torch.zeros_like(code), 7).effective_rank == pytest.approx(5, abs=1e-9)
    # Two equal directions, in any basis, beside one of a quarter of their variance.
    turn = torch.linalg.qr(torch.randn(5, 5, generator=draws).double())[0]
    scaled = code * torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0]).double() @ turn
    shares = [4 / 9, 4 / 9, 1 / 9]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    rate = rate_of(scaled + 1e3, torch.zeros_like(code), 1, 30)
    assert rate.effective_rank == pytest.approx(expected, rel=1e-6)
    oracle = PCA().fit(scaled.flatten(0, 1).numpy()).explained_variance_ * 239 / 240
    assert rate.eigenvalues.tolist() == pytest.approx(oracle.tolist(), abs=1e-9)


def test_a_constant_code_has_rank_one_and_no_frequencies() -> None:
    flat = torch.full((4, 6, 5), 3.0)
    rate = rate_of(flat, torch.zeros_like(flat))
    assert (rate.effective_rank, rate.high_frequency_share) == (1.0, 0.0)


def test_frequencies_are_scipys(context: RecordingContext) -> None:
    grid = Grid(2, 4, 6)
    mean = torch.randn(7, grid.tokens, 3, generator=torch.Generator().manual_seed(3))
    rate = Rate(3, PIXELS)
    for part in (mean[:3], mean[3:]):
        rate.add(rate.look(Posterior(part, torch.zeros_like(part), grid)))
    frames = mean.double().view(7, 2, 4, 6, 3).numpy()
    power = (dctn(frames, axes=(2, 3), norm="ortho") ** 2).sum((0, 1, 4))
    power[0, 0] = 0.0
    v, u = np.meshgrid(np.arange(4) / 3, np.arange(6) / 5, indexing="ij")
    high = power[np.hypot(v, u) / math.sqrt(2) >= 0.5].sum() / power.sum()
    assert rate.high_frequency_share == pytest.approx(high, rel=1e-12)
    within = frames - frames.mean((2, 3), keepdims=True)
    assert power.sum() == pytest.approx(np.square(within).sum(), rel=1e-12)  # nothing is lost

    rate.report("measured", context)
    ((path, kind),) = context.artifacts_made
    spectrum = json.loads(path.read_text())
    assert kind == "spectrum"
    assert spectrum["variance"] == pytest.approx(frames.reshape(-1, 3).var(0).tolist(), rel=1e-9)
    assert spectrum["posterior_variance"] == pytest.approx([1.0] * 3)
    bands = spectrum["frequencies"]
    assert bands[0]["from"] == 0.0
    assert bands[0]["power"] == pytest.approx(np.square(frames.mean((2, 3))).sum() * 24 / 14)


def test_a_checkerboard_is_all_high_and_a_ramp_mostly_low() -> None:
    grid = Grid(1, 8, 8)
    i, j = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    shares = []
    for picture in ((-1.0) ** (i + j), i.float()):
        rate = Rate(1, PIXELS)
        code = picture.reshape(1, 64, 1)
        rate.add(rate.look(Posterior(code, torch.zeros_like(code), grid)))
        shares.append(rate.high_frequency_share)
    assert shares[0] == pytest.approx(1.0, abs=0.2)
    assert shares[1] == pytest.approx(0.0, abs=0.01)


def test_tokens_without_a_grid_have_no_frequencies() -> None:
    code = torch.randn(2, 6, 5)
    latent = Rate(5, PIXELS, spatial=False)
    latent.add(latent.look(Posterior(code, torch.zeros_like(code), GRID)))
    masked = Rate(5, PIXELS)
    masked.add(masked.look(Posterior(code, torch.zeros_like(code), GRID).keep(4)))
    column = Rate(5, PIXELS)
    column.add(column.look(Posterior(code, torch.zeros_like(code), Grid(1, 6, 1))))
    for each in (latent, masked, column):
        assert each.high_frequency_share is None
