"""What a tokenizer costs, as columns of panels: time of training, GFLOPs, parameters, code size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures import style
from analysis.frames import Results


@dataclass(frozen=True)
class Cost:
    """A column of numbers along x, and what its axis says."""

    column: str
    label: str
    short: str  # for titles: "over …"


GFLOPS = Cost("gflops", "GFLOPs per sample (multiply-accumulates)", "GFLOPs")
PARAMETERS = Cost("params_m", "parameters of the auto-encoder (M)", "parameters")
CODE = Cost("E", "code size $E$ (floating points)", "E")


def axis(axes: Axes, cost: Cost, values: list[float]) -> None:
    """The horizontal axis that holds `values`, logarithmic."""
    axes.set_xlabel(cost.label)
    if cost is CODE:
        style.size_axis(axes, values)
        return
    low, high = min(values), max(values)
    pad = max((high / low) ** 0.08, 1.06)
    axes.set_xscale("log")
    axes.set_xlim(low / pad, high * pad)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low / pad, high * pad)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def training_time(results: Results) -> tuple[pl.DataFrame, Cost | None, list[str]]:
    """Hours that each configuration's training took, all attempts and train stages together.

    Returns:
        `config_id`, `hours` (mean over seeds), of the kind of device on which most trained; the
        cost for an axis, None where no time is known; and notes. On a CPU an hour is a core's.
    """
    trains = results.jobs.filter(pl.col("kind").is_in(["tokenizer", "finetune"]))
    spent = (
        results.records.times()
        .join(trains.select("job_id"), on="job_id", how="semi")
        .join(results.records.members(), on="job_id")
        .join(results.points.select("point_id", "config_id"), on="point_id")
        .with_columns(pl.col("device").fill_null("unknown device"))
    )
    spent = spent.filter(pl.col("seconds") > 0)
    if spent.is_empty():
        return pl.DataFrame(schema={"config_id": pl.String, "hours": pl.Float64}), None, []
    points = spent.group_by("device").agg(n=pl.col("point_id").n_unique())
    device = points.sort("n", "device", descending=[True, False])["device"][0]
    cores = pl.col("threads").fill_null(1) if device == "cpu" else pl.lit(1)
    mixed = spent.filter((pl.col("device") != device).any().over("point_id"))
    lost = mixed["point_id"].n_unique()
    hours = (
        spent.join(mixed, on="point_id", how="anti")
        .group_by("config_id", "point_id")
        .agg(hours=(pl.col("seconds") * cores).sum() / 3600)
        .group_by("config_id")
        .agg(pl.col("hours").mean())
        .sort("config_id")
    )
    what = "core-hours on a CPU" if device == "cpu" else f"device-hours on {device}"
    note = f"{lost} points trained on other devices than {device}: their hours are not drawn"
    cost = Cost("hours", f"training time ({what})", "training time")
    return hours, cost, [note] * bool(lost)


def _tick(value: float) -> str:
    """0.005, 300, 20k."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:.4g}"


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 of every decade; round numbers evenly spaced where that leaves too few."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for parts in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 2.0, 3.0, 5.0, 7.0)):
        ticks = [part * 10.0**k for k in decades for part in parts if low <= part * 10.0**k <= high]
        if len(ticks) >= 3:
            return ticks
    step = 10.0 ** np.floor(np.log10((high - low) / 2))
    step *= next(part for part in (5.0, 2.0, 1.0) if (high - low) / (part * step) >= 2)
    return [float(tick) for tick in np.arange(np.ceil(low / step), high / step + 1e-9) * step]
