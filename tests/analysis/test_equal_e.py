"""Residuals at equal E: what the paper's points show, and where nothing can be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from matplotlib.text import Annotation
from pages import assert_text_is_whole, texts
from synthetic import quickstart

from analysis.figures import FIGURES, Drawing, Request
from analysis.frames import Results
from analysis.published.measured import load_published
from vitok_core.errors import UserError


def draw(made: Results, *datasets: str) -> Drawing:
    return FIGURES["residuals_at_equal_e"].draw(made, Request(datasets=datasets))


def test_the_spread_at_4096_is_the_paper_s() -> None:
    """From 1.58 (p16) to 2.41 (p32), read from Figure 2."""
    drawing = draw(load_published())
    spread = next(one for one in drawing.findings if one["panel"] == "rFID" and one["E"] == 4096)
    ends = [(one["p"], round(one["value"], 2)) for one in spread["configurations"]]
    assert ends == [(16, 1.58), (8, 1.82), (32, 2.41)]
    assert spread["spread"] == pytest.approx(np.log2(2.41 / 1.58), abs=0.01)
    assert (
        "at E = 4096 rFID runs from 1.58 (p16) to 2.41 (p32) on imagenet1k, 256p" in drawing.notes
    )
    said = [text for text, _ in texts(drawing.canvas)]
    assert "E = 4096: 1.58 (p16) to 2.41 (p32)" in said


def test_every_value_at_4096_is_written_clear_of_the_axes() -> None:
    figure = draw(load_published()).canvas
    figure.canvas.draw()
    pixels = figure.dpi / 72
    for axes in figure.axes:
        named = [one for one in axes.texts if isinstance(one, Annotation)]
        assert len(named) == 3, axes.get_ylabel()
        panel = axes.get_window_extent().padded(-2 * pixels)
        for one in named:
            box = one.get_window_extent()
            assert panel.x0 <= box.x0, one.get_text()
            assert box.x1 <= panel.x1, one.get_text()
            assert panel.y0 <= box.y0, one.get_text()
            assert box.y1 <= panel.y1, one.get_text()


def test_residuals_are_those_of_the_log_e_line() -> None:
    drawing = draw(load_published())
    rows = drawing.data.filter(pl.col("metric") == "rFID")
    x, y = np.log2(rows["E"].to_numpy().astype(float)), np.log2(rows["value"].to_numpy())
    expected = y - np.polyval(np.polyfit(x, y, 1), x)
    assert rows["residual"].to_numpy() == pytest.approx(expected, abs=1e-9)
    marks = [line for line in drawing.canvas.axes[0].lines if line.get_marker() == "o"]
    drawn = sorted(float(value) for line in marks for value in np.asarray(line.get_ydata()))
    assert drawn == pytest.approx(sorted(expected), abs=1e-9)


def test_every_shared_e_is_in_the_findings() -> None:
    """p·c grids: E = 2^10 … 2^14 are met by two patch sizes or more, the ends by one."""
    found = [one["E"] for one in draw(load_published()).findings if one["panel"] == "rPSNR"]
    assert found == [1024, 2048, 4096, 8192, 16384]


def psnr_alone() -> Results:
    made = quickstart()
    return replace(made, point_metrics=made.point_metrics.filter(pl.col("metric") == "rPSNR"))


@pytest.mark.parametrize("made", [
    load_published(), quickstart(), quickstart().with_published(), psnr_alone(),
], ids=["published", "ours", "both", "one panel"])  # fmt: skip
def test_text_is_whole_and_never_overlaps(made: Results) -> None:
    figure = draw(made).canvas
    assert_text_is_whole(figure)


@pytest.mark.parametrize("made", [quickstart(patches=(16,)), quickstart(channels=(4,), seeds=(0,))])
def test_without_two_patches_at_one_e_it_says_so(made: Results) -> None:
    with pytest.raises(UserError, match="no two patch sizes have a scored configuration"):
        draw(made)


def test_other_data_sets_are_drawn_when_asked_for() -> None:
    assert set(draw(load_published(), "coco2017").data["dataset"]) == {"coco2017"}
    assert set(draw(load_published(), "ucf101").data["frames"]) == {16}
