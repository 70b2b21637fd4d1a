"""The linear probe's classifier against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from vitok_core.metrics import ridge

DIGITS = load_digits()


def parts(samples: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training pixels and digits, and pixels of others; more columns than pixels are products."""
    x = DIGITS.data[: samples + 200]
    if width > x.shape[1]:
        x = np.concatenate([x, x[:, 20:44] * x[:, 30:54], x[:, 10:34] * x[:, 31:55]], axis=1)
    return x[:samples, :width], DIGITS.target[:samples], x[samples:, :width]


# More samples than features, and fewer; some pixels are 0 in all of them.
@pytest.mark.parametrize(("samples", "width"), [(300, 30), (300, 64), (60, 100)])
def test_it_is_the_ridge_of_scikit_learn(samples: int, width: int) -> None:
    x, y, others = parts(samples, width)
    found = ridge.fit(x, y)
    scaler = StandardScaler().fit(x)
    strengths = samples * np.array(ridge.STRENGTHS)
    theirs = RidgeClassifierCV(strengths).fit(scaler.transform(x), y)
    assert found.strength * samples == pytest.approx(theirs.alpha_)
    scores = (others - found.mean) / found.spread @ found.coefficients + found.shares
    expected = (theirs.decision_function(scaler.transform(others)) + 1) / 2  # of -1 and 1
    np.testing.assert_allclose(scores, expected, atol=1e-7)
    assert found.predict(others).tolist() == theirs.predict(scaler.transform(others)).tolist()


def test_the_accuracy_is_of_samples_that_were_held_out() -> None:
    x, y = DIGITS.data[:500], DIGITS.target[:500]
    found = ridge.accuracy(x, y)
    assert 0.88 < found < 0.98  # a linear map of digits' pixels: about .93
    draws = np.random.default_rng(0)
    # As many features as samples fit any labels in training.
    chance = ridge.accuracy(draws.standard_normal((500, 400)), y)
    assert 0.05 < chance < 0.15
    assert ridge.accuracy(x * 1e-3 + 5, y + 40) == found


def test_folds_are_balanced_over_the_classes() -> None:
    # One class would miss from training if folds went by index: it is every fifth sample.
    y = np.array([0, 1, 2, 3, 4] * 20)
    x = np.eye(5)[y] + 0.01 * np.random.default_rng(1).standard_normal((100, 5))
    assert ridge.accuracy(x, y) == 1.0


def test_a_class_of_one_sample_cannot_be_learnt() -> None:
    y = np.array([0] * 10 + [1] * 10 + [2])
    x = np.eye(3)[y]
    assert ridge.accuracy(x, y) == pytest.approx(20 / 21)
