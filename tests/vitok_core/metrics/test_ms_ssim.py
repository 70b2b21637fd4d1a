"""MS-SSIM against the package pytorch-msssim, image by image."""

from __future__ import annotations

import pytest
import torch
from pytorch_msssim import ms_ssim as theirs
from scipy.signal.windows import gaussian
from skimage import data
from torch import Tensor

from vitok_core.metrics.pixels import MS_SSIM_LEAST, ms_ssim


def photos(height: int, width: int) -> Tensor:
    """Two photographs' crops, (2, 3, height, width) uint8."""
    crops = [torch.from_numpy(each()[:height, :width]) for each in (data.astronaut, data.chelsea)]
    return torch.stack(crops).permute(0, 3, 1, 2).contiguous()


def spoilt(images: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + sigma * noise).round().clamp(0, 255).to(torch.uint8)


def oracle(images: Tensor, references: Tensor) -> Tensor:
    """The package's values, with a window in float64: its own has float32 weights."""
    window = torch.from_numpy(gaussian(11, 1.5, sym=True))
    window = (window / window.sum()).expand(3, 1, 1, 11)
    pair = images.double() / 255, references.double() / 255
    return theirs(*pair, data_range=1.0, size_average=False, win=window)


# Even at every scale, odd at the first, odd further down; the least.
@pytest.mark.parametrize("size", [(192, 176), (163, 256), (177, 190), (161, 161)])
@pytest.mark.parametrize("sigma", [2.0, 60.0])
def test_it_agrees_with_pytorch_msssim(size: tuple[int, int], sigma: float) -> None:
    images = photos(*size)
    rebuilt = spoilt(images, sigma)
    expected = oracle(rebuilt, images)
    torch.testing.assert_close(ms_ssim(rebuilt, images), expected, rtol=0, atol=1e-12)


def test_negatives_of_images_have_no_structure_in_common() -> None:
    images = photos(176, 176)
    expected = oracle(255 - images, images)
    torch.testing.assert_close(ms_ssim(255 - images, images), expected, atol=1e-12, rtol=0)
    assert ms_ssim(images, images).tolist() == pytest.approx([1.0, 1.0], abs=1e-12)


def test_it_refuses_images_that_its_coarsest_scale_cannot_hold() -> None:
    small = torch.zeros(1, 3, MS_SSIM_LEAST - 1, 256, dtype=torch.uint8)
    with pytest.raises(ValueError, match="161 px or more"):
        ms_ssim(small, small)


def test_the_batch_has_no_say() -> None:
    images = photos(176, 161)
    rebuilt = spoilt(images, 12.0)
    alone = [ms_ssim(rebuilt[i : i + 1], images[i : i + 1]) for i in range(2)]
    assert torch.equal(ms_ssim(rebuilt, images), torch.cat(alone))
