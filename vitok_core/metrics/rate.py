"""What the code really carries, whatever its nominal E: its rate, its rank, its spectra."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitok_core.context import Context
from vitok_core.files import replace_atomically
from vitok_core.metrics.frechet import Moments
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid

# A channel is active when the variance of its posterior mean over data and tokens exceeds this
# (Burda et al. 2016, "Importance Weighted Autoencoders", §4).
ACTIVE_VARIANCE = 0.01
# Radial frequency from 0 (mean) to 1 (a checkerboard); the upper half counts as high.
HIGH_FREQUENCY = 0.5
BANDS = 16
# Share of a constant's power that the transform's rounding leaves elsewhere; float32 codes that do
# vary are far above it.
_NO_POWER = 1e-20

KL_PROTOCOL = "KL(q(z|x) || N(0,1)) per image in bits / (T H W), posterior as trained"
ACTIVE_PROTOCOL = f"channels with var of posterior mean > {ACTIVE_VARIANCE} over images and tokens"
RANK_PROTOCOL = (
    "exp entropy of the shares of the eigenvalues of the posterior mean's covariance over images "
    "and tokens (Roy & Vetterli 2007)"
)
FREQUENCY_PROTOCOL = (
    "share of the posterior mean's variance within a frame, by an orthonormal 2D DCT-II over the "
    f"tokens' grid, at radial frequencies of {HIGH_FREQUENCY} and more of the highest"
)

Array = NDArray[np.float64]


class Codes(NamedTuple):
    """What is counted of the codes of one batch.

    Args:
        images: how many.
        nats, noise: sums (c,) of the KL and of the posterior variances.
        mean: the posterior means (n, c) of the tokens that are kept.
        grid: of tokens that stand on one; None: they do not.
        power: of their frames by frequency, (h, w).
    """

    images: int
    nats: Array
    noise: Array
    mean: Array
    grid: Grid | None
    power: Array | None


class Rate:
    """Gathers a code's statistics over a set, posterior by posterior, in float64.

    Args:
        channels: c.
        pixels: T·H·W of one sample.
        spatial: whether the tokens stand on the tubelets' grid; latent tokens do not.
    """

    def __init__(self, channels: int, pixels: int, spatial: bool = True) -> None:
        self.pixels = pixels
        self._c, self._on_grid = channels, spatial
        self._images = 0
        self._nats = np.zeros(channels)
        self._noise = np.zeros(channels)  # sums of posterior variances
        self._moments = Moments(channels)
        self._spatial: _Spatial | None = None

    def look(self, posterior: Posterior) -> Codes:
        """See the posteriors of one batch, (b, l, c); of each the tokens that it keeps."""
        mask, grid = posterior.mask, posterior.grid
        spatial = self._on_grid and _whole(posterior) and min(grid[1:]) > 1
        return Codes(
            len(posterior.mean),
            posterior.kl().double().sum((0, 1)).cpu().numpy(),
            posterior.logvar[mask].double().exp().sum(0).cpu().numpy(),
            posterior.mean[mask].double().cpu().numpy(),
            grid if spatial else None,
            _power(posterior.mean, grid) if spatial else None,
        )

    def add(self, codes: Codes) -> None:
        """Take in what was seen of the next batch, in the set's order."""
        self._images += codes.images
        self._nats += codes.nats
        self._noise += codes.noise
        self._moments.add(codes.mean)
        if codes.grid is not None and codes.power is not None:
            self._spatial = self._spatial or _Spatial(codes.grid)
            self._spatial.add(codes.power, codes.images * codes.grid.t)

    @property
    def bits_per_pixel(self) -> float:
        """KL in bits per pixel; an upper bound on what the code tells of the image."""
        return float(self._nats.sum()) / math.log(2) / (self._images * self.pixels)

    @property
    def active_channels(self) -> int:
        """How many of the c channels vary over images and tokens."""
        return int((self._covariance.diagonal() > ACTIVE_VARIANCE).sum())

    @property
    def _covariance(self) -> Array:
        """Of all tokens there are, not of what they are drawn from: one token varies by nothing."""
        n = self._moments.n
        return self._moments.covariance * ((n - 1) / n) if n > 1 else np.zeros((self._c, self._c))

    @property
    def eigenvalues(self) -> Array:
        """Of the posterior mean's covariance over images and tokens, (c,), largest first."""
        return np.linalg.eigvalsh(self._covariance)[::-1].clip(min=0.0)

    @property
    def effective_rank(self) -> float:
        """Between 1 and c: how many directions of a token carry its variance."""
        return effective_rank(self.eigenvalues)

    @property
    def high_frequency_share(self) -> float | None:
        """Between 0 and 1; None where the code's tokens stand on no grid, or on too small a one."""
        return None if self._spatial is None else self._spatial.high_share

    def report(self, measured: str, context: Context) -> None:
        """All of it as results, and `artifacts/spectrum.json`.

        Args:
            measured: the data set and its crops, for protocols.
        """
        context.result("kl_bits_per_pixel", self.bits_per_pixel, f"{KL_PROTOCOL}; {measured}")
        context.result("active_channels", self.active_channels, f"{ACTIVE_PROTOCOL}; {measured}")
        context.result("effective_rank", self.effective_rank, f"{RANK_PROTOCOL}; {measured}")
        high = self.high_frequency_share
        if high is not None:
            context.result("high_frequency_share", high, f"{FREQUENCY_PROTOCOL}; {measured}")
        path = context.artifacts / "spectrum.json"
        self._write_spectrum(path)
        context.artifact(path, "spectrum")

    def _write_spectrum(self, path: Path) -> None:
        """Per channel in the code's order; spectra from the largest eigenvalue and from the lowest
        frequency on."""
        tokens = self._moments.n
        spectrum = {
            "tokens": tokens,
            "mean": self._moments.mean.tolist(),
            "variance": self._covariance.diagonal().tolist(),
            "posterior_variance": (self._noise / tokens).tolist(),
            "kl_nats": (self._nats / tokens).tolist(),
            "eigenvalues": self.eigenvalues.tolist(),
            "frequencies": None if self._spatial is None else self._spatial.bands(),
        }
        text = json.dumps(spectrum, indent=1) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(path, lambda file: file.write(text.encode()))


