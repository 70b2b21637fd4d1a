"""What the charts draw, as data for the page's script: places, panels and the fitted lines.

A panel is one metric on one data set under one protocol: numbers of different protocols never share
an axis. A place is what all numbers of one point at one evaluation share: its sizes and its names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from analysis.figures.words import group_name, number
from analysis.fits import LineFit
from analysis.metrics import choose, metric

Json = dict[str, Any]

# Columns over which, and by which colour, a reader may look, as the page calls them.
OVER = {
    "E": "E, floats in the code (L × c)", "c": "c, channels", "L": "L, tokens",
    "p": "p, patch size",
    "pixels_per_channel": "pixels per channel", "params_m": "parameters (M)",
    "encoder_params_m": "encoder parameters (M)", "decoder_params_m": "decoder parameters (M)",
    "gflops": "GFLOPs (MACs)", "resolution": "resolution (pixels)",
    "frames": "frames", "step": "fine-tuning step",
}  # fmt: skip
COLOURS = {
    "p": "patch size", "c": "channels", "q": "temporal stride", "encoder": "encoder",
    "decoder": "decoder", "variant": "variant", "loss": "loss", "stage": "stage",
    "resolution": "resolution", "frames": "frames", "seed": "seed", "series": "series",
}  # fmt: skip
_NAMES = tuple(dict.fromkeys((*OVER, *COLOURS)))
_PLACE = ("source", "point_id", "config_id", *_NAMES)
_PANEL = ("metric", "source", "dataset", "generator", "cfg_scale", "protocol")
_SERIES = {"trained": "trained", "floor": "PCA floor"}
_MAIN = 2  # panels of a source to begin with
_SAMPLES = 33  # points of a drawn line


@dataclass(frozen=True)
class Pictures:
    """Which picture of the page belongs to a job, or else to a point."""

    by_job: Mapping[str, int]
    by_point: Mapping[str, int]

    def of(self, job: str | None, point: str, series: str) -> int:
        """Its number; -1: none."""
        own = self.by_job.get(job or "")
        if own is None and series == "trained":
            own = self.by_point.get(point)  # a probe shows what its tokenizer keeps
        return -1 if own is None else own


def chart_data(
    rows: pl.DataFrame, fits: Sequence[LineFit], runs: Mapping[str, int], pictures: Pictures
) -> Json:
    """Everything that the charts need; columns instead of rows, for there may be many.

    Args:
        rows: what was measured, each number once.
        runs: the run table's rows by point.
        pictures: numbers of the page's pictures.
    """
    rows = rows.filter(pl.col("value").is_finite())
    places = rows.select(_PLACE).unique(maintain_order=True).with_row_index("place")
    rows = rows.join(places, on=_PLACE, nulls_equal=True, how="left", maintain_order="left")
    panels = [
        _panel(dict(zip(_PANEL, key, strict=True)), part, fits, pictures)
        for key, part in rows.group_by(_PANEL, maintain_order=True)
    ]
    return {
        "places": _columns(places, runs),
        "over": _several(places, OVER, always="E"),
        "colours": _several(places, COLOURS, always="p"),
        "panels": panels,
        "metrics": _menu(panels),
    }


def _columns(places: pl.DataFrame, runs: Mapping[str, int]) -> Json:
    """The places' columns by name, their configuration's number, their row in the run table."""
    configs = {name: n for n, name in enumerate(places["config_id"].unique(maintain_order=True))}
    return {
        **{name: places[name].to_list() for name in _NAMES if not places[name].is_null().all()},
        "series": places["series"].replace(_SERIES).to_list(),
        "source": places["source"].to_list(),
        "config": [configs[name] for name in places["config_id"]],
        "run": [runs.get(point, -1) for point in places["point_id"]],
        "name": places["point_id"].to_list(),
    }


def _several(places: pl.DataFrame, names: Mapping[str, str], always: str) -> list[list[str]]:
    """Name and label of the columns in which places differ."""
    return [
        [name, label]
        for name, label in names.items()
        if name == always or places[name].drop_nulls().n_unique() > 1
    ]


def _panel(key: Json, rows: pl.DataFrame, fits: Sequence[LineFit], pictures: Pictures) -> Json:
    known, cfg = metric(key["metric"]), key["cfg_scale"]
    ours = [
        fit
        for fit in fits
        if (fit.panel, fit.source, fit.dataset, fit.generator, fit.cfg_scale, fit.protocol)
        == tuple(key.values())
    ]
    scale = "" if cfg is None else f"CFG {cfg:g}"
    return {
        "metric": known.name,
        "label": known.name + (" (dB)" if known.unit == "dB" else "") + known.arrow,
        "log": known.transform == "log2",
        "source": key["source"],
        "cfg": cfg,
        "dataset": ", ".join(filter(None, [key["dataset"], key["generator"], scale])),
        "protocol": key["protocol"],
        "at": rows["place"].to_list(),
        "value": [float(f"{value:.7g}") for value in rows["value"]],
        "picture": [
            pictures.of(*row) for row in rows.select("job_id", "point_id", "series").rows()
        ],
        "lines": [
            _line(fit, rows.filter(pl.col("series") == fit.series, **dict(fit.group))["E"])
            for fit in ours
            if fit.model is not None
        ],
    }


def _line(fit: LineFit, sizes: pl.Series) -> Json:
    """A fitted line and its 95% band over the range of E that it was fitted on."""
    low, high = np.log2(sizes.to_numpy()).min(), np.log2(sizes.to_numpy()).max()
    x = np.exp2(np.linspace(low, high, _SAMPLES))
    mean, below, above = (_four(values) for values in fit.band(x))
    r2 = "undefined" if fit.r2 is None else f"{fit.r2:.3f}"
    unit = f" {fit.metric.unit}" if fit.metric.unit else ""
    of = "".join(f", {group_name(*pair)}" for pair in fit.group)
    what = of + (" (quadratic)" if fit.form == "quadratic" else "")
    return {
        "series": _SERIES[fit.series],
        "text": f"{_SERIES[fit.series]}{what}: R² {r2}, residual sd {number(fit.residual_sd)}{unit}"
        f", n = {fit.n}",
        "x": _four(x),
        "y": mean,
        # With one degree of freedom the band would fill the panel: t is 12.7 there.
        "band": [below, above] if fit.model is not None and fit.model.dof > 1 else None,
    }


def _four(values: Any) -> list[float | None]:
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]


def _menu(panels: Sequence[Json]) -> list[Json]:
    """A metric's panels, and those to begin with: our first, and the paper's first figure.

    A source that does not have the metric shows the nearest of its family beside it, on an axis of
    its own (the paper's rFID beside an offline network's distance).
    """
    menu = []
    for name in dict.fromkeys(panel["metric"] for panel in panels):
        own = [n for n, panel in enumerate(panels) if panel["metric"] == name]
        main = [n for source in ("db", "published") for n in _first(panels, own[0], source)]
        every = list(dict.fromkeys((*own, *main)))
        menu.append({"name": name, "panels": every, "main": main})
    return menu


def _first(panels: Sequence[Json], like: int, source: str) -> list[int]:
    """A source's first panels of the metric of panel `like`, or of the nearest in its family."""
    wanted, scale = panels[like]["metric"], panels[like]["cfg"] is None
    there = {
        n: panel["metric"]
        for n, panel in enumerate(panels)
        if panel["source"] == source and (panel["cfg"] is None) == scale
    }
    family = metric(wanted).family
    name = (
        wanted if wanted in there.values() or family == "other" else choose(family, there.values())
    )
    found = [n for n, each in there.items() if each == name]
    return [n for n in found if panels[n]["protocol"] == panels[found[0]]["protocol"]][:_MAIN]
