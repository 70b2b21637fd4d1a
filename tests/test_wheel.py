"""The built wheel is whole: it plans, runs and reports from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAIN = "from sweep.cli.app import main; main()"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "-q",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("vitok_sweep-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "packages")
    return folder / "packages"


def run(packages: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(packages), "PYTHONSAFEPATH": "1"}
    environment.pop("VITOK_RESULTS", None)
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_wheel_runs_the_quickstart_from_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    plan = run(unpacked, tmp_path, "plan", "sweeps/quickstart.yaml", "--json")
    assert plan.returncode == 0, plan.stderr
    assert len(json.loads(plan.stdout)["points"]) == 15
    assert not list(tmp_path.iterdir())

    small = ["sweeps/quickstart.yaml", "--only", "p=32,c=4", "--set", "train.steps=3"]
    small += ["--set", "evaluation.samples=4"]
    launched = run(unpacked, tmp_path, "launch", *small)
    assert launched.returncode == 0, launched.stderr
    assert run(unpacked, tmp_path, "launch", *small).returncode == 3
    (code,) = (tmp_path / "results" / "code").iterdir()
    assert (code / "vitok_core" / "data" / "photos" / "photos.csv").exists()

    report = run(unpacked, tmp_path, "report", "--sweep", "quickstart", "--figure", "e_vs_metrics")
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "results" / "reports" / "quickstart" / "e_vs_metrics.pdf").exists()

    paper = run(unpacked, tmp_path, "report", "--source", "published", "--figure", "e_vs_rfid")
    assert paper.returncode == 0, paper.stderr
    assert (tmp_path / "results" / "reports" / "published" / "e_vs_rfid.pdf").exists()
    for number in range(1, 8):
        assert (unpacked / "analysis" / "published" / f"table{number}.csv").exists()
