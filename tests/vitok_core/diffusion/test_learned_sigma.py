"""Nichol & Dhariwal's hybrid loss against the divergences of torch's own distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vitok_core.diffusion.objectives import NoisePrediction, variational_bound
from vitok_core.diffusion.schedule import ALPHA_BARS, BETAS

SHAPE = (3, 2, 4)


def random(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, NOISE, PREDICTED = random(0), random(1), random(2)
PLACE = random(3).tanh()


def posterior(data: torch.Tensor, noised: torch.Tensor, time: int) -> Normal:
    """q(x_{t-1} | x_t, data) by its published coefficients (Ho et al. 2020, Eq. 7)."""
    bar, before, beta = ALPHA_BARS[time], ALPHA_BARS[time - 1], BETAS[time]
    mean = before.sqrt() * beta * data + (1 - beta).sqrt() * (1 - before) * noised
    return Normal(mean / (1 - bar), (beta * (1 - before) / (1 - bar)).sqrt())


@pytest.mark.parametrize("time", [1, 30, 999])
def test_the_bound_is_the_divergence_of_the_steps(time: int) -> None:
    bar, times = ALPHA_BARS[time], torch.full((3,), time)
    noised = bar.sqrt() * X + (1 - bar).sqrt() * NOISE
    guess = (noised - (1 - bar).sqrt() * PREDICTED) / bar.sqrt()
    true, model = posterior(X, noised, time), posterior(guess, noised, time)
    share = (PLACE + 1) / 2  # Eq. 15: of log β, the rest of log β̃
    log_variance = share * BETAS[time].log() + (1 - share) * 2 * model.scale.log()
    model = Normal(model.mean, (0.5 * log_variance).exp())
    expected = kl_divergence(true, model).mean((1, 2)) / math.log(2)
    found = variational_bound(PREDICTED, PLACE, X, NOISE, times)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_last_step_is_scored_by_its_density() -> None:
    bar, times = ALPHA_BARS[0], torch.zeros(3)
    noised = bar.sqrt() * X + (1 - bar).sqrt() * NOISE
    guess = (noised - (1 - bar).sqrt() * PREDICTED) / bar.sqrt()
    # From β down to the posterior variance of the step before it, for its own posterior has none.
    least = posterior(X, noised, 1).scale
    for place, scale in ((1.0, BETAS[0].sqrt()), (-1.0, least)):
        density = Normal(guess, scale).log_prob(X).mean((1, 2))
        found = variational_bound(PREDICTED, torch.full(SHAPE, place), X, NOISE, times)
        torch.testing.assert_close(found, -density / math.log(2), rtol=1e-4, atol=1e-5)


def test_the_bound_is_zero_only_where_both_are_right() -> None:
    times = torch.tensor([5, 100, 900])
    right = variational_bound(NOISE, -torch.ones(SHAPE), X, NOISE, times)
    assert float(right.abs().max()) < 1e-6
    assert float(variational_bound(NOISE, PLACE, X, NOISE, times).min()) > 0


def test_the_mean_learns_from_the_squared_error_alone() -> None:
    times, objective = torch.tensor([0.0, 40.0, 800.0]), NoisePrediction(learned_sigma=True)
    output = torch.cat((PREDICTED, PLACE), dim=-1).float().requires_grad_()
    terms = objective.losses(output, X.float(), NOISE.float(), times)
    assert set(terms) == {"loss", "loss_noise", "loss_bound"}
    values = {name: float(value.detach()) for name, value in terms.items()}
    assert values["loss"] == pytest.approx(values["loss_noise"] + values["loss_bound"])
    error = (PREDICTED - NOISE).square().mean()
    assert values["loss_noise"] == pytest.approx(float(error), rel=1e-5)
    (gradient,) = torch.autograd.grad(terms["loss"], output)
    of_noise, of_variance = gradient.double().chunk(2, dim=-1)
    torch.testing.assert_close(of_noise, 2 * (PREDICTED - NOISE) / PREDICTED.numel(), rtol=1e-4,
                               atol=1e-7)  # fmt: skip
    assert bool((of_variance != 0).all())


def test_the_sampler_takes_the_noise_alone() -> None:
    output = torch.cat((PREDICTED, PLACE), dim=-1)
    times = torch.tensor([0.0, 40.0, 800.0])
    assert torch.equal(NoisePrediction(True).noise_of(output, X, times), PREDICTED)
