"""What figures say: labels with their protocol, legend entries, captions and notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from analysis.figures.lanes import Lane
from analysis.fits import LineFit
from analysis.frames import Results
from analysis.metrics import metric

_LABEL = 42  # characters of a protocol beside an axis; the caption has all of them


def short(protocol: str, width: int = _LABEL) -> str:
    """The parts of a protocol that fit, in their order, and an ellipsis when some are left out."""
    if len(protocol) <= width:
        return protocol
    kept = ""
    for part in re.split(r"[;:,|] ", protocol):
        longer = f"{kept}, {part}" if kept else part
        if len(longer) <= width - 3:
            kept = longer
    return f"{kept}, …" if kept else protocol[: width - 1].rstrip() + "…"


def axis_protocol(protocol: str) -> str:
    """A protocol beside its axis: how it was measured, and below that on what."""
    how, semicolon, what = protocol.partition("; ")
    return f"{short(how)}\n{short(what)}" if semicolon else short(protocol)


def y_label(name: str) -> str:
    """An axis's label: the metric, and what it is not."""
    chosen = metric(name)
    unit = f" ({chosen.unit})" if chosen.transform == "identity" and chosen.unit else ""
    mark = ""
    if chosen.offline and chosen.family == "frechet":
        mark = ", not FID"
    elif chosen.offline and chosen.family == "is":
        mark = ", not IS"
    return f"{name}{unit}{mark}"


def entry(fit: LineFit) -> str:
    """A legend line: what it is, R² and residual sd; or that there is no line."""
    what = {"trained": "trained", "floor": "PCA floor"}[fit.series]
    if fit.model is None:
        return f"{what}: no line, n = {fit.n}"
    r2 = "undefined" if fit.r2 is None else f"{fit.r2:.3f}"
    return f"{what}: $R^2$ {r2}, sd {number(fit.residual_sd)}{_unit(fit)}"


def number(value: float | None) -> str:
    """Three significant digits, never in exponents for what a report prints."""
    if value is None:
        return "–"
    text = f"{value:#.3g}"
    return f"{value:.0f}" if "e+" in text else text.rstrip(".")


def data_notes(
    results: Results, frame: pd.DataFrame, panels: Iterable[str | None]
) -> tuple[str, ...]:
    """What a reader must know before the figure is believed."""
    notes = []
    names = [name for name in panels if name is not None]
    for name in names:
        if metric(name).family == "frechet" and metric(name).offline:
            notes.append(
                f"no rFID in these results: the Fréchet distance drawn is {name}, of an offline "
                "network; it is not FID and not comparable with published FIDs"
            )
        notes += _bias(name, frame[frame["panel"] == name]["protocol"].unique())
    trained = frame[frame["series"] == "trained"]
    have, want = trained["point_id"].nunique(), len(results.points)
    if have < want:
        notes.append(f"{have} of {want} points are scored so far: the figure is partial")
    for name in names:
        part = trained[trained["panel"] == name]["point_id"].nunique()
        if part < have:
            notes.append(f"{name} has {part} of the {have} scored points")
    return tuple(notes)


def _bias(name: str, protocols: Iterable[str]) -> list[str]:
    """A Fréchet distance of no more images than features: its covariance has no full rank."""
    for protocol in protocols:
        width, count = re.search(r"(\d+)-d features", protocol), re.search(r"\bN=(\d+)", protocol)
        if width and count and int(count[1]) <= int(width[1]):
            return [
                f"{name} is biased: {count[1]} images for {width[1]} features; compare within a run"
            ]
    return []


def caption(
    results: Results,
    frame: pd.DataFrame,
    rows: Sequence[Lane],
    fits: Sequence[LineFit],
    notes: Sequence[str],
) -> list[str]:
    """The small print: what was averaged and fitted, then the protocols that were cut short."""
    trained = frame[frame["series"] == "trained"]
    configurations = trained["config_id"].nunique()
    seeds = sorted({int(seed) for seed in trained["seed"].dropna()})
    counts = f"{configurations} configuration{'s' if configurations != 1 else ''}"
    even = trained["point_id"].nunique() == configurations * len(seeds)
    per = f"{' ×' if even else ', up to'} {len(seeds)} seeds" if seeds[1:] else f", seed {seeds[0]}"
    where = "" if len(rows) > 1 else f", on {' and '.join(rows[0].datasets)}"
    sweep = f"Sweep {results.sweep}: " if results.sweep else ""
    has_floor = any(fit.series == "floor" for fit in fits)
    paragraphs = [
        f"{sweep}{counts}{per}{where}. Lines: least squares over log2 E on configuration means, "
        "with the 95% confidence band of the mean; sd: residual, on the scale of the fit (log2 "
        "for Fréchet distances)."
        + (" PCA floor: the best linear code with the same p and c." if has_floor else "")
    ]
    for lane in rows:
        for name in frame["panel"].unique():
            protocol = lane.protocols.get(name, "")
            if axis_protocol(protocol).replace("\n", "; ") != protocol:
                text = f"{name}{_on(lane, rows)}: {protocol}."
                if text not in paragraphs:
                    paragraphs.append(text)
    # The Fréchet note stands on the axis already.
    paragraphs += [f"Note: {note}." for note in notes if not note.startswith("no rFID")]
    return paragraphs


def _on(lane: Lane, rows: Sequence[Lane]) -> str:
    return f" on {' and '.join(lane.datasets)}" if len(rows) > 1 else ""


def _unit(fit: LineFit) -> str:
    return f" {fit.metric.unit}" if fit.metric.unit else ""
