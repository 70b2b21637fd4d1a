"""What the user can mend is one line and exit code 2, wherever it comes from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stubbed import Bench

MAIN = "from sweep.cli.app import main; main()"


def cli(folder: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("launch", "quickstart", "--results", "file"),
        ("launch", "quickstart", "--results", "file/below"),
        ("launch", "quickstart", "--results", "x" * 300),
        ("launch", "quickstart", "--gpus", "0-99999999999"),
        ("plan", "quickstart", "--set", b"train.steps=\xff"),
        ("query", b"select '\xff'"),
    ],
    ids=["file", "below a file", "long name", "gpus", "bytes in --set", "bytes in SQL"],
)
def test_one_line_and_nothing_left(tmp_path: Path, arguments: tuple[str | bytes, ...]) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = cli(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_no_bad_usage() -> None:
    raised = "open('/dev/full', 'w', buffering=1).write('x' + chr(10))"
    for text in (raised, f"\ntry: {raised}\nexcept OSError as e: raise UserError('x') from e"):
        body = "\n".join(f"    {each}" for each in text.splitlines())
        code = (
            "import sweep.cli.app as cli\nfrom vitok_core.errors import UserError\n"
            f"def app():\n{body}\ncli.app = app\ncli.register = lambda: None\ncli.main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


def test_a_missing_root_is_said(tmp_path: Path) -> None:
    done = cli(tmp_path, "status", "--results", "mistyped")
    assert "mistyped does not exist" in done.stderr


def test_a_damaged_job_json_is_made_again(bench: Bench) -> None:
    bench.behave(all={"steps": 2})
    file = bench.sweep()
    assert bench.cli("launch", file, "--only", "p=8").returncode == 0
    folder = bench.folder("tokenizer")
    before = folder.spec.read_bytes()
    folder.spec.write_text('{"id')
    assert bench.cli("launch", file, "--only", "p=8").returncode == 3
    assert folder.spec.read_bytes() == before
    assert json.loads(before)["id"] == folder.id


@pytest.mark.slow
def test_launching_right_after_cancel_runs_everything(bench: Bench) -> None:
    bench.behave(all={"steps": 40, "pause": 0.05})
    file = bench.sweep()
    assert bench.cli("launch", file, "--only", "p=8", "--no-watch").returncode == 0
    name = Path(file).stem
    for _ in range(60):
        if bench.cli("cancel", name).returncode == 0:
            break
    bench.behave(all={"steps": 4})
    assert bench.cli("launch", file, "--only", "p=8").returncode == 0
