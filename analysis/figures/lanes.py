"""Which numbers may share axes: numbers of one metric under different protocols never do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Lane:
    """One row of panels: in each panel one protocol, over one or more data sets."""

    datasets: tuple[str, ...]
    protocols: Mapping[str, str]  # panel → protocol

    def select(self, observations: pd.DataFrame, panel: str) -> pd.DataFrame:
        """The rows that this lane draws in `panel`."""
        return observations[
            (observations["panel"] == panel)
            & (observations["protocol"] == self.protocols.get(panel))
            & observations["dataset"].isin(self.datasets)
        ]


def lanes(observations: pd.DataFrame) -> list[Lane]:
    """As few rows of panels as the protocols allow.

    One job scores all of its metrics in one way, so jobs with equal protocols belong together; a
    job that measured fewer metrics joins the first lane that it does not contradict.
    """
    ways: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for (dataset, _), rows in observations.groupby(["dataset", "job_id"], sort=False):
        pairs = rows[["panel", "protocol"]].drop_duplicates()
        way = tuple(sorted(zip(pairs["panel"], pairs["protocol"], strict=True)))
        ways[(str(dataset), way)] = ways.get((str(dataset), way), 0) + 1
    found: list[tuple[list[str], dict[str, str]]] = []
    appearance = {name: index for index, name in enumerate(observations["dataset"].unique())}
    # The fullest and commonest ways first: what is partial joins them, not the other way round.
    ranked = sorted(
        ways, key=lambda item: (-len(item[1]), appearance[item[0]], -ways[item], item[1])
    )
    for dataset, way in ranked:
        lane = next((lane for lane in found if _agree(lane[1], way)), None)
        if lane is None:
            found.append(lane := ([], {}))
        names, protocols = lane
        protocols.update(way)
        if dataset not in names:
            names.append(dataset)
    return [Lane(tuple(names), protocols) for names, protocols in found]


def _agree(protocols: Mapping[str, str], way: Iterable[tuple[str, str]]) -> bool:
    return all(protocols.get(panel, protocol) == protocol for panel, protocol in way)
