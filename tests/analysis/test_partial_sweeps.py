"""A sweep that has not finished: every figure of our points says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import experiments
import polars as pl
import pytest
import torch
from matplotlib.text import Text
from synthetic import quickstart
from trained import append, artifact, jobs, metric, root_of

import analysis
from analysis.figures import FIGURES, Drawing, Request
from analysis.frames import Results
from vitok_core.metrics.sheet import write_sheet

OURS: dict[str, Callable[[], Results]] = {
    "encoder_vs_metrics": experiments.model_sizes,
    "decoder_vs_metrics": experiments.model_sizes,
    "loss_tradeoff": experiments.losses,
    "video_e_vs_metrics": experiments.video,
    "video_pq": experiments.video,
    "gan_ablation": experiments.finetunings,
    "latent_vs_simple": experiments.latents,
    "mask_vs_simple": experiments.masked,
    "e_vs_metrics_512p": lambda: quickstart(resolution=512, seeds=(0,)),
}
SWEEP = ("e_vs_rfid", "e_vs_metrics", "e_vs_metrics_detailed", "pareto", "cost_vs_quality",
         "residuals_at_equal_e", "e_vs_generation")  # fmt: skip


def draw(made: Results, figure: str) -> Drawing:
    return FIGURES[figure].draw(made, Request())


def without_last(made: Results) -> Results:
    """As `made`, before its last point was scored."""
    last = made.points["point_id"][-1]
    return replace(made, point_metrics=made.point_metrics.filter(pl.col("point_id") != last))


def assert_partial(drawing: Drawing, have: int, want: int, verb: str = "are scored") -> None:
    note = f"{have} of {want} points {verb} so far: the figure is partial"
    assert drawing.notes.count(note) == 1
    said = " ".join(text.get_text() for text in drawing.canvas.findobj(Text))
    assert f"Note: {note}." in said


@pytest.mark.parametrize("figure", [*SWEEP, *OURS])
def test_every_figure_of_a_partial_sweep_says_so(figure: str) -> None:
    made = OURS.get(figure, lambda: quickstart(seeds=(0,), cfg=(1.5,)))()
    want = made.points.height
    assert_partial(draw(without_last(made), figure), want - 1, want)


@pytest.mark.parametrize("figure", ["e_vs_rfid", "loss_tradeoff"])
def test_a_whole_sweep_is_not_partial(figure: str) -> None:
    made = OURS.get(figure, quickstart)()
    assert not any("partial" in note for note in draw(made, figure).notes)


def test_pictures_and_curves_too(tmp_path: Path) -> None:
    made = quickstart(seeds=(0,), patches=(16,), datasets=("photos-heldout",))
    root = root_of(tmp_path, made)
    for job in jobs(root, "reconstruct")[1:]:
        job.artifacts.mkdir()
        grey = torch.full((8, 3, 64, 64), 200, dtype=torch.uint8)
        write_sheet(job.artifacts / "sheet.png", grey, grey)
        append(job, 1, [artifact("sheet.png", "sheet")])
    for job in jobs(root, "tokenizer"):
        append(job, 1, [metric(2, 0.5)])
    assert not any("partial" in note for note in draw(analysis.load(tmp_path), "pareto").notes)
    for job in jobs(root, "reconstruct")[:1]:
        (job.journals / "1.jsonl").unlink()
    (jobs(root, "tokenizer")[0].journals / "1.jsonl").unlink()
    (root.path / "results.db").unlink()
    loaded = analysis.load(tmp_path)
    assert_partial(draw(loaded, "reconstructions"), 4, 5)
    assert_partial(draw(loaded, "learning_curves"), 4, 5, "have a curve")
    assert_partial(draw(loaded.with_published(), "pareto"), 4, 5)
