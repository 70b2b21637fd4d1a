"""Which pictures a sheet shows: what jobs left as artifacts, one for each configuration.

Reconstruction sheets are cut into their tiles; what other jobs leave (samples, frames of clips) is
shown as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from analysis.artifacts import UNREADABLE, own_file
from analysis.figures import Request
from analysis.figures.partial import Kind, partial
from analysis.figures.words import number
from analysis.frames import Results
from analysis.lacking import lacking
from analysis.measurements import distinct, final
from analysis.metrics import choose, metric
from analysis.selection import reported
from vitok_core.errors import UserError
from vitok_core.metrics.sheet import read_sheet

_MOST_PIXELS = 256  # along a tile, and four times that along a whole picture
_SHORT = 7  # characters of two towers' names beside which more has room
# What tells blocks of a sheet apart; within a block pictures differ in c, and so in E.
_BLOCK = ("variant", "encoder", "decoder", "p", "q", "resolution", "frames", "stage", "loss",
          "generator", "cfg_scale")  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """One figure of pictures."""

    noun: str  # "reconstructions of images", for messages
    job: Kind  # the kind of job that leaves them
    artifacts: tuple[str, ...]  # kinds of artifacts
    video: bool
    families: tuple[str, ...]  # of metrics below a picture

    @property
    def in_tiles(self) -> bool:
        """Whether pictures are sheets of originals and reconstructions."""
        return self.artifacts == ("sheet",)


@dataclass(frozen=True)
class Shown:
    """One configuration's pictures and what stands below them."""

    block: str
    E: int
    text: str
    tiles: list[NDArray[np.uint8]]  # (h, w, 3) each: reconstructions, or one whole picture
    originals: list[NDArray[np.uint8]]  # empty for whole pictures


