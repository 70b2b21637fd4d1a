"""The learning curves of a million metric rows, from the database to the files of the figure."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from timing import Row, compare

import analysis

TESTS = Path(__file__).parent.parent / "tests" / "analysis"
ROWS = 1_000_000
NAMES = ("loss", "loss_rec", "loss_kl", "lr", "grad_norm")


def measure(folder: Path) -> Iterator[Row]:
    """The whole command, beside the start of a program that can draw at all."""
    sys.path.append(str(TESTS))
    from synthetic import quickstart, write_root

    root = write_root(folder / "curves", quickstart(seeds=(0,)))
    loaded = analysis.load(root)
    _fill(root / "results.db", loaded.jobs.filter(kind="tokenizer")["job_id"].to_list())
    command = "from sweep.cli.app import main; main()"
    report = ["report", "--results", str(root), "--figure", "learning_curves"]
    libraries = "import polars, sqlalchemy, matplotlib.figure"
    yield compare(
        f"learning curves of {ROWS:,} rows",
        3,
        vitok_sweep_report=lambda: _run(command, *report),
        importing_its_libraries=lambda: _run(libraries),
    )


def _fill(index: Path, jobs: list[str]) -> None:
    def rows() -> Iterator[tuple[str, int, int, float, int, str, float]]:
        for job in jobs:
            for at in range(ROWS // len(jobs)):
                step, name = divmod(at, len(NAMES))
                yield job, 1, 1_000_000 + at, 0.0, 41 + step, NAMES[name], 1.0 + at % 7

    with sqlite3.connect(index) as connection:
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?)", rows())


def _run(code: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
