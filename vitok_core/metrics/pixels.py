"""PSNR and SSIM of 8-bit images, per image.

Both compare what a viewer would be shown: values rounded to uint8, on a data range of 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PSNR_PROTOCOL = "per image then mean, 8-bit, data range 1"
SSIM_PROTOCOL = "Gaussian 11 sigma 1.5, K .01 .03, RGB mean, valid region, 8-bit, data range 1"

WINDOW = 11
SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2

# An exact reconstruction has no finite PSNR; half a grey level in one value of a megapixel is far
# better than any code here, so the cap bounds the mean without ever touching a real score.
PSNR_CAP = 100.0


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """PSNR of each image in dB, (b,) float64, at most `PSNR_CAP`; (b, 3, h, w) uint8 both."""
    error = (images.double() - references.double()).square().flatten(1).mean(1) / 255**2
    return (-10.0 * error.clamp(min=10 ** (-PSNR_CAP / 10)).log10()).clamp(max=PSNR_CAP)


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """SSIM of each image, (b,) float64 in [-1, 1]; (b, 3, h, w) uint8 both, h and w at least 11.

    The Gaussian setting of Wang et al. (2004), as in scikit-image with gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False, data_range=1: per channel, mean over the region where
    the window fits.
    """
    if min(images.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs images of {WINDOW} px or more, not {tuple(images.shape)}")
    x, y = images.double() / 255, references.double() / 255
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    cov = _blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * cov + _C2)
    denominator = (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return (numerator / denominator).flatten(1).mean(1)


def _blur(x: Tensor) -> Tensor:
    """Separable Gaussian over the valid region, (b, 3, h, w) → (b, 3, h - 10, w - 10)."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, WINDOW)
    x = F.conv2d(x, kernel[:, :, None], groups=x.shape[1])
    return F.conv2d(x, kernel[..., None], groups=x.shape[1])
