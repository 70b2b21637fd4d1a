"""`plan --budget` as typed: its table, its JSON, the command that it prints, what it refuses."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import searches
import typer
from stubbed import Bench
from sweepfiles import SMALL, replaced, write
from typer.testing import CliRunner

from sweep.cli import planning, running
from sweep.cli.budgeting import Criterion, Fit, Typed, budgeted
from sweep.planning.plan import plan_file
from vitok_core.errors import UserError

WIDE = replaced("[4, 8]", "[2, 4, 8, 16, 32]")
SCORED = "  - reconstruct: [photos-tune]\n  - floor: [photos-tune]\n"


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    planning.register(app)
    return CliRunner().invoke(app, [*map(str, arguments)])


def document(*arguments: object) -> dict[str, Any]:
    done = invoke("plan", *arguments, "--json")
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    return write(tmp_path, "seeds: [0, 1]\n" + WIDE + SCORED)


def test_the_points_and_what_they_cost(file: str, tmp_path: Path) -> None:
    here = ("--results", tmp_path / "none")
    whole = plan_file(file)
    hours = {job.id: job.device_hours for job in whole.jobs}
    budget = 0.6 * document(file, "--budget", "1e6h", *here)["grid_device_hours"]
    found = document(file, "--budget", f"{budget}h", *here)
    points = {point.id: point for point in whole.points}
    chosen = [points[each["id"]] for each in found["points"]]
    jobs = {job for point in chosen for job in point.jobs}
    assert found["device_hours"] == pytest.approx(sum(hours[job] for job in jobs))
    assert found["device_hours"] <= budget
    assert [each["order"] for each in found["points"]] == [*range(1, len(chosen) + 1)]
    assert len({point.config_id for point in chosen}) == len(chosen), "one seed of each"
    spent = [each["cumulated_device_hours"] for each in found["points"]]
    assert spent == sorted(spent)
    widths = [each["relative_width"] for each in found["points"]]
    assert widths[:2] == [None, None]
    assert widths[2:] == sorted(widths[2:], reverse=True)
    assert 1 < widths[-1] < 2
    everything = document(file, "--budget", "1e6h", *here)
    assert len(everything["points"]) == everything["configurations"] == 10
    assert everything["points"][-1]["relative_width"] == pytest.approx(1)


def test_the_command_launches_exactly_these(file: str, tmp_path: Path) -> None:
    given = ("--only", "p=8|16,c=2..16", "--set", "train.steps=10", "--results", tmp_path / "a b")
    found = document(file, "--budget", "4points", *given)
    chosen = {each["id"] for each in found["points"]}
    program, command, typed, *options = shlex.split(found["command"])
    assert (program, command, typed) == ("vitok-sweep", "launch", file)
    given_back = dict(zip(options[::2], options[1::2], strict=True))
    assert given_back["--results"] == str(tmp_path / "a b")
    assert given_back["--only"] == found["only"]
    launched = plan_file(file, [given_back["--set"]], given_back["--only"])
    assert {point.id for point in launched.points} == chosen
    assert len(chosen) == 4
    app = typer.Typer()
    app.callback()(lambda: None)
    running.register(app)
    dry = CliRunner().invoke(app, [command, typed, *options, "--dry-run", "--scheduler", "inline"])
    assert dry.exit_code == 0, dry.output
    assert f"jobs: {len(launched.jobs)} submitted" in dry.output.replace("would be ", "")


def test_text_has_a_row_per_point(file: str, tmp_path: Path) -> None:
    done = invoke("plan", file, "--budget", "5points", "--results", tmp_path / "none")
    found = document(file, "--budget", "5points", "--results", tmp_path / "none")
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = [line for line in lines if line and line[0].isdigit() and len(line) == 10]
    assert [row[1] for row in rows] == [each["id"] for each in found["points"]]
    assert rows[-1][8] == f"{found['points'][-1]['relative_width']:.3f}"
    assert done.stdout.splitlines()[-1] == found["command"]


def test_each_patch_has_its_vertex(tmp_path: Path) -> None:
    text = WIDE + "include:\n  - {tokenizer.patch: 32, tokenizer.channels: 4}\n"
    file = write(tmp_path, text)
    found = document(file, "--budget", "9points", "--fit", "vertex", "--results", tmp_path / "none")
    assert [each["group"] for each in found["points"][0]["groups"]] == ["p=8", "p=16"]
    assert found["notes"][0].startswith("left out: p=32: a vertex needs 4 configurations")
    last = found["points"][-1]
    widths = [each["relative_width"] for each in last["groups"]]
    assert last["relative_width"] == pytest.approx((widths[0] * widths[1]) ** 0.5)
    table = invoke("plan", file, "--budget", "9points", "--fit", "vertex", "--results",
                   tmp_path / "none").stdout  # fmt: skip
    assert table.splitlines()[3].split()[-2:] == ["p=8", "p=16"]
    for criterion in ("c", "D"):
        many = document(file, "--budget", "10points", "--fit", "vertex", "--criterion", criterion,
                        "--results", tmp_path / "none")  # fmt: skip
        assert many["points"][-1]["relative_width"] == pytest.approx(1)


def test_finished_points_cost_nothing_and_count(bench: Bench) -> None:
    text = SMALL.replace("[4, 8]", "[2, 4, 8]") + SCORED
    file = write(bench.root.path.parent, text, "budgeted.yaml")
    launched = bench.cli("launch", file, "--only", "p=16,c=4|8", "--scheduler", "inline")
    assert launched.returncode == 0, launched.stderr
    found = document(file, "--budget", "1points", "--results", bench.root.path)
    rows = [(each["order"], each["state"], each["device_hours"] > 0) for each in found["points"]]
    assert rows == [(None, "done", False), (None, "done", False), (1, "to run", True)]
    assert {(each["p"], each["c"]) for each in found["points"][:2]} == {(16, 4), (16, 8)}
    assert found["points"][-1]["relative_width"] is not None
    assert len(found["only"].split("|")) == 1
    bench.cli("launch", file, "--scheduler", "inline")
    over = document(file, "--budget", "1h", "--results", bench.root.path)
    assert (over["command"], over["device_hours"]) == (None, 0)
    text = invoke("plan", file, "--budget", "1h", "--results", bench.root.path).stdout
    assert text.splitlines()[-1] == "nothing to run"


def test_of_several_seeds_the_one_with_the_least_to_run(file: str) -> None:
    made = plan_file(file)
    finished = [each for each in made.points if (each.p, each.c, each.seed) == (16, 4, 1)]
    states = {job: "done" for each in finished for job in each.jobs}
    typed = Typed(file, (), None, Path("results"), None, None)
    found = budgeted(made, states, "4points", Fit.SLOPE, Criterion.C, typed)
    (done,) = [each for each in found["points"] if each["order"] is None]
    assert (done["id"], done["seed"], done["device_hours"]) == (finished[0].id, 1, 0)
    assert all(each["seed"] == 0 for each in found["points"] if each["order"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--budget", "2points"), "the slope an interval take 3 points"),
        (
            ("--budget", "7points", "--fit", "vertex"),
            "each of 2 vertices an interval take 8 points",
        ),
        (("--budget", "1e-9h"), "device-hours"),
        (("--budget", "12"), "expected device-hours or points, such as 2000h or 6points"),
        (("--budget", "-3h"), "expected device-hours or points"),
        (("--budget", "0h"), "expected device-hours or points"),
        (("--budget", "1e999h"), "expected device-hours or points"),
        (("--budget", "manyh"), "expected device-hours or points"),
        (("--budget", "6points", "--only", "p=8,c=4"), "a slope needs 3 configurations"),
        (("--fit", "slope"), "--fit is of --budget"),
        (("--criterion", "D"), "--criterion is of --budget"),
        (("--budget", "6points", "--resolved"), "--budget and --resolved are two questions"),
        (("--budget", "6points", "--predict"), "--budget and --predict are two questions"),
    ],
)
def test_what_is_refused(file: str, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = invoke("plan", file, *arguments, "--results", tmp_path / "none")
    assert isinstance(done.exception, UserError)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""


def test_the_least_that_is_named_is_enough(file: str, tmp_path: Path) -> None:
    here = ("--results", tmp_path / "none")
    least = re.search(
        r"take (\S+) dev", str(invoke("plan", file, "--budget", "1e-9h", *here).exception)
    )
    assert least is not None
    assert document(file, "--budget", f"{least[1]}h", *here)["points"]


def test_a_search_has_a_budget_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "seek.yaml").write_text(searches.text())
    file = str(tmp_path / "seek.yaml")
    done = invoke("plan", file, "--budget", "6points", "--results", tmp_path / "none")
    assert str(done.exception).endswith("search.trials is its budget")


def test_too_little_is_one_line_and_exit_2(file: str, tmp_path: Path) -> None:
    code = "from sweep.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", file, "--budget", "2points", "--results", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --budget 2points: ")
    assert done.stderr.count("\n") == 1
