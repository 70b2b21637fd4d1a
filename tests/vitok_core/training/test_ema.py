"""Averaged weights against the loop that defines them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vitok_core.training.ema import Ema


def test_it_is_the_loop_that_defines_it() -> None:
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 2)
    weights = [torch.randn(2, 3, generator=generator) for _ in range(6)]
    with torch.no_grad():
        model.weight.copy_(weights[0])
    ema, wanted = Ema(model, 0.7), weights[0].double()
    for each in weights[1:]:
        with torch.no_grad():
            model.weight.copy_(each)
        ema.update()
        wanted = 0.7 * wanted + 0.3 * each.double()
    torch.testing.assert_close(ema.averages["weight"].double(), wanted, rtol=1e-6, atol=1e-6)
    assert torch.equal(model.weight, weights[-1])  # the model itself is left alone


def test_constant_weights_are_their_own_average_for_good() -> None:
    model = nn.Linear(4, 4)
    ema = Ema(model, 0.9999)
    before = ema.averages["weight"].clone()
    for _ in range(1000):
        ema.update()
    torch.testing.assert_close(ema.averages["weight"], before, rtol=0, atol=0)


def test_what_is_frozen_is_not_followed_and_a_state_is_taken_up() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    ema = Ema(model, 0.5)
    assert set(ema.averages) == {"1.weight", "1.bias"}
    state = {name: torch.full_like(p, 3.0) for name, p in model.state_dict().items()}
    ema.load(state)
    assert bool((ema.averages["1.weight"] == 3).all())
    with pytest.raises(KeyError):
        ema.load({"1.weight": state["1.weight"]})
