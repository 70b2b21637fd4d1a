"""Fits and distances from the floor as plain text tables, wide enough never to be cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from analysis.external import whose
from analysis.figures.words import group_name, number
from analysis.fits import LineFit
from analysis.floor import AgainstCodec, AgainstFloor
from analysis.guidance import UNGUIDED, best_scale
from analysis.metrics import metric

_SERIES = {"trained": "trained", "floor": "PCA floor"}


def fit_table(fits: Sequence[LineFit]) -> str:
    """Every line: R², slope per doubling with its 95% interval, residual sd, n, seeds.

    Of the paper's lines also their figure and the R² that it prints.
    """
    if not fits:
        return ""
    published = any(fit.source == "published" for fit in fits)
    figure = ["figure"] if published else []
    header = ["data set", "metric", "series", *figure, "R²", *_fit_columns(fits, published)]
    rows = [_fit_row(fit, published) for fit in fits]
    left = {header.index(name) for name in ("data set", "metric", "series", "unit")}
    lines = [_aligned(header, rows, left)]
    lines += _remarks(fits)
    return "\n".join([*lines, "", "Protocols", *_protocols(fits)])


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


def codec_table(
    rivals: Sequence[AgainstCodec], uncompared: Sequence[tuple[str, int | None]]
) -> str:
    """At how many configurations training beats a codec of the same E, and where it does not.

    Args:
        uncompared: codecs whose E no configuration has, and that E; None: it is not known.
    """
    alone = ", ".join(f"{name} (E {size or 'unknown'})" for name, size in uncompared)
    below = f"not compared, no point of its E: {alone}" if alone else ""
    if not rivals:
        return below
    header = ["data set", "metric", "codec", "better at", "min", "max", "unit", "not beaten at"]
    rows = [
        [
            one.dataset,
            one.panel + metric(one.panel).arrow,
            one.codec,
            f"{one.better} of {one.n}",
            signed(one.low),
            signed(one.high),
            metric(one.panel).unit,
            _unbeaten(one),
        ]
        for one in rivals
    ]
    title = "Trained minus codecs at equal E, by configuration"
    table = f"{title}\n{_aligned(header, rows, left={0, 1, 2, 6, 7})}"
    return f"{table}\n{below}" if below else table


def _unbeaten(one: AgainstCodec) -> str:
    if len(one.unbeaten) <= len(one.beaten):
        return ", ".join(one.unbeaten) or "–"
    return f"all but {', '.join(one.beaten)}" if one.beaten else "any"


def point_table(differences: pl.DataFrame) -> str:
    """Trained minus PCA floor at every configuration, one table per data set."""
    tables = []
    for (dataset,), rows in differences.group_by("dataset", maintain_order=True):
        keys = ["p", "q", "c", "E", "config_id"]
        wide = rows.pivot(
            "metric", index=keys, values="difference", aggregate_function="mean"
        ).sort(keys)  # fmt: skip
        names = wide.columns[len(keys) :]
        header = ["p", "c", "E", *map(_heading, names)]
        body = [
            [str(p), str(c), str(E), *map(signed, values)] for p, _, c, E, _, *values in wide.rows()
        ]
        title = f"Trained minus PCA floor at every configuration, {dataset}"
        tables.append(f"{title}\n{_aligned(header, body, left=set())}")
    return "\n\n".join(tables)


def guidance_table(found: pl.DataFrame) -> str:
    """Each configuration at every scale of CFG that it was sampled at, and the best of them."""
    tables = []
    keys = ["dataset", "generator", "metric"]
    for (dataset, generator, name), rows in found.group_by(keys, maintain_order=True):
        scales = sorted({scale for each in rows["scales"] for scale in each})
        sizes = ["p", "c", "E"]
        sizes += [each for each in ("encoder", "decoder") if rows[each].n_unique() > 1]
        at = ["unguided" if scale == UNGUIDED else f"CFG {scale:g}" for scale in scales]
        header = [*sizes, *at, "best CFG", "best"]
        body = []
        for row in rows.to_dicts():
            values = dict(zip(row["scales"], row["values"], strict=True))
            shown = [number(values[scale]) if scale in values else "–" for scale in scales]
            size = [str(row[each]) for each in sizes]
            best = best_scale(row["best_scale"], row["scales"])
            body.append([*size, *shown, best, number(row["best"])])
        of = f"{name}{metric(str(name)).arrow}, {dataset}, {generator or 'paper'}"
        tables.append(f"Guidance: {of}\n{_aligned(header, body, left=set())}")
    if any("≥" in table or "≤" in table for table in tables):
        tables.append(
            "≥, ≤: the highest or the lowest scale that was sampled; one beyond may be better"
        )
    return "\n\n".join(tables)


def signed(value: float | None) -> str:
    """A difference, its sign always written."""
    if value is None or math.isnan(value):
        return "–"
    return ("+" if value >= 0 else "−") + number(abs(value))


def _fit_columns(fits: Sequence[LineFit], published: bool) -> list[str]:
    sizes = {fit.line.x for fit in fits}
    over = sizes.pop() if len(sizes) == 1 else "x"
    step = "doubling" if all(fit.line.transform == "log2" for fit in fits) else "doubling or unit"
    printed = ["printed R²"] if published else []
    return [
        *printed, f"per {step} of {over}", "95% CI", "residual sd", "unit", "n", "seeds",
        "seed sd",
    ]  # fmt: skip


def _dataset(fit: LineFit) -> str:
    scale = "" if fit.cfg_scale is None else f"CFG {fit.cfg_scale:g}"
    return " ".join(filter(None, [fit.dataset, fit.generator, scale]))


def _series(fit: LineFit) -> str:
    who = _SERIES[fit.series] if fit.source == "db" else whose(fit.source)
    of = ", ".join(group_name(name, value) for name, value in fit.group)
    bent = " (quadratic)" if fit.form == "quadratic" else ""
    return f"{who}{', ' if of else ''}{of}{bent}"


def _remarks(fits: Sequence[LineFit]) -> list[str]:
    """Why lines are missing; metrics that share the reason on one line."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for fit in fits:
        if fit.note:
            figure = f", Figure {fit.figure}" if fit.figure else ""
            rest = f"{_series(fit)}{figure}: {fit.note}"
            metrics.setdefault((_dataset(fit), rest), []).append(fit.panel)
    return [
        f"  {dataset}, {', '.join(dict.fromkeys(names))}, {rest}"
        for (dataset, rest), names in metrics.items()
    ]


