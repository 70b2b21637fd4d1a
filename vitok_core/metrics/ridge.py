"""Linear classification in closed form: ridge regression on one-hot labels, cross-validated.

Nothing is drawn and nothing iterates, so that a score is a function of features and labels alone.
All in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

FOLDS = 5
# Per training sample, on features of variance 1. Chosen within the training part, see `fit`.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
PROTOCOL = (
    f"ridge on one-hot labels, standardised features, {FOLDS} folds, strength out of "
    f"{len(STRENGTHS)} by leave-one-out within the training part"
)
_BLOCK = 64  # classes whose residuals are held at once


@dataclass(frozen=True)
class Ridge:
    """A fitted classifier: scores are (x - mean) / spread · coefficients + shares.

    Attributes:
        coefficients: (d, k).
        shares: (k,) of the classes among the training samples.
        strength: the chosen one of `STRENGTHS`.
    """

    mean: Array
    spread: Array
    coefficients: Array
    shares: Array
    strength: float

    def predict(self, features: Array) -> Labels:
        """The class of each row of (n, d)."""
        scores = (features - self.mean) / self.spread @ self.coefficients + self.shares
        return np.asarray(scores.argmax(1))


def accuracy(features: NDArray[np.floating], labels: Labels) -> float:
    """Share of samples that a classifier trained on the other folds gets right.

    Folds are stratified: of the samples sorted by class, every fifth.

    Args:
        features: (n, d).
        labels: (n,) any integers, at least two different ones.
    """
    x = np.asarray(features, dtype=np.float64)
    classes = np.unique(labels, return_inverse=True)[1]
    fold = np.empty(len(x), dtype=np.int64)
    fold[np.argsort(classes, kind="stable")] = np.arange(len(x)) % FOLDS
    right = 0
    for tested in range(min(FOLDS, len(x))):
        out = fold == tested
        found = fit(x[~out], classes[~out]).predict(x[out])
        right += int((found == classes[out]).sum())
    return right / len(x)


def fit(features: Array, classes: Labels) -> Ridge:
    """The ridge whose squared leave-one-out error is least among `STRENGTHS`.

    With the left singular vectors Q of the standardised features and their squared singular values
    s, the fit is Q s/(s + λ) Qᵀ y, and a sample's leave-one-out residual is its residual over one
    less its leverage.

    Args:
        features: (n, d).
        classes: (n,) from 0 on.
    """
    n = len(features)
    mean, spread = features.mean(0), features.std(0)
    spread[spread == 0] = 1.0
    z = (features - mean) / spread
    q, s = _left(z)
    k = int(classes.max()) + 1
    shares = np.bincount(classes, minlength=k) / n
    along = np.zeros((k, q.shape[1]))  # Qᵀ y per class; Q is centred, so y need not be
    np.add.at(along, classes, q)
    errors = [_left_out(q, s / (s + n * each), along, classes, shares) for each in STRENGTHS]
    strength = STRENGTHS[int(np.argmin(errors))]
    coefficients = z.T @ (q / (s + n * strength)) @ along.T
    return Ridge(mean, spread, coefficients, shares, strength)


def _left(z: Array) -> tuple[Array, Array]:
    """Left singular vectors (n, r) and squared singular values (r,), by the smaller product."""
    n, d = z.shape
    values, vectors = np.linalg.eigh(z.T @ z if d <= n else z @ z.T)
    kept = values > max(float(values[-1]), 0.0) * max(n, d) * np.finfo(np.float64).eps
    values, vectors = values[kept], vectors[:, kept]
    return (z @ vectors / np.sqrt(values) if d <= n else vectors), values


def _left_out(q: Array, shrink: Array, along: Array, classes: Labels, shares: Array) -> float:
    """Sum of squared leave-one-out residuals over samples and classes."""
    kept = 1 - 1 / len(q) - (np.square(q) * shrink).sum(1)  # one less the leverage
    total = 0.0
    for start in range(0, len(along), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(along)))
        wanted = (classes[:, None] == block) - shares[block]
        residual = wanted - q @ (shrink[:, None] * along[block].T)
        total += float(np.square(residual / kept[:, None]).sum())
    return total
