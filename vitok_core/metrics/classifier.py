"""The Inception Score's formula on any classifier's logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHUFFLE_SEED = 2020  # torch-fidelity's


class ClassifierScore:
    """Mean over splits of exp(mean KL(p(y|x) ‖ p(y))), from logits that arrive in batches.

    On another classifier than Inception it is comparable within that one only. The splits are
    torch-fidelity's: consecutive parts of a shuffled order that depends on the number of images.

    Args:
        classes: of the classifier.
        images: how many there will be; of one split it does not matter.
        splits: at most `images`.
    """

    def __init__(self, classes: int, images: int = 0, splits: int = 1) -> None:
        self.classes, self.splits = classes, splits
        self._split_of = np.zeros(images, dtype=np.intp)
        if splits > 1:
            order = np.random.RandomState(SHUFFLE_SEED).permutation(images)
            for i in range(splits):
                self._split_of[order[i * images // splits : (i + 1) * images // splits]] = i
        self.n = 0
        self._counts = np.zeros(splits)
        self._marginals = np.zeros((splits, classes))
        self._negentropies = np.zeros(splits)

    def add(self, logits: NDArray[np.floating]) -> None:
        """Take in logits (b, classes) of the next b images."""
        x = np.asarray(logits, dtype=np.float64)
        log_p = x - x.max(1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        p = np.exp(log_p)
        negentropies = (p * log_p).sum(1)
        here = self._split_of[self.n : self.n + len(x)] if self.splits > 1 else np.zeros(len(x))
        for i in np.unique(here).astype(int):
            chosen = here == i
            self._counts[i] += chosen.sum()
            self._marginals[i] += p[chosen].sum(0)
            self._negentropies[i] += negentropies[chosen].sum()
        self.n += len(x)

    @property
    def value(self) -> float:
        """Between 1 and the number of classes."""
        marginals = self._marginals / self._counts[:, None]
        logs = np.log(marginals, out=np.zeros_like(marginals), where=marginals > 0)
        return float(np.exp(self._negentropies / self._counts - (marginals * logs).sum(1)).mean())
