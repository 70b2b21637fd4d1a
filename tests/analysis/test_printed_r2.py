"""Every R² that the paper prints comes out of `report`, and hangs on the points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from matplotlib.text import Text
from typer.testing import CliRunner

from analysis import published
from analysis.figures import FIGURES, Request
from analysis.fits import Line, fit_lines
from analysis.published import measured
from sweep.cli import reporting

# The paper's axis → the figure that draws over it, by the paper's number; what our fits call it.
FIGURE_OF = {
    ("2", "Floating Points, E"): ("e_vs_metrics", "E"),
    ("4", "Floating Points, E"): ("e_vs_metrics_512p", "E"),
    ("5", "Floating Points, E"): ("e_vs_generation", "E"),
    ("extra", "Channel Width, c"): ("c_vs_generation", "c"),
    ("extra", "Pixels Per Channel"): ("ppc_vs_generation", "pixels_per_channel"),
    ("6", "Encoder Size (M)"): ("encoder_vs_metrics", "encoder_params_m"),
    ("7", "Decoder Size (M)"): ("decoder_vs_metrics", "decoder_params_m"),
    ("8", "Encoder Size (M)"): ("encoder_vs_generation", "encoder_params_m"),
    ("9", "Decoder Size (M)"): ("decoder_vs_generation", "decoder_params_m"),
    ("10", "rFID"): ("loss_tradeoff", "rFID"),
    ("10", "rIS"): ("loss_tradeoff", "rIS"),
    ("11", "Floating Points, E"): ("video_e_vs_metrics", "E"),
}
DRAWN = published.fits().filter(source="drawn").to_dicts()
IDS = [f"{row['figure_id']}-{row['panel']}-{row['dataset']}-{row['cfg_scale']}" for row in DRAWN]


def figure_of(row: dict[str, Any]) -> tuple[str, str]:
    return FIGURE_OF[row["figure"], row["x_variable"]]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the public command leaves of all figures that print an R²."""
    app, out = typer.Typer(), tmp_path_factory.mktemp("published")
    app.callback()(lambda: None)
    reporting.register(app)
    figures = [word for name, _ in FIGURE_OF.values() for word in ("--figure", name)]
    done = CliRunner().invoke(
        app,
        ["report", "--source", "published", *figures, "--format", "svg", "--out", str(out)],
    )
    assert done.exit_code == 0, done.output
    (out / "printed.txt").write_text(done.stdout)
    return out


@pytest.mark.parametrize("row", DRAWN, ids=IDS)
def test_a_printed_r2_comes_out(row: dict[str, Any], reported: Path) -> None:
    figure, x = figure_of(row)
    fits = json.loads((reported / f"{figure}.fits.json").read_text())
    (fit,) = [
        fit
        for fit in fits
        if (fit["panel"], fit["dataset"], fit["cfg_scale"], fit["x"])
        == (row["panel"], row["dataset"], row["cfg_scale"], x)
        and not fit["group"]
    ]
    assert f"{fit['r2']:.2f}" == f"{row['r2_annotated']:.2f}"
    assert fit["r2_printed"] == row["r2_annotated"]
    assert fit["form"] == row["form"]
    assert (fit["x_transform"], fit["y_transform"]) == (row["x_transform"], row["y_transform"])
    assert fit["n"] == row["n_points"]


def test_there_are_58() -> None:
    assert len(DRAWN) == 58
    assert {figure_of(row)[0] for row in DRAWN} <= set(FIGURES)


def test_the_legends_and_the_table_say_them(reported: Path) -> None:
    """What is read on the page and on the terminal, not what is in a file."""
    table = (reported / "printed.txt").read_text()
    for name in ("loss_tradeoff", "video_e_vs_metrics", "decoder_vs_metrics"):
        drawing = FIGURES[name].draw(measured.load_published(), Request())
        said = [text.get_text() for text in drawing.canvas.findobj(Text)]
        rows = [row for row in DRAWN if figure_of(row)[0] == name]
        for row in rows:
            assert any(f"$R^2$ {row['r2_annotated']:.2f}" in text for text in said)
            assert f"  {row['r2_annotated']:.2f}  " in table
        assert sum("$R^2$" in text for text in said) == len(rows)


@pytest.fixture
def fresh() -> Iterator[None]:
    """The published frames are cached: read them anew here, and after it."""
    caches = (published.points, published.fits, measured.measured, measured.load_published)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def _perturbed(
    monkeypatch: pytest.MonkeyPatch, figure: str, panel: str, dataset: str, cfg: float | None
) -> None:
    """Let the smallest of a figure's values of a metric be wrong."""
    read = published._read
    scale = pl.col("cfg_scale").eq_missing(pl.lit(cfg, dtype=pl.Float64))

    def wrong(name: str) -> pl.DataFrame:
        frame = read(name)
        if name != "points.csv":
            return frame
        here = (pl.col("figure") == figure) & (pl.col("panel") == panel) & scale
        values = frame.filter(here, dataset=dataset)["value"].sort()
        it = here & ((pl.col("value") / values[0] - 1).abs() < 1e-6)  # a point may have two marks
        return frame.with_columns(value=pl.when(it).then(values[0] / 2).otherwise("value"))

    monkeypatch.setattr(published, "_read", wrong)


@pytest.mark.parametrize(
    "row",
    [row for row in DRAWN if " vs " not in row["panel"]],
    ids=[name for name in IDS if " vs " not in name],
)
@pytest.mark.usefixtures("fresh")
def test_one_wrong_point_changes_it(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _, x = figure_of(row)
    _perturbed(monkeypatch, row["figure"], row["panel"], row["dataset"], row["cfg_scale"])
    frame = measured.measured(row["figure"]).filter(metric=row["panel"], dataset=row["dataset"])
    fits = fit_lines(frame, Line(row["form"], x))
    (fit,) = [each for each in fits if each.cfg_scale == row["cfg_scale"]]
    assert f"{fit.r2:.2f}" != f"{row['r2_annotated']:.2f}"


@pytest.mark.parametrize("panel", ["rSSIM", "rPSNR"])
@pytest.mark.usefixtures("fresh")
def test_one_wrong_point_changes_figure_10(panel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _perturbed(monkeypatch, "10", panel, "imagenet1k", None)
    drawing = FIGURES["loss_tradeoff"].draw(measured.load_published(), Request())
    for fit in drawing.fits:
        same = f"{fit.r2:.2f}" == f"{fit.r2_printed:.2f}"
        assert same == (not fit.panel.startswith(panel))
