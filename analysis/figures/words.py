"""What figures say: labels with their protocol, legend entries, captions and notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from analysis.external import is_external, whose
from analysis.figures.lanes import Lane
from analysis.figures.partial import partial
from analysis.figures.spec import Mark, Spec, banded
from analysis.fits import LineFit
from analysis.frames import Results
from analysis.metrics import metric
from analysis.selection import one_sweep

BAND = ", with the 95% confidence band of the mean (cut at the axes and at what the metric can be)"
_CITED = "published: "
_NAME = 13  # characters of a legend's name beside which R² and the sd have room
_NO_FID = "is not FID and not comparable with published FIDs"
_LABEL = 48  # characters of a protocol beside an axis; the caption has all of it
_APART = 4  # missing lines of a panel that are each said by name
_BELOW = "protocol: see below"
# What is said of a protocol where nothing else tells it apart: data set, number of samples, size of
# a sample; whose it is.
_TELLING = re.compile(r"N=\d+|[\w.-]+@\d+|(\d+ ?[x×] ?)?\d+px|published|(Figure|Table) \w+")


def short(protocol: str, others: Iterable[str] = ()) -> str:
    """A protocol beside its axis, in whole parts: what `others` of its metric on the page lack,
    then what it was measured on."""
    parts = _parts(protocol)
    lacking = [set(_parts(other)) for other in others if other != protocol]
    own = [part for part in parts if any(part not in other for other in lacking)]
    telling = [part for part in parts if _TELLING.fullmatch(part) and part not in own]
    chosen: list[str] = []
    for part in [*own, *telling] or parts:
        if len(", ".join([*chosen, part])) <= _LABEL:
            chosen.append(part)
    return ", ".join(part for part in parts if part in chosen) or _BELOW


def _parts(protocol: str) -> list[str]:
    return list(dict.fromkeys(part for part in re.split(r"[;:,|] +", protocol) if part))


Protocols = Mapping[tuple[str, str], str]  # (metric, protocol) → its short form on this page


def short_protocols(measured: Iterable[tuple[str, str]]) -> Protocols:
    """The short forms on a page of these (metric, protocol); ours are told from ours, the paper's
    from the paper's: rows of panels say whose they are."""
    every = list(dict.fromkeys(measured))
    kin = {one: (one[0], one[1].startswith(_CITED)) for one in every}
    return {
        one: short(one[1], [other[1] for other in every if kin[other] == kin[one]]) for one in every
    }


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


def heads(fits: Sequence[LineFit]) -> list[Sequence[LineFit]]:
    """The lines that each legend line of a panel speaks of: one, or all that are missing."""
    lacking = [fit for fit in fits if fit.model is None]
    if len(lacking) <= _APART:
        return [[fit] for fit in fits]
    return [*([fit] for fit in fits if fit.model is not None), lacking]


def entry(
    fits: Sequence[LineFit], marks: Sequence[Mark], lane: Lane, *, counted: bool = False
) -> str:
    """A legend line: what it is, R² and residual sd, and n where asked for; or that there is none.

    The paper's R² have two decimals, as it prints them. Several data sets on one axis are told by
    name, and so is whose they are where ours and the paper's share it.

    Args:
        fits: one; or several that are missing.
        marks: that may name its group.
        counted: say n.
    """
    if len(fits) > 1:
        return f"no line for {len(fits)}, n = {_range(fit.n for fit in fits)}"
    (fit,) = fits
    what = fit_name(fit, marks)
    if lane.mixed:
        who = f"{whose(fit.source)} " * (len(lane.sources) > 1)
        floor = " floor" if fit.series == "floor" else ""
        what = f"{who}{fit.dataset}{floor}" + (f", {what}" if fit.group else "")
    if fit.model is None:
        return f"{what}: no line, n = {fit.n}"
    digits = 2 if fit.source == "published" else 3
    r2 = "undefined" if fit.r2 is None else f"{fit.r2:.{digits}f}"
    n = f", n {fit.n}" * counted
    if len(what) > _NAME:
        return f"{what[: 2 * _NAME]}: $R^2$ {r2}{n}"
    unit = "" if counted else _unit(fit)  # no room for both; the caption names the scale
    return f"{what}: $R^2$ {r2}, sd {number(fit.residual_sd)}{unit}{n}"


