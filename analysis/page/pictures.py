"""Picture sheets for the page: scaled down, as data URIs, within a limit in total."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from analysis.artifacts import UNREADABLE, own_file
from analysis.measurements import shaped_a_recipe
from analysis.page.ledger import Ledger

LIMIT = 12_000_000  # characters of data URIs in one page
WIDTH = 576  # pixels: eight crops of 64 pixels and the rows' names
_QUALITY, _EFFORT = 66, 2  # WebP's; a higher effort saves a little and takes twice the time
_PIXELS = 100_000_000  # in a picture, where Pillow sets no limit of its own
_TALLEST = 16_000  # pixels: WebP's limit
_BATCH = 32  # encoded before the limit is looked at again


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
    rows: pl.DataFrame, slugs: Mapping[str, str], ledger: Ledger | None, limit: int = LIMIT
) -> Gallery:
    """The sheets of all scored reconstructions, main data sets and trained ones first, then by E.

    Args:
        rows: what was measured, each number once.
        slugs: the points' names by id.
        limit: characters of data URIs.
    """
    if ledger is None or ledger.sheets.is_empty():
        return Gallery((), ())
    wanted = _wanted(rows, ledger)
    shown: list[Picture] = []
    unreadable, cut, size = 0, 0, 0
    for row, made in _encoded(wanted.to_dicts(), ledger.root):
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
            f"{limit / 1e6:.0f} MB of pictures. --sweep NAME keeps one sweep's."
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


def _encoded(
    rows: Sequence[dict[str, str]], root: Path
) -> Iterator[tuple[dict[str, str], tuple[str, tuple[int, int]] | None]]:
    """Each row with its picture, encoded by several threads, no more than a batch ahead."""

    def encode(row: dict[str, str]) -> tuple[str, tuple[int, int]] | None:
        try:
            return thumbnail(own_file(root, f"{row['folder']}/{row['path']}"))
        except UNREADABLE:
            return None

    with ThreadPoolExecutor() as pool, warnings.catch_warnings():
        # `thumbnail` refuses those; the filter holds in all threads.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            yield from zip(batch, pool.map(encode, batch), strict=True)


def thumbnail(path: Path) -> tuple[str, tuple[int, int]]:
    """A picture as a data URI at most WIDTH wide, with its size.

    Raises:
        UNREADABLE: it cannot be read, or is larger than pictures are.
    """
    with Image.open(path) as opened:
        if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or _PIXELS):
            raise Image.DecompressionBombError(f"{path}: {opened.width} × {opened.height} pixels")
        picture = opened.convert("RGB")
    # Not by Image.thumbnail, which keeps the shape of what is a thousand times taller than wide.
    height = min(round(picture.height * min(1.0, WIDTH / picture.width)), _TALLEST)
    if picture.width > WIDTH or height < picture.height:
        size = (min(picture.width, WIDTH), max(1, height))
        picture = picture.resize(size, Image.Resampling.BOX)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=_QUALITY, method=_EFFORT)
    text = base64.b64encode(packed.getvalue()).decode("ascii")
    return f"data:image/webp;base64,{text}", picture.size
