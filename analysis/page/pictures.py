"""Picture sheets for the page: scaled down, as data URIs, within a limit in total."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl
from PIL import Image, ImageSequence

from analysis.artifacts import UNREADABLE, own_file
from analysis.measurements import shaped_a_recipe
from analysis.page.ledger import Ledger
from analysis.selection import one_sweep

LIMIT = 12_000_000  # characters of data URIs in one page
WIDTH = 576  # pixels: eight crops of 64 pixels and the rows' names
_QUALITY, _EFFORT = 66, 2  # WebP's; a higher effort saves a little and takes twice the time
_PIXELS = 100_000_000  # in a picture, where Pillow sets no limit of its own
_TALLEST = 16_000  # pixels: WebP's limit
_BATCH = 32  # encoded before the limit is looked at again

Row = TypeVar("Row")
Made = TypeVar("Made")
Thumbnail = tuple[str, tuple[int, int]]  # data URI; width and height in pixels


@dataclass(frozen=True)
class Picture:
    """One job's sheet."""

    job_id: str
    point_id: str
    label: str  # the point's slug, or the codec
    series: str  # trained, floor, baseline
    dataset: str
    scores: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Gallery:
    """The sheets that found room, and what has to be said about the others."""

    pictures: Sequence[Picture]
    notes: Sequence[str]

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(one.dataset for one in self.pictures))


def gallery(
    rows: pl.DataFrame,
    slugs: Mapping[str, str],
    ledger: Ledger | None,
    limit: int = LIMIT,
    sweep: str | None = None,
) -> Gallery:
    """The sheets of all scored reconstructions, main data sets and trained ones first, then by E.

    Args:
        rows: what was measured, each number once.
        slugs: the points' names by id.
        limit: characters of data URIs.
        sweep: what is shown is this one's.
    """
    if ledger is None or ledger.sheets.is_empty():
        return Gallery((), ())
    wanted = _wanted(rows, ledger)
    shown: list[Picture] = []
    unreadable, cut, size = 0, 0, 0
    for row, made in encoded(wanted.to_dicts(), ledger.root, _sheet):
        if made is None:
            unreadable += 1
            continue
        uri, (width, height) = made
        if size + len(uri) > limit:
            cut = wanted.height - len(shown) - unreadable
            break
        size += len(uri)
        shown.append(
            Picture(
                row["job_id"], row["point_id"], slugs.get(row["point_id"], row["point_id"]),
                row["series"], row["dataset"], row["scores"] or "", uri, width, height,
            )
        )  # fmt: skip
    notes = []
    if cut:
        notes.append(
            f"{cut} of {wanted.height} sheets are left out: a page holds "
            f"{limit / 1e6:.0f} MB of pictures{one_sweep(sweep)}."
        )
    if unreadable:
        notes.append(f"{unreadable} of {wanted.height} sheets could not be read.")
    return Gallery(shown, notes)


def _wanted(rows: pl.DataFrame, ledger: Ledger) -> pl.DataFrame:
    """A row per job with a sheet, in the order in which they are shown."""
    ours = rows.filter(pl.col("source") == "db", pl.col("kind") != "generate")
    best = pl.col("metric").is_in(["rPSNR", "rSSIM"])
    scores = ours.filter(best).group_by("job_id", maintain_order=True).agg(
        scores=pl.format("{} {}", "metric", pl.col("value").round(3)).str.join(", ")
    )  # fmt: skip
    shaped = [name for name in ours["dataset"].unique() if shaped_a_recipe(name)]
    return (
        ours.unique("job_id", keep="first", maintain_order=True)
        .join(ledger.sheets.unique("job_id", maintain_order=True), on="job_id")
        .join(ledger.jobs.select("job_id", "folder"), on="job_id")
        .join(scores, on="job_id", how="left")
        .sort(
            pl.col("dataset").is_in(shaped), "dataset", pl.col("series") != "trained", "series",
            "codec", "p", "E",
            "config_id", "seed", "job_id", nulls_last=True,
        )
    )  # fmt: skip


def encoded(
    rows: Sequence[Row], root: Path, encode: Callable[[Path, Row], Made]
) -> Iterator[tuple[Row, Made | None]]:
    """Each row with what `encode` makes of its files below `root`, None where they are UNREADABLE;
    by several threads, no more than a batch ahead."""

    def tried(row: Row) -> Made | None:
        try:
            return encode(root, row)
        except UNREADABLE:
            return None

    with ThreadPoolExecutor() as pool, warnings.catch_warnings():
        # `_check_size` refuses those; the filter holds in all threads.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            yield from zip(batch, pool.map(tried, batch), strict=True)


def _sheet(root: Path, row: Mapping[str, str]) -> Thumbnail:
    return thumbnail(own_file(root, f"{row['folder']}/{row['path']}"))


def thumbnail(path: Path) -> Thumbnail:
    """A picture as a data URI at most WIDTH wide, with its size.

    Raises:
        UNREADABLE: it cannot be read, or is larger than pictures are.
    """
    with Image.open(path) as opened:
        _check_size(opened, path, 1)
        picture = _small(opened, WIDTH)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=_QUALITY, method=_EFFORT)
    return _uri(packed), picture.size


def moving(path: Path) -> str:
    """A GIF's pictures, moving as they do, half as wide as a `thumbnail`: there are many of them.

    Raises:
        UNREADABLE: as there, of all its pictures together.
    """
    with Image.open(path) as opened:
        frames = getattr(opened, "n_frames", 1)
        _check_size(opened, path, frames)
        lasting = opened.info.get("duration", 0)
        pictures = [_small(frame, WIDTH // 2) for frame in ImageSequence.Iterator(opened)]
    packed = io.BytesIO()
    first, *rest = pictures
    first.save(
        packed, "WEBP", save_all=True, append_images=rest, duration=lasting, loop=0,
        quality=_QUALITY, method=_EFFORT,
    )  # fmt: skip
    return _uri(packed)


def _check_size(opened: Image.Image, path: Path, frames: int) -> None:
    if frames * opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or _PIXELS):
        size = f"{frames} × {opened.width} × {opened.height}"
        raise Image.DecompressionBombError(f"{path}: {size} pixels")


def _small(opened: Image.Image, width: int) -> Image.Image:
    picture = opened.convert("RGB")
    # Not by Image.thumbnail, which keeps the shape of what is a thousand times taller than wide.
    height = min(round(picture.height * min(1.0, width / picture.width)), _TALLEST)
    if picture.width <= width and height == picture.height:
        return picture
    size = (min(picture.width, width), max(1, height))
    return picture.resize(size, Image.Resampling.BOX)


def _uri(packed: io.BytesIO) -> str:
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
