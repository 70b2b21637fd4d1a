"""Ways of measuring one metric: one of them within a sample, and a note where samples differ."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl


def one_protocol(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Of several protocols of one metric on one data set, that of most configurations."""
    if rows["source"].n_unique() and rows["source"][0] == "published":
        return rows, []  # a protocol there names the figure
    where = ["dataset", "cfg_scale", "resolution", "frames"]
    counted = rows.with_columns(_many=pl.col("config_id").n_unique().over(*where, "protocol"))
    best = counted.sort("_many", "protocol", descending=[True, False]).unique(
        where, keep="first", maintain_order=True
    )
    kept = counted.join(best.select(*where, "protocol"), on=[*where, "protocol"], how="semi",
                        nulls_equal=True)  # fmt: skip
    lost = len(rows) - len(kept)
    notes = [f"left out: {lost} of {len(rows)} values, of other protocols"] if lost else []
    return kept.drop("_many"), notes


def told_apart(frames: Iterable[pl.DataFrame]) -> list[str]:
    """A note on every metric that some of our own `frames` have by another protocol than others,
    data sets aside."""
    ways: dict[str, dict[str, None]] = {}
    for frame in frames:
        ours = frame.filter(pl.col("source") == "db")
        rows = ours.select("metric", "protocol", "dataset").unique(maintain_order=True).rows()
        for metric, protocol, dataset in rows:
            ways.setdefault(metric, {})[_way(protocol, dataset)] = None
    return [f"{metric} by several protocols: {' | '.join(several)}"
            for metric, several in ways.items() if len(several) > 1]  # fmt: skip


def _way(protocol: str, dataset: str) -> str:
    """A protocol without its part on the data set."""
    return "; ".join(part for part in protocol.split("; ") if not part.startswith(dataset))
