"""Trained minus PCA floor: what training adds to the best linear code of the same p and c.

At toy scale PCA of patches alone shows most of the log E law, so a metric says little before its
distance from the floor is known. Differences are taken on the scale of the metric's fit (log2 for
Fréchet distances) between a configuration's mean over seeds and its floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.fits import configuration_means
from analysis.metrics import metric

_KEYS = ["panel", "protocol", "dataset"]


@dataclass(frozen=True)
class AgainstFloor:
    """One metric on one data set: at how many configurations training beats the floor."""

    panel: str
    protocol: str
    dataset: str
    n: int  # configurations that have both
    better: int
    low: float  # smallest and largest difference, on the scale of the fit
    high: float

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "panel": self.panel,
            "dataset": self.dataset,
            "scale": metric(self.panel).transform,
            "n": self.n,
            "better": self.better,
            "min": self.low,
            "max": self.high,
            "protocol": self.protocol,
        }


def differences(observations: pd.DataFrame) -> pd.DataFrame:
    """One row per configuration, metric and data set that has a trained mean and a floor.

    Columns: panel, protocol, dataset, config_id, p, q, c, L, E, n_seeds, trained, floor (both in
    the metric's own scale), difference (on the scale of the fit), better. Metrics without a
    direction (rates) are not compared.
    """
    means = configuration_means(observations)
    trained = means[means["series"] == "trained"]
    floor = means[means["series"] == "floor"]
    both = trained.merge(
        floor[[*_KEYS, "config_id", "E", "value", "scaled"]],
        on=[*_KEYS, "config_id", "E"],
        suffixes=("", "_floor"),
    )
    both["difference"] = both["scaled"] - both["scaled_floor"]
    sign = both["panel"].map(lambda name: metric(name).better).astype(int)
    both["better"] = both["difference"] * sign > 0
    both = both[sign != 0].rename(columns={"value": "trained", "value_floor": "floor"})
    columns = ["config_id", "p", "q", "c", "L", "E", "n_seeds"]
    return both[[*_KEYS, *columns, "trained", "floor", "difference", "better"]]


def against_floor(observations: pd.DataFrame) -> list[AgainstFloor]:
    """The summary of `differences`, per metric, protocol and data set."""
    summaries = []
    for (panel, protocol, dataset), rows in differences(observations).groupby(_KEYS, sort=False):
        summaries.append(
            AgainstFloor(
                panel=str(panel),
                protocol=str(protocol),
                dataset=str(dataset),
                n=len(rows),
                better=int(rows["better"].sum()),
                low=float(rows["difference"].min()),
                high=float(rows["difference"].max()),
            )
        )
    return summaries