def effective_rank(eigenvalues: Array) -> float:
    """exp of the entropy of the eigenvalues' shares, from 1 to their number; of zeros, 1."""
    positive = eigenvalues[eigenvalues > 0]
    shares = positive / positive.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _whole(posterior: Posterior) -> bool:
    return posterior.kept is None or bool(posterior.mask.all())


def _power(mean: Tensor, grid: Grid) -> Array:
    """The power (h, w) over the frequencies of the grid of posterior means (b, l, c), summed over
    frames and channels."""
    z = mean.double().cpu().reshape(-1, *grid, mean.shape[2])
    waves = torch.einsum("vh,bthwc,uw->btvuc", _dct(grid.h), z, _dct(grid.w))
    power: Array = waves.square().sum((0, 1, 4)).numpy()
    return power


class _Spatial:
    """The power of a code's frames over the frequencies of its grid."""

    def __init__(self, grid: Grid) -> None:
        self._power = np.zeros((grid.h, grid.w))
        self._frames = 0
        v, u = np.arange(grid.h) / (grid.h - 1), np.arange(grid.w) / (grid.w - 1)
        self._radius = np.sqrt((np.square(v)[:, None] + np.square(u)) / 2)

    def add(self, power: Array, frames: int) -> None:
        """Take in so many frames' power."""
        self._power += power
        self._frames += frames

    @property
    def high_share(self) -> float:
        within = float(self._power.sum() - self._power[0, 0])  # without each frame's mean
        if within <= _NO_POWER * float(self._power[0, 0]):
            return 0.0
        return float(self._power[self._radius >= HIGH_FREQUENCY].sum()) / within

    def bands(self) -> list[dict[str, float]]:
        """Mean power of a coefficient, summed over channels, by bands of radial frequency."""
        band = (self._radius * BANDS).astype(int).clip(max=BANDS - 1)
        return [
            {"from": k / BANDS, "power": float(self._power[band == k].mean()) / self._frames}
            for k in range(BANDS)
            if (band == k).any()
        ]


def _dct(n: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (n, n), a frequency per row."""
    k = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos(math.pi / n * k[:, None] * (k + 0.5)) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix
