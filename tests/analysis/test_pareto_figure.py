"""Pareto fronts and cost against quality: the right points, the cited tables, honest costs."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Annotation
from pages import assert_text_is_whole, texts
from synthetic import FRECHET, quickstart
from trained import append, jobs, root_of

import analysis
from analysis.figures import FIGURES, Drawing, Request, marknames
from analysis.figures.costs import training_time
from analysis.figures.labels import Label
from analysis.figures.pareto import TOLERANCE, levels
from analysis.figures.shades import size_name
from analysis.figures.style import canvas
from analysis.frames import Results
from analysis.published.cited import cited
from analysis.published.measured import load_published
from vitok_core.errors import UserError


def draw(made: Results, figure: str, *datasets: str) -> Drawing:
    return FIGURES[figure].draw(made, Request(datasets=datasets))


def costed(**options: object) -> Results:
    """The quickstart with costs that differ as they do: by patch."""
    made = quickstart(**options)  # type: ignore[arg-type]
    p = pl.col("p")
    return replace(made, points=made.points.with_columns(
        gflops=1000.0 / p**2 + 0.001 * pl.col("c"), params_m=1.0 + p / 100
    ))  # fmt: skip


@cache
def published(figure: str) -> Drawing:
    return draw(load_published(), figure)


CASES = {
    "pareto": lambda: published("pareto"),
    "pareto of video": lambda: draw(load_published(), "pareto", "ucf101"),
    "pareto of ours": lambda: draw(costed(), "pareto"),
    "pareto of both": lambda: draw(costed().with_published(), "pareto"),
    "pareto of one point": lambda: draw(costed(patches=(16,), channels=(4,), seeds=(0,)), "pareto"),
    "cost": lambda: published("cost_vs_quality"),
    "cost of ours": lambda: draw(costed(seeds=(0,)), "cost_vs_quality", "all"),
    "cost of both": lambda: draw(costed().with_published(), "cost_vs_quality"),
    "cost of one point": lambda: draw(
        costed(patches=(16,), channels=(4,), seeds=(0,)), "cost_vs_quality"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_text_is_whole_and_never_overlaps(name: str) -> None:
    figure = CASES[name]().canvas
    assert_text_is_whole(figure)


def test_no_point_of_a_front_is_beaten_and_every_other_is() -> None:
    """By the definition, pair by pair."""
    own = published("pareto").data.filter(pl.col("series") == "trained")
    for (_, _, name, x), rows in own.group_by("dataset", "resolution", "metric", "x"):
        sign = 1 if name == "rPSNR" else -1
        cost = levels(rows["cost"].to_numpy())
        quality = sign * rows["value"].to_numpy()
        for at, front in enumerate(rows["front"]):
            no_worse = (cost <= cost[at]) & (quality >= quality[at])
            better = (cost < cost[at]) | (quality > quality[at])
            assert front == (not np.any(no_worse & better)), (name, x, rows["name"][at])


def test_the_paper_s_front_over_gflops() -> None:
    front = next(one for one in published("pareto").findings if one["x"] == "gflops")
    assert [(one["name"], round(one["value"], 2)) for one in front["front"]] == [
        ("S-B/32 c64", 2.41), ("S-S/16 c16", 1.76), ("S-B/16 c64", 0.53), ("S-B/8 c64", 0.01),
    ]  # fmt: skip
    assert front["n"] == 15 + 6  # Figure 2, and Figure 6 without S-B


def test_names_stand_in_the_hollow_of_the_front() -> None:
    """On its other side a name is level with the mark before, and would be read as that one's."""
    figure = published("pareto").canvas
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    panels = [axes for axes in figure.axes if axes.get_xlabel().startswith("code size")]
    assert len(panels) == 4
    for axes in panels:
        named = sorted(
            (each for each in axes.texts if isinstance(each, Annotation)), key=lambda one: one.xy
        )
        fronts = [line for line in axes.lines if line.get_zorder() == 5]
        assert len(named) == sum(len(line.get_xydata()) for line in fronts)
        rising = axes.get_ylabel().startswith("rPSNR")
        for one in named[1:]:
            box = one.get_window_extent(renderer)
            x, y = axes.transData.transform(one.xy)
            assert box.x1 < x, one.get_text()
            assert box.y1 > y if rising else box.y0 < y, one.get_text()


