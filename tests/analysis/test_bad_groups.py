"""Numbers that carry no front, no cost, no residual: a clear line, or a figure that says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from matplotlib.text import Text
from synthetic import quickstart

from analysis.figures import FIGURES, Drawing, Request
from analysis.frames import Results
from vitok_core.errors import UserError

GROUPED = ("pareto", "cost_vs_quality", "residuals_at_equal_e")
VALUE = pl.col("value")


def draw(made: Results, figure: str) -> Drawing:
    return FIGURES[figure].draw(made, Request())


def said(drawing: Drawing) -> str:
    return " ".join(text.get_text() for text in drawing.canvas.findobj(Text))


def with_values(value: pl.Expr, **options: Any) -> Results:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",), **options)
    return replace(made, point_metrics=made.point_metrics.with_columns(value=value))


@pytest.mark.parametrize("figure", GROUPED)
def test_nothing_scored(figure: str) -> None:
    made = quickstart(seeds=(0,))
    empty = replace(made, point_metrics=made.point_metrics.clear())
    with pytest.raises(UserError, match="no reconstruction has been scored yet"):
        draw(empty, figure)
    drawing = draw(empty.with_published(), figure)
    assert set(drawing.data["source"]) == {"published"}
    assert "no reconstruction of ours has been scored yet" in said(drawing)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), None])
@pytest.mark.parametrize("figure", GROUPED)
def test_values_that_are_no_numbers(figure: str, bad: float | None) -> None:
    at = pl.col("point_id") == "cfg-p16c16-s0"
    drawing = draw(with_values(pl.when(at).then(pl.lit(bad, pl.Float64)).otherwise(VALUE)), figure)
    assert any("values left out (not finite" in note for note in drawing.notes)
    assert "values left out" in said(drawing)
    assert drawing.data.filter(p=16, c=16).is_empty()
    with pytest.raises(UserError, match=r"no metric to draw \(there are: none\)"):
        draw(with_values(pl.lit(bad, pl.Float64)), figure)


@pytest.mark.parametrize("figure", GROUPED)
def test_equal_values(figure: str) -> None:
    """Then the cheapest configurations are the front, and every residual is nothing."""
    made = with_values(pl.lit(3.0))
    made = replace(made, points=made.points.with_columns(gflops=1.0 / pl.col("p")))
    drawing = draw(made, figure)
    if figure == "pareto":
        over_size = drawing.data.filter("front", x="E")
        assert over_size["cost"].unique().to_list() == [16.0]
    elif figure == "cost_vs_quality":
        assert "over E: –" in said(drawing)
    else:
        assert drawing.data["residual"].abs().max() == pytest.approx(0, abs=1e-9)


def test_all_of_equal_size() -> None:
    made = with_values(VALUE)
    same = replace(made, points=made.points.with_columns(E=pl.lit(256, pl.Int64)))
    with pytest.raises(UserError, match="no line to take residuals from: all 15 configurations"):
        draw(same, "residuals_at_equal_e")
    assert "no line, n = 15" in said(draw(same, "cost_vs_quality"))  # all cost the same
    assert set(draw(same, "pareto").data["E"]) == {256.0}
