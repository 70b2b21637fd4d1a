"""PSNR, SSIM and MS-SSIM of 8-bit images, per image.

All compare what a viewer would be shown: values rounded to uint8, on a data range of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

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
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_GAUSSIAN = [math.exp(-0.5 * ((i - WINDOW // 2) / SIGMA) ** 2) for i in range(WINDOW)]
_KERNEL = [weight / sum(_GAUSSIAN) for weight in _GAUSSIAN]
_TILE = 16  # pixels that one product blurs: more multiply more zeros, fewer are slow on CPUs


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
    return _of_planes(_ssim, images, references)


def ms_ssim(images: Tensor, references: Tensor) -> Tensor:
    """MS-SSIM of each image, (b,) float64 in [0, 1]; (b, 3, h, w) uint8 both, 161 px or more.

    The product over five scales of the contrast-structure terms, and of SSIM at the coarsest, each
    to the power of its weight, per channel. Odd sides are padded with a zero row before a halving,
    which counts in the mean, as in the package pytorch-msssim.
    """
    if min(images.shape[-2:]) < MS_SSIM_LEAST:
        shape = tuple(images.shape)
        raise ValueError(f"MS-SSIM needs images of {MS_SSIM_LEAST} px or more, not {shape}")
    return _of_planes(_ms_ssim, images, references)


def _of_planes(score: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Mean over channels of a score of two planes (h, w): one by one, they stay in a CPU's cache
    and the batch has no say."""
    pairs = zip(x.flatten(0, 1), y.flatten(0, 1), strict=True)
    return torch.stack([score(*pair) for pair in pairs]).view(x.shape[:2]).mean(1)


def _ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.double(), y.double()
    product = torch.ones((), dtype=x.dtype, device=x.device)
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        luminance, contrast = _terms(x, y, x.dtype)
        coarsest = scale == len(_SCALE_WEIGHTS) - 1
        term = luminance * contrast if coarsest else contrast
        product = product * _mean(term, x).clamp(min=0.0) ** weight
    return product


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x[None], 2, padding=(x.shape[-2] % 2, x.shape[-1] % 2))[0]


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    # On CPUs float32 is 1e-6 from float64 and twice as fast; on GPUs it may come to mean TF32.
    luminance, contrast = _terms(x, y, torch.float32 if x.device.type == "cpu" else torch.float64)
    return _mean(luminance * contrast, x)


def _mean(term: Tensor, x: Tensor) -> Tensor:
    """Mean of a term, in the tiles of `_blur`, over the region of x where the window fits."""
    height, width = (size - WINDOW + 1 for size in x.shape)
    return term.flatten(1)[:height, :width].mean(dtype=torch.float64)


def _terms(x: Tensor, y: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """SSIM's luminance and contrast-structure terms of planes (h, w) in [0, 255], in tiles.

    By the sum and the difference of x and y: of any a and b, 2ab and a² + b² are half of
    (a + b)² ∓ (a - b)². So two variances do for three moments, and less cancels.
    """
    below, beside = (-(size - WINDOW + 1) % _TILE for size in x.shape)
    x, y = (F.pad(each, (0, beside, 0, below)).to(dtype) for each in (x, y))
    total, gap = (x + y).sub_(255), x - y  # centred, for precision
    mean, mean_gap = _blur(total), _blur(gap)
    variance = _blur(total.square_()).addcmul_(mean, mean, value=-1)
    variance_gap = _blur(gap.square_()).addcmul_(mean_gap, mean_gap, value=-1)
    return (
        _ratio(mean.add_(255).square_().add_(2 * _C1), mean_gap.square_()),
        _ratio(variance.add_(2 * _C2), variance_gap),
    )


def _ratio(total: Tensor, gap: Tensor) -> Tensor:
    return (total - gap).div_(total + gap)


def _blur(x: Tensor) -> Tensor:
    """Separable Gaussian over the valid region of (h, w), which is whole tiles: tiles beside each
    other, (h - 10, (w - 10) / tile, tile)."""
    band = _band(x.dtype, x.device)
    strips = x.unfold(0, len(band), _TILE).mT
    x = torch.bmm(band.T.expand(len(strips), -1, -1), strips).flatten(0, 1)
    strips = x.unfold(1, len(band), _TILE).transpose(0, 1)
    return torch.bmm(strips, band.expand(len(strips), -1, -1)).transpose(0, 1)


@cache
def _band(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (tile + 10, tile) that blurs a row. Products with it are several times as fast as
    a convolution or shifted sums, for all their zeros."""
    band = torch.zeros(_TILE + WINDOW - 1, _TILE, dtype=torch.float64)
    for i, weight in enumerate(_KERNEL):
        band.diagonal(-i).fill_(weight)
    return band.to(device, dtype)