def test_every_cited_tokenizer_is_seen_and_named() -> None:
    """ViTok S-B/16's star of Table 3 lies on the square of S-B/16 c64: rFID 0.50, 0.53."""
    panels = published("pareto").canvas.axes
    for axes in panels:
        stars = [line for line in axes.lines if line.get_marker() == "*"]
        over = max((line.get_zorder() for line in axes.lines if line not in stars), default=0)
        spots = {tuple(spot) for line in stars for spot in line.get_xydata()}
        named = {each.xy for each in axes.texts if isinstance(each, Annotation)}
        assert spots <= named
        assert all(line.get_zorder() > over for line in stars)
    names = [text.get_text() for text in panels[0].texts]
    assert {"SD-VAE", "ViTok S-B/16", "ViTok S-L/16"} <= set(names)


def test_a_name_is_left_out_rather_than_read_as_another_mark_s() -> None:
    """A name left of its mark, and at the name's other end, as near, a mark without one."""
    axes = canvas(4, 3).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 400), ylim=(0, 300))  # pixels
    axes.plot([200], [150], "o", ms=4)
    left, name = (marknames.ANYWHERE[1],), [Label(200, 150, "c64", "k")]
    (box,) = marknames.place(axes, name, size=7, places=left, drop=True)
    away = 200 - box.x1
    axes.plot([box.x0 - away], [150], "o", ms=4)
    assert marknames.place(axes, name, size=7, places=left, drop=True) == []
    assert len(marknames.place(axes, name, size=7, places=left)) == 1
    (other,) = marknames.place(axes, name, size=7, drop=True)
    assert other.x0 > 200


def test_every_e_that_is_drawn_is_in_the_key() -> None:
    """In its own colour, and the key has no other."""
    for figure in ("residuals_at_equal_e", "cost_vs_quality"):
        drawing = draw(costed(seeds=(0,)).with_published(), figure)
        cells = {to_hex(cell.get_facecolor()) for cell in drawing.canvas.artists}
        names = {text for text, _ in texts(drawing.canvas) if re.fullmatch(r"\$2\^{\d+}\$", text)}
        assert {size_name(E) for E in drawing.data["E"]} <= names
        drawn = {
            to_hex(line.get_markerfacecolor())
            for axes in drawing.canvas.axes for line in axes.lines
            if line.get_marker() not in ("None", None) and axes.get_visible()
        }  # fmt: skip
        assert drawn == cells
        assert len(cells) == drawing.data["E"].n_unique()


def test_panels_of_what_nobody_knows_are_left_out(tmp_path: Path) -> None:
    root = root_of(tmp_path, costed(seeds=(0,), datasets=("photos-heldout",)))
    drawing = draw(analysis.load(root.path).with_published(), "cost_vs_quality")
    shown = [axes for axes in drawing.canvas.axes if axes.get_visible()]
    assert len(shown) == 2 * 3 + 2 * 2
    assert not any("not known" in text for text, _ in texts(drawing.canvas))


def test_costs_that_hardly_differ_count_as_equal() -> None:
    costs = np.array([1.0, 1.04, 1.06, 2.0, 1.05, 2.2])
    assert levels(costs).tolist() == [1.0, 1.0, 1.06, 2.0, 1.0, 2.2]
    assert TOLERANCE == 0.05


def test_cited_tokenizers_stand_where_the_tables_say() -> None:
    data = published("pareto").data
    sd = data.filter(series="cited", name="SD-VAE", x="gflops", metric="rFID")
    assert sd.select("resolution", "cost", "value").sort("resolution").rows() == [
        (256, 162.2, 0.78), (512, 653.8, 0.19),
    ]  # fmt: skip
    assert data.filter(series="cited", x="E").is_empty()  # the tables print none
    assert "SDXL-VAE" not in data["name"]  # no cost is known
    assert data.filter(pl.col("series") == "cited")["front"].null_count() == len(
        data.filter(pl.col("series") == "cited")
    )


def test_table_5_has_rows_of_its_own() -> None:
    """Its clips are 128p, those of Figure 11 256p: they never share an axis."""
    data = draw(load_published(), "pareto", "ucf101").data.filter(x="gflops", metric="rFVD")
    clips = data.filter(resolution=128)
    assert set(clips["name"]) == {
        "LARP-L-Long", "ViTok S-B/4x8", "ViTok S-B/8x8", "ViTok S-B/4x16",
    }  # fmt: skip
    assert clips.filter(name="LARP-L-Long").select("cost", "value").rows() == [(505.3, 20.0)]
    assert set(data.filter(resolution=256)["series"]) == {"trained"}


