"""From journals on disk to files: loading, the command, byte-identical output, errors."""

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
from polars.testing import assert_frame_equal
from synthetic import FRECHET, quickstart, write_root
from typer.testing import CliRunner

import analysis
from analysis.frames import CURVES, POINT_METRICS, POINTS
from analysis.measurements import SCHEMA
from analysis.report import draw
from sweep.cli import reporting
from vitok_core.errors import UserError

REPO = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root with a finished quickstart and a second, smaller sweep."""
    folder = tmp_path_factory.mktemp("results")
    write_root(folder, quickstart())
    return write_root(folder, quickstart(patches=(16,)), "p16_only")


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    reporting.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_load_reads_the_views(root: Path) -> None:
    loaded = analysis.load(root)
    assert tuple(loaded.points.columns) == tuple(POINTS)
    assert tuple(loaded.point_metrics.columns) == tuple(POINT_METRICS)
    assert tuple(loaded.curves.columns) == tuple(CURVES)
    assert len(loaded.points) == 45
    keys = ["point_id", "kind", "dataset", "metric"]
    ours, made = (
        frame.point_metrics.select(*keys, "value").sort(keys) for frame in (loaded, quickstart())
    )
    assert_frame_equal(ours, made)
    assert dict(loaded.point_metrics.schema) == POINT_METRICS
    # A line of loss per job: 45 tokenizers, each scored twice, and 15 × 2 floors.
    assert len(loaded.curves) == 45 + 90 + 30


def test_measurements_survive_the_journals(root: Path) -> None:
    ids = ["job_id", "tokenizer"]  # as the launcher would have named them
    loaded, made = (one.measurements for one in (analysis.load(root), quickstart()))
    assert loaded.schema == SCHEMA
    assert_frame_equal(loaded.drop(ids), made.drop(ids))
    assert loaded["tokenizer"].n_unique() == made["tokenizer"].n_unique() == 45 + 30


def test_load_of_one_sweep(root: Path) -> None:
    loaded = analysis.load(root, sweep="p16_only")
    assert set(loaded.points["p"]) == {16}
    assert set(loaded.point_metrics["point_id"]) == set(loaded.points["point_id"])
    assert len(loaded.curves) == 15 + 30 + 10


def test_load_of_a_database_url(root: Path) -> None:
    analysis.load(root)
    from_url = analysis.load(f"sqlite:///{root / 'results.db'}", sweep="quickstart")
    assert len(from_url.points) == 45
    elsewhere = analysis.load(root, db=f"sqlite:///{root / 'mine.db'}")
    assert_frame_equal(elsewhere.point_metrics, analysis.load(root).point_metrics)


def test_wide_has_a_row_per_point(root: Path) -> None:
    wide = analysis.load(root).wide(dataset="photos-heldout")
    assert len(wide) == 45
    assert tuple(wide.columns[: len(POINTS)]) == tuple(POINTS)
    at = {"point_id": "cfg-p8c4-s1"}
    row = {"kind": "reconstruct", "dataset": "photos-heldout", "metric": "rPSNR"}
    (made,) = quickstart().point_metrics.filter(**at, **row)["value"]
    assert wide.filter(**at)["rPSNR"].item() == made
    assert set(wide["form"]) == {"simple"}
    assert wide["figure"].is_null().all()
    floor = analysis.load(root).wide(kind="floor", dataset="photos-heldout")
    assert len(floor) == 45
    assert floor["form"].is_null().all()


def test_wide_has_one_protocol_in_a_column(root: Path) -> None:
    """Also where every point has one number: half of them measured in another way."""
    loaded = analysis.load(root)
    other = pl.when(pl.col("point_id").str.contains("p16")).then(
        pl.concat_str(pl.lit("other; "), "protocol")
    )
    changed = loaded.point_metrics.with_columns(protocol=other.otherwise("protocol"))
    mixed = replace(loaded, point_metrics=changed)
    with pytest.raises(UserError, match=r"rPSNR on photos-heldout .*several protocols.*other; "):
        mixed.wide(dataset="photos-heldout", metrics=["rPSNR"])


def test_wide_never_mixes(root: Path) -> None:
    loaded = analysis.load(root)
    with pytest.raises(UserError, match="dataset: photos-heldout, photos-tune"):
        loaded.wide()
    with pytest.raises(UserError, match=r"no metrics of kind 'generate'.*floor on photos-heldout"):
        loaded.wide(kind="generate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: no results here"),
        (["sqlite:///missing.db"], "no such database; `vitok-sweep sync`"),
        (["empty"], "no sweep has been launched here yet"),
    ],
)
def test_nothing_there_says_what_to_do(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        analysis.load(*arguments)
    assert not (tmp_path / "missing.db").exists()
    assert not (tmp_path / "missing").exists()


def test_unknown_sweep_names_the_nearest(root: Path) -> None:
    with pytest.raises(UserError, match="no sweep 'quikstart', did you mean quickstart"):
        analysis.load(root, sweep="quikstart")


def test_a_figure_leaves_its_files(root: Path) -> None:
    done = invoke("--results", root, "--sweep", "quickstart", "--figure", "e_vs_metrics")
    assert done.exit_code == 0, done.output
    folder = root / "reports" / "quickstart"
    names = {f"e_vs_metrics.{end}" for end in ("pdf", "svg", "png", "csv", "fits.json")}
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        assert str(folder / name) in done.stdout
    assert "not FID" in done.stderr
    assert "15 of 15" in done.stdout
    fits = json.loads((folder / "e_vs_metrics.fits.json").read_text())
    assert [(fit["panel"], fit["series"]) for fit in fits[:2]] == [
        (FRECHET, "trained"), (FRECHET, "floor"),
    ]  # fmt: skip
    assert len(fits) == 8
    assert {fit["n"] for fit in fits} == {15}
    plotted = pl.read_csv(folder / "e_vs_metrics.csv")
    assert plotted.columns == list(SCHEMA)
    assert len(plotted) == 4 * (45 + 15)
    for fit in fits:  # the printed number is the file's
        assert f"{fit['r2']:.3f}" in done.stdout
    pdf = (folder / "e_vs_metrics.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert b"/FontFile2" in pdf
    assert b"<dc:date>" not in (folder / "e_vs_metrics.svg").read_bytes()


def test_a_second_run_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    """In another process, with another hash seed."""
    code = (
        "import sys, analysis; from pathlib import Path; from analysis.report import draw\n"
        "draw(analysis.load(sys.argv[1]), 'e_vs_metrics', Path(sys.argv[2]))"
    )
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run(
        [sys.executable, "-c", code, root, there],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        cwd=REPO,
        check=True,
    )
    draw(analysis.load(root), "e_vs_metrics", here)
    first = sorted(there.iterdir())
    assert len(first) == 5
    for path in first:
        assert path.read_bytes() == (here / path.name).read_bytes(), path.name


def test_drawing_does_not_depend_on_the_user_s_style(root: Path, tmp_path: Path) -> None:
    import matplotlib as mpl

    results = analysis.load(root)
    draw(results, "e_vs_rfid", tmp_path / "a", formats=["svg"])
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "xtick.major.pad": 12}):
        draw(results, "e_vs_rfid", tmp_path / "b", formats=["svg"])
    assert (tmp_path / "a/e_vs_rfid.svg").read_bytes() == (
        tmp_path / "b/e_vs_rfid.svg"
    ).read_bytes()


def test_formats_and_folder_are_as_asked(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er"
    done = invoke(
        "--results", root, "--figure", "e_vs_rfid", "--format", "svg", "--out", out
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.iterdir()} == {
        "e_vs_rfid.svg", "e_vs_rfid.csv", "e_vs_rfid.fits.json",
    }  # fmt: skip


def test_all_sweeps_go_to_a_folder_of_their_own(root: Path) -> None:
    invoke("--results", root, "--figure", "e_vs_rfid", "--format", "svg")
    assert (root / "reports" / "all" / "e_vs_rfid.svg").is_file()


def test_without_a_figure_every_fit_is_printed(root: Path) -> None:
    done = invoke("--results", root, "--sweep", "quickstart")
    assert done.exit_code == 0, done.output
    for word in (FRECHET, "rSSIM", "kl_bits_per_pixel", "photos-tune", "PCA floor", "e_vs_rfid"):
        assert word in done.stdout
    assert "Trained minus PCA floor at every configuration, photos-heldout" in done.stdout


def test_json_holds_what_is_printed(root: Path) -> None:
    table = json.loads(invoke("--results", root, "--sweep", "quickstart", "--json").stdout)
    assert len(table["fits"]) == 6 * 2 * 2
    assert len(table["floor"]) == 5 * 2
    assert len(table["floor_points"]) == 5 * 2 * 15
    drawn = json.loads(
        invoke("--results", root, "--figure", "e_vs_rfid", "--format", "svg", "--json").stdout
    )
    assert Path(drawn["figures"][0]["files"][0]).name == "e_vs_rfid.svg"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--figure", "e_vs_metric"], "did you mean e_vs_metrics"),
        (["--figure", "e_vs_generation"], "no generation has been scored yet"),
        (["--figure", "e_vs_rfid", "--format", "pdf,gif"], "no format 'gif'"),
        (["--figure", "e_vs_rfid", "--format", ","], "names no format"),
        (["--figure", "e_vs_rfid", "--dataset", "photos-held"], "did you mean photos-heldout"),
        (["--sweep", "nothing"], "no sweep 'nothing'"),
        (["--figure", "e_vs_rfid", "--out", "/dev/null/x"], "cannot write to /dev/null/x"),
    ],
)
def test_mistakes_are_told_in_one_line(root: Path, arguments: list[str], message: str) -> None:
    done = invoke("--results", root, *arguments)
    assert isinstance(done.exception, UserError)
    assert done.exception.exit_code == 2
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_write_that_fails_leaves_the_old_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = analysis.load(root)
    draw(results, "e_vs_rfid", tmp_path, formats=["svg"])
    before = (tmp_path / "e_vs_rfid.svg").read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        draw(results, "e_vs_rfid", tmp_path, formats=["svg"])
    assert (tmp_path / "e_vs_rfid.svg").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_import_is_cheap_and_nothing_meets_torch(root: Path) -> None:
    code = (
        "import sys, analysis\n"
        "heavy = {'pandas', 'polars', 'matplotlib', 'scipy', 'sqlalchemy', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from analysis.report import draw, overview\n"
        "from pathlib import Path\n"
        f"loaded = analysis.load({str(root)!r}); overview(loaded)\n"
        "draw(loaded, 'e_vs_rfid', Path(sys.argv[1]), formats=['svg'])\n"
        "draw(loaded.with_published(), 'e_vs_rfid', Path(sys.argv[1]), formats=['svg'])\n"
        "draw(analysis.load_published(), 'e_vs_rfid', Path(sys.argv[1]), formats=['svg'])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, root / "reports" / "cheap"], cwd=REPO, check=True)
