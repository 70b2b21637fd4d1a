"""Configurations that may be compared with each other: one source, data set and size of input.

For the figures that the paper lacks. They draw the paper's Figures 2, 4, 6 and 11, all of plain
tokenizers (stage 1, squared error and perceptual loss), which count as measured in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from analysis.figures import Request
from analysis.figures.partial import partial
from analysis.figures.spec import TITLES
from analysis.frames import Results
from analysis.metrics import choose, metric
from analysis.published import PAPER
from analysis.selection import reported, select
from vitok_core.errors import UserError

_FREE = ("encoder", "decoder", "variant", "stage", "loss", "resolution", "frames")
_KEYS = ["source", "dataset", "resolution", "frames"]


@dataclass(frozen=True)
class Row:
    """One metric under one protocol on one group: a row of panels."""

    source: str
    dataset: str
    resolution: int
    frames: int
    metric: str
    protocol: str
    frame: pl.DataFrame  # measurements.SCHEMA, trained ones only

    @property
    def where(self) -> str:
        """In words: `photos-heldout, 64p` or `ucf101, 16 × 256p`."""
        clip = f"{self.frames} × " if self.frames > 1 else ""
        return f"{self.dataset}, {clip}{self.resolution}p"

    @property
    def title(self) -> str:
        """The metric's plain name."""
        about = metric(self.metric)
        return TITLES[about.family][about.offline] if about.family in TITLES else self.metric


def rows(
    results: Results,
    request: Request,
    *,
    figures: Sequence[str],
    families: Sequence[str] = (),
    most: int = 4,
    least: int = 1,
) -> tuple[list[Row], list[str]]:
    """The rows to draw, at most `most`, and what must be said of them.

    Args:
        figures: of the paper's, those whose points count; each configuration once.
        families: of metrics; empty: the two that say most, a Fréchet distance and PSNR.
        least: a group of fewer configurations is left out where a larger one is there.

    Raises:
        UserError: nothing to draw.
    """
    shown = select(results, datasets=request.datasets, figures=figures, varied=_FREE)
    frame = _each_once(shown.distinct.filter(pl.col("series") == "trained"))
    if "all" not in request.datasets:
        names = list(request.datasets) or _default_datasets(frame)
        frame = frame.filter(pl.col("dataset").is_in(names))
    found, notes = [], [*partial(results, frame["point_id"]), *shown.notes]
    groups, small = _groups(frame, least)
    notes += [f"{name}: fewer than {least} configurations, not drawn" for name in small]
    for key in groups:
        group = frame.filter(**dict(zip(_KEYS, key, strict=True)))
        for name in _metrics(group, key[3], families):
            row, said = _row(key, name, group)
            found.append(row)
            notes += said
    if not found:
        raise UserError(f"{results.source}: no metric to draw (there are: "
                        f"{', '.join(sorted(frame['metric'].unique())) or 'none'})")  # fmt: skip
    left = [f"{one.where} ({one.metric})" for one in found[most:]]
    notes += [f"not drawn for want of room: {', '.join(left)}: --dataset chooses"] * bool(left)
    return found[:most], notes


def shape_name(row: dict[str, object]) -> str:
    """A configuration as the paper writes it, `S-B/4x16 c16`; `4x16 c16` where towers have no
    short name."""
    stride = f"{row['q']}x" if row["q"] != 1 else ""
    towers = f"{row['encoder']}-{row['decoder']}"
    if len(towers) > 7:
        return f"{stride or 'p'}{row['p']} c{row['c']}"
    return f"{towers}/{stride}{row['p']} c{row['c']}"


def _each_once(frame: pl.DataFrame) -> pl.DataFrame:
    """Ours and imported ones as they are; of the paper's, which several figures may show, each
    under one protocol."""
    ours = frame.filter(pl.col("source") != "published")
    theirs = frame.filter(pl.col("source") == "published").unique(
        ["config_id", "dataset", "metric"], keep="first", maintain_order=True
    )
    return pl.concat([ours, theirs.with_columns(protocol=pl.lit(f"published: {PAPER}"))])


def _default_datasets(frame: pl.DataFrame) -> list[str]:
    """Ours on which nothing was chosen; of the paper's sets that with the most numbers."""
    ours = frame.filter(pl.col("source") == "db")["dataset"].unique(maintain_order=True)
    theirs = frame.filter(pl.col("source") == "published")
    others = frame.filter(~pl.col("source").is_in(["db", "published"]))["dataset"].unique()
    sizes = theirs.group_by("dataset", maintain_order=True).len()
    largest = sizes.sort("len", descending=True, maintain_order=True)["dataset"].head(1)
    return list(dict.fromkeys([*reported(ours.to_list()), *largest, *others.sort()]))


def _groups(frame: pl.DataFrame, least: int) -> tuple[list[tuple[str, str, int, int]], list[str]]:
    """Ours first, then the data sets in their order, the largest group of each first; and the
    names of those left out as too small."""
    sizes = frame.group_by(_KEYS, maintain_order=True).agg(n=pl.col("config_id").n_unique())
    names = frame["dataset"].unique(maintain_order=True).to_list()
    found = sorted(
        sizes.rows(), key=lambda row: (row[0] != "db", names.index(row[1]), -row[4], row[2:4])
    )
    large = [row for row in found if row[4] >= least] or found
    small = [f"{row[1]}, {row[2]}p" for row in found if row not in large]
    return [(source, data, side, clip) for source, data, side, clip, _ in large], small


def _metrics(group: pl.DataFrame, frames: int, families: Sequence[str]) -> list[str]:
    names = group["metric"].unique().sort().to_list()
    if families:
        wanted = [choose(family, names) for family in families]
        return [name for name in wanted if name is not None]
    first = ("fvd", "frechet") if frames > 1 else ("frechet",)
    quality = next((name for family in first if (name := choose(family, names))), None)
    pixels = choose("psnr", names) or choose("ssim", names)
    return [name for name in (quality, pixels) if name is not None]


def _row(key: tuple[str, str, int, int], name: str, group: pl.DataFrame) -> tuple[Row, list[str]]:
    """One metric of a group, under its commonest protocol."""
    rows = group.filter(pl.col("metric") == name)
    counts = rows.group_by("protocol").len().sort("len", "protocol", descending=[True, False])
    protocol = counts["protocol"][0]
    kept = rows.filter(pl.col("protocol") == protocol)
    lost = rows.height - kept.height
    said = f"{name} on {key[1]}: {lost} values under other protocols are not drawn"
    return Row(*key, name, protocol, kept), [said] * bool(lost)
