"""StyleGAN's discriminator: size as its authors print it, layers against explicit ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import correlate2d

from vitok_core.models.discriminator import (
    Discriminator,
    EqualConv,
    EqualLinear,
    Residual,
    blur,
    spread,
)


def drawn(resolution: int = 16, width: int = 8) -> Discriminator:
    return Discriminator(resolution, width, torch.Generator().manual_seed(0))


def test_it_has_the_size_that_its_authors_print() -> None:
    """stylegan2-ada-pytorch's log of its 1024 px configuration: 29012513 parameters in all."""
    with torch.device("meta"):
        model = Discriminator(1024, 32, None)  # type: ignore[arg-type]
    assert sum(p.numel() for p in model.parameters()) == 29_012_513
    assert [block.second.weight.shape[0] for block in model.blocks] == [  # type: ignore[union-attr]
        64, 128, 256, 512, 512, 512, 512, 512,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resolution", "blocks", "side"),
    [(8, 1, 4), (15, 1, 7), (16, 2, 4), (24, 2, 6), (33, 3, 4), (224, 5, 7), (256, 6, 4)],
)
def test_any_resolution_is_halved_down_to_4_to_7(resolution: int, blocks: int, side: int) -> None:
    model = drawn(resolution, 2)
    assert len(model.blocks) == blocks
    x = torch.zeros(1, 2, resolution, resolution)
    with torch.no_grad():
        for block in model.blocks:
            x = block(x)
        assert x.shape[-2:] == (side, side)
        clips = torch.zeros(2, 3, 3, resolution, resolution)
        assert model(clips).shape == (6,)


def test_less_than_8_px_is_refused() -> None:
    with pytest.raises(ValueError, match="8 px"):
        drawn(7)


def test_the_blur_is_the_filter_1331_in_both_directions() -> None:
    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    found = blur(x, 2)
    for image, wanted in zip(x.flatten(0, 1), found.flatten(0, 1), strict=True):
        full = correlate2d(np.pad(image.numpy(), 2), kernel, mode="valid")
        np.testing.assert_allclose(wanted.numpy(), full, atol=1e-6)
    # As one strided convolution, the skip's way.
    halved = F.conv2d(
        x, torch.tensor(kernel, dtype=torch.float32).expand(3, 1, 4, 4), None, 2, 1, groups=3
    )
    torch.testing.assert_close(blur(x, 1, stride=2), halved)


def test_a_block_is_two_convolutions_beside_a_linear_path() -> None:
    block = Residual(3, 5)
    generator = torch.Generator().manual_seed(0)
    for p in block.parameters():
        torch.nn.init.normal_(p, generator=generator)
    x = torch.randn(2, 3, 12, 12, generator=generator)
    kernel = torch.tensor(np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64, dtype=torch.float32)

    def act(y: torch.Tensor) -> torch.Tensor:
        return torch.where(y > 0, y, 0.2 * y) * 2**0.5

    y = act(F.conv2d(x, block.first.weight / 27**0.5, block.first.bias, padding=1))
    y = F.conv2d(y, kernel.expand(3, 1, 4, 4), padding=2, groups=3)
    y = act(F.conv2d(y, block.second.weight / 27**0.5, block.second.bias, stride=2))
    skip = F.conv2d(x, kernel.expand(3, 1, 4, 4), padding=1, stride=2, groups=3)
    skip = F.conv2d(skip, block.skip.weight / 3**0.5)
    torch.testing.assert_close(block(x), (y + skip) / 2**0.5)


@torch.no_grad()
def test_the_learning_rate_is_equalised() -> None:
    """Weights of variance 1 make outputs of variance 1, whatever the fan-in."""
    generator = torch.Generator().manual_seed(0)
    for layer, x in (
        (EqualConv(200, 300, 3), torch.randn(4, 200, 9, 9, generator=generator)),
        (EqualLinear(900, 500), torch.randn(64, 900, generator=generator)),
    ):
        torch.nn.init.normal_(layer.weight, generator=generator)
        y = layer(x)
        inner = y[..., 1:-1, 1:-1] if y.ndim == 4 else y
        assert float(inner.std()) == pytest.approx(1.0, rel=0.03)
    model = drawn()
    drawn_once = torch.cat([p.flatten() for p in model.parameters() if p.ndim > 1])
    assert float(drawn_once.std()) == pytest.approx(1.0, rel=0.02)
    assert all(not p.any() for p in model.parameters() if p.ndim == 1)  # biases


def test_the_spread_is_the_standard_deviation_within_groups_of_4() -> None:
    x = torch.randn(2 * 6, 5, 3, 3, generator=torch.Generator().manual_seed(0))  # 2 frames, 6 clips
    found = spread(x, time=2)
    assert found.shape == (12, 1, 3, 3)
    for time in range(2):
        for group in (slice(0, 4), slice(4, 6)):
            rows = x[time * 6 : (time + 1) * 6][group]
            wanted = rows.std(0, correction=0).mean()
            mine = found[time * 6 : (time + 1) * 6][group]
            torch.testing.assert_close(mine, wanted.expand_as(mine), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_groups_make_micro_batches_and_whole_batches_agree() -> None:
    model = drawn()
    clips = torch.randn(10, 3, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = model(clips).view(2, 10)
    parts = torch.cat([model(part).view(2, -1) for part in clips.split(4)], 1)
    torch.testing.assert_close(whole, parts)
    others = torch.cat([model(part).view(2, -1) for part in clips.split(3)], 1)
    assert not torch.allclose(whole, others)


def test_half_precision_is_close() -> None:
    model, clips = drawn(), torch.rand(4, 3, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(clips)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, model(clips), atol=0.1, rtol=0.1)
