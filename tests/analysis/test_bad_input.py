"""Databases and numbers that carry no figure: one clear line, or a figure that says what lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from matplotlib.text import Text
from synthetic import quickstart, write_root
from typer.testing import CliRunner

from analysis.figures import FIGURES, Drawing, Request
from analysis.frames import Results
from analysis.report import overview
from sweep.cli import reporting
from sweep.store import engine
from vitok_core.errors import UserError

VALUE = pl.col("value")
# With a line over E and any sweep's points; the others: test_paper_figures.
OVER_E = ("e_vs_rfid", "e_vs_metrics", "e_vs_generation")


def draw(made: Results, figure: str = "e_vs_metrics") -> Drawing:
    return FIGURES[figure].draw(made, Request())


def said(drawing: Drawing) -> str:
    return " ".join(text.get_text() for text in drawing.canvas.findobj(Text))


def with_values(value: pl.Expr, **options: Any) -> Results:
    made = quickstart(seeds=(0,), datasets=("photos-heldout",), cfg=(1.5, 3.0), **options)
    return replace(made, point_metrics=made.point_metrics.with_columns(value=value))


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    reporting.register(app)
    return CliRunner().invoke(app, ["report", "--figure", "e_vs_rfid", *map(str, arguments)])


def told(done: Any) -> str:
    """The one line of a user's mistake."""
    assert isinstance(done.exception, UserError), done.exception
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_root(tmp_path, quickstart(seeds=(0,), patches=(16,)))


def no_rows(made: Results) -> Results:
    return replace(made, point_metrics=made.point_metrics.clear())


@pytest.mark.parametrize("sources", ["db", "both"])
@pytest.mark.parametrize("figure", OVER_E)
def test_nothing_scored(figure: str, sources: str) -> None:
    empty = no_rows(quickstart(seeds=(0,)))
    assert empty.measurements.is_empty()
    if sources == "both":
        drawing = draw(empty.with_published(), figure)
        assert "of ours has been scored yet" in said(drawing)
        return
    with pytest.raises(
        UserError, match=r"no (reconstruction|generation)[- \w]* has been scored yet"
    ):
        draw(empty, figure)


@pytest.mark.parametrize("figure", OVER_E)
def test_one_point(figure: str) -> None:
    one = with_values(VALUE, patches=(16,), channels=(16,))
    drawing = draw(one, figure)
    assert {fit.model for fit in drawing.fits} == {None}
    assert "no line, n = 1" in said(drawing)


@pytest.mark.parametrize("figure", OVER_E)
def test_all_of_equal_size(figure: str) -> None:
    made = with_values(VALUE)
    points = made.points.with_columns(E=pl.lit(256, pl.Int64))
    drawing = draw(replace(made, points=points), figure)
    pooled = [fit for fit in drawing.fits if not fit.group and fit.series != "floor"]
    assert pooled
    assert all("E = 256: no slope over E" in fit.note for fit in pooled)
    assert "no line, n = 15" in said(drawing)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), None])
@pytest.mark.parametrize("figure", OVER_E)
def test_values_that_are_no_numbers(figure: str, bad: float | None) -> None:
    at = pl.col("point_id") == "cfg-p16c16-s0"
    drawing = draw(with_values(pl.when(at).then(pl.lit(bad, pl.Float64)).otherwise(VALUE)), figure)
    assert any("values left out (not finite" in note for note in drawing.notes)
    assert "values left out" in said(drawing)
    with pytest.raises(UserError, match="nothing to draw"):
        draw(with_values(pl.lit(bad, pl.Float64)), figure)


@pytest.mark.parametrize("figure", OVER_E)
def test_equal_values(figure: str) -> None:
    drawing = draw(with_values(pl.lit(3.0)), figure)
    assert {fit.r2 for fit in drawing.fits if not fit.group} == {None}
    assert "undefined" in said(drawing)


@pytest.mark.parametrize("figure", OVER_E)
def test_protocols_that_differ_are_drawn_apart(figure: str) -> None:
    made = with_values(VALUE)
    other = pl.when(pl.col("point_id").str.contains("p8")).then(pl.lit("another"))
    rows = made.point_metrics.with_columns(protocol=other.otherwise("protocol"))
    apart = draw(replace(made, point_metrics=rows), figure)
    panels = len(draw(made, figure).canvas.axes)
    assert len(apart.canvas.axes) == 2 * panels
    for fit in apart.fits:
        assert fit.n in (5, 10)  # p8 alone; p16 and p32


def test_an_overview_of_nothing() -> None:
    with pytest.raises(UserError, match="no reconstruction has been scored yet"):
        overview(no_rows(quickstart(seeds=(0,))))


def other_schema(path: Path) -> str:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    return "db rebuild"


def foreign(path: Path) -> str:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (a INTEGER)")
    return "not of vitok-sweep"


def damaged(path: Path) -> str:
    path.write_bytes(b"not a database at all, only some text" * 100)
    return "is not a database"


@pytest.mark.parametrize("spoil", [other_schema, foreign, damaged])
def test_a_database_that_is_not_ours_to_read(root: Path, spoil: Callable[[Path], str]) -> None:
    assert invoke("--results", root).exit_code == 0
    for leftover in root.glob("results.db-*"):
        leftover.unlink()
    assert spoil(root / "results.db") in told(invoke("--results", root))


def test_a_locked_database_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("--results", root).exit_code == 0
    write_root(root, quickstart(seeds=(0,), patches=(8,)), "more")  # something to take in
    monkeypatch.setattr(engine, "PATIENCE", 0.2)
    locked = sqlite3.connect(root / "results.db", isolation_level=None)
    try:
        locked.execute("BEGIN EXCLUSIVE")
        assert "lock" in told(invoke("--results", root))
    finally:
        locked.close()


def test_a_root_without_a_launch_is_told(tmp_path: Path) -> None:
    assert "no sweep has been launched here yet" in told(invoke("--results", tmp_path))
