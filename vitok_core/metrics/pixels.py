"""PSNR, SSIM and MS-SSIM of 8-bit images, per image.

All compare what a viewer would be shown: values rounded to uint8, on a data range of 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# An exact reconstruction has no finite PSNR, and one such image (a plain black crop) must not
# decide the mean. A single value off by one in a 256 px image is 101 dB: no other score gets there.
PSNR_CAP = 100.0

PSNR_PROTOCOL = f"per image then mean, at most {PSNR_CAP:.0f} dB, 8-bit, data range 1"
SSIM_PROTOCOL = "Gaussian 11 sigma 1.5, K .01 .03, RGB mean, valid region, 8-bit, data range 1"

# Wang, Simoncelli & Bovik 2003: from the finest scale to the coarsest, each half of the one before.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_PROTOCOL = (
    "Wang et al. 2003, 5 scales by 2x2 means, Gaussian 11 sigma 1.5, K .01 .03, negative factors "
    "as 0, RGB mean, valid region, per image then mean, 8-bit, data range 1"
)

WINDOW = 11
SIGMA = 1.5
MS_SSIM_LEAST = (WINDOW - 1) * 2 ** (len(_SCALE_WEIGHTS) - 1) + 1  # pixels: 161
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


def ms_ssim(images: Tensor, references: Tensor) -> Tensor:
    """MS-SSIM of each image, (b,) float64 in [0, 1]; (b, 3, h, w) uint8 both, 161 px or more.

    The product over five scales of the contrast-structure terms, and of SSIM at the coarsest, each
    to the power of its weight, per channel. Odd sides are padded with a zero row before a halving,
    which counts in the mean, as in the package pytorch-msssim.
    """
    if min(images.shape[-2:]) < MS_SSIM_LEAST:
        shape = tuple(images.shape)
        raise ValueError(f"MS-SSIM needs images of {MS_SSIM_LEAST} px or more, not {shape}")
    pairs = zip(torch.split(images, _CHUNK), torch.split(references, _CHUNK), strict=True)
    return torch.cat([_ms_ssim(x.double() / 255, y.double() / 255) for x, y in pairs])


def _ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    product = torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        luminance, contrast = (above / below for above, below in _terms(x, y))
        coarsest = scale == len(_SCALE_WEIGHTS) - 1
        term = luminance * contrast if coarsest else contrast
        product = product * term.mean((2, 3)).clamp(min=0.0) ** weight
    return product.mean(1)


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, padding=(x.shape[-2] % 2, x.shape[-1] % 2))


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    (luminance, spread), (contrast, variance) = _terms(x, y)
    return (luminance * contrast / (spread * variance)).flatten(1).mean(1)


def _terms(x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """SSIM's luminance and contrast-structure terms as numerator and denominator, all of
    (b, 3, h - 10, w - 10)."""
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    # Of the variances only their sum is asked for: four windowed means do, not five.
    variances = _blur(x * x + y * y) - squares
    covariance = _blur(x * y) - product
    luminance = 2 * product + _C1, squares + _C1
    return luminance, (2 * covariance + _C2, variances + _C2)


def _blur(x: Tensor) -> Tensor:
    """Separable Gaussian over the valid region, (b, 3, h, w) → (b, 3, h - 10, w - 10)."""
    for axis in (-2, -1):
        size = x.shape[axis] - WINDOW + 1
        # Shifted sums: faster on CPUs than a float64 convolution or a product with a banded matrix.
        taps = [x.narrow(axis, i, size) for i in range(WINDOW)]
        x = taps[0] * _KERNEL[0]
        for tap, weight in zip(taps[1:], _KERNEL[1:], strict=True):
            x.add_(tap, alpha=weight)
    return x
