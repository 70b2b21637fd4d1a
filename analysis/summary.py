"""Fits and distances from the floor as plain text tables, wide enough never to be cut."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.figures.words import number
from analysis.fits import LineFit
from analysis.floor import AgainstFloor
from analysis.metrics import metric

_SERIES = {"trained": "trained", "floor": "PCA floor"}


def fit_table(fits: Sequence[LineFit]) -> str:
    """Every line: R², slope per doubling of E with its 95% interval, residual sd, n, seeds."""
    header = [
        "data set", "metric", "series", "R²", "per doubling of E", "95% CI", "residual sd", "unit",
        "n", "seeds", "seed sd",
    ]  # fmt: skip
    rows = [_fit_row(fit) for fit in fits]
    lines = [_aligned(header, rows, left={0, 1, 2, 7})]
    lines += [
        f"  {fit.dataset}, {fit.panel}, {_SERIES[fit.series]}: {fit.note}"
        for fit in fits
        if fit.note
    ]
    if any(_protocols(fits)):
        lines += ["", "Protocols"]
        lines += [f"  {name}: {protocol}" for name, protocol in _protocols(fits)]
    return "\n".join(lines)


def floor_table(floors: Sequence[AgainstFloor]) -> str:
    """At how many configurations training beats the PCA floor, and by how much."""
    if not floors:
        return ""
    header = ["data set", "metric", "better at", "min", "max", "unit"]
    rows = [
        [
            one.dataset,
            one.panel + metric(one.panel).arrow,
            f"{one.better} of {one.n}",
            signed(one.low),
            signed(one.high),
            metric(one.panel).unit,
        ]
        for one in floors
    ]
    return "Trained minus PCA floor, by configuration\n" + _aligned(header, rows, left={0, 1, 5})


def point_table(differences: pd.DataFrame) -> str:
    """Trained minus PCA floor at every configuration, one table per data set."""
    tables = []
    for dataset, rows in differences.groupby("dataset", sort=False):
        keys = ["p", "q", "c", "E", "config_id"]
        wide = rows.pivot_table(index=keys, columns="panel", values="difference", sort=False)
        wide = wide[[name for name in rows["panel"].unique() if name in wide]].sort_index()
        header = ["p", "c", "E", *(_heading(str(name)) for name in wide.columns)]
        body = [
            [str(key[0]), str(key[2]), str(key[3]), *(signed(value) for value in values)]
            for key, values in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        title = f"Trained minus PCA floor at every configuration, {dataset}"
        tables.append(f"{title}\n{_aligned(header, body, left=set())}")
    return "\n\n".join(tables)


def signed(value: float) -> str:
    """A difference, its sign always written."""
    return "–" if pd.isna(value) else ("+" if value >= 0 else "−") + number(abs(value))


def _fit_row(fit: LineFit) -> list[str]:
    interval = fit.slope_ci
    low, high = fit.seeds_per_configuration
    repeats = "" if fit.series == "floor" else f"{low}" if low == high else f"{low}–{high}"
    return [
        fit.dataset,
        fit.panel,
        _SERIES[fit.series],
        "–" if fit.r2 is None else f"{fit.r2:.3f}",
        "–" if fit.slope is None else signed(fit.slope),
        "–" if interval is None else f"{signed(interval[0])} … {signed(interval[1])}",
        number(fit.residual_sd),
        fit.metric.unit,
        str(fit.n),
        repeats,
        "" if fit.series == "floor" else number(fit.between_seed_sd),
    ]


def _protocols(fits: Sequence[LineFit]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((fit.panel, fit.protocol) for fit in fits))


def _heading(name: str) -> str:
    unit = metric(name).unit
    return f"{name} ({unit})" if unit else name


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], left: set[int]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["─" * width for width in widths]), *map(line, rows)])
