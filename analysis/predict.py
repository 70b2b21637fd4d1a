"""What a tokenizer that nobody has trained yet will score: expected metrics with 95% intervals.

    predict(analysis.load_published(), Query("S", "B", patch=16, channels=24))

A prediction stands for every metric, data set and protocol of which enough points were measured:
the paper's stage-1 numbers (Figures 2, 4, 6, 11), or a database's own. The model: `surface`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.frames import Results
from analysis.lineage import tower_millions
from analysis.series import Series, nearest, series
from analysis.stats.inputs import Array, NoFit
from analysis.surface import COLUMNS, tabulate
from vitok_core.cost import Shape, tower_parameters
from vitok_core.errors import UserError
from vitok_core.variants import SIZES, Tower

_FAT = "channels exceed the 3·q·p² values of a tubelet: nothing is compressed"
_NAMED = re.compile(r"w([0-9]+)b([0-9]+)h([0-9]+)")  # a tower by its numbers, as sweeps call them
_MOST = 2**31 - 1  # of any number: beyond, E is none that a column of the database holds
# Points are compared by these, and by the leverage of the whole.
_RANGES = {
    "E": "E", "p": "p", "q": "q", "resolution": "resolution", "frames": "frames",
    "encoder_params_m": "encoder (M)", "decoder_params_m": "decoder (M)",
}  # fmt: skip


@dataclass(frozen=True)
class Query:
    """A simple stage-1 tokenizer; sizes by name: `S`, or a tower's numbers `w128b2h4`.

    Raises:
        UserError: numbers that make no tokenizer.
    """

    encoder: str
    decoder: str
    patch: int
    channels: int
    stride: int = 1
    resolution: int = 256
    frames: int = 1

    def __post_init__(self) -> None:
        for name in ("patch", "channels", "stride", "resolution", "frames"):
            if not 1 <= getattr(self, name) <= _MOST:
                raise UserError(f"{name} must be from 1 to {_MOST}, not {getattr(self, name)}")
        for part, name in (("patch", "resolution"), ("stride", "frames")):
            if getattr(self, name) % getattr(self, part):
                raise UserError(
                    f"{part} {getattr(self, part)} does not divide {name} {getattr(self, name)}"
                )

    @property
    def shape(self) -> Shape:
        return Shape(self.resolution, self.patch, self.channels, self.frames, self.stride)

    def record(self) -> dict[str, Any]:
        shape = self.shape
        sizes = {"L": shape.tokens, "E": shape.code, "pixels_per_channel": shape.pixels_per_channel}
        return {**vars(self), **sizes}


def ask(
    results: Results, encoder: str, decoder: str, patch: int, channels: int, **given: int | None
) -> tuple[Query, str]:
    """A query; stride, resolution and frames that are None as all points have them, else the usual.

    Also a note on what then is not the usual; "" without.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    usual = {one.name: one.default for one in fields(Query)}
    common: dict[str, int] = {}
    for name, column in (("stride", "q"), ("resolution", "resolution"), ("frames", "frames")):
        values = results.points[column].unique()
        if len(values) == 1 and name not in chosen and values[0] != usual[name]:
            common[name] = int(values[0])
    said = ", ".join(f"{name} {value}" for name, value in common.items())
    note = f"{said}, as all points of {results.source} have" if said else ""
    return Query(encoder, decoder, patch, channels, **common, **chosen), note


@dataclass(frozen=True)
class Prediction:
    """One metric on one data set, on the metric's own scale; 95% of new runs fall in [low, high].

    `expected` is the median: for Fréchet distances, which are fitted as log2, below the mean.
    """

    metric: str
    dataset: str
    protocol: str
    loss: str | None
    source: str
    expected: float
    low: float
    high: float
    n: int  # configurations that it stands on
    warnings: tuple[str, ...] = ()  # of extrapolation

    def record(self) -> dict[str, Any]:
        return {**vars(self), "warnings": list(self.warnings)}


@dataclass(frozen=True)
class Expectation:
    """The predictions for one query, and why some data sets have none."""

    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...]


def predict(
    results: Results, query: Query, *, metrics: Sequence[str] = (), datasets: Sequence[str] = ()
) -> list[Prediction]:
    """The expected metrics of a query, with 95% prediction intervals.

    Args:
        results: the paper's (`load_published`) or a database's.
        metrics, datasets: names to keep; empty: all.

    Raises:
        UserError: an unknown size, metric or data set, or nothing to predict from.
    """
    (found,) = predict_all(results, [query], metrics=metrics, datasets=datasets)
    if not found.predictions:
        raise UserError(f"{results.source}: nothing to predict from: {'; '.join(found.notes)}")
    return list(found.predictions)


def predict_all(
    results: Results,
    queries: Sequence[Query],
    *,
    metrics: Sequence[str] = (),
    datasets: Sequence[str] = (),
) -> list[Expectation]:
    """As `predict`, for many queries; one without predictions has notes that say why.

    Raises:
        UserError: an unknown size, metric or data set, or nothing measured.
    """
    chosen = series(results, metrics, datasets)
    table = pl.DataFrame(_columns(queries, _millions(chosen)))
    predictions: list[list[Prediction]] = [[] for _ in queries]
    lacking: list[dict[str, list[str]]] = [{} for _ in queries]  # reason → metrics
    ways = Counter((each.metric, each.dataset) for each in chosen)
    for each in chosen:
        way = f" ({each.protocol}; loss {each.loss})" * (ways[each.metric, each.dataset] > 1)
        # Clips and images are different experiments: the one is no news for the other.
        clips = bool((each.rows["frames"] > 1).any())
        kin = np.flatnonzero((table["frames"] > 1).to_numpy() == clips).tolist()
        for n, outcome in zip(kin, _predicted(each, table[kin]), strict=True):
            if isinstance(outcome, Prediction):
                predictions[n].append(outcome)
            else:
                why = f"on {each.dataset}{way}: no prediction, {outcome}"
                lacking[n].setdefault(why, []).append(each.metric)
    notes = [[f"{', '.join(names)} {why}" for why, names in each.items()] for each in lacking]
    for n, query in enumerate(queries):
        if not (predictions[n] or notes[n]):
            what = "clips" if query.frames > 1 else "images"
            notes[n].append(f"no scores on {what}")
    pairs = zip(predictions, notes, strict=True)
    return [Expectation(tuple(one), tuple(why)) for one, why in pairs]


def _columns(queries: Sequence[Query], known: Mapping[str, set[float]]) -> dict[str, list[float]]:
    """Queries by the names that measurements have."""
    columns: dict[str, list[float]] = {name: [] for name in (*_RANGES, "pixels_per_channel")}
    for query in queries:
        shape = query.shape
        row = {
            "E": shape.code, "p": query.patch, "q": query.stride,
            "resolution": query.resolution, "frames": query.frames,
            "encoder_params_m": _size(query.encoder, known),
            "decoder_params_m": _size(query.decoder, known),
            "pixels_per_channel": shape.pixels_per_channel,
        }  # fmt: skip
        for name, value in row.items():
            columns[name].append(float(value))
    return columns


def _millions(chosen: Sequence[Series]) -> dict[str, set[float]]:
    """Parameters (millions) of the towers that were measured, by name: the paper prints 43.3."""
    found: dict[str, set[float]] = {}
    for each in chosen:
        for tower in ("encoder", "decoder"):
            for name, value in each.rows.select(tower, f"{tower}_params_m").unique().rows():
                found.setdefault(name, set()).add(value)
    return found


def _size(name: str, known: Mapping[str, set[float]]) -> float:
    """Raises UserError for a name that is no size, or several (sweeps may name their own)."""
    measured = known.get(name, set())
    if len(measured) > 1:
        raise UserError(
            f"size {name!r} has {len(measured)} meanings in these results; keep one sweep's, or "
            "name its width, blocks and heads: w128b2h4"
        )
    found = next(iter(measured), tower_millions(name))
    if found is not None:
        return found
    numbers = _NAMED.fullmatch(name)
    if numbers is None:
        names = sorted({*SIZES, *known})
        raise UserError(
            f"unknown size {name!r}{nearest(name, names)} (there are: {', '.join(names)}; "
            "any other as its width, blocks and heads: w128b2h4)"
        )
    try:
        width, blocks, heads = map(int, numbers.groups())
        return tower_parameters(Tower(width=width, blocks=blocks, heads=heads)) / 1e6
    except ValueError as wrong:
        raise UserError(f"size {name!r}: no such transformer") from wrong


def _predicted(each: Series, queries: pl.DataFrame) -> list[Prediction | str]:
    """A prediction for each query, or the reason why there is none."""
    try:
        surface = each.surface
    except NoFit as reason:
        return [str(reason)] * len(queries)
    table = tabulate(queries.to_dict(as_series=False))
    unknown = surface.unknown(table)
    # A code of more numbers than the pixels holds them all: no trade-off that points tell of.
    fat = (queries["pixels_per_channel"] < 1).to_numpy()
    outcomes: list[Prediction | str] = [
        _FAT if more else _unknown(each, row) for more, row in zip(fat, unknown, strict=True)
    ]
    fine = np.flatnonzero(~(unknown.any(axis=1) | fat)).tolist()
    if not fine:
        return outcomes
    bands = surface.prediction_band(table[fine])
    warned = _warnings(each, queries[fine], surface.leverage(table[fine]))
    values = zip(*(each.unscale(band).tolist() for band in bands), strict=True)
    for n, (mean, low, high), warnings in zip(fine, values, warned, strict=True):
        outcomes[n] = Prediction(
            each.metric, each.dataset, each.protocol, each.loss, each.source,
            mean, low, high, surface.n, warnings,
        )  # fmt: skip
    return outcomes


def _unknown(each: Series, differs: NDArray[np.bool_]) -> str:
    """Which columns all of the data have in common and a query has otherwise."""
    names = ("", "p", "resolution", "frames", "encoder", "decoder")
    fixed = [f"{COLUMNS[n]} {each.rows[names[n]][0]}" for n in np.flatnonzero(differs)]
    return f"every point has {', '.join(fixed)}"


def _warnings(each: Series, queries: pl.DataFrame, leverage: Array) -> list[tuple[str, ...]]:
    """Where each query leaves what was measured."""
    found: list[list[str]] = [[] for _ in range(len(queries))]
    for name, words in _RANGES.items():
        data = each.rows[name].to_numpy()
        low, high = data.min(), data.max()
        for n, value in enumerate(queries[name]):
            if not low * (1 - 1e-3) <= value <= high * (1 + 1e-3):
                measured = f"{low:g} to {high:g}" if low < high else f"{low:g}"
                found[n].append(f"{words} {value:g} lies outside the measured {measured}")
    most = each.surface.leverage(each.surface.points).max()
    for n, value in enumerate(leverage):
        if value > most * (1 + 1e-9):
            found[n].append(
                f"far from every point: leverage {value:.2g}, theirs at most {most:.2g}"
            )
    return [tuple(lines) for lines in found]
