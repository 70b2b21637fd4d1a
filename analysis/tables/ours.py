"""Our own rows of a table: configurations, their means over seeds, and what tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from analysis.configurations import unscaled, with_scaled
from analysis.frames import Results
from analysis.measurements import distinct, final
from analysis.metrics import metric
from analysis.selection import reported, usable
from analysis.tables.model import Cell, Column, rounded
from analysis.tables.printed import Printed
from analysis.tables.spec import Spec
from vitok_core.variants import Variant

# What a row is; seeds and data sets are what it is not.
_ROW = (
    "codec", "frames", "resolution", "variant", "p", "q", "c", "L",
    "encoder_params_m", "decoder_params_m", "encoder", "decoder", "stage", "loss",
    "gan_weight", "disc_lr", "full_finetune", "step", "cfg_scale", "E",
    "config_id", "params_m", "gflops",
)  # fmt: skip
# Decimals of the paper's tables.
_DECIMALS = {"frechet": 2, "fvd": 2, "is": 1, "ssim": 3, "psnr": 2}

# Said of a row where the table's rows differ in it.
_DETAILS: dict[str, Callable[[Any], str]] = {
    "stage": lambda value: f"stage {value}",
    "loss": str,
    "gan_weight": lambda value: f"GAN weight {value:g}",
    "disc_lr": lambda value: f"discriminator lr {value:g}",
    "full_finetune": lambda value: "full fine-tuning" if value else "",
    "step": lambda value: f"step {value}",
}


@dataclass(frozen=True)
class Ours:
    """Our rows, their cells by the column's key, and the columns that the paper lacks."""

    rows: tuple[dict[str, Cell], ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]


def ours(
    spec: Spec, results: Results, printed: Sequence[Printed], datasets: Sequence[str] = ()
) -> Ours:
    """What the database has for this table.

    Args:
        printed: the paper's columns; a number of ours stands in one where data set and metric are
            the same, and in a column of its own elsewhere.
        datasets: to keep; `all`: every one; empty: those on which no recipe was chosen.
    """
    frame, notes = _measured(spec, results, datasets)
    if frame.is_empty():
        return Ours((), (), tuple(notes))
    frame = _in_columns(frame, spec, printed)
    rows = _rows(spec, _means(frame, _row_columns(spec, frame)))
    if spec.second_stage and "published" in results.sources and (frame["stage"] == 1).any():
        notes.append(
            "our rows of stage 1 lack the adversarial fine-tuning of the paper's ViTok rows"
        )
    known = {one.column.key for one in printed}
    columns = tuple(one for one in _columns(frame) if one.key not in known)
    return Ours(rows, columns, tuple(notes))


