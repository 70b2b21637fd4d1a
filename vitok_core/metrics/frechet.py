"""Distances between sets of features, and the IS-like score of their logits. All in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Moments:
    """Mean and covariance of features that arrive in batches: memory does not grow with N.

    Batches are merged by Chan's update, which keeps the precision of a two-pass computation.
    """

    def __init__(self, width: int) -> None:
        self.n = 0
        self.mean = np.zeros(width)
        self._scatter = np.zeros((width, width))

    def add(self, features: NDArray[np.floating]) -> None:
        """Take in features (b, width)."""
        batch = np.asarray(features, dtype=np.float64)
        if len(batch) == 0:
            return
        mean = batch.mean(0)
        total = self.n + len(batch)
        shift = mean - self.mean
        # The shift between the means enters the scatter as one more centred row.
        rows = np.vstack([batch - mean, shift * np.sqrt(self.n * len(batch) / total)])
        self._scatter += rows.T @ rows
        self.mean = self.mean + shift * (len(batch) / total)
        self.n = total

    @property
    def covariance(self) -> Array:
        """Unbiased covariance (width, width); needs two features or more."""
        if self.n < 2:
            raise ValueError(f"a covariance needs two samples or more, not {self.n}")
        return self._scatter / (self.n - 1)


@dataclass(frozen=True)
class Reference:
    """The Gaussian of a reference set, with the root of its covariance taken once.

    Args:
        mean: (d,).
        root: (d, r) with root · rootᵀ = covariance; r is its rank, at most N - 1.
    """

    mean: Array
    root: Array

    @classmethod
    def of(cls, mean: Array, covariance: Array) -> Reference:
        """Root by eigendecomposition; directions below float64's resolution are dropped."""
        values, vectors = np.linalg.eigh(covariance)
        kept = values > max(float(values[-1]), 0.0) * len(values) * np.finfo(np.float64).eps
        return cls(mean, np.ascontiguousarray(vectors[:, kept] * np.sqrt(values[kept])))

    def distance(self, mean: Array, covariance: Array) -> float:
        """Squared Fréchet distance to another Gaussian: |μa − μb|² + tr(A + B − 2 (AB)^½).

        tr (AB)^½ is the sum of the square roots of the eigenvalues of the symmetric A^½ B A^½:
        exact for rank-deficient covariances too, where a general matrix square root of AB is not.
        """
        inner = self.root.T @ covariance @ self.root
        cross = np.sqrt(np.linalg.eigvalsh(inner).clip(min=0.0)).sum()
        shift = self.mean - mean
        spread = np.square(self.root).sum() + np.trace(covariance)
        # Rounding may go below zero; unlike `max`, `maximum` lets a NaN through.
        return float(np.maximum(0.0, shift @ shift + spread - 2.0 * cross))


def frechet_distance(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """Squared Fréchet distance of two Gaussians given by means (d,) and covariances (d, d)."""
    return Reference.of(mean_a, cov_a).distance(mean_b, cov_b)


class ClassifierScore:
    """exp(mean KL(p(y|x) ‖ p(y))) over one split, from logits that arrive in batches.

    The Inception Score's formula on another classifier: comparable within one network only.
    """

    def __init__(self, classes: int) -> None:
        self.n = 0
        self._marginal = np.zeros(classes)
        self._negentropy = 0.0

    def add(self, logits: NDArray[np.floating]) -> None:
        """Take in logits (b, classes)."""
        x = np.asarray(logits, dtype=np.float64)
        log_p = x - x.max(1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        p = np.exp(log_p)
        self.n += len(x)
        self._marginal += p.sum(0)
        self._negentropy += float((p * log_p).sum())

    @property
    def value(self) -> float:
        """Between 1 and the number of classes."""
        marginal = self._marginal / self.n
        positive = marginal[marginal > 0]
        return float(np.exp(self._negentropy / self.n - (positive * np.log(positive)).sum()))
