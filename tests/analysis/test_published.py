"""The paper's numbers as shipped, in tidy form, and through the public commands."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
import typer
from typer.testing import CliRunner

import analysis
from analysis import published
from analysis.measurements import SCHEMA
from analysis.published.measured import measured
from analysis.report import overview
from analysis.wide import TOLD_BY
from sweep.cli import reporting
from vitok_core.errors import UserError

# Marks per figure, as the grids of the paper say: shapes × metrics × data sets.
MARKS = {
    "2": 15 * 4 + 15 * 3, "4": 3 * 4 + 3 * 3, "5": 14 * 4, "6": 7 * 4, "7": 7 * 4, "8": 7 * 4,
    "9": 7 * 4, "10": 6 * 4, "11": 10 * 4 * 3, "12": 9 * 4, "13": 3 * 4, "17": 15 * 4,
    "18": 5 * 10 * 4 + 2 * 4, "19": 10 * 4, "20": 11 * 4, "17-draft": 15 * 4, "extra": 2 * 14 * 4,
}  # fmt: skip


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    reporting.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def value(metric: str, figure: str | None = None, **at: Any) -> float:
    return measured(figure).filter(metric=metric, **at)["value"].item()


def test_every_mark_is_there() -> None:
    every = published.points(distinct=False)
    assert Counter(every["figure"]) == MARKS
    assert len(every) == 1010
    assert len(published.points()) == 670
    assert (every["E"] == every["c"] * every["latent_tokens"]).all()


@pytest.mark.parametrize("figure", MARKS)
def test_a_figure_is_measured_as_drawn(figure: str) -> None:
    rows = measured(figure)
    assert rows.schema == SCHEMA
    assert len(rows) == MARKS[figure] // (2 if figure == "extra" else 1)
    one_each = ["config_id", "metric", "dataset", "cfg_scale", "E", "step"]
    assert not rows.select(one_each).is_duplicated().any()
    drawn_in = "5" if figure == "extra" else figure  # the same measurements over another x
    assert set(rows["protocol"]) == {f"published: ViTok, arXiv 2501.09755, Figure {drawn_in}"}


def test_measurements_count_once_and_have_ids_of_their_own() -> None:
    rows = analysis.load_published().measurements
    assert len(rows) == 670
    point = ["point_id", "metric", "dataset", "cfg_scale", "E"]
    assert not rows.select(point).is_duplicated().any()
    assert rows["tokenizer"].null_count() == 0


@pytest.mark.parametrize(
    ("metric", "figure", "at", "expected"),
    [
        # What the paper's prose and tables say of these very tokenizers, where it agrees.
        ("rFID", "2", {"p": 16, "c": 16, "dataset": "imagenet1k"}, 1.584),
        ("rFID", "2", {"p": 32, "c": 64, "dataset": "imagenet1k"}, 2.41),
        ("gIS", "5", {"p": 16, "c": 16, "cfg_scale": 1.5}, 160.2),
        ("gFID", "5", {"p": 16, "c": 16, "cfg_scale": 1.5}, 6.134),
        ("rFID", "7", {"encoder": "S", "decoder": "L"}, 1.360),
        ("rFID", "10", {"stage": 2}, 0.564),
        ("rFVD", "13", {"frames": 16}, 39.36),
    ],
)
def test_known_values(metric: str, figure: str, at: dict[str, Any], expected: float) -> None:
    assert value(metric, figure, **at) == pytest.approx(expected, abs=0.5 * 10**-2 * expected)


def test_figure_4_has_the_true_size() -> None:
    rows = measured("4")
    assert set(rows["E"]) == {2**12, 2**14, 2**16}
    assert set(rows["pixels_per_channel"]) == {192.0, 48.0, 12.0}
    assert set(published.drawn("4")["x_plotted"]) == {2.0**10, 2.0**12, 2.0**14}


def test_costs_are_those_of_the_tables() -> None:
    """Tables 3 and 4."""
    cases = [
        ("2", 4, {"p": 16, "c": 16}),
        ("7", 5, {"encoder": "S", "decoder": "L"}),
        ("4", 1, {"p": 16}),
    ]
    for figure, row, at in cases:
        printed = published.table(4 if figure == "4" else 3).row(row, named=True)
        found = measured(figure).filter(**at).row(0, named=True)
        assert f"{found['params_m']:.1f}" == printed["params_m"]
        assert f"{found['gflops']:.1f}" == printed["gflops"]


def test_stages_share_their_tokenizer_and_other_runs_do_not() -> None:
    of = {figure: set(measured(figure)["tokenizer"]) for figure in MARKS}
    assert of["18"] == {"S-B/16 c16 256p"}
    assert of["18"] < of["2"] == of["17"]
    assert of["8"] == of["6"]
    assert not of["19"] & of["2"]
    assert not of["20"] & of["2"]
    masked = measured("20").filter(pl.col("variant") == "mask_simple")
    assert masked["tokenizer"].n_unique() == 1
    assert masked["E"].n_unique() == 4


def test_losses_are_called_as_figure_10_calls_them() -> None:
    drawn = published.drawn("10").select("loss_label", pl.col("panel").alias("metric"), "value")
    rows = measured("10").join(drawn, on=["metric", "value"])
    assert (rows["loss"] == rows["loss_label"]).all()
    assert set(measured("2")["loss"]) == {"L2 + 1.0*LP"}
    without = measured("18").filter(pl.col("gan_weight") == 0)
    assert set(without["loss"]) == {"L2 + 1.0*LP"}


def test_tables_stay_as_printed() -> None:
    assert published.table(3).filter(name="ViTok S-B/16")["imagenet1k/rFID"].item() == "0.50"
    assert published.table(5)["ucf101/rSSIM"].to_list()[1] == ".701"
    rows = [len(published.table(number)) for number in published.TABLES]
    assert rows == [3, 2, 6, 2, 7, 5, 8]
    for number in published.TABLES:
        assert set(published.table(number).dtypes) == {pl.String}
    with pytest.raises(UserError, match="no table 8"):
        published.table(8)
    with pytest.raises(UserError, match="figure '22'"):
        published.drawn("22")


def test_wide_and_points_work_as_for_our_own() -> None:
    results = analysis.load_published()
    wide = results.wide(dataset="imagenet1k", metrics=["rFID", "rPSNR"], eval_length=256)
    at = {"p": 16, "c": 16, "resolution": 256, "point_id": "S-B/16 c16 256p"}
    assert wide.filter(**at)["rFID"].item() == pytest.approx(1.584, abs=1e-3)
    assert results.points["point_id"].is_unique().all()
    with pytest.raises(UserError, match="eval_length: 32, 64, 128, 256"):
        results.wide(dataset="imagenet1k")
    two = results.wide(dataset="imagenet1k", figures=["2"])  # whole: no length is asked for
    grid = {(p, c) for p in (8, 16, 32) for c in (4, 8, 16, 32, 64)}
    assert set(two.select("p", "c").rows()) == grid
    drawn = published.drawn("2").filter(dataset="imagenet1k", panel="rPSNR")
    values = drawn.join(two, on=["p", "c"])
    assert len(values) == len(two) == 15
    assert (values["value"] == values["rPSNR"]).all()
    # S-B stands in Figure 6 too, and is one tokenizer.
    assert len(results.wide(dataset="imagenet1k", figures=["2", "6"])) == 15 + 7 - 1
    with pytest.raises(UserError, match="no published points of figure '1'"):
        results.wide(figures=["1"])
    with pytest.raises(UserError, match=r"cfg_scale: 1.5, 3.0"):
        results.wide(kind="generate")
    assert len(results.wide(kind="generate", cfg_scale=3.0)) == 14 + 6


@pytest.mark.parametrize(
    ("figure", "number"), [("e_vs_metrics", "2"), ("e_vs_metrics_512p", "4"),
                           ("e_vs_generation", "5")],
)  # fmt: skip
def test_the_command_prints_the_paper_s_r2(figure: str, number: str, tmp_path: Path) -> None:
    """Without any results root."""
    done = invoke(
        "--source", "published", "--results", tmp_path / "none", "--figure", figure, "--format",
        "svg", "--out", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    fits = json.loads((tmp_path / f"{figure}.fits.json").read_text())
    found = {
        (fit["panel"], fit["dataset"], fit["cfg_scale"]): f"{fit['r2']:.2f}"
        for fit in fits
        if not fit["group"]
    }
    drawn = published.fits().filter(figure=number, source="drawn")
    printed = {
        (panel, dataset, cfg): f"{r2:.2f}"
        for panel, dataset, cfg, r2 in drawn.select(
            "panel", "dataset", "cfg_scale", "r2_annotated"
        ).rows()
    }
    assert found == printed
    assert not (tmp_path / "none").exists()


def test_everything_published_is_printed() -> None:
    done = invoke("--source", "published")
    assert done.exit_code == 0, done.output
    assert "printed R²" in done.stdout
    assert "e_vs_generation" in done.stdout
    table = done.stdout.splitlines()[2:]
    rows = [line for line in table[: table.index("")] if not line.startswith("  ")]
    named = [re.split(r"  +", line)[:5] for line in rows]
    assert len({tuple(name) for name in named}) == len(rows)
    assert ["imagenet1k", "–", "rFID", "paper", "2"] in named
    notes = [line for line in table if line.startswith("  imagenet1k")]
    assert any("Figure 10: all 5 configurations" in line for line in notes)
    assert len(set(notes)) == len(notes) == 4  # metrics and scales that share a reason share a line
    at = table.index("Protocols")
    assert table[at + 1].startswith("  published: ViTok, arXiv 2501.09755, Figures 2, 4, 5, 6, 8")
    assert table[at + 2] == ""


def test_wide_tells_the_paper_s_experiments_apart() -> None:
    """At p16 c16 of S-B stand stage 1, its losses, its fine-tunings and other runs."""
    wide = analysis.load_published().wide(dataset="imagenet1k", eval_length=256)
    apart = ["encoder", "decoder", "p", "c", "resolution", *TOLD_BY]
    assert wide.select(apart).is_unique().all()
    at = wide.filter(encoder="S", decoder="B", p=16, c=16, resolution=256)
    assert len(at) > 50
    for figure in ("2", "10", "18", "19"):
        drawn = published.drawn(figure).filter(panel="rFID", dataset="imagenet1k", p=16, c=16)
        values = set(at.filter(figure=figure)["rFID"].drop_nulls())
        assert values
        assert values <= set(drawn["value"])
    (plain,) = at.filter(figure="2")["rFID"]
    assert plain == value("rFID", "17", p=16, c=16)
    assert set(at.filter(figure="19")["form"]) == {"simple", "latent"}
    tuned = at.filter(figure="18", stage=2)
    assert set(tuned["loss"]) == {"L2+LP+GAN", "L2 + 1.0*LP"}
    assert tuned["step"].is_not_null().all()


def test_a_figure_of_variants_has_a_line_for_each() -> None:
    """A line through Figure 19's latent and simple tokenizers would be of neither."""
    fits = overview(analysis.load_published()).fits
    of = {fit.group: fit for fit in fits if fit.figure == "19" and fit.panel == "rPSNR"}
    assert set(of) == {(("variant", "simple"),), (("variant", "latent"),)}
    for (group,), fit in of.items():
        rows = published.drawn("19").filter(panel="rPSNR", variant=group[1])
        line = scipy.stats.linregress(np.log2(rows["E"]), rows["value"])
        assert fit.slope == pytest.approx(line.slope)
        assert fit.n == len(rows)
    assert all(not fit.group for fit in fits if fit.figure == "2")
