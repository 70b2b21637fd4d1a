"""`report --html` as typed: where the page goes, which sweep it shows, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from reading import read
from synthetic import quickstart, write_root
from typer.testing import CliRunner

from sweep.cli import reporting
from vitok_core.errors import UserError

REPO = Path(__file__).parent.parent.parent


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    reporting.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = quickstart(patches=(16,), channels=(4, 8, 16), seeds=(0, 1))
    folder = write_root(tmp_path_factory.mktemp("results"), made)
    return write_root(folder, quickstart(patches=(16,), channels=(4,), seeds=(0,)), "small")


def test_the_command_writes_it(root: Path) -> None:
    done = invoke("--results", root, "--html", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    path = root / "reports" / "all" / "report.html"
    assert told["page"] == str(path)
    assert told["bytes"] == path.stat().st_size
    said = read(path).said("overview")
    # 6 tokenizers, each scored twice, and 3 × 2 floors.
    assert "24 done" in said
    assert "small" in said


def test_the_command_keeps_one_sweep_s(root: Path, tmp_path: Path) -> None:
    done = invoke("--results", root, "--sweep", "small", "--html", "--out", tmp_path)
    assert done.stdout.strip() == str(tmp_path / "report.html")
    said = read(tmp_path / "report.html").said("overview")
    assert "5 done" in said
    assert "quickstart" not in said


def test_the_command_opens_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: not seen.append(url))
    invoke("--source", "published", "--html", "--open", "--out", tmp_path)
    assert seen == [(tmp_path / "report.html").as_uri()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--open"], "--open opens the page of --html"),
        (["--html", "--figure", "e_vs_rfid"], "leave out --figure, --all, --table, --dataset"),
        (["--html", "--dataset", "photos-heldout"], "leave out --figure, --all, --table"),
        (["--html", "--all"], "leave out --figure, --all"),
        (["--html", "--format", "svg"], "--dataset, --format"),
        (["--claims", "--html"], "--claims stands alone"),
        (["--html", "--out", "/dev/null/x"], "cannot write to /dev/null/x"),
    ],
)
def test_mistakes_are_told_in_one_line(root: Path, arguments: list[str], message: str) -> None:
    done = invoke("--results", root, *arguments)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_it_meets_no_torch(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['vitok-sweep', 'report', '--html', *sys.argv[1:]]\n"
        "from sweep.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "--results", str(root), "--out", str(tmp_path)]
    subprocess.run(command, cwd=REPO, check=True)
