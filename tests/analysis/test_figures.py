"""What is drawn: the page holds its text, partial sweeps draw, the data is what is shown."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
import seaborn
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from pages import assert_marks_are_inside, assert_text_is_whole
from synthetic import FRECHET, quickstart

from analysis.figures import FIGURES, Drawing, Request, find, style
from analysis.figures.words import short
from analysis.frames import Results
from analysis.published.measured import load_published
from vitok_core.errors import UserError


def draw(made: Results, figure: str = "e_vs_metrics", *datasets: str) -> Drawing:
    return FIGURES[figure].draw(made, Request(datasets=datasets))


def partial() -> Results:
    """A third of the points, one of them diverged, one metric missing at another."""
    made = quickstart()
    at, name = pl.col("point_id"), pl.col("metric")
    rows = made.point_metrics.filter(at.is_in(made.points["point_id"][:17].implode()))
    diverged = (name == "rPSNR") & (at == "cfg-p8c8-s0")
    rows = rows.with_columns(value=pl.when(diverged).then(None).otherwise("value"))
    rows = rows.filter(~((name == "rSSIM") & (at == "cfg-p8c16-s1")))
    return replace(made, point_metrics=rows)


def one_protocol() -> Results:
    """Both data sets under the same protocols: they share panels."""
    made = quickstart()
    return replace(made, point_metrics=made.point_metrics.with_columns(
        pl.col("protocol").str.replace("; photos-.*", "")
    ))  # fmt: skip


def as_published() -> Results:
    """Ours under the names and protocols of Figure 2: they share axes with the paper's points."""
    made = quickstart(resolution=256, datasets=("imagenet1k",), seeds=(0, 1), floor=False)
    names = {FRECHET: "rFID", "rIS[efficientnet-lite0]": "rIS"}
    return replace(made, point_metrics=made.point_metrics.with_columns(
        pl.col("metric").replace(names),
        protocol=pl.lit("published: ViTok, arXiv 2501.09755, Figure 2"),
    )).with_published()  # fmt: skip


CASES = {
    "quickstart": lambda: draw(quickstart()),
    "first panel": lambda: draw(quickstart(), "e_vs_rfid"),
    "two lanes": lambda: draw(quickstart(), "e_vs_metrics", "all"),
    "two lanes of one panel": lambda: draw(quickstart(), "e_vs_rfid", "all"),
    "shared panels": lambda: draw(one_protocol(), "e_vs_metrics", "all"),
    "shared panel": lambda: draw(one_protocol(), "e_vs_rfid", "all"),
    "one seed, no floor": lambda: draw(quickstart(seeds=(0,), floor=False)),
    "one patch": lambda: draw(quickstart(patches=(16,))),
    "two points": lambda: draw(quickstart(patches=(16,), channels=(4, 8))),
    "one point": lambda: draw(quickstart(patches=(32,), channels=(4,), seeds=(0,))),
    "equal E": lambda: draw(equal_sizes()),
    "odd sizes": lambda: draw(quickstart(patches=(4, 8, 14), channels=(3, 5, 24), resolution=56)),
    "full scale": lambda: draw(quickstart(resolution=256, datasets=("imagenet1k-val",))),
    "partial": lambda: draw(partial()),
    "missing metric": lambda: draw(without("rSSIM")),
    "video": lambda: draw(quickstart(frames=16, stride=4, seeds=(0,))),
    "512p": lambda: draw(quickstart(resolution=512, channels=(16,)), "e_vs_metrics_512p"),
    "generation": lambda: draw(quickstart(cfg=(1.5, 3.0)), "e_vs_generation"),
    "four CFG scales": lambda: draw(quickstart(cfg=(1.0, 2.0, 3.0, 4.0)), "e_vs_generation"),
    "published": lambda: draw(load_published()),
    "published panel": lambda: draw(load_published(), "e_vs_rfid"),
    "published 512p": lambda: draw(load_published(), "e_vs_metrics_512p"),
    "published generation": lambda: draw(load_published(), "e_vs_generation"),
    "both": lambda: draw(quickstart().with_published()),
    "both, one panel": lambda: draw(quickstart().with_published(), "e_vs_rfid"),
    "both, generation": lambda: draw(
        quickstart(cfg=(1.5, 3.0)).with_published(), "e_vs_generation"
    ),
    "both, other CFG": lambda: draw(quickstart(cfg=(2.0,)).with_published(), "e_vs_generation"),
    "ours over theirs": lambda: draw(as_published()),
}


