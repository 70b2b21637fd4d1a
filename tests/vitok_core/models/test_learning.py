"""Each variant learns, on images and on clips, and runs at other sizes than it was trained on."""

from __future__ import annotations

import pytest
import torch
from small_models import VARIANTS, clips, drawn, largest, normal, small

from vitok_core.training.lengths import kept_lengths
from vitok_core.variants import Tower

TOWER = Tower(width=32, blocks=1, heads=2)


def smooth(count: int, frames: int) -> torch.Tensor:
    """Clips (n, 3, t, 16, 16) of random colour ramps: something that a few numbers tell."""
    ramps = clips(count, 3, 2, 2, 2)
    return torch.nn.functional.interpolate(
        ramps, (frames, 16, 16), mode="trilinear", align_corners=True
    )


@pytest.mark.parametrize(("frames", "stride"), [(1, 1), (4, 2)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns(variant: str, frames: int, stride: int) -> None:
    model = drawn(small(variant, encoder=TOWER, decoder=TOWER, stride=stride), frames)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95))
    x, noise = smooth(16, frames), normal(16, *model.code_shape)
    losses = []
    for step in range(40):
        indices = range(step * len(x), (step + 1) * len(x))
        kept = kept_lengths(model.config.lengths, 0, indices, x.device)
        output, posterior = model(x, noise, kept)
        loss = (output - x).square().mean() + 1e-3 * posterior.kl_mean().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])


@pytest.mark.parametrize("rope", ["3d", "1d"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_lengths_and_sizes_than_trained(variant: str, rope: str) -> None:
    model = drawn(small(variant, stride=2, rope=rope), frames=4)
    for frames, height, width in ((4, 16, 16), (8, 16, 16), (2, 24, 40)):
        x = clips(2, 3, frames, height, width)
        posterior = model.encode(x)
        assert posterior.mean.shape == (2, model.code_tokens(posterior.grid), 4)
        assert model.decode(posterior.mean, posterior.grid).shape == x.shape


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_frames_matters(variant: str) -> None:
    model = drawn(small(variant), frames=2)
    x = clips(1, 3, 2, 16, 16)
    difference = model.reconstruct(x).flip(2) - model.reconstruct(x.flip(2))
    assert largest(difference) > 1e-4
