"""The reference of the command line that the documentation's site makes holds what --help shows."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAIN = "from sweep.cli.app import main; main()"


@pytest.fixture(scope="module")
def page() -> str:
    """The page, as the hook makes it; mkdocs itself is not needed."""
    spec = importlib.util.spec_from_file_location(
        "commands", ROOT / "docs" / "hooks" / "commands.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.reference())


def shown(*command: str) -> str:
    """What a user sees of `vitok-sweep COMMAND --help`, on a wide terminal."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command, "--help"],
        cwd=ROOT, env={**os.environ, "COLUMNS": "240", "TERM": "dumb"}, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def commands(help_text: str) -> list[str]:
    """The names in the panel of commands."""
    panel = help_text.partition("Commands")[2]
    return re.findall(r"^│ ([a-z][a-z-]*) ", panel, re.M)


def section(page: str, command: str) -> str:
    found = re.search(rf"^#+ `vitok-sweep {command}`\n(.*?)(?=^#+ |\Z)", page, re.M | re.S)
    assert found, f"no section of {command}"
    return found[1]


def test_every_command_has_its_section(page: str) -> None:
    named = commands(shown())
    assert {"plan", "launch", "report", "db"} <= set(named)
    inner = [f"db {name}" for name in commands(shown("db"))]
    assert inner
    for command in (*named, *inner):
        assert section(page, command).strip(), command


@pytest.mark.parametrize("command", ["plan", "launch", "report", "mirror", "db rebuild"])
def test_a_section_has_all_options_of_its_command(page: str, command: str) -> None:
    options = re.findall(r"^│ +[*]? *(--[a-z-]+)", shown(*command.split()), re.M)
    assert options
    text = section(page, command)
    assert [option for option in options if not re.search(rf"[` ]{option}[` ]", text)] == []
