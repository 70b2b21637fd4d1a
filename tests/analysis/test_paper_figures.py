"""The paper's data figures: marks where the paper has them, readable pages, our own runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import experiments
import numpy as np
import polars as pl
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text
from pages import assert_marks_are_inside, assert_text_is_whole, marks
from synthetic import quickstart

from analysis import published
from analysis.figures import FIGURES, Drawing, Request
from analysis.figures.labels import spread
from analysis.frames import Results
from analysis.published.measured import load_published
from vitok_core.errors import UserError

# Our figure → the paper's graphics file, as points.csv names it.
PLOTTED = {
    "c_vs_generation": "c_vs_metrics_generation",
    "ppc_vs_generation": "ppc_vs_metrics_generation",
    "encoder_vs_metrics": "encoder_size_vs_metrics",
    "decoder_vs_metrics": "decoder_size_vs_metrics",
    "encoder_vs_generation": "encoder_size_vs_metrics_generation",
    "decoder_vs_generation": "decoder_size_vs_metrics_generation",
    "loss_tradeoff": "loss_curve_tradeoff",
    "video_e_vs_metrics": "E_vs_metrics_video",
    "video_pq": "E_vs_metrics_detailed_video",
    "video_frames": "E_vs_metrics_video_bar",
    "e_vs_metrics_detailed": "E_vs_metrics_detailed_image",
    "gan_ablation": "finetune_steps_vs_metrics_gan",
    "latent_vs_simple": "simple_vs_latent_vs_metrics",
    "mask_vs_simple": "mask_vs_metrics",
}
OURS: dict[str, Callable[[], Results]] = {
    "c_vs_generation": lambda: quickstart(cfg=(1.5, 3.0)),
    "encoder_vs_metrics": experiments.model_sizes,
    "decoder_vs_generation": lambda: experiments.model_sizes(cfg=(1.5, 3.0)),
    "loss_tradeoff": experiments.losses,
    "video_e_vs_metrics": experiments.video,
    "video_pq": experiments.video,
    "video_frames": experiments.lengths,
    "e_vs_metrics_detailed": quickstart,
    "gan_ablation": experiments.finetunings,
    "latent_vs_simple": experiments.latents,
    "mask_vs_simple": experiments.masked,
}


@cache
def theirs(figure: str) -> Drawing:
    return FIGURES[figure].draw(load_published(), Request())


def ours(figure: str, made: Results | None = None, *datasets: str) -> Drawing:
    return FIGURES[figure].draw(made or OURS[figure](), Request(datasets=datasets))


@cache
def both(figure: str) -> Drawing:
    return ours(figure, OURS[figure]().with_published())


@pytest.mark.parametrize("figure", PLOTTED)
def test_the_paper_s_page_can_be_read(figure: str) -> None:
    assert_text_is_whole(theirs(figure).canvas)
    assert_marks_are_inside(theirs(figure).canvas)


@pytest.mark.parametrize("figure", OURS)
def test_ours_above_the_paper_s_can_be_read(figure: str) -> None:
    drawing = both(figure)
    assert len(drawing.canvas.axes) == 8
    assert_text_is_whole(drawing.canvas)
    assert_marks_are_inside(drawing.canvas)
    assert set(drawing.data["source"]) == {"db", "published"}


@pytest.mark.parametrize("figure", [each for each in PLOTTED if each != "loss_tradeoff"])
def test_marks_stand_where_the_paper_has_them(figure: str) -> None:
    plotted = published.points(distinct=False).filter(figure_id=PLOTTED[figure])
    for index, axes in enumerate(theirs(figure).canvas.axes):
        panel = plotted.filter(panel_index=index).sort("x_plotted", "value")
        assert not panel.is_empty()
        expected = panel.select("x_plotted", "value").to_numpy()
        np.testing.assert_allclose(marks(axes), expected, rtol=1e-6)


@pytest.mark.parametrize("figure", [*PLOTTED, "e_vs_metrics", "e_vs_metrics_512p"])
def test_a_band_is_told_where_one_is_drawn(figure: str) -> None:
    """Figure 4 has three points a line and so none."""
    canvas = theirs(figure).canvas
    said = " ".join(text.get_text() for text in canvas.findobj(Text)).replace("\n", " ")
    assert ("confidence band" in said) == bool(canvas.findobj(PolyCollection))
    if figure == "e_vs_metrics_512p":
        assert "confidence band" not in said
        assert "No band where one degree of freedom is left" in said


def test_a_loss_s_mark_stands_at_both_of_its_metrics() -> None:
    values = published.drawn("10").unique(["panel", "loss_label"])
    wide = values.pivot("panel", index="loss_label", values="value")
    axes = theirs("loss_tradeoff").canvas.axes
    for one, (y, x) in zip(axes, [("rSSIM", "rFID"), ("rPSNR", "rFID"), ("rSSIM", "rIS"),
                                  ("rPSNR", "rIS")], strict=True):  # fmt: skip
        assert one.get_ylabel().startswith(y)
        assert one.get_xlabel().startswith(x)
        np.testing.assert_allclose(marks(one), wide.select(x, y).sort(x, y).to_numpy(), rtol=1e-6)


def test_every_loss_is_named_beside_its_mark() -> None:
    names = set(published.drawn("10")["loss_label"])
    canvas = theirs("loss_tradeoff").canvas
    for axes in canvas.axes:
        said = {text.get_text(): text for text in axes.texts}
        assert names <= set(said)
        by_value = published.drawn("10").filter(panel=axes.get_ylabel().split(" ")[0])
        for name, value in by_value.unique("loss_label").select("loss_label", "value").rows():
            box = said[name].get_window_extent(canvas.canvas.get_renderer())
            _, at = axes.transData.transform((1, value))
            assert box.y0 - 10 < at < box.y1 + 10
            assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1


def test_a_seed_s_partner_is_the_mean_of_the_seeds() -> None:
    made = experiments.losses()
    rows = made.measurements.filter(pl.col("metric") == "rIS[efficientnet-lite0]")
    means = rows.group_by("config_id").agg(pl.col("value").mean())
    axes = ours("loss_tradeoff", made).canvas.axes[3]
    x = np.unique(marks(axes)[:, 0])
    np.testing.assert_allclose(x, np.sort(means["value"].to_numpy()), rtol=1e-12)
    assert len(marks(axes)) == 7 * (2 + 1)


def test_a_setting_s_line_follows_its_steps_and_has_its_name_at_its_end() -> None:
    for axes in theirs("gan_ablation").canvas.axes:
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        assert sorted(len(line.get_xdata()) for line in lines) == [2, 10, 10, 10, 10, 10]
        assert all(np.all(np.diff(line.get_xdata()) > 0) for line in lines)
        names = [text for text in axes.texts if text.get_text().startswith(("lr", "no", "all"))]
        assert len(names) == 6
        leaders = {to_hex(patch.get_edgecolor()): patch for patch in axes.patches}
        ends = sorted((line.get_ydata()[-1], line.get_color()) for line in lines)
        heights = sorted(text.get_position()[1] for text in names)
        for (_, colour), height in zip(ends, heights, strict=True):
            drawn = leaders[to_hex(colour)].get_path().vertices
            np.testing.assert_allclose(drawn[-1, 1], height)


def test_colours_and_shapes_stay_where_settings_are_missing() -> None:
    whole = ours("mask_vs_simple")
    partial = experiments.masked()
    rows = partial.measurements.filter(pl.col("variant") != "mask_simple")["point_id"]
    kept = partial.point_metrics.filter(pl.col("point_id").is_in(rows.implode()))
    part = ours("mask_vs_simple", replace(partial, point_metrics=kept))

    def colours(drawing: Drawing) -> list[str]:
        axes = drawing.canvas.axes[3]
        return [line.get_color() for line in axes.lines if line.get_linestyle() == "-"]

    assert len(colours(whole)) == 3
    assert colours(part) == [colours(whole)[0], colours(whole)[2]]


def test_masked_codes_stand_at_the_e_of_the_evaluated_length() -> None:
    rows = ours("mask_vs_simple").data.filter(pl.col("variant") == "mask_latent")
    assert set(rows["E"]) == {32, 64, 128, 256}
    assert rows["config_id"].n_unique() == 1


@pytest.mark.parametrize(
    ("figure", "lacks"),
    [
        ("encoder_vs_metrics", "no reconstruction over several sizes of the encoder"),
        ("decoder_vs_generation", "no generation over several sizes of the decoder"),
        ("loss_tradeoff", "no reconstruction with several losses"),
        ("video_pq", "no reconstruction of video"),
        ("video_frames", "no reconstruction of clips of several lengths"),
        ("gan_ablation", "no reconstruction along a fine-tuning"),
        ("latent_vs_simple", "no reconstruction of latent tokenizers"),
        ("mask_vs_simple", "no reconstruction of masked tokenizers"),
    ],
)
def test_what_a_figure_lacks_is_told(figure: str, lacks: str) -> None:
    with pytest.raises(UserError, match=lacks):
        ours(figure, quickstart(cfg=(1.5,)))


def test_only_what_the_figure_is_about_is_drawn() -> None:
    """Latent codes beside simple ones of the same patch and towers; not beside a whole sweep."""
    simple = [experiments.Run(p=p, c=c, loss={"perceptual_weight": 1.0})
              for p in (8, 16, 32) for c in (4, 16)]  # fmt: skip
    other = [experiments.Run(encoder="B", loss={"perceptual_weight": 1.0}),
             experiments.Run(loss={"perceptual_weight": 0.5})]  # fmt: skip
    latent = [experiments.Run(form="latent", latents=L, loss={"perceptual_weight": 1.0})
              for L in (4, 16)]  # fmt: skip
    drawn = ours("latent_vs_simple", experiments.build([*simple, *other, *latent])).data
    shapes = set(drawn.select("variant", "p", "encoder", "loss").unique().rows())
    assert shapes == {("simple", 16, "S", "L2 + 1.0*LP"), ("latent", 16, "S", "L2 + 1.0*LP")}


def test_sizes_at_several_rates_are_told() -> None:
    towers = [experiments.Run(encoder=e, decoder=d, c=c) for c in (8, 16) for e, d in ("SS", "BS")]
    drawing = ours("encoder_vs_metrics", experiments.build(towers))
    assert any("2 different compression rates" in note for note in drawing.notes)
    alone = ours("encoder_vs_metrics")
    assert not any("compression rates" in note for note in alone.notes)


def test_several_data_sets_on_one_axis_keep_a_legend() -> None:
    made = experiments.finetunings(datasets=("photos-heldout", "coco2017-val"))
    rows = made.point_metrics.with_columns(pl.col("protocol").str.replace("; .*", ""))
    drawing = ours("gan_ablation", replace(made, point_metrics=rows), "all")
    assert len(drawing.canvas.axes) == 4
    said = [text.get_text() for text in drawing.canvas.findobj(Text)]
    assert {"no GAN", "lr 4e-5", "photos-heldout", "coco2017-val"} <= set(said)
    assert_text_is_whole(drawing.canvas)


@pytest.mark.parametrize("figure", OURS)
def test_a_value_that_is_no_number_is_left_out_and_told(figure: str) -> None:
    made = OURS[figure]()
    first = pl.col("point_id") == pl.col("point_id").first()
    value = pl.when(first).then(pl.lit(float("nan"))).otherwise("value")
    drawing = ours(
        figure, replace(made, point_metrics=made.point_metrics.with_columns(value=value))
    )
    assert any("values left out (not finite" in note for note in drawing.notes)
    assert drawing.data["value"].is_finite().all()


@pytest.mark.parametrize("figure", OURS)
def test_equal_values_are_drawn(figure: str) -> None:
    made = OURS[figure]()
    rows = made.point_metrics.with_columns(value=pl.lit(3.0))
    drawing = ours(figure, replace(made, point_metrics=rows))
    assert {fit.r2 for fit in drawing.fits} <= {None}
    assert_marks_are_inside(drawing.canvas)


@pytest.mark.parametrize("figure", OURS)
def test_protocols_that_differ_are_drawn_apart(figure: str) -> None:
    made = OURS[figure]()
    other = pl.when(pl.col("point_id").rank("dense") % 2 == 0).then(pl.lit("another"))
    rows = made.point_metrics.with_columns(protocol=other.otherwise("protocol"))
    drawing = ours(figure, replace(made, point_metrics=rows))
    assert len(drawing.canvas.axes) == 8
    assert_text_is_whole(drawing.canvas)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.5, 0.48, 0.9], [0.54, 0.44, 0.9]),
        ([1.0, 1.0, 1.0], [0.8, 0.9, 1.0]),
        ([-1.0, 0.02], [0.0, 0.1]),
    ],
)
def test_names_move_apart_as_little_as_they_must(
    wanted: list[float], expected: list[float]
) -> None:
    np.testing.assert_allclose(spread(wanted, 0.1, 0.0, 1.0), expected)