def test_a_page_has_four_rows_at_most() -> None:
    drawing = draw(costed().with_published(), "pareto")
    assert len(drawing.canvas.axes) == 4 * 3
    assert any(note.startswith("not drawn for want of room: imagenet1k, 512p") for note in
               drawing.notes)  # fmt: skip


def test_ours_are_never_beside_cited_ones() -> None:
    """Table 3's rFID is measured in another way than ours."""
    made = costed()
    rows = made.point_metrics.with_columns(
        metric=pl.col("metric").replace({FRECHET: "rFID"}), dataset=pl.lit("imagenet1k")
    )
    assert "cited" not in draw(replace(made, point_metrics=rows), "pareto").data["series"]


def test_every_number_of_the_tables_is_cited_once() -> None:
    """Counted on the printed page: 6 × 6; 1 + 6; 1 + 3 + 1 + 1 + 3 × 4."""
    frame = cited()
    assert frame.group_by("table").len().sort("table").rows() == [(3, 36), (4, 7), (5, 18)]
    larp = frame.filter(name="LARP-L-Long").row(0, named=True)
    assert (larp["gflops"], larp["params_m"], larp["value"]) == (505.3, 174.0, 20.0)
    assert frame.filter(name="TATS")["gflops"].to_list() == [None]


def test_r2_beside_the_cost_is_that_of_e_and_of_the_cost() -> None:
    drawing = published("cost_vs_quality")
    data = drawing.data.filter(pl.col("metric") == "rPSNR")
    assert data["config_id"].n_unique() == len(data) == 21
    for x in ("gflops", "E"):
        expected = np.corrcoef(np.log2(data[x].to_numpy().astype(float)), data["value"])[0, 1] ** 2
        fit = next(f for f in drawing.fits if f.panel == "rPSNR" and f.line.x == x)
        assert fit.r2 == pytest.approx(expected, rel=1e-9)
    said = " ".join(text for text, _ in texts(drawing.canvas))
    assert "over GFLOPs: $R^2$ 0.42;  over E: 0.92" in said


def test_training_time_is_of_one_kind_of_device(tmp_path: Path) -> None:
    made = quickstart(seeds=(0,), patches=(16,), datasets=("photos-heldout",))
    root = root_of(tmp_path, made)
    started = {"event": "started", "attempt": 2, "host": "here", "pid": 1, "scheduler": "inline"}
    for index, job in enumerate(jobs(root, "tokenizer")):
        first = (job.journals / "1.jsonl").read_text()
        (job.journals / "1.jsonl").write_text(
            first.replace('"scheduler"', '"device":"cpu","threads":2,"scheduler"', 1)
        )
        device = "cuda" if index == 0 else "cpu"
        append(job, 2, [{**started, "device": device, "threads": 2},
                        {"event": "finished", "seconds": 1799.0}])  # fmt: skip
    hours, cost, notes = training_time(analysis.load(tmp_path))
    assert hours["hours"].to_list() == pytest.approx([1.0] * 4)  # 2 threads × (1 s + 1799 s)
    assert cost is not None
    assert cost.label == "training time (core-hours on a CPU)"
    assert notes == ["1 points trained on other devices than cpu: their hours are not drawn"]
    drawing = draw(analysis.load(tmp_path), "cost_vs_quality")
    assert {fit.line.x for fit in drawing.fits} == {"hours", "gflops", "params_m", "E"}


def test_a_metric_that_nobody_ranks_is_not_drawn() -> None:
    made = costed()
    rows = made.point_metrics.filter(pl.col("metric") == "kl_bits_per_pixel")
    with pytest.raises(UserError, match=r"no metric to draw \(there are: kl_bits_per_pixel\)"):
        draw(replace(made, point_metrics=rows), "pareto")


def test_other_protocols_of_a_metric_are_told_not_mixed() -> None:
    made = costed(seeds=(0,))
    odd = (pl.col("point_id") == "cfg-p8c4-s0") & (pl.col("metric") == "rPSNR")
    rows = made.point_metrics.with_columns(
        protocol=pl.when(odd).then(pl.lit("another; photos")).otherwise("protocol")
    )
    drawing = draw(replace(made, point_metrics=rows), "pareto")
    assert "another; photos" not in drawing.data["protocol"]
    assert any("rPSNR on photos-heldout: 1 values under other" in note for note in drawing.notes)