def pictures(
    sheet: Sheet, results: Results, request: Request
) -> tuple[list[Shown], pl.DataFrame, list[str]]:
    """What to show, the measurements behind it (SCHEMA and `picture`) and what must be said.

    Raises:
        UserError: nothing to show; the message says what to do.
    """
    frame, notes = _choose(sheet, results, request)
    names = _block_names(frame)
    root = results.records.root
    assert root is not None
    shown, kept, lost = [], [], []
    for (job,), rows in frame.group_by("job_id", maintain_order=True):
        first = rows.row(0, named=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                tiles, originals = _read(sheet, own_file(root, first["picture"]))
        except UNREADABLE:
            lost.append(first["picture"])
            continue
        key = tuple(first[name] for name in _BLOCK)
        shown.append(Shown(names[key], first["E"], _text(sheet, rows), tiles, originals))
        kept.append(job)
    if lost:
        notes.append(f"{len(lost)} pictures are missing or cannot be read, e.g. {lost[0]}")
    if not shown:
        raise UserError(f"{root}: none of the {len(lost)} pictures can be read, e.g. {lost[0]}; "
                        "`vitok-sweep retry` makes a job's anew")  # fmt: skip
    return shown, frame.filter(pl.col("job_id").is_in(kept)), notes


def _choose(sheet: Sheet, results: Results, request: Request) -> tuple[pl.DataFrame, list[str]]:
    """Measurements of the jobs whose pictures are shown: one data set, one seed."""
    if "db" not in results.sources:
        raise UserError(
            f"{results.source}: pictures are not among the paper's published data; --source db "
            f"shows the {sheet.noun} of your own runs"
        )
    if results.records.root is None:
        raise UserError(
            f"{results.source}: a database alone has no pictures; name their root by --results"
        )
    there = results.records.pictures(sheet.artifacts).select("job_id", picture="path")
    there = there.unique("job_id", keep="first", maintain_order=True)
    clip = pl.col("frames") > 1 if sheet.video else pl.col("frames") == 1
    ours = results.measured().filter(
        pl.col("source") == "db", pl.col("kind") == sheet.job, clip, final()
    )
    frame = distinct(ours).join(there, on="job_id", how="inner", maintain_order="left")
    if frame.is_empty():
        raise UserError(
            f"{results.source}: no job has left {sheet.noun} yet; "
            f"{lacking(results, sheet.job, clip)}"
        )
    notes = ["the paper's pictures are not published: these are ours alone"] * (
        "published" in results.sources
    )
    sets = frame["dataset"].unique(maintain_order=True).to_list()
    for name in request.datasets:
        if name not in (*sets, "all"):
            raise UserError(f"no {sheet.noun} of data set {name!r} (there are: {', '.join(sets)})")
    asked = [name for name in request.datasets if name != "all"] or reported(sets)
    if len(asked) > 1 or "all" in request.datasets:
        notes.append(f"a sheet shows one data set, this one {asked[0]}: --dataset chooses")
    frame = frame.filter(pl.col("dataset") == asked[0]).sort(
        "p", "q", "encoder_params_m", "decoder_params_m", "stage", "generator", "cfg_scale", "E",
        "seed", "job_id",
    )  # fmt: skip
    one = ["config_id", "generator", "cfg_scale", "E"]
    first = frame.unique(one, keep="first", maintain_order=True)
    notes += partial(results, frame["point_id"], sheet.job)
    if frame["job_id"].n_unique() > first.height:
        notes.append("of several seeds the first is shown")
    return frame.filter(pl.col("job_id").is_in(first["job_id"].implode())), notes


def _block_names(frame: pl.DataFrame) -> dict[tuple[Any, ...], str]:
    """`S-B/16`, and in what else the blocks of this sheet differ; towers without a short name are
    named only where they differ."""
    keys = frame.select(_BLOCK).unique(maintain_order=True)
    differ = {name for name in _BLOCK if keys[name].n_unique() > 1}
    names = {}
    for row in keys.to_dicts():
        stride = f"{row['q']}x" if row["q"] != 1 else ""
        more = [str(row[name]).replace("_", " ") for name in ("variant", "loss") if name in differ]
        more += [f"{row['resolution']}p"] * ("resolution" in differ)
        more += [f"T {row['frames']}"] * ("frames" in differ)
        more += [f"stage {row['stage']}"] * ("stage" in differ and "loss" not in differ)
        more += [str(row["generator"])] * ("generator" in differ)
        if row["cfg_scale"] is not None:
            more.append(f"CFG {row['cfg_scale']:g}")
        towers = f"{row['encoder']}-{row['decoder']}"
        if len(towers) > _SHORT and not differ & {"encoder", "decoder"}:
            name = f"patch {stride}{row['p']}"
        else:
            name = f"{towers}/{stride}{row['p']}"
        names[tuple(row.values())] = ", ".join([name, *more])
    return names


def _text(sheet: Sheet, rows: pl.DataFrame) -> str:
    """`c16   rFID 1.58   rPSNR 26.1 dB`."""
    names = rows["metric"].unique(maintain_order=True).to_list()
    said = [f"c{rows['c'][0]}"]
    for family in sheet.families:
        if (name := choose(family, names)) is None:
            continue
        value = rows.filter(pl.col("metric") == name)["value"][0]
        unit = " dB" * (metric(name).unit == "dB")
        said.append(f"{name.partition('[')[0]} {number(value)}{unit}")
    return "   ".join(said)


def _read(sheet: Sheet, path: Any) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    if sheet.in_tiles:
        originals, rebuilt, _ = read_sheet(path)
        return _small(rebuilt, _MOST_PIXELS), _small(originals, _MOST_PIXELS)
    with Image.open(path) as picture:
        return _small([np.asarray(picture.convert("RGB"))], 4 * _MOST_PIXELS), []


def _small(images: Sequence[NDArray[np.uint8]], most: int) -> list[NDArray[np.uint8]]:
    """Reduced to at most `most` pixels a side: more than a page shows."""
    reduced = []
    for pixels in images:
        picture = Image.fromarray(pixels)
        picture.thumbnail((most, most), Image.Resampling.LANCZOS)
        reduced.append(np.asarray(picture))
    return reduced
