"""Which numbers may share axes: numbers of one metric under different protocols never do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

Drawn = tuple[str, str, float | None]  # metric, protocol, CFG scale
Way = tuple[tuple[str, Drawn], ...]  # by panel


@dataclass(frozen=True)
class Lane:
    """One row of panels: in each panel one metric and protocol, over one or more data sets."""

    datasets: tuple[str, ...]
    sources: tuple[str, ...]
    panels: Mapping[str, Drawn]

    @property
    def mixed(self) -> bool:
        """Several data sets or sources stand on one axis."""
        return len(self.datasets) > 1 or len(self.sources) > 1

    def select(self, measurements: pl.DataFrame, panel: str) -> pl.DataFrame:
        """The rows that this lane draws in `panel`."""
        if panel not in self.panels:
            return measurements.clear()
        metric, protocol, _ = self.panels[panel]
        return measurements.filter(
            pl.col("panel") == panel,
            pl.col("metric") == metric,
            pl.col("protocol") == protocol,
            pl.col("source").is_in(list(self.sources)),
            pl.col("dataset").is_in(list(self.datasets)),
        )


def lanes(measurements: pl.DataFrame, *, apart: bool = False) -> list[Lane]:
    """As few rows of panels as the protocols allow; rows need the column `panel`.

    One job scores all of its metrics in one way, so jobs with equal protocols belong together; a
    job that measured fewer metrics joins the first lane that it does not contradict. Ours come
    first, the paper's below.

    Args:
        apart: a data set and a source have a lane of their own, whatever the protocol.
    """
    ways: dict[tuple[str, str, Way], int] = {}
    jobs = pl.coalesce("job_id", "figure").alias("job")
    for (source, dataset, _), rows in measurements.group_by(
        "source", "dataset", jobs, maintain_order=True
    ):
        unique = rows.select("panel", "metric", "protocol", "cfg_scale").unique()
        way = tuple((panel, (*drawn,)) for panel, *drawn in unique.sort("panel", "protocol").rows())
        key = (str(source), str(dataset), way)
        ways[key] = ways.get(key, 0) + 1
    names = measurements["dataset"].unique(maintain_order=True).to_list()
    # The fullest and commonest ways first: what is partial joins them, not the other way round.
    ranked = sorted(
        ways,
        key=lambda key: (
            key[0] != "db", -len(key[2]), names.index(key[1]), -ways[key], _sortable(key[2]),
        ),
    )  # fmt: skip
    found: list[tuple[list[str], list[str], dict[str, Drawn]]] = []
    for source, dataset, way in ranked:
        alike = [lane for lane in found if not apart or lane[:2] == ([dataset], [source])]
        lane = next((lane for lane in alike if _agree(lane[2], way)), None)
        if lane is None:
            found.append(lane := ([], [], {}))
        datasets, sources, panels = lane
        panels.update(way)
        datasets += [dataset] if dataset not in datasets else []
        sources += [source] if source not in sources else []
    return [
        Lane(tuple(sorted(datasets, key=names.index)), tuple(sources), panels)
        for datasets, sources, panels in found
    ]


def _sortable(way: Way) -> list[tuple[str, str, str, float]]:
    """No scale comes before any scale."""
    return [
        (panel, metric, protocol, -math.inf if scale is None else scale)
        for panel, (metric, protocol, scale) in way
    ]


def _agree(panels: Mapping[str, Drawn], way: Iterable[tuple[str, Drawn]]) -> bool:
    return all(panels.get(panel, drawn) == drawn for panel, drawn in way)
