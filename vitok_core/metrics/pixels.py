"""PSNR and SSIM of 8-bit images, per image.

Both compare what a viewer would be shown: values rounded to uint8, on a data range of 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# An exact reconstruction has no finite PSNR, and one such image (a plain black crop) must not
# decide the mean. A single value off by one in a 256 px image is 101 dB: no other score gets there.
PSNR_CAP = 100.0

PSNR_PROTOCOL = f"per image then mean, at most {PSNR_CAP:.0f} dB, 8-bit, data range 1"
SSIM_PROTOCOL = "Gaussian 11 sigma 1.5, K .01 .03, RGB mean, valid region, 8-bit, data range 1"

WINDOW = 11
SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_GAUSSIAN = [math.exp(-0.5 * ((i - WINDOW // 2) / SIGMA) ** 2) for i in range(WINDOW)]
_KERNEL = [weight / sum(_GAUSSIAN) for weight in _GAUSSIAN]
_CHUNK = 4  # images at a time: more leave a CPU's cache and fill its memory


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """PSNR of each image in dB, (b,) float64, at most `PSNR_CAP`; (b, 3, h, w) uint8 both."""
    error = (images.double() - references.double()).square().flatten(1).mean(1) / 255**2
    return (-10.0 * error.log10()).clamp(max=PSNR_CAP)


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """SSIM of each image, (b,) float64 in [-1, 1]; (b, 3, h, w) uint8 both, h and w at least 11.

    The Gaussian setting of Wang et al. (2004), as in scikit-image with gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False, data_range=1: per channel, mean over the region where
    the window fits.
    """
    if min(images.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs images of {WINDOW} px or more, not {tuple(images.shape)}")
    pairs = zip(torch.split(images, _CHUNK), torch.split(references, _CHUNK), strict=True)
    return torch.cat([_ssim(x.double() / 255, y.double() / 255) for x, y in pairs])


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    cov = _blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * cov + _C2)
    denominator = (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return (numerator / denominator).flatten(1).mean(1)


def _blur(x: Tensor) -> Tensor:
    """Separable Gaussian over the valid region, (b, 3, h, w) → (b, 3, h - 10, w - 10)."""
    for axis in (-2, -1):
        size = x.shape[axis] - WINDOW + 1
        # Shifted sums: faster on CPUs than a float64 convolution.
        taps = [x.narrow(axis, i, size) for i in range(WINDOW)]
        x = taps[0] * _KERNEL[0]
        for tap, weight in zip(taps[1:], _KERNEL[1:], strict=True):
            x.add_(tap, alpha=weight)
    return x
