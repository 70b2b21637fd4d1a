"""Precision and recall against torch-fidelity and shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_prc import prc_features_to_metric

from vitok_core.metrics import manifold
from vitok_core.metrics.manifold import precision_recall

Array = NDArray[np.float64]


def cloud(seed: int, n: int, shift: float = 0.0, spread: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, 5)) * spread + shift


@pytest.mark.parametrize("block", [1000, 13])
@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (0.8, 1.0), (0.0, 0.3), (9.0, 1.0)])
def test_it_agrees_with_torch_fidelity(
    shift: float, spread: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifold, "_BLOCK", block)
    x, y = cloud(0, 120, shift, spread), cloud(1, 90)
    both = (torch.from_numpy(each) for each in (x, y))
    expected = prc_features_to_metric(*both, verbose=False)
    found = precision_recall(x, y)
    assert found == pytest.approx((expected["precision"], expected["recall"]), abs=1e-6)


def test_which_is_which() -> None:
    narrow, wide = cloud(2, 200, spread=0.05), cloud(3, 200)
    precision, recall = precision_recall(narrow, wide)
    assert precision > 0.9
    assert recall < 0.1
    assert precision_recall(wide, narrow) == (recall, precision)


def test_ends() -> None:
    x = cloud(4, 50)
    assert precision_recall(x, x) == (1.0, 1.0)
    assert precision_recall(x, x + 100) == (0.0, 0.0)
