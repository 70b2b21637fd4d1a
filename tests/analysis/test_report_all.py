"""`report --all`: every figure that has data, why the others have none; the same bytes again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from synthetic import quickstart, write_root
from typer.testing import CliRunner

from analysis import load, load_published
from analysis.figures import FIGURES, Request
from analysis.frames import Results
from analysis.report import draw
from sweep.cli import reporting
from vitok_core.errors import UserError

REPO = Path(__file__).parent.parent.parent
SIZED = {"e_vs_rfid", "e_vs_metrics", "e_vs_metrics_detailed"}


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    reporting.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = quickstart(seeds=(0,), patches=(8, 16), channels=(4, 8, 16))
    return write_root(tmp_path_factory.mktemp("results"), made)


def test_what_has_data_is_drawn_and_the_rest_is_named(root: Path) -> None:
    done = invoke("--results", root, "--all", "--format", "svg")
    assert done.exit_code == 0, done.output
    files = {path.name for path in (root / "reports" / "all").iterdir()}
    drawn = {name.removesuffix(".svg") for name in files if name.endswith(".svg")}
    assert drawn >= SIZED
    assert files == {f"{name}.{end}" for name in drawn for end in ("svg", "csv", "fits.json")}
    _, _, missing = done.stdout.partition("Not drawn\n")
    reasons = dict(line.split(maxsplit=1) for line in missing.splitlines())
    assert set(reasons) == set(FIGURES) - drawn
    assert "no generation has been scored yet" in reasons["e_vs_generation"]
    assert "no reconstruction along a fine-tuning" in reasons["gan_ablation"]
    two = "it needs points at two resolutions (an axis over data.resolution); here all have "
    assert f"{two}resolution 64" in reasons["e_vs_metrics_512p"]
    progress = [line for line in done.stderr.splitlines() if line.startswith("figure ")]
    assert [line.rpartition(" ")[2] for line in progress] == list(FIGURES)


def test_what_is_missing_is_said_truly(root: Path) -> None:
    """`launch` is named only where it would bring the points."""

    def why(loaded: Results, figure: str) -> str:
        with pytest.raises(UserError) as told:
            FIGURES[figure].draw(loaded, Request())
        return str(told.value)

    plain = load(root)
    one = "with several encoders at one bottleneck (an axis over tokenizer.encoder); here all have"
    assert one in why(plain, "encoder_vs_metrics")
    assert "data.frames above 1); here all have frames 1" in why(plain, "video_e_vs_metrics")
    assert "an axis over data.frames)" in why(plain, "video_frames")
    assert "several losses (an axis below loss)" in why(plain, "loss_tradeoff")
    lacks = "it needs `generate` jobs, and "
    assert f"{lacks}the sweep file's `stages` ask for none" in why(plain, "e_vs_generation")
    # Two encoders are registered, and nothing is scored: now `launch` does bring them.
    large = pl.when(pl.col("p") == 16).then(pl.lit("B")).otherwise(pl.lit("S"))
    points = plain.points.with_columns(encoder=large, p=8, E=64)
    unscored = replace(plain, points=points, point_metrics=plain.point_metrics.clear())
    bare = unscored.jobs.with_columns(config=pl.lit('{"dataset": "photos-heldout"}'))
    unscored = replace(unscored, jobs=bare)
    assert "`vitok-sweep launch` runs what is missing" in why(unscored, "encoder_vs_metrics")


def test_the_paper_s_own_stand_below_the_results_root(tmp_path: Path) -> None:
    done = invoke(
        "--source", "published", "--figure", "e_vs_rfid", "--format", "svg", "--results", tmp_path
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "reports" / "published" / "e_vs_rfid.svg").is_file()


@pytest.mark.slow
def test_json_names_the_rest_too(root: Path, tmp_path: Path) -> None:
    done = invoke("--results", root, "--all", "--format", "svg", "--json", "--out", tmp_path)
    album = json.loads(done.stdout)
    drawn = {one["figure"] for one in album["figures"]}
    assert drawn >= SIZED
    assert set(album["missing"]) == set(FIGURES) - drawn


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    made = quickstart(seeds=(0,), patches=(16,))
    write_root(tmp_path, replace(made, point_metrics=made.point_metrics.clear()))
    done = invoke("--results", tmp_path, "--all")
    assert isinstance(done.exception, UserError)
    assert "no figure has data" in str(done.exception)
    assert "scored yet" in str(done.exception)


def test_all_and_one_exclude_each_other(root: Path) -> None:
    done = invoke("--results", root, "--all", "--figure", "e_vs_rfid")
    assert isinstance(done.exception, UserError)
    assert "leave out --figure" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--claims", "--out", "folder"], "--claims stands alone, on stdout"),
        (["--claims", "--format", "png"], "--claims stands alone, on stdout"),
        (["--out", "folder"], "--out and --format are for files"),
        (["--format", "svg"], "--out and --format are for files"),
        (["--source", "published", "--sweep", "quickstart", "--all"], "leave out --sweep"),
        (["--all", "--table", "3", "--json"], "ask for one of them at a time"),
    ],
)
def test_an_option_without_effect_is_refused(arguments: list[str], message: str) -> None:
    """Before anything is read: there are no results here."""
    done = invoke("--results", "missing", *arguments)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


@pytest.mark.slow
def test_all_figures_and_a_table_in_formats_of_their_own(root: Path, tmp_path: Path) -> None:
    done = invoke(
        "--results", root, "--all", "--table", "3", "--format", "svg,csv", "--out", tmp_path
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"table3.csv", "e_vs_metrics.svg"}
    assert not any(name.endswith((".pdf", ".png", ".md")) for name in names)


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """In another process, with another hash seed: joined marks, placed names, pairs."""
    code = (
        "import sys, analysis; from pathlib import Path; from analysis.report import draw\n"
        "for name in sys.argv[2:]:\n"
        "    draw(analysis.load_published(), name, Path(sys.argv[1]), formats=['pdf', 'svg'])"
    )
    figures = ("loss_tradeoff", "gan_ablation", "video_pq")
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run(
        [sys.executable, "-c", code, there, *figures],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        cwd=REPO,
        check=True,
    )
    for figure in figures:
        draw(load_published(), figure, here, formats=["pdf", "svg"])
    first = sorted(there.iterdir())
    assert len(first) == 3 * 4
    for path in first:
        assert path.read_bytes() == (here / path.name).read_bytes(), path.name
        if path.suffix == ".pdf":
            assert b"/FontFile2" in path.read_bytes()
            assert b"/Type3" not in path.read_bytes()


@pytest.mark.slow
def test_all_that_is_published_is_drawn(tmp_path: Path) -> None:
    command = "from sweep.cli.app import main; main()"
    arguments = [
        "report",
        "--source",
        "published",
        "--all",
        "--format",
        "pdf",
        "--out",
        str(tmp_path),
    ]
    subprocess.run(
        [sys.executable, "-c", command, *arguments], cwd=REPO, check=True, capture_output=True
    )
    pictures = "analysis.figures.sheets:"  # the paper's are not among its numbers
    published = {
        one.id for one in FIGURES.values() if one.paper and not one.function.startswith(pictures)
    }
    assert {f"{name}.pdf" for name in published} <= {path.name for path in tmp_path.iterdir()}
