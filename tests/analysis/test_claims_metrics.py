"""Claims that compare two sets of runs do so in one metric; other ways of measuring are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from claimsdb import FRECHET, Run, database, grid, judged

from analysis.claims import Word
from analysis.frames import Results

CLIPS = [Run(p, 16, seed, frames=16, q=q) for p in (8, 16) for q in (1, 2, 4) for seed in (0, 1)]


def scored(of_images: tuple[str, ...], of_clips: tuple[str, ...]) -> Results:
    """Images and clips, each in some metrics; either network counts from its own level."""
    noise = np.random.default_rng(2)
    level = {"rFID": 6.0, FRECHET: 9.0}

    def quality(run: Run) -> float:
        return float(run.x - 2.5 * (run.frames > 1) + noise.normal(0, 0.02))

    def scores(run: Run) -> list[tuple[str, str, None, None, dict[str, float]]]:
        names, dataset = ((of_clips, "ucf101-val") if run.frames > 1
                          else (of_images, "imagenet1k-val"))  # fmt: skip
        better = quality(run)
        made = {name: 2.0 ** (level[name] - 0.8 * better) for name in names}
        return [("reconstruct", dataset, None, None, made)]

    return database([*grid((0, 1)), *CLIPS], scores)


@pytest.mark.parametrize("name", ["video-needs-4-8x-rfid", "video-below-16x-rfid"])
def test_two_metrics_are_not_held_against_each_other(name: str) -> None:
    split = judged(scored(("rFID",), (FRECHET,)), name)[name]
    assert split.verdict is Word.NO_DATA
    assert split.note == f"needs one metric of all that is compared; there are {FRECHET} and rFID"
    # The standard one is not taken where only the other was measured on both sides.
    shared = judged(scored(("rFID", FRECHET), (FRECHET,)), name)[name]
    same = judged(scored((FRECHET,), (FRECHET,)), name)[name]
    assert shared.metric == same.metric == FRECHET
    assert shared.statistic == same.statistic
    assert shared.verdict is same.verdict is not Word.NO_DATA


def protocols(samples: Callable[[pl.Expr], pl.Expr]) -> str:
    """The note on video against images, by the number of clips that scored each."""
    made = scored((FRECHET,), (FRECHET,))
    video = pl.col("dataset") == "ucf101-val"
    named = pl.format("Frechet distance; N={}; {}@1: crops, 64px", samples(video), "dataset")
    rows = made.point_metrics.with_columns(protocol=named)
    name = "video-below-16x-rfid"
    found = judged(replace(made, point_metrics=rows), name)[name]
    assert found.verdict is Word.SUPPORTED
    return found.note


def test_other_protocols_are_told() -> None:
    note = protocols(lambda video: pl.when(video).then(128).otherwise(1000))
    told = "by several protocols: Frechet distance; N=128 | Frechet distance; N=1000"
    assert f"{FRECHET} {told}" in note
    assert "protocols" not in protocols(lambda video: pl.lit(128))
