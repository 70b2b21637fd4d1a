"""What the report knows of a metric by its name: family, scale of its fit, direction, unit.

Names are the database's. `rFID`, `rIS`, … are reserved for the standard networks; the offline
networks serve under their own, e.g. `rFD[efficientnet-lite0]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.ols import NoFit

# What no metric reaches; beyond, the sums of squares of a fit would overflow.
ABSURD = 1e100

# What no error can make of these families.
_LIMITS = {
    "ssim": (-1.0, 1.0),
    "ms-ssim": (0.0, 1.0),
    "is": (1.0, np.inf),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "probe": (0.0, 1.0),
}


@dataclass(frozen=True)
class Metric:
    """How one metric is fitted and read."""

    name: str
    family: str  # frechet, fvd, is, ssim, psnr, …: the figures' panels
    transform: str  # y_transform of its fits: "log2" or "identity"
    better: int  # +1 higher, -1 lower, 0 neither: a rate is a price, not a quality
    unit: str = ""  # of values, of slopes and of residuals in the fit's scale

    @property
    def offline(self) -> bool:
        """Scored by a network of our own choice, not comparable with published numbers."""
        return "[" in self.name

    @property
    def arrow(self) -> str:
        return {1: " ↑", -1: " ↓", 0: ""}[self.better]

    def scale(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values on the scale of the fit.

        Raises:
            NoFit: not positive under a logarithm.
        """
        numbers = np.asarray(values, dtype=float)
        if self.transform == "identity":
            return numbers
        if np.any(numbers <= 0):
            raise NoFit(f"{self.name} has a value that is not positive, and its fit takes log2")
        return np.asarray(np.log2(numbers))

    def unscale(self, values: ArrayLike) -> NDArray[np.float64]:
        """From the scale of the fit back to the metric's."""
        numbers = np.asarray(values, dtype=float)
        return np.asarray(np.exp2(numbers)) if self.transform == "log2" else numbers

    def possible(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values within what the metric can be: an SSIM of 1 at most, an IS of 1 at least."""
        return np.asarray(np.clip(values, *_LIMITS.get(self.family, (-np.inf, np.inf))))

    def usable(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which values a fit can take."""
        numbers = np.asarray(values, dtype=float)
        finite = np.isfinite(numbers) & (np.abs(numbers) < ABSURD)
        return np.asarray(finite & (numbers > 0)) if self.transform == "log2" else finite


# First match decides. Fréchet distances are fitted as log2, the paper's own coordinates: R² on the
# raw metric would not give the printed numbers.
_RULES: tuple[tuple[str, str, str, int, str], ...] = (
    (r"[rg]F(ID|D)\b", "frechet", "log2", -1, "log2"),
    (r"[rg]FVD\b", "fvd", "log2", -1, "log2"),
    (r"[rg]K(ID|VD|D)\b", "kernel", "identity", -1, ""),
    (r"[rg]CMMD\b", "cmmd", "identity", -1, ""),
    (r"[rg]IS\b", "is", "identity", 1, ""),
    (r"[rg]Precision\b", "precision", "identity", 1, ""),
    (r"[rg]Recall\b", "recall", "identity", 1, ""),
    (r"rSSIM\b", "ssim", "identity", 1, ""),
    (r"rPSNR\b", "psnr", "identity", 1, "dB"),
    (r"rMS-SSIM\b", "ms-ssim", "identity", 1, ""),
    (r"LPIPS\b|rPD\b", "lpips", "identity", -1, ""),
    # Of the code itself: what it carries is a price or a property, not a quality.
    (r"kl_bits_per_pixel\b", "other", "identity", 0, "bit/px"),
    (r"(active_channels|effective_rank|high_frequency_share)\b", "other", "identity", 0, ""),
    (r"probe_accuracy\b", "probe", "identity", 1, ""),
    (r"(shift|flip)_error\b", "equivariance", "identity", -1, ""),
)

_FAMILIES = (
    "frechet", "fvd", "is", "ssim", "psnr", "kernel", "cmmd", "precision", "recall", "lpips",
    "ms-ssim", "other", "probe", "equivariance",
)  # fmt: skip


def metric(name: str) -> Metric:
    """The metric of that name; one that is not known is fitted as it is and has no direction."""
    for pattern, family, transform, better, unit in _RULES:
        if re.match(pattern, name):
            return Metric(name, family, transform, better, unit)
    return Metric(name, "other", "identity", 0)


def choose(family: str, names: Iterable[str]) -> str | None:
    """The family's metric to draw: the standard one where it was measured, else an offline one.

    Among several offline networks the plainest name (a whole network before one of its stages)
    wins, so that the choice does not depend on what else was measured.
    """
    found = sorted({name for name in names if metric(name).family == family})
    return min(found, key=lambda name: (metric(name).offline, len(name), name), default=None)


def order(name: str) -> tuple[int, bool, int, str]:
    """Sort key: the paper's order of panels, standard names first."""
    chosen = metric(name)
    return _FAMILIES.index(chosen.family), chosen.offline, len(name), name
