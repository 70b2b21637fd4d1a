"""Latent ViTok (§8.3): the code is the latent tokens, and nothing else passes."""

from __future__ import annotations

import pytest
import torch
from small_models import LATENT, clips, drawn, largest, normal, small
from torch import Tensor, nn

from vitok_core.models.latent import LatentViTok, sincos
from vitok_core.models.tubelets import Grid


@pytest.mark.parametrize("variant", LATENT)
def test_the_tubelets_tokens_are_dropped(variant: str) -> None:
    model, x = drawn(small(variant)), clips(2, 3, 1, 16, 16)
    before = model.encode(x)

    def disturb(module: nn.Module, given: object, tokens: Tensor) -> Tensor:
        assert tokens.shape == (2, 4 + 6, 24)
        return torch.cat((torch.full_like(tokens[:, :4], torch.nan), tokens[:, 4:]), dim=1)

    model.encoder.register_forward_hook(disturb)
    after = model.encode(x)
    assert torch.equal(after.mean, before.mean)
    assert torch.equal(after.logvar, before.logvar)
    assert before.mean.shape == (2, 6, 4)
    assert before.grid == Grid(1, 2, 2)


@pytest.mark.parametrize("variant", LATENT)
def test_pixels_depend_on_every_latent_and_on_mask_tokens_alone(variant: str) -> None:
    model = drawn(small(variant))
    z = normal(1, 6, 4)
    whole = model.decode(z)
    for token in range(6):
        other = z.clone()
        other[:, token] += 1
        assert largest(model.decode(other) - whole) > 1e-4

    def disturb(module: nn.Module, given: object, tokens: Tensor) -> Tensor:
        assert tokens.shape == (1, 4 + 6, 36)
        return torch.cat((tokens[:, :4], torch.full_like(tokens[:, 4:], torch.nan)), dim=1)

    model.decoder.register_forward_hook(disturb)
    assert torch.equal(model.decode(z), whole)


def test_the_code_has_an_order_and_mask_tokens_know_their_place() -> None:
    model = drawn(small("latent"))
    z = normal(1, 6, 4)
    turned = model.decode(z.flip(1))
    assert largest(turned - model.decode(z)) > 1e-3
    patches = model.decode(z)[0, :, 0].unfold(1, 8, 8).unfold(2, 8, 8).permute(1, 2, 0, 3, 4)
    different = torch.cdist(patches.flatten(0, 1).flatten(1), patches.flatten(0, 1).flatten(1))
    assert float(different.detach()[~torch.eye(4, dtype=torch.bool)].min()) > 1e-3


def test_the_encoder_tells_where_a_patch_stands() -> None:
    model, x = drawn(small("latent")), clips(1, 3, 1, 16, 16)
    assert largest(model.encode(x).mean - model.encode(x.roll(8, 3)).mean) > 1e-3


@pytest.mark.parametrize("variant", LATENT)
def test_the_code_keeps_its_length_at_other_sizes(variant: str) -> None:
    model = drawn(small(variant, stride=2), frames=4)
    assert model.code_shape == (6, 4)
    x = clips(1, 3, 8, 24, 16)
    output, posterior = model(x, normal(1, 6, 4))
    assert output.shape == x.shape
    assert posterior.mean.shape == (1, 6, 4)
    assert posterior.grid == Grid(4, 3, 2)


def test_tokens_start_as_sincos() -> None:
    model = drawn(small("latent"))
    assert isinstance(model, LatentViTok)
    for parameter in (model.latents, model.code_positions):
        count, width = parameter.shape
        for position in range(count):
            for pair in range(width // 2):
                angle = torch.tensor(position / 10_000 ** (2 * pair / width))
                found = parameter[position, [pair, pair + width // 2]].detach()
                torch.testing.assert_close(found, torch.stack((angle.sin(), angle.cos())))
    assert torch.equal(sincos(3, 24), sincos(6, 24)[:3])
