"""The flow on Gaussian data: its best velocity and its paths are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vitok_core.diffusion.objectives import BASE_SIZE, Flow
from vitok_core.diffusion.sampling import integrate
from vitok_core.diffusion.schedule import shifted

MEAN, SD = 1.5, 0.6


def best_velocity(x: Tensor, t: Tensor) -> Tensor:
    """E[noise - data | x] of x = (1-t)·data + t·noise with data from N(MEAN, SD²)."""
    share = t[:, None, None] / 1000
    variance = (1 - share) ** 2 * SD**2 + share**2
    covariance = share - (1 - share) * SD**2
    return -MEAN + covariance / variance * (x - (1 - share) * MEAN)


def error(solver: str, steps: int, size: int = BASE_SIZE) -> float:
    x = torch.randn(10, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = integrate(best_velocity, Flow(size), x, steps, solver)
    return float((found - (MEAN + SD * x)).abs().max())


def test_solvers_end_at_the_data_with_the_order_that_they_have() -> None:
    assert error("euler", 250) < 0.02
    assert error("heun", 50) < 1e-3
    assert error("euler", 40) / error("euler", 160) == pytest.approx(4, rel=0.15)
    assert error("heun", 40) / error("heun", 160) == pytest.approx(16, rel=0.3)


@pytest.mark.parametrize("size", [BASE_SIZE // 16, BASE_SIZE * 16])
def test_shifted_times_end_there_too(size: int) -> None:
    assert error("heun", 200, size) < 1e-3


def test_a_straight_line_to_one_point_needs_one_step() -> None:
    x = torch.randn(3, 2, 2)

    def predict(at: Tensor, t: Tensor) -> Tensor:
        return (at - 7.0) / (t[:, None, None] / 1000)

    torch.testing.assert_close(integrate(predict, Flow(BASE_SIZE), x, 1, "euler"), 0 * x + 7.0)


def test_the_shift_keeps_the_ends_and_what_a_mean_over_values_shows() -> None:
    t = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    assert torch.equal(shifted(t, BASE_SIZE, BASE_SIZE), t)
    assert torch.equal(shifted(t, 16, BASE_SIZE), t)
    for size in (8192, 65_536):
        moved = shifted(t, size, BASE_SIZE)
        assert (float(moved[0]), float(moved[-1])) == (0.0, 1.0)
        # Of a code of n equal values, their mean shows the value with the error t / ((1-t)·√n):
        # it is the same as before the shift (Esser et al., Eq. 23).
        before = 0.3 / (0.7 * BASE_SIZE**0.5)
        after = float(moved[1] / ((1 - moved[1]) * size**0.5))
        assert after == pytest.approx(before)


def test_training_times_fill_the_clock_and_lean_to_noise_for_large_codes() -> None:
    draws = torch.linspace(0, 1 - 1e-9, 10_001, dtype=torch.float64)
    plain, large = Flow(BASE_SIZE).times(draws), Flow(4 * BASE_SIZE).times(draws)
    assert float(plain.mean()) == pytest.approx(500, rel=1e-3)
    assert float(large.median()) == pytest.approx(2000 / 3, rel=1e-3)
    assert float(large.min()) >= 0
    assert float(large.max()) <= 1000


def test_the_path_and_its_loss() -> None:
    objective, x, noise = Flow(BASE_SIZE), torch.randn(3, 2, 2), torch.randn(3, 2, 2)
    t = torch.tensor([0.0, 250.0, 1000.0])
    mixed = objective.mix(x, noise, t)
    torch.testing.assert_close(mixed[0], x[0])
    torch.testing.assert_close(mixed[1], 0.75 * x[1] + 0.25 * noise[1])
    torch.testing.assert_close(mixed[2], noise[2])
    ahead = objective.mix(x, noise, t + 1)
    assert float(objective.losses(1000 * (ahead - mixed), x, noise, t)["loss"]) < 1e-5
