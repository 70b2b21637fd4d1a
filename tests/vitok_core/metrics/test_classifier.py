"""The classifier score against its published formula and torch-fidelity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import entropy
from torch_fidelity.metric_isc import isc_features_to_metric

from vitok_core.metrics.classifier import ClassifierScore

Array = NDArray[np.float64]


def scored(*batches: Array) -> float:
    score = ClassifierScore(batches[0].shape[1])
    for batch in batches:
        score.add(batch)
    return score.value


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_score_at_its_two_ends(classes: int) -> None:
    assert scored(np.zeros((7, classes))) == pytest.approx(1.0, rel=1e-12)
    sure = 1e4 * np.eye(classes)  # softmax underflows to exact zeros: 0·log 0 must be 0
    assert scored(sure, sure) == pytest.approx(classes, rel=1e-9)
    assert scored(sure[:1], sure[:1]) == pytest.approx(1.0, rel=1e-12)


def test_the_score_is_the_published_formula_in_any_batches() -> None:
    logits = np.random.default_rng(9).normal(size=(50, 12)) * 3 + 400
    p = softmax(logits, axis=1)
    expected = np.exp(np.mean([entropy(each, p.mean(0)) for each in p]))
    assert scored(logits) == pytest.approx(expected, rel=1e-10)
    assert scored(logits[:1], logits[1:20], logits[20:]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("images", "splits"), [(100, 10), (57, 10), (23, 4), (10, 10)])
def test_splits_are_those_of_torch_fidelity(images: int, splits: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(10).normal(size=(images, 12)) * 3)
    expected = isc_features_to_metric(logits, splits=splits)["inception_score_mean"]
    score = ClassifierScore(12, images, splits)
    for batch in logits.split(7):
        score.add(batch.numpy())
    assert score.value == pytest.approx(expected, rel=1e-12)
