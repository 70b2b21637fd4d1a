"""Every file of tests/broken_sweeps: exit 2, one helpful message, no traceback, nothing on disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweepfiles import BROKEN
from typer.testing import CliRunner

from sweep.cli.app import app, register
from vitok_core.errors import UserError

INDEX = [
    tuple(part.strip() for part in line.split(" | "))
    for line in (BROKEN / "index.txt").read_text().splitlines()
    if not line.startswith("#")
]
_PYTHON_WORDS = ("Traceback", "pydantic", "validation error", "yaml.", "NoneType", "Input should")


@pytest.fixture(scope="module", autouse=True)
def _commands() -> None:
    if not app.registered_commands:
        register()


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broken files, where nothing else is; every test looks that it leaves nothing there."""
    return shutil.copytree(BROKEN, tmp_path_factory.mktemp("alone") / "broken")


@pytest.fixture
def folder(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(copied)
    return copied


def test_the_index_names_every_file() -> None:
    assert sorted(name for name, _, _ in INDEX) == sorted(p.name for p in BROKEN.glob("*.yaml"))
    assert len(INDEX) >= 45


@pytest.mark.parametrize("command", ["plan", "launch"])
@pytest.mark.parametrize(("name", "where", "fragment"), INDEX, ids=[row[0] for row in INDEX])
def test_is_refused(command: str, name: str, where: str, fragment: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    start = time.process_time()
    # The entry point turns a UserError into its message and exit code; see the process test below.
    result = CliRunner().invoke(app, [command, name])
    assert isinstance(result.exception, UserError), result.exception
    assert result.exception.exit_code == 2
    message = str(result.exception)
    assert fragment in message
    assert where == "-" or f"{where}: " in message, message
    assert not [word for word in _PYTHON_WORDS if word in message], message
    assert all(len(line) < 400 for line in message.splitlines())
    assert sorted(folder.rglob("*")) == before, "something was left on disk"
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "name", ["python_object.yaml", "several_errors.yaml", "deep_brackets.yaml"]
)
@pytest.mark.parametrize("command", ["plan", "launch"])
def test_in_a_process_of_its_own(command: str, name: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", "from sweep.cli.app import main; main()", command, name],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {name}:")
    assert "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before
