"""The adversarial terms against their formulas, and R1 on discriminators with known gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vitok_core.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty

REAL, FAKE = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 2.0])


def test_hinge() -> None:
    # max(0, 1 - real): 0, .5, 2; max(0, 1 + fake): 0, 1, 3.
    assert float(discriminator_loss("hinge", REAL, FAKE)) == pytest.approx(2.5 / 3 + 4 / 3)
    assert float(generator_loss("hinge", FAKE)) == pytest.approx(1 / 3)


def test_non_saturating_is_the_cross_entropy_of_real_and_fake() -> None:
    wanted = F.binary_cross_entropy_with_logits(REAL, torch.ones(3))
    wanted += F.binary_cross_entropy_with_logits(FAKE, torch.zeros(3))
    torch.testing.assert_close(discriminator_loss("non_saturating", REAL, FAKE), wanted)
    fooled = F.binary_cross_entropy_with_logits(FAKE, torch.ones(3))
    torch.testing.assert_close(generator_loss("non_saturating", FAKE), fooled)
    undecided = discriminator_loss("non_saturating", torch.zeros(1), torch.zeros(1))
    assert float(undecided) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("kind", ["hinge", "non_saturating"])
def test_both_sides_pull_apart(kind: Any) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    discriminator_loss(kind, real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert bool((real.grad <= 0).all() and (fake.grad >= 0).all())
    fake.grad = None
    generator_loss(kind, fake).backward()
    assert bool((fake.grad < 0).all())


def test_r1_of_a_linear_discriminator_is_half_its_squared_weight() -> None:
    weight = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def linear(x: Tensor) -> Tensor:
        return (x * weight).sum((1, 2, 3, 4))

    real = torch.randn(5, 3, 2, 4, 4)
    penalty = r1_penalty(linear, real)
    torch.testing.assert_close(penalty, 0.5 * weight.square().sum())
    penalty.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(weight.grad, weight.detach())  # d(w²/2) = w


def test_r1_is_a_mean_over_frames() -> None:
    def square(x: Tensor) -> Tensor:  # a frame's score is the sum of its squares
        return x.permute(2, 0, 1, 3, 4).flatten(0, 1).square().sum((1, 2, 3))

    real = torch.randn(2, 3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    # ∇ = 2x, so ½‖∇‖² = 2‖x‖² per frame, of which there are 2·3.
    torch.testing.assert_close(r1_penalty(square, real), 2 * real.square().sum() / 6)
    assert not real.requires_grad
