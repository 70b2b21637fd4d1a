"""The Fréchet distance between two sets of features, of which each is taken for a Gaussian.

All in float64. Sets with no more samples than features are worked with in the samples' own span:
exact for their rank-deficient covariances, and faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST_BLOCK = 256  # rows


class Moments:
    """Mean and covariance of features that arrive in batches: memory does not grow with N.

    Rows are merged in blocks of a fixed size by Chan's update, which keeps the precision of a
    two-pass computation; the batches in which they arrive change no bit.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._block = max(width, _LEAST_BLOCK)
        self._rows: list[Array] = []  # not yet merged; together less than a block
        self._waiting = 0
        self._merged = 0
        self._mean = np.zeros(width)
        self._scatter: Array | None = None

    @property
    def n(self) -> int:
        """How many samples there were."""
        return self._merged + self._waiting

    def add(self, features: NDArray[np.floating]) -> None:
        """Take in features (b, width)."""
        rows = np.array(features, dtype=np.float64)
        while len(rows):
            room = self._block - self._waiting
            self._rows.append(rows[:room])
            self._waiting += len(rows[:room])
            rows = rows[room:]
            if self._waiting == self._block:
                self._merged, self._mean, self._scatter = self._together()
                self._rows, self._waiting = [], 0

    def _together(self) -> tuple[int, Array, Array]:
        """Number, mean and scatter with the waiting rows merged in."""
        scatter = np.zeros((self.width, self.width)) if self._scatter is None else self._scatter
        if not self._waiting:
            return self._merged, self._mean, scatter
        batch = np.concatenate(self._rows)
        mean = batch.mean(0)
        total = self._merged + len(batch)
        shift = mean - self._mean
        # The shift between the means enters the scatter as one more centred row.
        rows = np.vstack([batch - mean, shift * np.sqrt(self._merged * len(batch) / total)])
        return total, self._mean + shift * (len(batch) / total), scatter + rows.T @ rows

    @property
    def mean(self) -> Array:
        """(width,)"""
        return self._together()[1]

    @property
    def covariance(self) -> Array:
        """Unbiased covariance (width, width); needs two samples or more."""
        n, _, scatter = self._together()
        return scatter / (_enough(n) - 1)

    @property
    def gaussian(self) -> Gaussian:
        """The Gaussian of these moments."""
        if self._merged or self._waiting > self.width:
            n, mean, scatter = self._together()
            return Gaussian.of(mean, scatter / (_enough(n) - 1))
        rows = np.concatenate([np.zeros((0, self.width)), *self._rows])
        mean = rows.mean(0) if len(rows) else self._mean
        return Gaussian(mean, (rows - mean).T / np.sqrt(_enough(len(rows)) - 1))


def _enough(n: int) -> int:
    if n < 2:
        raise ValueError(f"a covariance needs two samples or more, not {n}")
    return n


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian by its mean and a root of its covariance.

    Args:
        mean: (d,).
        root: (d, r) with root · rootᵀ = covariance.
    """

    mean: Array
    root: Array

    @classmethod
    def of(cls, mean: Array, covariance: Array) -> Gaussian:
        """Root by Cholesky; of a singular covariance by its eigenvectors, without the directions
        below float64's resolution."""
        resolution = len(mean) * np.finfo(np.float64).eps
        try:
            root = np.asarray(np.linalg.cholesky(covariance), np.float64)
            pivots = np.square(np.diagonal(root))
            if pivots.min() > resolution * pivots.max():
                return cls(mean, root)
        except np.linalg.LinAlgError:
            pass
        values, vectors = np.linalg.eigh(covariance)
        kept = values > max(float(values[-1]), 0.0) * resolution
        root = np.asarray(vectors[:, kept] * np.sqrt(values[kept]), np.float64, "C")
        return cls(mean, root)

    def distance(self, other: Gaussian) -> float:
        """Squared Fréchet distance: |μa − μb|² + tr(A + B − 2 (AB)^½).

        With A = R·Rᵀ and B = S·Sᵀ, tr (AB)^½ is the sum of the singular values of Rᵀ·S.
        """
        shift = self.mean - other.mean
        spread = np.square(self.root).sum() + np.square(other.root).sum()
        cross = _nuclear_norm(self.root.T @ other.root, len(self.mean))
        # Rounding may go below zero; unlike `max`, `maximum` lets a NaN through.
        return float(np.maximum(0.0, shift @ shift + spread - 2.0 * cross))


def _nuclear_norm(product: Array, width: int) -> float:
    """Sum of the singular values. By eigenvalues of the symmetric square where both roots are
    whole, at half the time; where they are not, its rounding would outgrow the small values."""
    if min(product.shape) < width:
        return float(np.linalg.svd(product, compute_uv=False).sum())
    return float(np.sqrt(np.linalg.eigvalsh(product @ product.T).clip(min=0.0)).sum())


def frechet_distance(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """Squared Fréchet distance of two Gaussians given by means (d,) and covariances (d, d)."""
    return Gaussian.of(mean_a, cov_a).distance(Gaussian.of(mean_b, cov_b))
