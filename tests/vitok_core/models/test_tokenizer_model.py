from __future__ import annotations

from typing import Any

import pytest
import torch
from small_models import clips, drawn, small
from torch import nn

from vitok_core.config import TokenizerConfig
from vitok_core.models.blocks import Block
from vitok_core.models.tubelets import Grid, from_tubelets, to_tubelets
from vitok_core.variants import gated_width


def tiny(**fields: Any) -> TokenizerConfig:
    return small("simple", **fields)


def test_feed_forward_width() -> None:
    assert [gated_width(d) for d in (768, 1152, 128)] == [2048, 3072, 344]


@pytest.mark.parametrize(("stride", "patch"), [(1, 8), (2, 4), (4, 16)])
def test_embedding_is_conv3d(stride: int, patch: int) -> None:
    x, width = clips(2, 3, 2 * stride, 2 * patch, 3 * patch), 12
    kernel = (stride, patch, patch)
    conv = nn.Conv3d(3, width, kernel, stride=kernel)
    linear = nn.Linear(3 * stride * patch**2, width)
    with torch.no_grad():
        conv.weight.copy_(linear.weight.view_as(conv.weight))
        conv.bias.copy_(linear.bias)  # type: ignore[union-attr]
        expected = conv(x).flatten(2).transpose(1, 2)  # (b, l, d)
        torch.testing.assert_close(linear(to_tubelets(x, stride, patch)), expected)


@pytest.mark.parametrize(("stride", "patch"), [(1, 8), (2, 4)])
def test_unembedding_is_the_transposed_conv3d(stride: int, patch: int) -> None:
    grid, width = Grid(2, 2, 3), 12
    kernel = (stride, patch, patch)
    conv = nn.ConvTranspose3d(width, 3, kernel, stride=kernel, bias=False)
    linear = nn.Linear(width, 3 * stride * patch**2, bias=False)
    tokens = torch.randn(2, grid.tokens, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        conv.weight.copy_(linear.weight.T.reshape(conv.weight.shape))
        expected = conv(tokens.transpose(1, 2).unflatten(2, grid))
        torch.testing.assert_close(from_tubelets(linear(tokens), grid, stride, patch), expected)


def test_shapes_of_video_and_of_other_resolutions() -> None:
    model = drawn(tiny(stride=2), frames=4)
    x = clips(2, 3, 4, 16, 16)
    output, posterior = model(x, torch.zeros(2, 8, 4))
    assert output.shape == x.shape
    assert posterior.mean.shape == posterior.logvar.shape == (2, 8, 4)
    other = clips(1, 3, 2, 24, 40)
    assert model.reconstruct(other).shape == other.shape


def test_untiled_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="do not tile"):
        drawn(tiny()).encode(clips(1, 3, 1, 20, 16))


def test_the_posterior_samples_with_the_callers_noise() -> None:
    model = drawn(tiny())
    posterior = model.encode(clips(2, 3, 1, 16, 16))
    noise = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    z = posterior.sample(noise)
    torch.testing.assert_close((z - posterior.mean) / (posterior.logvar / 2).exp(), noise)
    normal = torch.distributions.Normal(posterior.mean, (posterior.logvar / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.kl(), expected)


def test_log_variances_are_clamped() -> None:
    model = drawn(tiny())
    with torch.no_grad():
        model.moments.bias[4:] = torch.tensor([1e6, -1e6, 0.0, 0.0])
    logvar = model.encode(clips(1, 3, 1, 16, 16)).logvar.detach()
    assert float(logvar.max()) == 20.0
    assert float(logvar.min()) == -30.0


def test_a_block_attends_to_other_tokens() -> None:
    model = drawn(tiny(final_norm=False))
    x = clips(1, 3, 1, 16, 16)
    changed = x.clone()
    changed[..., :8, :8] += 0.5
    difference = (model.reconstruct(x) - model.reconstruct(changed)).detach().abs()
    assert float(difference[..., 8:, 8:].max()) > 1e-4


def test_silenced_branches_are_the_identity() -> None:
    block = Block(24, 2)
    block.zero_branches()
    x = torch.randn(2, 4, 24, generator=torch.Generator().manual_seed(0))
    rotation = (torch.ones(4, 1, 6), torch.zeros(4, 1, 6))
    assert torch.equal(block(x, rotation), x)
