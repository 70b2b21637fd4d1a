"""Eq. 1 without its adversarial term, against torch and the closed form of the KL."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from vitok_core.config import LossConfig
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid
from vitok_core.objectives.reconstruction import reconstruction_loss

NAME = "efficientnet-lite0"


def posterior() -> Posterior:
    generator = torch.Generator().manual_seed(0)
    return Posterior.from_moments(torch.randn(2, 4, 10, generator=generator), Grid(1, 2, 2))


def pair(frames: int = 1) -> tuple[Tensor, Tensor]:
    x, y = torch.rand(2, 2, 3, frames, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, y


def nats() -> Tensor:
    """By torch's own formula: (2, 4, 5)."""
    q = posterior()
    return kl_divergence(Normal(q.mean, (0.5 * q.logvar).exp()), Normal(0.0, 1.0))


class Brightness:
    """A perceptual network by hand: how far a frame's mean is off."""

    name, protocol = NAME, "mean"

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        assert output.shape[1:] == (3, 8, 8)
        return (output - target).mean((1, 2, 3)).abs()


@pytest.mark.parametrize("kind", ["l1", "l2"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_is_error_plus_kl(kind: Any, reduction: Any) -> None:
    """An L1 that is asked for is not an L2, and neither silently takes the other's place."""
    x, y = pair()
    config = LossConfig(reconstruction=kind, kl=0.5, kl_reduction=reduction)
    loss = reconstruction_loss(x, y, posterior(), config)
    error = (x - y).abs().mean() if kind == "l1" else (x - y).square().mean()
    kl = nats().mean() if reduction == "mean" else nats().sum() / 2  # 2 clips
    torch.testing.assert_close(loss.total, error + 0.5 * kl)
    torch.testing.assert_close(loss.terms["loss"], loss.total)
    torch.testing.assert_close(loss.terms["loss_rec"], error)
    assert set(loss.terms) == {"loss", "loss_rec", "loss_kl", "kl_sum"}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_both_forms_of_the_kl_are_named(reduction: Any) -> None:
    x = torch.zeros(2, 3, 1, 8, 8)
    terms = reconstruction_loss(x, x, posterior(), LossConfig(kl_reduction=reduction)).terms
    # A sum weighs L·c = 4·5 times a mean.
    torch.testing.assert_close(terms["kl_sum"], 20 * terms["loss_kl"])
    torch.testing.assert_close(terms["loss_kl"], nats().mean())


def test_a_standard_normal_code_costs_nothing() -> None:
    normal = Posterior.from_moments(torch.zeros(1, 4, 10), Grid(1, 2, 2))
    assert float(normal.kl().abs().max()) == 0.0


def test_the_perceptual_term_is_weighted_and_taken_per_frame() -> None:
    x, y = pair(frames=3)
    config = LossConfig(kl=0.0, perceptual=NAME, perceptual_weight=0.25)
    loss = reconstruction_loss(x, y, posterior(), config, Brightness())
    per_frame = (x - y).mean((1, 3, 4)).abs().mean()
    torch.testing.assert_close(loss.terms["loss_perceptual"], per_frame)
    torch.testing.assert_close(loss.total, (x - y).square().mean() + 0.25 * per_frame)
    assert not any(term.requires_grad for term in loss.terms.values())


@pytest.mark.parametrize(("named", "network"), [(NAME, None), (None, Brightness())])
def test_no_term_is_left_out_in_silence(named: Any, network: Any) -> None:
    x, y = pair()
    config = LossConfig(perceptual=named, perceptual_weight=1.0 if named else 0.0)
    with pytest.raises(ValueError, match="perceptual network"):
        reconstruction_loss(x, y, posterior(), config, network)
