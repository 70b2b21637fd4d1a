"""Fits and distances from the floor as plain text tables, wide enough never to be cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from analysis.external import whose
from analysis.figures.words import group_name, listed, number
from analysis.fits import LineFit
from analysis.floor import AgainstCodec, AgainstFloor
from analysis.generators import told_apart
from analysis.guidance import UNGUIDED, best_scale
from analysis.metrics import metric

FLOORS = "Trained minus PCA floor, by configuration"
CODECS = "Trained minus codecs at equal E, by configuration"
_SERIES = {"trained": "trained", "floor": "PCA floor"}
_ALIKE = "alike"
_LEFT = ("data set", "metric", "series", "unit")  # columns of words


def fit_table(fits: Sequence[LineFit]) -> str:
    """Every line: R², slope per doubling with its 95% interval, residual sd, n, seeds.

    Of the paper's lines also their figure and the R² that it prints. A generator's lines stand
    below its name; what all rows of a table share is in its heading. Where there is no line, the
    reason is said below.
    """
    if not fits:
        return ""
    drawn = [fit for fit in fits if fit.model is not None]
    generators = dict.fromkeys(fit.generator for fit in drawn)
    blocks = [_fit_block([fit for fit in drawn if fit.generator == each]) for each in generators]
    remarks = "\n".join(_remarks(fits))
    protocols = "\n".join(["Protocols", *_protocols(fits)])
    return "\n\n".join(filter(None, [*blocks, remarks, protocols]))


def _fit_block(fits: Sequence[LineFit]) -> str:
    """The lines of one generator, or all that are of none."""
    per = _per(fits)
    rows = [_fit_row(fit, per) for fit in fits]
    same = [name for name in ("data set", "CFG") if len({row[name] for row in rows}) == 1]
    about = {name: rows[0][name] for name in same}
    scale = about.get("CFG", "–")
    said = [about.get("data set"), fits[0].generator, "" if scale == "–" else f"CFG {scale}"]
    heading = ", ".join(filter(None, said))
    kept = [
        name
        for name in rows[0]
        if name not in same and any(row[name] not in ("", "–") for row in rows)
    ]
    left = {kept.index(name) for name in _LEFT if name in kept}
    table = _aligned(kept, [[row[name] for name in kept] for row in rows], left)
    return "\n".join(filter(None, [heading, table]))


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
    return f"{FLOORS}\n{_aligned(header, rows, left={0, 1, 5})}"


def codec_table(
    rivals: Sequence[AgainstCodec], uncompared: Sequence[tuple[str, int | None]]
) -> str:
    """At how many configurations training beats a codec of the same E, and where it does not.

    Args:
        uncompared: codecs whose E no configuration has, and that E; None: it is not known.
    """
    below = not_compared(uncompared)
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
            not_beaten(one),
        ]
        for one in rivals
    ]
    table = f"{CODECS}\n{_aligned(header, rows, left={0, 1, 2, 6, 7})}"
    return f"{table}\n{below}" if below else table


def not_compared(uncompared: Sequence[tuple[str, int | None]]) -> str:
    """The codecs that the table of codecs leaves out, and why."""
    alone = ", ".join(f"{name} (E {size or 'unknown'})" for name, size in uncompared)
    return f"not compared, no point of its E: {alone}" if alone else ""


def not_beaten(one: AgainstCodec) -> str:
    """The configurations at which training does not win: in the fewer words."""
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
    """Each configuration at every scale of CFG that it was sampled at, and the best of them; a
    table per metric and data set, a row per configuration and generator."""
    tables = []
    for (name, dataset), rows in found.group_by("metric", "dataset", maintain_order=True):
        scales = sorted({scale for each in rows["scales"] for scale in each})
        names = rows["generator"].fill_null("paper").unique(maintain_order=True).to_list()
        told, shared = told_apart(names)
        several = len(names) > 1
        sizes = ["p", "c", "E"]
        sizes += [each for each in ("encoder", "decoder") if rows[each].n_unique() > 1]
        at = ["unguided" if scale == UNGUIDED else f"CFG {scale:g}" for scale in scales]
        header = [*["generator"] * several, *sizes, *at, "best CFG", "best"]
        body = []
        for row in rows.to_dicts():
            values = dict(zip(row["scales"], row["values"], strict=True))
            shown = [number(values[scale]) if scale in values else "–" for scale in scales]
            size = [str(row[each]) for each in sizes]
            whose = [told[row["generator"] or "paper"]] * several
            body.append([*whose, *size, *shown, best_cfg(row), number(row["best"])])
        of = [f"{name}{metric(str(name)).arrow}", dataset, shared if several else names[0]]
        title = f"Guidance: {', '.join(str(each) for each in of if each)}"
        tables.append(f"{title}\n{_aligned(header, body, left={0} if several else set())}")
    text = "\n\n".join(tables)
    notes = []
    if "≥" in text or "≤" in text:
        notes.append(
            "≥, ≤: the highest or the lowest scale that was sampled; one beyond may be better"
        )
    if f" {_ALIKE} " in text:
        notes.append(f"{_ALIKE}: to the digits shown no scale differs from the others")
    return "\n\n".join([*tables, *notes])


def best_cfg(row: Mapping[str, Any]) -> str:
    """The best scale of a row of `analysis.guidance.guidance`, in words; all whose values are the
    best one to the digits that are shown."""
    best = number(row["best"])
    pairs = zip(row["scales"], row["values"], strict=True)
    alike = [scale for scale, value in pairs if number(value) == best]
    if len(alike) == len(row["scales"]):
        return _ALIKE
    return " or ".join(best_scale(scale, row["scales"]) for scale in alike)


def signed(value: float | None) -> str:
    """A difference, its sign always written."""
    if value is None or math.isnan(value):
        return "–"
    return ("+" if value >= 0 else "−") + number(abs(value))


def _per(fits: Sequence[LineFit]) -> str:
    """What the slopes are the changes by."""
    sizes = {fit.line.x for fit in fits}
    over = sizes.pop() if len(sizes) == 1 else "x"
    step = "doubling" if all(fit.line.transform == "log2" for fit in fits) else "doubling or unit"
    return f"per {step} of {over}"


def _series(fit: LineFit) -> str:
    who = _SERIES[fit.series] if fit.source == "db" else whose(fit.source)
    of = ", ".join(group_name(*pair) for pair in fit.group if pair[0] != "generator")
    bent = " (quadratic)" if fit.form == "quadratic" else ""
    return f"{who}{', ' if of else ''}{of}{bent}"


def _remarks(fits: Sequence[LineFit]) -> list[str]:
    """Why lines are missing: what has the same reason, on one line."""
    metrics: dict[tuple[str, str, str, str], list[str]] = {}
    for fit in fits:
        if fit.note:
            figure = f", Figure {fit.figure}" if fit.figure else ""
            rest = f"{_series(fit)}{figure}: {fit.note}"
            key = (fit.dataset, fit.generator or "", _scale(fit), rest)
            metrics.setdefault(key, []).append(fit.panel)
    scales: dict[tuple[str, str, str, str], list[str]] = {}
    for (dataset, generator, scale, rest), names in metrics.items():
        key = (dataset, generator, ", ".join(dict.fromkeys(names)), rest)
        scales.setdefault(key, []).append(scale)
    generators: dict[tuple[str, str, str, str], list[str]] = {}
    for (dataset, generator, named, rest), at in scales.items():
        guided = f"CFG {listed(at)}" if at != ["–"] else ""
        generators.setdefault((dataset, guided, named, rest), []).append(generator)
    count = len({fit.generator for fit in fits if fit.generator})
    return [
        "  " + ", ".join(filter(None, [dataset, _all_of(by, count), guided, named, rest]))
        for (dataset, guided, named, rest), by in generators.items()
    ]


def _all_of(generators: Sequence[str], count: int) -> str:
    return f"all {count} generators" if 1 < len(generators) == count else "; ".join(generators)


def _scale(fit: LineFit) -> str:
    return "–" if fit.cfg_scale is None else f"{fit.cfg_scale:g}"


def _fit_row(fit: LineFit, per: str) -> dict[str, str]:
    """What a line's row says, by column; `–` or nothing where it has none of it."""
    interval = fit.slope_ci
    low, high = fit.seeds_per_configuration
    repeats = f"{low}" if low == high else f"{low}–{high}"
    seeded = bool(fit.seeds)
    return {
        "data set": fit.dataset,
        "CFG": _scale(fit),
        "metric": fit.panel,
        "series": _series(fit),
        "figure": fit.figure or "",
        "R²": "–" if fit.r2 is None else f"{fit.r2:.3f}",
        "printed R²": "–" if fit.r2_printed is None else f"{fit.r2_printed:.2f}",
        per: "–" if fit.slope is None else signed(fit.slope),
        "95% CI": "–" if interval is None else f"{signed(interval[0])} … {signed(interval[1])}",
        "residual sd": number(fit.residual_sd),
        "unit": fit.metric.unit,
        "n": str(fit.n),
        "seeds": repeats if seeded else "",
        "seed sd": number(fit.between_seed_sd) if seeded else "",
    }


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
