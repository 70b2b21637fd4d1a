from __future__ import annotations

import pytest
import torch

from vitok_core.config import LossConfig
from vitok_core.errors import UserError
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid
from vitok_core.objectives.reconstruction import reconstruction_loss


def posterior() -> Posterior:
    generator = torch.Generator().manual_seed(0)
    return Posterior.from_moments(torch.randn(2, 4, 10, generator=generator), Grid(1, 2, 2))


def test_the_loss_is_mse_plus_mean_kl() -> None:
    x, y = torch.rand(2, 2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    loss = reconstruction_loss(x, y, posterior(), LossConfig(kl=0.5))
    kl = posterior().kl()
    torch.testing.assert_close(loss.total, (x - y).square().mean() + 0.5 * kl.mean())
    torch.testing.assert_close(loss.terms["loss"], loss.total)
    assert set(loss.terms) == {"loss", "loss_rec", "loss_kl", "kl_sum"}


def test_both_forms_of_the_kl_are_named() -> None:
    x = torch.zeros(2, 3, 1, 8, 8)
    terms = reconstruction_loss(x, x, posterior(), LossConfig()).terms
    # A sum weighs L·c = 4·5 times a mean.
    torch.testing.assert_close(terms["kl_sum"], 20 * terms["loss_kl"])


def test_a_standard_normal_code_costs_nothing() -> None:
    normal = Posterior.from_moments(torch.zeros(1, 4, 10), Grid(1, 2, 2))
    assert float(normal.kl().abs().max()) == 0.0


def test_the_perceptual_term_is_refused() -> None:
    x = torch.zeros(1, 3, 1, 8, 8)
    config = LossConfig(perceptual="lpips-vgg", perceptual_weight=1.0)
    with pytest.raises(UserError, match="not built in this release"):
        reconstruction_loss(x, x, posterior(), config)