def _range(numbers: Iterable[int]) -> str:
    low, *_, high = sorted([*numbers] * 2)
    return f"{low}" if low == high else f"{low}–{high}"


def fit_name(fit: LineFit, marks: Sequence[Mark]) -> str:
    """Whose line: a group's, else trained, the PCA floor's or the paper's."""
    if fit.group:
        known = {mark.column: mark for mark in marks}
        return ", ".join(
            known[name].name(value) if name in known else group_name(name, value)
            for name, value in fit.group
        )
    if fit.source != "db":
        return whose(fit.source)
    return {"trained": "trained", "floor": "PCA floor"}[fit.series]


def group_name(column: str, value: object) -> str:
    """One value of a grouping column, in words: `patch 8`, `mask simple`."""
    if column == "p":
        return f"patch {value}"
    if isinstance(value, str):
        return value.replace("_", " ")
    return f"{column} {value:g}" if isinstance(value, float) else f"{column} {value}"


def heading(lane: Lane, results: Results) -> str:
    """Above a row of panels: its data sets, and whose numbers where both are on the page."""
    sets = listed(lane.datasets)
    if len(results.sources) == 1:
        return sets
    if len(lane.sources) > 1:
        who = listed(whose(one, "Ours", "the paper's") for one in lane.sources)
        return f"{who}: {sets}"
    return f"{whose(lane.sources[0], 'Ours', 'The paper')}: {sets}"


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def number(value: float | None) -> str:
    """Three significant digits, never in exponents for what a report prints."""
    if value is None:
        return "–"
    text = f"{value:#.3g}"
    return f"{value:.0f}" if "e+" in text else text.rstrip(".")


def data_notes(spec: Spec, results: Results, frame: pl.DataFrame) -> tuple[str, ...]:
    """What a reader must know before the figure is believed."""
    ours = frame.filter(pl.col("source") == "db")
    notes = list(spec.notes) if "published" in frame["source"] else []
    trained = ours.filter(pl.col("series") == "trained")
    if trained.is_empty():
        return tuple(notes)
    names = ours["metric"].unique(maintain_order=True).to_list()
    for name in names:
        if metric(name).family == "frechet" and metric(name).offline:
            notes.append(
                f"no {name[0]}FID in these results: the Fréchet distance drawn is {name}, of an "
                f"offline network; it {_NO_FID}"
            )
        notes += _bias(name, ours)
    notes += _rates(spec, trained, results.sweep)
    notes += partial(results, trained["point_id"], spec.kind)
    have = trained["point_id"].n_unique()
    for name in names:
        part = trained.filter(pl.col("metric") == name)["point_id"].n_unique()
        if part < have:
            notes.append(f"{name} has {part} of the {have} scored points")
    return tuple(notes)


def metric_notes(measurements: pl.DataFrame) -> list[str]:
    """What a reader must know of our own metrics, whatever is drawn: which ones no paper's can be
    held against, and which are biased."""
    ours = measurements.filter(pl.col("source") == "db")
    notes: list[str] = []
    for name in ours["metric"].unique(maintain_order=True):
        if metric(name).offline and metric(name).family == "frechet":
            notes.append(f"{name} is the Fréchet distance of an offline network; it {_NO_FID}")
        elif metric(name).offline and metric(name).family == "is":
            notes.append(f"{name} is of an offline network; it is not IS and not comparable with "
                         "published ones")  # fmt: skip
        notes += _bias(name, ours)
    return notes


def _rates(spec: Spec, trained: pl.DataFrame, sweep: str | None) -> list[str]:
    """Where p and c are not what the figure is about, they must not differ."""
    rates = trained["pixels_per_channel"].n_unique()
    if rates == 1 or {"p", "q", "c", "E", "pixels_per_channel"} & {*spec.all_varied}:
        return []
    return [
        f"the points have {rates} different compression rates, which alone move a metric"
        + one_sweep(sweep)
    ]


