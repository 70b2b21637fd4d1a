"""Every command says what it does, with an example, fast and without torch."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from itertools import pairwise

import pytest
import typer
from typer.testing import CliRunner

from sweep.cli import app as roof

COMMANDS = (
    "plan", "diff", "schema", "rehearse", "launch", "run", "extend", "adopt", "import", "cancel",
    "retry", "status", "why", "logs", "sync", "query", "export", "gc", "mirror", "report",
    "reproduce", "predict", "doctor", "db rebuild", "db check",
)  # fmt: skip


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    if not roof.app.registered_commands:
        roof.register()
    return roof.app


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(app: typer.Typer, command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0
    assert f"Example: vitok-sweep {command}" in " ".join(done.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_paragraphs_flow_and_nothing_is_cut_at_80_columns(app: typer.Typer, command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80"})
    text = done.output.partition("╭")[0]
    assert max(map(len, done.output.splitlines())) == 80
    assert not any(line.rstrip("│ ").endswith("…") for line in done.output.splitlines())
    for paragraph in re.split(r"\n *\n", text):
        for line, following in pairwise(paragraph.strip().splitlines()):
            assert len(line.rstrip()) + len(following.split()[0]) > 77, "the next word would fit"


def test_every_command_is_named_here(app: typer.Typer) -> None:
    (group,) = app.registered_groups
    names = [each.name or each.callback.__name__ for each in app.registered_commands]  # type: ignore[union-attr]
    assert set(names) == {name for name in COMMANDS if not name.startswith("db ")}
    assert group.name == "db"


def test_help_is_fast_and_meets_no_torch() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['vitok-sweep', '--help']\n"
        "from sweep.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    )
    times = []
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        # Of the processor, not of the clock: others may be using the machine.
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(spent.ru_utime + spent.ru_stime)
    assert min(after - before for before, after in pairwise(times)) < 1.0