def equal_sizes() -> Results:
    made = quickstart(seeds=(0,))
    points = made.points.filter(pl.col("E") == 256)
    return replace(made, points=points, point_metrics=made.point_metrics.join(
        points, on="point_id", how="semi"
    ))  # fmt: skip


def without(metric: str) -> Results:
    made = quickstart()
    return replace(made, point_metrics=made.point_metrics.filter(pl.col("metric") != metric))


@cache
def case(name: str) -> Figure:
    """Drawn once for all that look at it."""
    return CASES[name]().canvas


@pytest.mark.parametrize("name", CASES)
def test_text_is_whole_and_never_overlaps(name: str) -> None:
    assert_text_is_whole(case(name))


@pytest.mark.parametrize("name", CASES)
def test_every_mark_and_line_is_inside_its_panel(name: str) -> None:
    assert_marks_are_inside(case(name))


def test_the_paper_s_four_panels_over_powers_of_two() -> None:
    axes = draw(quickstart()).canvas.axes
    assert [one.get_ylabel().split(",")[0] for one in axes] == [
        FRECHET, "rIS[efficientnet-lite0]", "rSSIM", "rPSNR (dB)",
    ]  # fmt: skip
    assert [one.get_yscale() for one in axes] == ["log", "linear", "linear", "linear"]
    for one in axes:
        assert one.get_xscale() == "log"
        labels = [tick.get_text() for tick in one.get_xticklabels()]
        assert labels == ["$2^{4}$", "$2^{6}$", "$2^{8}$", "$2^{10}$", "$2^{12}$"]


def test_protocols_stand_on_the_axes_and_whole_in_the_caption() -> None:
    drawing = draw(quickstart())
    said = [text.get_text() for text in drawing.canvas.findobj(Text)]
    assert said.count("N=512, photos-heldout@1, 64px") == 2  # Fréchet distance, IS
    assert said.count("photos-heldout@1, 64px") == 2  # SSIM, PSNR
    whole = " ".join(said)
    for name, protocol in drawing.data.select("metric", "protocol").unique().rows():
        assert whole.count(f"{name}: {protocol[:20]}") == 1
        assert all(word in whole for word in f"{name}: {protocol}.".split())
    assert "…" not in whole


def test_a_protocol_is_never_read_as_mathematics() -> None:
    made = quickstart(seeds=(0,))
    odd = pl.lit("costs $5 and $6^_; x" + " and more" * 9)
    rows = made.point_metrics.with_columns(protocol=odd)
    draw(replace(made, point_metrics=rows)).canvas.canvas.draw()


def test_the_data_is_what_is_drawn() -> None:
    drawing = draw(quickstart(), "e_vs_rfid")
    (axes,) = drawing.canvas.axes
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    drawn = np.concatenate([np.column_stack(line.get_data()) for line in marks])
    trained = drawing.data.filter(pl.col("series") == "trained")
    floor = drawing.data.filter(pl.col("series") == "floor")
    means = trained.group_by("config_id").agg(pl.col("E").first(), pl.col("value").log(2).mean())
    means = means.with_columns(value=2.0 ** pl.col("value"))
    expected = np.concatenate(
        [frame.select("E", "value").to_numpy().astype(float) for frame in (trained, floor, means)]
    )
    np.testing.assert_allclose(_sorted(drawn), _sorted(expected), rtol=1e-12)