def _bias(name: str, ours: pl.DataFrame) -> list[str]:
    """A Fréchet distance of no more images than features: its covariance has no full rank."""
    notes = []
    for protocol in ours.filter(pl.col("metric") == name)["protocol"].unique().sort():
        width, count = re.search(r"(\d+)-d features", protocol), re.search(r"\bN=(\d+)", protocol)
        if width and count and int(count[1]) <= int(width[1]):
            notes.append(
                f"{name} is biased: {count[1]} images for {width[1]} features; compare within a run"
            )
    return list(dict.fromkeys(notes))


def caption(
    spec: Spec,
    results: Results,
    frame: pl.DataFrame,
    rows: Sequence[Lane],
    fits: Sequence[LineFit],
    notes: Sequence[str],
) -> list[str]:
    """The small print: what was averaged and fitted, then every protocol in full."""
    said = [
        _whose(results, frame.filter(pl.col("source") == source), rows)
        for source in results.sources
        if source in frame["source"]
    ]
    paragraphs = [" ".join([*said, *_fitted(spec, fits)])]
    for lane in rows:
        ours = [one[:2] for one in lane.panels.values() if not one[1].startswith(_CITED)]
        paragraphs += whole_protocols(ours, f" on {listed(lane.datasets)}" * (len(rows) > 1))
    # The Fréchet note stands on the axis already.
    paragraphs += [f"Note: {note}." for note in notes if not re.match(r"no [rg]FID", note)]
    return paragraphs


def _whose(results: Results, frame: pl.DataFrame, rows: Sequence[Lane]) -> str:
    """One source's share of the page: how many configurations and seeds, on which data."""
    trained = frame.filter(pl.col("series") == "trained")
    configurations = trained["config_id"].n_unique()
    counts = f"{configurations} configuration{'s' if configurations != 1 else ''}"
    sets = frame["dataset"].unique(maintain_order=True)
    where = "" if len(rows) > 1 else f", on {listed(sets)}"
    if frame["source"][0] == "published":
        figures = [protocol.removeprefix(_CITED) for protocol in frame["protocol"].unique().sort()]
        return f"Published ({', '.join(figures)}): {counts}{where}."
    if is_external(frame["source"][0]):
        return f"{whose(frame['source'][0])} (imported, not our runs): {counts}{where}."
    seeds = trained["seed"].drop_nulls().unique().sort().to_list()
    even = trained["point_id"].n_unique() == configurations * len(seeds)
    per = f", seed {seeds[0]}" if len(seeds) == 1 else ""
    if len(seeds) > 1:
        per = f"{' ×' if even else ', up to'} {len(seeds)} seeds"
    sweep = f"Sweep {results.sweep}: " if results.sweep else ""
    return f"{sweep}{counts}{per}{where}."


def _fitted(spec: Spec, fits: Sequence[LineFit]) -> list[str]:
    """How the lines were made."""
    joined = [f"Lines join configurations of one {spec.paths.noun}."] if spec.paths else []
    if not spec.lines:
        return joined
    first = spec.lines[0]
    size = f"log2 {spec.x.words}" if first.transform == "log2" else spec.x.words
    what = "Lines: least squares" if first.form == "linear" else "Curves: quadratics"
    band = BAND if any(banded(fit, first) for fit in fits) else ""
    said = [
        *joined,
        f"{what} over {size} on configuration means{band}; "
        "sd: residual, on the scale of the fit (log2 for Fréchet distances).",
    ]
    if not band and any(fit.model is not None and fit.group for fit in fits):
        said.append("No bands: those of several lines would hide each other.")
    if any(fit.model is not None and fit.model.dof == 1 and not fit.group for fit in fits):
        said.append("No band where one degree of freedom is left: t is 12.7 there.")
    if any(fit.series == "floor" for fit in fits):
        said.append("PCA floor: the best linear code with the same p and c.")
    return said


def whole_protocols(measured: Iterable[tuple[str, str]], where: str = "") -> list[str]:
    """A line for every (metric, protocol): `rFID, rIS on imagenet1k: published: …`."""
    names: dict[str, list[str]] = {}
    for name, protocol in dict.fromkeys(measured):
        names.setdefault(protocol, []).append(name)
    return [f"{', '.join(every)}{where}: {protocol}." for protocol, every in names.items()]


def _unit(fit: LineFit) -> str:
    return f" {fit.metric.unit}" if fit.metric.unit else ""