def _fit_row(fit: LineFit, published: bool) -> list[str]:
    interval = fit.slope_ci
    low, high = fit.seeds_per_configuration
    repeats = f"{low}" if low == high else f"{low}–{high}"
    seeded = bool(fit.seeds)
    on_paper = "–" if fit.r2_printed is None else f"{fit.r2_printed:.2f}"
    return [
        _dataset(fit),
        fit.panel,
        _series(fit),
        *([fit.figure or ""] if published else []),
        "–" if fit.r2 is None else f"{fit.r2:.3f}",
        *([on_paper] if published else []),
        "–" if fit.slope is None else signed(fit.slope),
        "–" if interval is None else f"{signed(interval[0])} … {signed(interval[1])}",
        number(fit.residual_sd),
        fit.metric.unit,
        str(fit.n),
        repeats if seeded else "",
        number(fit.between_seed_sd) if seeded else "",
    ]


def _protocols(fits: Sequence[LineFit]) -> list[str]:
    """Each metric with its protocol; the paper's, which only name the figure, on one line."""
    lines = [f"  {fit.panel}: {fit.protocol}" for fit in fits if not fit.figure]
    figures: dict[str, list[str]] = {}
    for fit in fits:
        if fit.figure:
            way = fit.protocol.removesuffix(f", Figure {fit.figure}")
            figures.setdefault(way, []).append(fit.figure)
    for way, of in figures.items():
        numbers = sorted(set(of), key=lambda figure: (len(figure), figure))
        lines.append(f"  {way}, Figure{'s' * (len(numbers) > 1)} {', '.join(numbers)}")
    return list(dict.fromkeys(lines))


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
