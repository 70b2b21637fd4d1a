"""PCA of tubelets: the best linear code. It serves `init: pca` and the `floor` job alike.

Both take theirs from `training.linear.training_pca`, so that a model with `init: pca` starts
exactly at its floor. All is deterministic: the same patches give the same components.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Up to here the whole spectrum by eigh costs well under a second on one core.
EXACT_DIMENSION = 1024
OVERSAMPLING = 32
POWER_ITERATIONS = 3
CHUNK = 4096  # rows


class Pca(NamedTuple):
    """A fitted PCA in float64: `mean` (v,), orthonormal `components` (k, v), `variances` (k,)."""

    mean: Tensor
    components: Tensor
    variances: Tensor

    def reconstruct(self, patches: Tensor, rank: int) -> Tensor:
        """The best reconstruction of patches (n, v) from their first `rank` coordinates."""
        basis = self.components[:rank].to(patches)
        mean = self.mean.to(patches)
        return (patches - mean) @ basis.T @ basis + mean


def fit_pca(patches: Tensor, rank: int | None = None) -> Pca:
    """Mean and leading `rank` principal components of patches (n, v), in float64.

    Small patches: eigh of the covariance. Large ones (p = 32 has 3072 values): subspace iteration
    from a fixed start, with more directions than asked for, then Rayleigh-Ritz; its last few
    components are rough. The sign of each component is fixed by its largest entry.
    """
    count, values = patches.shape
    rank = min(values, count) if rank is None else rank
    mean = _sum(patches, lambda chunk: chunk.sum(0)) / count
    centred = patches.float() - mean.float()
    if values <= EXACT_DIMENSION:
        spectrum, vectors = torch.linalg.eigh(_scatter(centred) / count)
    else:
        spectrum, vectors = _subspace(centred, min(values, rank + OVERSAMPLING))
    order = spectrum.argsort(descending=True)[:rank]
    components = vectors[:, order].T
    largest = components.abs().argmax(1, keepdim=True)
    components = components * components.gather(1, largest).sign()
    return Pca(mean, components.contiguous(), spectrum[order].clamp(min=0))


def _subspace(centred: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Leading eigenpairs of the covariance of `centred` (n, v) by subspace iteration.

    The iterations run in float32, which halves their cost and only turns the subspace by rounding
    errors; orthonormality and the basis within the subspace are settled in float64.
    """
    start = torch.Generator().manual_seed(0)
    basis = torch.randn(centred.shape[1], size, generator=start)
    for _ in range(POWER_ITERATIONS):
        basis, _ = torch.linalg.qr(centred.T @ (centred @ basis))
    exact, _ = torch.linalg.qr(basis.double())
    spectrum, turn = torch.linalg.eigh(_scatter(centred @ exact.float()) / len(centred))
    return spectrum, exact @ turn


def _scatter(rows: Tensor) -> Tensor:
    """Σ x·xᵀ over the rows (n, v): float32 products of chunks, added up in float64."""
    return _sum(rows, lambda chunk: chunk.T @ chunk)


def _sum(rows: Tensor, term: Callable[[Tensor], Tensor]) -> Tensor:
    """Σ `term` over chunks of rows, added up in float64."""
    starts = range(0, len(rows), CHUNK)
    return torch.stack([term(rows[i : i + CHUNK]).double() for i in starts]).sum(0)
