"""`report --table`: on stdout, in files, and mistakes in one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from synthetic import quickstart, write_root
from typer.testing import CliRunner

from sweep.cli import reporting
from vitok_core.errors import UserError

REPO = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("results"), quickstart(patches=(16,)))


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    reporting.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_published_tables_need_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("--source", "published", *(f"--table={n}" for n in range(1, 8)))
    assert done.exit_code == 0, done.output
    assert [f"**Table {n}:" in done.stdout for n in range(1, 8)] == [True] * 7
    assert list(tmp_path.iterdir()) == []


def test_ours_stand_below_the_paper_s_unless_one_source_is_asked_for(root: Path) -> None:
    done = invoke("--results", root, "--table", 3)
    assert done.exit_code == 0, done.output
    assert "| ViTok S-L/16†" in done.stdout
    assert "| w128b2h4-w128b4h4/16 c64, 64p" in done.stdout
    ours = invoke("--results", root, "--table", 3, "--source", "db")
    assert "ViTok S-L" not in ours.stdout
    assert "c64, 64p" in ours.stdout


def test_files_in_every_format(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er"
    done = invoke("--results", root, "--table", 3, "--table", 1, "--format", "md,latex,csv,html",
                  "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    names = {f"table{n}.{end}" for n in (1, 3) for end in ("md", "tex", "csv", "html")}
    assert {path.name for path in out.iterdir()} == names
    assert set(done.stdout.split()) == {str(out / name) for name in names}
    assert "note: not shown, being no quality: kl_bits_per_pixel" in done.stderr
    with (out / "table3.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6 + 5


def test_json(root: Path) -> None:
    done = invoke("--results", root, "--table", 3, "--table", 4, "--json")
    made = json.loads(done.stdout)["tables"]
    assert [one["table"] for one in made] == [3, 4]
    assert [row["cited"] for row in made[0]["rows"]] == [True] * 6 + [False] * 5


def test_a_figure_and_a_table_share_the_formats(root: Path, tmp_path: Path) -> None:
    done = invoke("--results", root, "--figure", "e_vs_rfid", "--table", 3, "--format", "svg,csv",
                  "--out", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "e_vs_rfid.svg", "e_vs_rfid.csv", "e_vs_rfid.fits.json", "table3.csv",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", 9], "no table 9 (there are: 1, 2, 3, 4, 5, 6, 7)"),
        (["--table", 3, "--format", "pdf"], "no format 'pdf' (there are: md, latex, csv, html)"),
        (["--figure", "e_vs_rfid", "--format", "md"], "no format 'md' (there are: pdf, svg, png)"),
        (["--table", 3, "--format", "md,csv"], "--out DIR writes several"),
        (["--table", 3, "--format", ","], "names no format"),
        (["--table", 4, "--source", "db"], "no reconstruction of images above 256 px"),
        (["--table", 3, "--dataset", "photos-held"], "did you mean photos-heldout"),
        (["--table", 3, "--out", "/dev/null/x"], "cannot write to /dev/null/x"),
        (["--table", 3, "--figure", "e_vs_rfid", "--json"], "--json holds figures or tables"),
    ],
)
def test_mistakes_are_told_in_one_line(root: Path, arguments: list[Any], message: str) -> None:
    done = invoke("--results", root, *arguments)
    assert isinstance(done.exception, UserError), done.output
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_tables_meet_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, analysis\n"
        "from analysis.tables import FORMATS, render, table\n"
        "paper = analysis.load_published()\n"
        "[render(table(n, paper), name) for n in range(1, 8) for name in FORMATS]\n"
        "assert not {'torch', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)
