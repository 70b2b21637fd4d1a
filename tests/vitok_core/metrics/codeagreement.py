"""Rows of the table of agreement (`agreement.py`) that are of a code, not of pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.fft import dctn
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vitok_core.metrics import ridge
from vitok_core.metrics.rate import Rate
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid

Row = tuple[str, str, float, str, float, float]  # as `Agreement`'s arguments


def codes() -> Iterator[Row]:
    """The linear probe and a code's spectra."""
    yield _probe()
    mixing = np.random.default_rng(1).normal(size=(4, 4))
    frames = np.random.default_rng(0).normal(size=(10, 2, 3, 4)) @ mixing + 0.3
    code = torch.from_numpy(frames).flatten(1, 2)
    rate = Rate(4, 1)
    rate.add(rate.look(Posterior(code, torch.zeros_like(code), Grid(1, 2, 3))))
    shares = PCA().fit(frames.reshape(-1, 4)).explained_variance_ratio_
    theirs = float(np.exp(-(shares * np.log(shares)).sum()))
    what = "60 tokens of 4 channels"
    yield "Effective rank", what, rate.effective_rank, "scikit-learn's PCA", theirs, 1e-9

    power = np.square(dctn(frames, axes=(1, 2), norm="ortho")).sum((0, 3))
    power[0, 0] = 0.0
    v, u = np.meshgrid([0, 1], [0, 0.5, 1], indexing="ij")
    theirs = float(power[np.hypot(v, u) / 2**0.5 >= 0.5].sum() / power.sum())
    high = rate.high_frequency_share
    assert high is not None
    yield "High-frequency share", "10 codes of 2×3 tokens", high, "scipy's DCT", theirs, 1e-9


def _probe() -> Row:
    digits = load_digits()
    x, y, right = digits.data[:400], digits.target[:400], 0
    fold = np.empty(400, dtype=int)
    fold[np.argsort(y, kind="stable")] = np.arange(400) % 5
    for tested in range(5):
        out = fold == tested
        strengths = int((~out).sum()) * np.array(ridge.STRENGTHS)
        model = make_pipeline(StandardScaler(), RidgeClassifierCV(strengths))
        right += int((model.fit(x[~out], y[~out]).predict(x[out]) == y[out]).sum())
    what = "400 digits of 64 pixels, five folds"
    return "Linear probe", what, ridge.accuracy(x, y), "scikit-learn", right / 400, 1e-12