def test_the_drawn_line_is_the_fit() -> None:
    drawing = draw(quickstart(), "e_vs_rfid")
    lines = [line for line in drawing.canvas.axes[0].lines if line.get_linestyle() != "None"]
    assert len(lines) == len(drawing.fits) == 2
    for line, fit in zip(lines, drawing.fits, strict=True):
        np.testing.assert_allclose(line.get_ydata(), fit.band(line.get_xdata())[0], rtol=1e-12)


def test_single_seeds_are_not_drawn_twice() -> None:
    drawing = draw(quickstart(seeds=(0,), floor=False), "e_vs_rfid")
    marks = [ln for ln in drawing.canvas.axes[0].lines if ln.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in marks) == 15


def test_the_held_out_set_is_drawn_unless_another_is_asked_for() -> None:
    assert set(draw(quickstart()).data["dataset"]) == {"photos-heldout"}
    assert set(draw(quickstart(), "e_vs_metrics", "photos-tune").data["dataset"]) == {"photos-tune"}
    assert set(draw(quickstart(), "e_vs_metrics", "all").data["dataset"]) == {
        "photos-heldout", "photos-tune",
    }  # fmt: skip


def test_without_rfid_the_offline_distance_says_so() -> None:
    drawing = draw(quickstart(), "e_vs_rfid")
    assert drawing.canvas.axes[0].get_ylabel() == f"{FRECHET}, not FID"
    assert any("no rFID" in note and "not FID" in note for note in drawing.notes)
    made = quickstart()
    rows = made.point_metrics.filter(pl.col("metric") == FRECHET)
    rows = rows.with_columns(metric=pl.lit("rFID"))
    true = draw(replace(made, point_metrics=rows), "e_vs_rfid")
    assert true.canvas.axes[0].get_ylabel() == "rFID"
    assert not [note for note in true.notes if "not FID" in note]


def test_a_partial_sweep_says_that_it_is() -> None:
    drawing = draw(partial())
    assert "17 of 45 points are scored so far: the figure is partial" in drawing.notes
    assert any(note.startswith("rSSIM has 16 of the 17") for note in drawing.notes)
    assert any("rPSNR: " in note and "left out" in note for note in drawing.notes)
    said = " ".join(text.get_text() for text in drawing.canvas.findobj(Text))
    assert "the figure is partial" in said


def test_n_stands_in_the_legend_where_the_lines_differ_in_it() -> None:
    """The floor of a partial sweep is whole."""
    made = quickstart(seeds=(0,))
    floors = pl.col("kind") == "floor"
    early = pl.col("point_id").is_in(made.points["point_id"][:10].implode())
    rows = made.point_metrics.filter(floors | early)
    drawing = draw(replace(made, point_metrics=rows))
    said = [text.get_text() for text in drawing.canvas.findobj(Text)]
    assert sum(line.startswith("trained: ") and line.endswith(", n 10") for line in said) == 4
    assert sum(line.startswith("PCA floor: ") and line.endswith(", n 15") for line in said) == 4
    assert_text_is_whole(drawing.canvas)
    assert not any(", n 15" in text.get_text() for text in case("quickstart").findobj(Text))


def test_points_of_one_resolution_are_no_second_figure_2() -> None:
    with pytest.raises(UserError, match="no reconstruction at 512p or at two resolutions"):
        draw(quickstart(), "e_vs_metrics_512p")
    both = draw(quickstart().with_published(), "e_vs_metrics_512p")
    assert set(both.data["source"]) == {"published"}
    assert any("at 512p or at two resolutions of ours" in note for note in both.notes)
    low, high = quickstart(seeds=(0,)), quickstart(seeds=(0,), resolution=128, channels=(4, 16))
    two = replace(
        low, points=pl.concat([low.points, _renamed(high.points)]),
        point_metrics=pl.concat([low.point_metrics, _renamed(high.point_metrics)]),
        jobs=pl.concat([low.jobs, _renamed(high.jobs)]),
        edges=pl.concat([low.edges, _renamed(high.edges)]),
    )  # fmt: skip
    assert set(draw(two, "e_vs_metrics_512p").data["resolution"]) == {128}


