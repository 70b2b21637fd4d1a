"""DDIM on Gaussian data, whose best denoiser is known: the samples must be the data's again."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from vitok_core.diffusion.objectives import Diffusion, NoisePrediction, VPrediction
from vitok_core.diffusion.sampling import Predict, ddim, ddim_step
from vitok_core.diffusion.schedule import ALPHA_BARS, spaced

MEAN, SD = 1.5, 0.6


def best_noise(x: Tensor, t: Tensor) -> Tensor:
    """E[noise | x] where the data are N(MEAN, SD²)."""
    bar = ALPHA_BARS[t.long()][:, None, None].float()
    return (1 - bar).sqrt() * (x - bar.sqrt() * MEAN) / (bar * SD**2 + 1 - bar)


def best_v(x: Tensor, t: Tensor) -> Tensor:
    """E[√ᾱ·noise - √(1-ᾱ)·data | x], from x = √ᾱ·data + √(1-ᾱ)·noise."""
    bar = ALPHA_BARS[t.long()][:, None, None].float()
    noise = best_noise(x, t)
    return bar.sqrt() * noise - (1 - bar).sqrt() * (x - (1 - bar).sqrt() * noise) / bar.sqrt()


def start(n: int = 50, side: int = 20) -> Tensor:
    return torch.randn(n, side, side, generator=torch.Generator().manual_seed(0))


def draws(step: int) -> Tensor:
    return torch.randn(50, 20, 20, generator=torch.Generator().manual_seed(step + 1))


BOTH = pytest.mark.parametrize(
    ("objective", "predict"), [(NoisePrediction(), best_noise), (VPrediction(), best_v)]
)


@BOTH
def test_each_noise_flows_to_its_own_sample(objective: Diffusion, predict: Predict) -> None:
    """The deterministic path has a closed form: a normal's quantile stays what it is."""
    x, bar = start(), float(ALPHA_BARS[-1])
    # The noise stands for √ᾱ·data + √(1-ᾱ)·noise at the last time.
    quantile = (x - bar**0.5 * MEAN) / (bar * SD**2 + 1 - bar) ** 0.5
    exact = MEAN + SD * quantile
    errors = {}
    for steps in (50, 250, 1000):
        found = ddim(predict, objective, x, steps, 0.0, draws)
        errors[steps] = float((found - exact).abs().max())
    assert errors[250] < 0.03
    # Of first order: the last steps are short of the rest by the first beta alone.
    assert errors[50] / errors[250] == pytest.approx(5, rel=0.3)
    assert errors[250] / errors[1000] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_mean_and_variance_are_the_data_s(eta: float) -> None:
    found = ddim(best_noise, NoisePrediction(), start(), 250, eta, draws)
    values = found.flatten().double()
    # 20,000 values: four standard errors, and what 250 steps are short of.
    assert float(values.mean()) == pytest.approx(MEAN, abs=4 * SD / 20_000**0.5 + 0.005)
    assert float(values.std()) == pytest.approx(SD, rel=4 / 40_000**0.5 + 0.01)


def test_full_variance_forgets_where_it_began_and_none_does_not() -> None:
    other = -start()
    for eta, apart in ((0.0, True), (1.0, False)):
        pair = [ddim(best_noise, NoisePrediction(), x, 250, eta, draws) for x in (start(), other)]
        assert (float((pair[0] - pair[1]).abs().mean()) > 0.5) == apart


@pytest.mark.parametrize("time", [1, 2, 500, 999])
def test_a_step_of_full_variance_is_the_posterior_s(time: int) -> None:
    """η = 1 to the time before is DDPM: q(x_{t-1} | x_t, data) by Bayes' rule."""
    bar, before = float(ALPHA_BARS[time]), float(ALPHA_BARS[time - 1])
    alpha = bar / before  # x_t = √α·x_{t-1} + √(1-α)·noise
    x, data = 0.7, 0.2
    precision = 1 / (1 - before) + alpha / (1 - alpha)
    mean = (before**0.5 * data / (1 - before) + alpha**0.5 * x / (1 - alpha)) / precision
    noise = (x - bar**0.5 * data) / (1 - bar) ** 0.5
    found, sigma = ddim_step(
        torch.tensor(x, dtype=torch.float64), torch.tensor(noise), bar, before, 1.0
    )
    assert float(found) == pytest.approx(mean, rel=1e-6)
    assert sigma == pytest.approx(precision**-0.5, rel=1e-9)


def test_respaced_times() -> None:
    assert spaced(1000) == list(range(999, -1, -1))
    assert spaced(1) == [999]
    # improved-diffusion's space_timesteps(1000, [10])
    assert spaced(10) == [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]
    times = spaced(250)
    assert times == [round(k * 999 / 249) for k in range(249, -1, -1)]
    assert {a - b for a, b in pairwise(times)} == {4, 5}
    for steps in (0, 1001):
        with pytest.raises(ValueError, match="1 to 1000 steps"):
            spaced(steps)


def test_the_schedule_s_ends() -> None:
    assert float(ALPHA_BARS[0]) == pytest.approx(0.9999)
    # Σ log(1 - β) by hand: -Σβ - Σβ²/2 - Σβ³/3 over an arithmetic series.
    first, last, n = 1e-4, 0.02, 1000
    step = (last - first) / (n - 1)
    betas = [first + k * step for k in range(n)]
    log = -sum(betas) - sum(b**2 for b in betas) / 2 - sum(b**3 for b in betas) / 3
    assert float(ALPHA_BARS[-1].log()) == pytest.approx(log, rel=1e-5)
