"""Sheets of generated samples for the page: a row per generator, its scales of CFG side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from analysis.artifacts import own_file
from analysis.figures.words import number
from analysis.metrics import choose, metric, order
from analysis.page.ledger import Ledger
from analysis.page.pictures import LIMIT, Thumbnail, encoded, moving, thumbnail
from analysis.selection import one_sweep

Sheet = tuple[Thumbnail, str | None]


@dataclass(frozen=True)
class Score:
    """A metric's value at one scale; `best`: every other scale of the generator has a worse one,
    to the digits shown."""

    name: str
    value: str
    best: bool


@dataclass(frozen=True)
class Scale:
    """One job's sheet; `best`: by the first of its metrics."""

    job_id: str
    cfg: float
    best: bool
    scores: Sequence[Score]
    uri: str
    width: int
    height: int
    clips: str | None  # the samples moving, as a data URI; None of images


@dataclass(frozen=True)
class Row:
    """One generator's sheets, by rising scale."""

    point_id: str
    label: str  # the point's slug
    generator: str
    dataset: str  # the reference
    scales: Sequence[Scale]


@dataclass(frozen=True)
class Samples:
    """The rows that found room, and what has to be said about the others."""

    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def sheets(self) -> list[Scale]:
        return [scale for row in self.rows for scale in row.scales]

    @property
    def size(self) -> int:
        """Characters of data URIs."""
        return sum(len(one.uri) + len(one.clips or "") for one in self.sheets)

    @property
    def judges(self) -> list[str]:
        """The metrics by which scales are called best."""
        return list(dict.fromkeys(one.scores[0].name for one in self.sheets if one.best))


def samples(
    rows: pl.DataFrame,
    slugs: Mapping[str, str],
    ledger: Ledger | None,
    limit: int = LIMIT,
    sweep: str | None = None,
) -> Samples:
    """The sheets of all scored samples, by reference, p, q and E.

    Args:
        rows: what was measured, each number once.
        slugs: the points' names by id.
        limit: characters of data URIs; generators from the first on whose sheets do not all fit
            are left out.
        sweep: what is shown is this one's.
    """
    if ledger is None or ledger.samples.is_empty():
        return Samples((), ())
    wanted = _wanted(rows, ledger)
    shown: list[Row] = []
    tried, unreadable, size = 0, 0, 0
    pictures = encoded(wanted, ledger.root, _encode)
    for _, group in groupby(pictures, lambda each: _generator(each[0])):
        jobs = list(group)
        there = [(job, made) for job, made in jobs if made is not None]
        more = sum(len(still[0]) + len(clips or "") for _, (still, clips) in there)
        if size + more > limit:
            break
        size += more
        tried += len(jobs)
        unreadable += len(jobs) - len(there)
        if there:
            shown.append(_row([job for job, _ in jobs], there, slugs))
    notes = []
    if tried < len(wanted):
        notes.append(
            f"{len(wanted) - tried} of {len(wanted)} sheets of samples are left out: a page holds "
            f"{limit / 1e6:.2g} MB of them{one_sweep(sweep)}."
        )
    if unreadable:
        notes.append(f"{unreadable} of {len(wanted)} sheets of samples could not be read.")
    return Samples(shown, notes)


def _wanted(rows: pl.DataFrame, ledger: Ledger) -> list[dict[str, Any]]:
    """A job with a sheet each, those of one generator together."""
    ours = rows.filter(
        pl.col("source") == "db", pl.col("kind") == "generate", pl.col("cfg_scale").is_not_null()
    )
    stills = ledger.samples.filter(pl.col("kind") != "clips").unique("job_id", maintain_order=True)
    clips = ledger.samples.filter(kind="clips").unique("job_id", maintain_order=True)
    jobs = (
        ours.group_by("job_id", maintain_order=True)
        .agg(
            pl.exclude("metric", "protocol", "value").first(),
            numbers=pl.struct("metric", "protocol", "value"),
        )
        .join(stills.select("job_id", "path"), on="job_id")
        .join(clips.select("job_id", clips="path"), on="job_id", how="left")
        .join(ledger.jobs.select("job_id", "folder"), on="job_id")
        .to_dicts()
    )
    for job in jobs:
        numbers = sorted(job.pop("numbers"), key=lambda each: order(each["metric"]))
        job["scores"] = {each["metric"]: each["value"] for each in numbers}
        # Samples of another protocol, as by more steps, are another row.
        job["protocols"] = tuple((each["metric"], each["protocol"]) for each in numbers)
    sizes = ("p", "q", "E")
    return sorted(
        jobs,
        key=lambda job: (
            job["dataset"], *(job[name] or 0 for name in sizes), job["config_id"],
            job["seed"] or 0, *_generator(job), job["cfg_scale"], job["job_id"],
        ),
    )  # fmt: skip


def _generator(job: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the scales of one row share."""
    return job["point_id"], job["generator"] or "", job["dataset"], job["protocols"]


def _encode(root: Path, job: Mapping[str, Any]) -> Sheet:
    """The sheet, and what moves; UNREADABLE where either is not what it should be."""
    still = thumbnail(own_file(root, f"{job['folder']}/{job['path']}"))
    clips = job["clips"]
    return still, None if clips is None else moving(own_file(root, f"{job['folder']}/{clips}"))


def _shown(jobs: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """The metrics that stand below sheets, one of each family, with the best value of each as it is
    shown; None where one scale alone was scored or two show the best: no word on guidance."""
    names = list(dict.fromkeys(name for job in jobs for name in job["scores"]))
    families = dict.fromkeys(metric(name).family for name in names if metric(name).better)
    found: dict[str, str | None] = {}
    for name in (choose(family, names) for family in families):
        if name is not None:
            values = [job["scores"].get(name) for job in jobs]
            finite = [value for value in values if value is not None and math.isfinite(value)]
            said = [number(value) for value in finite]
            sign = metric(name).better
            best = number(max(finite, key=lambda value: sign * value, default=None))
            found[name] = best if len(finite) > 1 and said.count(best) == 1 else None
    return found


def _row(
    jobs: Sequence[Mapping[str, Any]],
    there: Sequence[tuple[Mapping[str, Any], Sheet]],
    slugs: Mapping[str, str],
) -> Row:
    """A generator's row; what is best among its scales is so with unreadable sheets or not."""
    shown = _shown(jobs)
    point, name = jobs[0]["point_id"], jobs[0]["generator"] or ""
    scales = [_scale(job, shown, *sheet) for job, sheet in there]
    return Row(point, slugs.get(point, point), name, jobs[0]["dataset"], scales)


def _scale(
    job: Mapping[str, Any], shown: Mapping[str, str | None], still: Thumbnail, clips: str | None
) -> Scale:
    there = {name: job["scores"].get(name) for name in shown}
    scores = [
        Score(name, number(value), number(value) == shown[name])
        for name, value in there.items()
        if value is not None
    ]
    best = bool(scores) and scores[0].best and scores[0].name == next(iter(shown))
    uri, (width, height) = still
    return Scale(job["job_id"], job["cfg_scale"], best, scores, uri, width, height, clips)
