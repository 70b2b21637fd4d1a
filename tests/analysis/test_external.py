"""Imported runs: a source of their own in figures and fits, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from synthetic import quickstart, write_root
from typer.testing import CliRunner

from analysis import report
from analysis.claims import judge
from analysis.external import external_source, whose
from analysis.figures import FIGURES, Request
from analysis.frames import EXTERNAL, Results
from sweep.cli import app as roof
from vitok_core.errors import UserError

THEIRS = external_source("theirs")


def with_theirs(*, same_protocol: bool) -> Results:
    """Ours, and the same points as others measured them, three dB better, beside them."""
    ours = quickstart(seeds=(0,))
    rows = ours.measurements.filter(
        pl.col("series") == "trained", pl.col("metric") == "rPSNR",
        pl.col("dataset") == "photos-heldout",
    ).with_columns(
        source=pl.lit("theirs"),
        point_id=pl.concat_str(pl.lit("theirs/"), "point_id"),
        config_id=pl.concat_str(pl.lit("theirs/"), "config_id"),
        slug=pl.col("point_id"),
        value=pl.col("value") + 3,
        protocol=pl.col("protocol") if same_protocol else pl.lit("their own way"),
    )  # fmt: skip
    external = rows.select(pl.col(name).cast(kind) for name, kind in EXTERNAL.items())
    return replace(ours, external=external)


@pytest.mark.parametrize("same", [True, False])
def test_a_source_of_its_own_that_no_fit_mixes(same: bool) -> None:
    made = with_theirs(same_protocol=same)
    alone = FIGURES["e_vs_metrics"].draw(made, Request())
    both = FIGURES["e_vs_metrics"].draw(made.with_external(["theirs"]), Request())
    assert set(alone.data["source"]) == {"db"}
    assert set(both.data["source"]) == {"db", THEIRS}
    ours = {(f.panel, f.dataset, f.series): f.slope for f in alone.fits}
    assert {(f.panel, f.dataset, f.series): f.slope for f in both.fits if f.source == "db"} == ours
    (theirs,) = [fit for fit in both.fits if fit.source == THEIRS]
    assert theirs.n == 15
    own = next(f for f in both.fits if (f.source, f.panel, f.series) == ("db", "rPSNR", "trained"))
    assert theirs.slope == pytest.approx(own.slope)
    assert theirs.model is not None
    assert own.model is not None
    # On one axis where the protocols are one, on axes of their own where not.
    titled = [axes for axes in both.canvas.axes if axes.get_title() or axes.get_ylabel()]
    assert len([axes for axes in titled if axes.get_ylabel().startswith("rPSNR")]) == 2 - same


def test_every_figure_that_draws_ours_draws_beside_theirs(tmp_path: Path) -> None:
    made = with_theirs(same_protocol=False)
    alone = report.draw_all(made, tmp_path / "alone", formats=["svg"])
    both = report.draw_all(made.with_external(["theirs"]), tmp_path / "both", formats=["svg"])
    assert both.missing.keys() == alone.missing.keys()
    drawn = {path.stem for path in (tmp_path / "both").glob("*.csv") if THEIRS in path.read_text()}
    assert {"e_vs_metrics", "pareto"} <= drawn
    assert "theirs (imported, not our runs): 15 configurations" in (
        (tmp_path / "both" / "e_vs_metrics.svg").read_text()
    )


def test_claims_and_the_overview() -> None:
    made = with_theirs(same_protocol=True)
    joined = made.with_external(["theirs"])
    assert [one.record() for one in judge(joined)] == [one.record() for one in judge(made)]
    lines = report.overview(joined).fits
    assert {fit.source for fit in lines} == {"db", THEIRS}


def test_only_what_was_imported_can_be_named() -> None:
    made = with_theirs(same_protocol=True)
    with pytest.raises(UserError, match="nothing was imported as 'their', did you mean theirs"):
        made.with_external(["their"])
    assert made.sources == ("db",)
    for joined in (made.with_external(["theirs"]).with_published(),
                   made.with_published().with_external(["theirs", "theirs"])):  # fmt: skip
        assert set(joined.measurements["source"]) == {"db", "published", THEIRS}
        assert set(joined.sources) == {"db", "published", THEIRS}
    assert [whose(one) for one in ("db", "published", THEIRS)] == ["ours", "paper", "theirs"]


def root_with_theirs(path: Path, table: str, dataset: str) -> Path:
    """A root with the quickstart's results and an imported table."""
    root = write_root(path / "results", quickstart(seeds=(0,)))
    (path / "theirs.csv").write_text(table)
    given = ("--dataset", dataset, "--protocol", "their own way", "--as", "theirs")
    assert invoke("import", path / "theirs.csv", *given, "--results", root).exit_code == 0
    return root


def test_as_typed(tmp_path: Path) -> None:
    cells = "".join(f"16,{c},64,{20 + c / 2}\n" for c in (4, 8, 16, 32))
    root = root_with_theirs(tmp_path, "p,c,resolution,rPSNR\n" + cells, "photos-heldout")
    drawn = invoke(
        "report", "--figure", "e_vs_metrics", "--with", "theirs", "--format", "svg",
        "--results", root, "--out", tmp_path,
    )  # fmt: skip
    assert drawn.exit_code == 0, drawn.output
    fits = json.loads((tmp_path / "e_vs_metrics.fits.json").read_text())
    assert [fit["n"] for fit in fits if fit["source"] == THEIRS] == [4]
    fitted = invoke("report", "--with", "theirs", "--results", root)
    assert any(" theirs " in line for line in fitted.output.splitlines())
    for arguments in (["--with", "their"], ["--claims", "--with", "theirs"]):
        refused = invoke("report", *arguments, "--results", root)
        assert isinstance(refused.exception, UserError)


def test_a_scale_that_some_rows_lack(tmp_path: Path) -> None:
    """Of generation, others say a guidance scale in some rows and in others none."""
    cells = "".join(f"16,{c},64,{cfg},{20 + c / 2}\n" for c in (4, 8, 16) for cfg in ("", 1.5))
    root = root_with_theirs(tmp_path, "p,c,resolution,cfg,gFID\n" + cells, "coco")
    drawn = invoke(
        "report", "--figure", "e_vs_generation", "--with", "theirs", "--format", "svg",
        "--results", root, "--out", tmp_path,
    )  # fmt: skip
    assert drawn.exit_code == 0, drawn.output


def invoke(*arguments: object) -> Any:
    if not roof.app.registered_commands:
        roof.register()
    return CliRunner().invoke(roof.app, [str(argument) for argument in arguments])
