"""PSNR and SSIM against scikit-image, image by image: SSIM in float32 against its float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from vitok_core.metrics.pixels import PSNR_CAP, psnr, ssim

SIZES = [(11, 11), (12, 40), (64, 64), (65, 33)]


def photos(height: int, width: int) -> Tensor:
    """Five photographs' crops, (5, 3, height, width) uint8."""
    sources = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.cat())
    crops = np.stack([photo[100 : 100 + height, 150 : 150 + width] for photo in sources])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()


def spoilt(images: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + sigma * noise).round().clamp(0, 255).to(torch.uint8)


def oracle_ssim(image: Tensor, reference: Tensor) -> float:
    return structural_similarity(
        reference.numpy(),
        image.numpy(),
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("sigma", [0.5, 8.0, 90.0])
def test_both_agree_with_scikit_image(height: int, width: int, sigma: float) -> None:
    images = photos(height, width)
    rebuilt = spoilt(images, sigma)
    pairs = list(zip(rebuilt, images, strict=True))
    expected = [peak_signal_noise_ratio(y.numpy(), x.numpy(), data_range=255) for x, y in pairs]
    assert psnr(rebuilt, images).tolist() == pytest.approx(expected, abs=1e-9)
    expected = [oracle_ssim(x, y) for x, y in pairs]
    assert ssim(rebuilt, images).tolist() == pytest.approx(expected, abs=5e-6)


def test_ssim_of_flat_and_of_inverted_images() -> None:
    images = photos(32, 32)
    for rebuilt in (255 - images, torch.full_like(images, 7), images.flip(0)):
        expected = [oracle_ssim(x, y) for x, y in zip(rebuilt, images, strict=True)]
        assert ssim(rebuilt, images).tolist() == pytest.approx(expected, abs=5e-6)
    flat = torch.full_like(images, 255)
    assert ssim(flat, flat).tolist() == pytest.approx([1.0] * 5, abs=1e-12)


def test_psnr_is_per_image_and_the_batch_has_no_say() -> None:
    images = torch.full((2, 3, 16, 16), 100, dtype=torch.uint8)
    rebuilt = images.clone()
    rebuilt[0] += 1
    rebuilt[1] -= 10  # uint8 arithmetic must not wrap in the difference
    one = 20 * math.log10(255)
    assert psnr(rebuilt, images).tolist() == pytest.approx([one, one - 20], abs=1e-12)
    of_the_batch = 10 * math.log10(255**2 / ((1 + 100) / 2))
    assert psnr(rebuilt, images).mean().item() - of_the_batch > 6


def test_the_cap_holds_only_where_images_are_all_but_equal() -> None:
    images = photos(64, 64)[:1]
    assert psnr(images, images).item() == PSNR_CAP
    nearly = images.clone()
    nearly[0, 0, 0, 0] ^= 1
    assert psnr(nearly, images).item() == pytest.approx(10 * math.log10(255**2 * 3 * 64 * 64))
    assert psnr(nearly, images).item() < PSNR_CAP
    worst = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    assert psnr(worst, worst + 255).item() == 0.0


def test_an_image_scores_the_same_alone_and_in_any_batch() -> None:
    images = photos(48, 48)
    rebuilt = spoilt(images, 12.0)
    for score in (psnr, ssim):
        alone = torch.cat([score(rebuilt[i : i + 1], images[i : i + 1]) for i in range(5)])
        assert score(rebuilt, images).dtype == torch.float64
        assert torch.equal(score(rebuilt, images), alone)


def test_ssim_refuses_images_smaller_than_its_window() -> None:
    small = torch.zeros(1, 3, 10, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match="11 px or more"):
        ssim(small, small)
