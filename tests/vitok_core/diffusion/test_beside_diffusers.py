"""Schedule, noising and DDIM beside diffusers' (an oracle of the test extra)."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler

from vitok_core.diffusion.objectives import (
    LOG_POSTERIOR_VARIANCES,
    Diffusion,
    NoisePrediction,
    VPrediction,
)
from vitok_core.diffusion.sampling import ddim
from vitok_core.diffusion.schedule import ALPHA_BARS, BETAS, shifted, spaced

SHAPE = (3, 4, 5)
LINEAR = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}


def random(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def output(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A model, so to speak."""
    return 0.9 * x + torch.sin(3 * x + t[:, None, None] / 100)


def test_the_schedule_is_the_linear_one() -> None:
    theirs = DDIMScheduler(**LINEAR)
    torch.testing.assert_close(BETAS.float(), theirs.betas, rtol=1e-5, atol=0)
    torch.testing.assert_close(ALPHA_BARS.float(), theirs.alphas_cumprod, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("objective", "kind"), [(NoisePrediction(), "epsilon"), (VPrediction(), "v_prediction")]
)
# diffusers steps down by 1000 // n from wherever it is: these are the n at which that is our stride
@pytest.mark.parametrize(
    ("steps", "theirs_n", "eta"), [(1000, 1000, 0.6), (28, 27, 0.0), (28, 27, 0.6), (28, 27, 1.0)]
)
def test_ddim_ends_where_theirs_does(
    objective: Diffusion, kind: str, steps: int, theirs_n: int, eta: float
) -> None:
    theirs = DDIMScheduler(**LINEAR, clip_sample=False, prediction_type=kind)
    theirs.num_inference_steps = theirs_n
    x = start = random(0)
    for number, time in enumerate(spaced(steps)):
        t = torch.full((3,), float(time))
        draw = random(number + 1) if eta else None
        x = theirs.step(output(x, t), time, x, eta=eta, variance_noise=draw).prev_sample
    ours = ddim(output, objective, start, steps, eta, lambda number: random(number + 1))
    torch.testing.assert_close(ours, x, rtol=2e-3, atol=2e-3)


def test_codes_are_noised_and_v_is_made_as_theirs() -> None:
    theirs, times = DDIMScheduler(**LINEAR), torch.tensor([0, 400, 999])
    x, noise = random(0), random(1)
    mixed = NoisePrediction().mix(x, noise, times.float())
    torch.testing.assert_close(mixed, theirs.add_noise(x, noise, times), rtol=1e-4, atol=1e-5)
    v = theirs.get_velocity(x, noise, times)
    assert float(VPrediction().losses(v, x, noise, times)["loss"]) < 1e-9
    torch.testing.assert_close(VPrediction().noise_of(v, mixed, times), noise, rtol=1e-3, atol=1e-4)


def test_posterior_variances_are_theirs() -> None:
    theirs = DDPMScheduler(**LINEAR)
    found = [
        float(theirs._get_variance(time, variance_type="fixed_small")) for time in (1, 50, 999)
    ]
    assert LOG_POSTERIOR_VARIANCES.exp()[[1, 50, 999]].tolist() == pytest.approx(found, rel=1e-4)


def test_a_flows_times_are_shifted_as_theirs() -> None:
    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0)
    t = torch.linspace(1, 0.001, 1000)
    torch.testing.assert_close(shifted(t, 9 * 64, 64), theirs.sigmas, rtol=1e-5, atol=1e-6)