def _measured(
    spec: Spec, results: Results, datasets: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Our usable measurements of this table that have a direction, each job's once."""
    own = replace(results, sources=("db",)).measurements
    rows = own.filter(pl.col("kind").is_in(spec.kinds), spec.where, final())
    known = rows["dataset"].unique().sort().to_list()
    named = [name for name in known if name in datasets]
    if "all" not in datasets:
        rows = rows.filter(pl.col("dataset").is_in(named or reported(known)))
    if spec.prepare is not None:
        rows = spec.prepare(rows, results)
    rows, notes = usable(rows)
    names = rows["metric"].unique(maintain_order=True).to_list()
    aimless = [name for name in names if metric(name).better == 0]
    if aimless:
        notes.append(f"not shown, being no quality: {', '.join(aimless)}")
    return distinct(rows.filter(~pl.col("metric").is_in(aimless))), notes


def _in_columns(frame: pl.DataFrame, spec: Spec, printed: Sequence[Printed]) -> pl.DataFrame:
    """With `_column`, the key of the column in which a number stands."""
    places = frame.select("dataset", "resolution", "metric").unique(maintain_order=True)
    keys = [_key(spec, printed, *place) for place in places.rows()]
    places = places.with_columns(_column=pl.Series(keys, dtype=pl.String))
    on = ["dataset", "resolution", "metric"]
    return frame.join(places, on=on, how="left", maintain_order="left")


def _key(spec: Spec, printed: Sequence[Printed], dataset: str, side: int, name: str) -> str:
    for one in printed:
        same = name == one.metric and dataset in spec.datasets.get(one.dataset, ())
        if same and one.resolution in (None, side):
            return one.column.key
    return f"{dataset}/{name}"


def _columns(frame: pl.DataFrame) -> list[Column]:
    """Columns of our own, a data set's side by side."""
    pairs = frame.select("_column", "dataset", "metric").unique(maintain_order=True)
    order = {name: at for at, name in enumerate(frame["dataset"].unique(maintain_order=True))}
    rows = sorted(pairs.rows(), key=lambda row: order[row[1]])
    return [Column(key, name, dataset, metric(name).better) for key, dataset, name in rows]


def _row_columns(spec: Spec, frame: pl.DataFrame) -> list[str]:
    names = dict.fromkeys(_ROW) | dict.fromkeys(lead.ours for lead in spec.leads if lead.ours)
    names |= {spec.label: None} if spec.label else {}
    return [name for name in names if name in frame.columns]


def _means(frame: pl.DataFrame, row: list[str]) -> pl.DataFrame:
    """One line a number: mean and sd over the seeds, sorted as the table's rows are.

    Means are those of figures and fits, of Fréchet distances geometric; sds are the values' own.
    A configuration that was scored under several protocols has a row for each (`_nth`).
    """
    nth = pl.col("protocol").rank("dense").over([*row, "_column"])
    means = (
        with_scaled(frame.with_columns(_nth=nth))
        .group_by(*row, "_nth", "_column", "metric", "protocol", maintain_order=True)
        .agg(
            pl.col("scaled").mean(),
            _only=pl.col("value").first(),
            _repeats=pl.len(),
            _sd=pl.col("value").std(),
            _seeds=pl.col("seed").n_unique(),
        )
        .sort(*row, "_nth", maintain_order=True)
    )
    # A single value stays as it was measured, to its last digit.
    value = pl.when(pl.col("_repeats") == 1).then("_only").otherwise("value")
    return unscaled(means).with_columns(value=value)


def _rows(spec: Spec, means: pl.DataFrame) -> tuple[dict[str, Cell], ...]:
    """The numbers, row by row, each row with its label."""
    grouped = means.partition_by([*means.columns[: means.columns.index("_nth")], "_nth"])
    heads = [numbers.row(0, named=True) for numbers in grouped]
    rows = [_leads(spec, *named) for named in zip(heads, _labels(spec, heads), strict=True)]
    for cells, numbers in zip(rows, grouped, strict=True):
        cells |= {number["_column"]: _cell(number) for number in numbers.to_dicts()}
    return tuple(rows)


def _cell(number: dict[str, Any]) -> Cell:
    decimals = _DECIMALS.get(metric(number["metric"]).family, 3)
    sd = number["_sd"]
    text = rounded(number["value"], decimals, spread=sd or 0.0)
    spread = "" if sd is None else f"{sd:.{len(text.partition('.')[2])}f}"
    return Cell(text, number["value"], spread, sd, number["protocol"], seeds=number["_seeds"])


def _leads(spec: Spec, number: dict[str, Any], label: str) -> dict[str, Cell]:
    cells = {spec.leads[0].key: Cell(label)}
    for lead in spec.leads[1:]:
        value = number.get(lead.ours)
        if value is not None and lead.numeric:
            cells[lead.key] = Cell(rounded(value, lead.decimals), float(value))
        elif value is not None:
            cells[lead.key] = Cell(value)
    return cells


def _labels(spec: Spec, heads: Sequence[dict[str, Any]]) -> list[str]:
    """A name per row: `S-B/16 c16`, and what else tells it from the others."""
    own = [head for head in heads if head["codec"] is None]
    telling = [name for name in _DETAILS if len({head[name] for head in own}) > 1]
    labels = [_label(spec, head, telling) for head in heads]
    configs: dict[str, set[str]] = {}
    for label, head in zip(labels, heads, strict=True):
        configs.setdefault(label, set()).add(head["config_id"])
    return [
        f"{label} ({head['config_id']})" if len(configs[label]) > 1 else label
        for label, head in zip(labels, heads, strict=True)
    ]


def _label(spec: Spec, row: dict[str, Any], telling: Sequence[str]) -> str:
    if row["codec"] is not None:
        return str(row["config_id"]).removesuffix(f", {spec.resolution}p")
    name = str(Variant(row["encoder"], row["decoder"], row["p"], row["q"]))
    parts = [f"{name} c{row['c']}"]
    if row["variant"] != "simple":
        parts.append(f"{row['variant'].replace('_', ' ')} {row['L']} tokens")
    if spec.frames > 1 and row["frames"] != spec.frames:
        parts.append(f"{row['frames']} frames")
    if row["resolution"] != spec.resolution:
        parts.append(f"{row['resolution']}p")
    parts += [_DETAILS[name](row[name]) for name in telling if row[name] is not None]
    if row["cfg_scale"] is not None:
        parts.append(f"CFG {row['cfg_scale']:g}")
    before = [row[spec.label]] if spec.label else []
    return ", ".join(filter(None, [*before, *parts]))