def _renamed(frame: pl.DataFrame) -> pl.DataFrame:
    ids = [name for name in frame.columns if name.endswith("_id")]
    return frame.with_columns(pl.col(name) + "-128p" for name in ids)


def test_bands_stay_within_what_a_metric_can_be() -> None:
    axes = draw(load_published()).canvas.axes[2]
    bands = [each.get_paths()[0].vertices for each in axes.findobj(PolyCollection)]
    assert axes.get_ylabel() == "rSSIM"
    assert bands
    assert max(band[:, 1].max() for band in bands) == 1


def test_a_data_set_has_one_colour_in_every_figure() -> None:
    colours = set()
    for made in (load_published(), quickstart().with_published()):
        drawing = draw(made, "e_vs_rfid")
        for axes in drawing.canvas.axes:
            legend = axes.get_legend()
            for line, text in zip(legend.get_lines(), legend.get_texts(), strict=True):
                if text.get_text().startswith("imagenet1k"):
                    colours.add(line.get_color())
    assert len(colours) == 1
    names = ["imagenet1k", "zebra", "photos-tune", "shutterstock"]
    assert len(set(style.dataset_colours(names).values())) == 4


def test_one_patch_has_no_second_curve_of_its_own() -> None:
    drawing = draw(quickstart(patches=(16,), cfg=(1.5, 3.0)), "e_vs_generation")
    assert len(drawing.fits) == 2 * 2
    assert not any(fit.group for fit in drawing.fits)
    several = draw(quickstart(patches=(8, 16), cfg=(1.5, 3.0)), "e_vs_generation")
    assert len(several.fits) == 2 * 2 * 3


def test_too_few_points_draw_without_a_line() -> None:
    drawing = draw(quickstart(patches=(16,), channels=(4, 8)))
    assert [fit.model for fit in drawing.fits] == [None] * 8
    said = [text.get_text() for text in drawing.canvas.findobj(Text)]
    assert said.count("trained: no line, n = 2") == 4


def test_nothing_to_draw_is_told() -> None:
    with pytest.raises(UserError, match="nothing to draw on photos-heldout"):
        draw(replace(without(FRECHET), point_metrics=_only("rPSNR")), "e_vs_rfid")


def test_floors_alone_are_not_drawn() -> None:
    made = quickstart(seeds=(0,))
    kept = pl.when(pl.col("kind") == "floor").then("value")
    rows = made.point_metrics.with_columns(value=kept)
    with pytest.raises(UserError, match="nothing to draw"):
        draw(replace(made, point_metrics=rows))


def test_an_unknown_figure_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'e-vs-metric', did you mean e_vs_metrics\?"):
        find("e-vs-metric")
    with pytest.raises(UserError, match="there are: e_vs_rfid, e_vs_metrics, "):
        find("zebra")


@pytest.mark.parametrize(
    ("protocol", "others", "expected"),
    [
        ("uint8", [], "uint8"),
        ("exp mean KL, 1 split; N=512; set@1: 512 crops, 64px", [], "N=512, set@1, 64px"),
        ("published: ViTok, arXiv 1, Figure 2", [], "published, Figure 2"),
        ("A, 8-bit; N=512; set@1", ["A, float; N=512; set@1"], "8-bit, N=512, set@1"),
        ("A, 8-bit; N=512; set@1", ["A, 8-bit; N=64; set@1"], "N=512, set@1"),
        ("x" * 60, [], "protocol: see below"),
    ],
)
def test_a_short_protocol_says_what_differs_in_whole_parts(
    protocol: str, others: list[str], expected: str
) -> None:
    assert short(protocol, [protocol, *others]) == expected


def _only(metric: str) -> pl.DataFrame:
    return quickstart().point_metrics.filter(pl.col("metric") == metric)


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def test_the_style_is_seaborns() -> None:
    theirs = seaborn.axes_style("ticks")
    unused = {"image.cmap", "font.family", "font.sans-serif"}
    assert {name: theirs[name] for name in theirs if name not in unused} == style.TICKS
