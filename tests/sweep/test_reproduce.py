"""`reproduce --mini`: its sweeps, and that it goes on after a kill and leaves all in one folder."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import typer
from stubbed import PACKAGES, Bench, copy_packages, ends, wait_until

from analysis.figures import FIGURES
from sweep.cli import reproducing
from sweep.cli.reproducing import MINI, TABLES
from sweep.model import Plan
from sweep.planning.plan import plan_file
from sweep.spec.document import find, packaged_sweeps

SWEEP = """\
sizes: {T: {width: 64, blocks: 1, heads: 2}}
tokenizer: {size: T-T, channels: 4}
data: {name: photos-train, resolution: 64}
train: {steps: 20, batch: 4}
axes: {tokenizer.patch: [8, 16, 32]}
stages: [{train: stage1}, {reconstruct: [photos-heldout]}]
resources: {default: {threads: 1, memory_gb: 0.1, chain: true}}
"""


@cache
def planned(name: str) -> Plan:
    return plan_file(name)


def test_it_runs_every_mini_sweep_and_draws_figures_that_exist() -> None:
    assert set(MINI) == {path.stem for path in (packaged_sweeps() / "mini").glob("*.yaml")}
    assert {figure for figures in MINI.values() for figure in figures} <= FIGURES.keys()


@pytest.mark.parametrize("name", MINI)
def test_the_header_says_its_cost_by_plan(name: str) -> None:
    header = " ".join(line.removeprefix("# ") for line in find(name).read_text().splitlines())
    said = re.search(r"Cost by `plan`: ([\d.]+) core-minutes", header)
    if said is None:
        assert "Cost: " in header, "a measured one"
        return
    minutes = 60 * sum(job.device_hours for job in planned(name).jobs)
    assert minutes == pytest.approx(float(said[1]), rel=0.1)


def test_the_grid_begins_with_the_quickstart() -> None:
    grid = {job.id for job in planned("mini_bottleneck").jobs}
    assert {job.id for job in planned("quickstart").jobs} < grid
    shared = {
        name: sum(job.id in grid for job in planned(name).jobs) / len(planned(name).jobs)
        for name in ("mini_precision", "mini_resolution", "mini_training_length")
    }
    assert all(0.25 < share < 0.75 for share in shared.values()), shared


def test_what_the_claims_compare_is_there() -> None:
    """Seeds where a claim's error comes from repeats; a side and its double; sizes' ratios."""
    for name in ("mini_precision", "mini_loss_tradeoff", "mini_video_frames"):
        assert {point.seed for point in planned(name).points} == {0, 1, 2}
    assert {point.resolution for point in planned("mini_resolution").points} == {32, 64}
    grid = {(point.p, point.q) for point in planned("mini_video").points}
    assert grid == {(p, q) for p in (8, 16, 32) for q in (1, 2, 4, 8)}
    ours, papers = planned("mini_model_size"), plan_file("model_size_256p")
    names = {"T1": "S", "T2": "B", "T4": "L"}
    assert [(names[p.encoder], names[p.decoder], p.seed) for p in ours.points] == [
        (p.encoder, p.decoder, p.seed) for p in papers.points
    ]


@pytest.mark.slow
def test_it_goes_on_after_a_kill_and_leaves_all_in_one_folder(
    new_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    code = copy_packages(tmp_path / "code")
    shutil.copytree(
        PACKAGES / "analysis", code / "analysis", ignore=shutil.ignore_patterns("__pycache__")
    )
    (code / "sweeps" / "mini").mkdir(parents=True)
    for name in MINI:
        (code / "sweeps" / "mini" / f"{name}.yaml").write_text(SWEEP)
    bench = new_bench(code=code)
    bench.behave(all={"held": True, "best": [16, 4]})
    command = ("reproduce", "--mini", "--scheduler", "local")
    first = bench.start(*command)
    wait_until(lambda: len(bench.trace("began")) >= 2)
    first.kill()
    first.wait()
    assert not (bench.root.reports / "mini").exists()

    bench.release()
    done = bench.cli(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(bench.root.reports / "mini")
    assert list(ends(bench.root).values()) == [["finished"]] * 6, "nothing ran twice"
    for name in MINI:
        assert name in done.stderr
    left = bench.root.reports / "mini"
    there = {path.relative_to(left).as_posix() for path in left.rglob("*") if path.is_file()}
    assert {"report.html", "claims.txt", "claims.json", "export/point_metrics.parquet"} <= there
    assert {f"table{number}.{form}" for number in TABLES for form in ("md", "csv")} <= there
    assert {f"mini_bottleneck/e_vs_metrics.{form}" for form in ("pdf", "csv", "fits.json")} <= there
    assert "not drawn: mini_video/video_pq: " in done.stderr
    sources = {one["source"] for one in json.loads((left / "claims.json").read_text())}
    assert sources == {"db", "published"}

    again = bench.cli(*command)
    assert again.returncode == 0, again.stderr
    assert len(bench.trace("began")) == 6, "nothing was left to do"


def test_an_interrupted_one_is_not_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`launch` ends with 0 where Ctrl-C leaves its jobs running."""

    def interrupted(*_: object, **__: object) -> None:
        raise typer.Exit(0)

    monkeypatch.setattr(reproducing, "launch", interrupted)
    with pytest.raises(typer.Exit) as ended:
        reproducing.reproduce(mini=True, results=tmp_path)
    assert ended.value.exit_code == 130
    assert not list(tmp_path.iterdir())


def test_full_scale_is_not_run_by_one_command(bench: Bench) -> None:
    refused = bench.cli("reproduce")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: reproduce: say --mini")
    assert not bench.launched()
