"""`diff`: the fields in which jobs, points and sweep files differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sweepfiles import SMALL, replaced, write
from typer.testing import CliRunner, Result

from sweep.cli.app import app, register
from sweep.model import Plan
from sweep.planning.diff import Change, diff_jobs, diff_plans, diff_points
from sweep.planning.plan import plan_file
from vitok_core.errors import UserError

STAGES = "  - reconstruct: [photos-tune]\n  - floor: [photos-tune]\n"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_file(write(tmp_path, "seeds: [0, 1]\n" + SMALL + STAGES))


def run(*arguments: str) -> Result:
    if not app.registered_commands:
        register()
    return CliRunner().invoke(app, ["diff", *arguments])


def test_jobs_differ_in_fields_defaults_filled_in(plan: Plan) -> None:
    specs = {job.id: job.spec() for job in plan.jobs}
    one, *_, other = (job for job in plan.jobs if job.kind == "tokenizer")
    found = diff_jobs(specs[one.id], specs[other.id], specs)
    assert found.fields == (
        Change("tokenizer.patch", 8, 16),
        Change("tokenizer.channels", 4, 8),
        Change("seed", 0, 1),
    )
    assert diff_jobs(specs[one.id], specs[one.id], specs).fields == ()


def test_children_differ_in_what_their_parents_do(plan: Plan) -> None:
    specs = {job.id: job.spec() for job in plan.jobs}
    one, other, *_ = (job for job in plan.jobs if job.kind == "reconstruct")
    found = diff_jobs(specs[one.id], specs[other.id], specs)
    assert found.fields == (Change("parent.tokenizer.channels", 4, 8),)
    without = diff_jobs(specs[one.id], specs[other.id], {})
    assert [change.field for change in without.fields] == ["parent"]


def test_kinds_differ_too(plan: Plan) -> None:
    specs = {job.id: job.spec() for job in plan.jobs}
    found = diff_jobs(specs[plan.jobs[0].id], specs[plan.jobs[1].id], specs)
    assert found.fields[0] == Change("kind", "tokenizer", "reconstruct")


def test_sweep_files_differ_in_fields_and_points(tmp_path: Path) -> None:
    old = plan_file(write(tmp_path, SMALL, "a.yaml"))
    new = plan_file(write(tmp_path, replaced("[8, 16]", "[16, 32]"), "b.yaml"))
    found = diff_plans(old, new)
    assert found.fields == (Change("axes.tokenizer.patch", [8, 16], [16, 32]),)
    assert {point.p for point in found.removed} == {8}
    assert {point.p for point in found.added} == {32}
    assert (len(found.removed), len(found.added)) == (2, 2)


def test_points_differ_in_stage_2_alone(tmp_path: Path) -> None:
    text = SMALL.replace("tokenizer.channels: [4, 8]", "gan.weight: [0.05, 0.1]")
    text = text.replace("{size: T-T}", "{size: T-T, channels: 4}").replace("[8, 16]", "[8]")
    text += "  - train: stage2\nfinetune: {steps: 5, batch: 2}\n"
    plan = plan_file(write(tmp_path, text))
    specs = {job.id: job.spec() for job in plan.jobs}
    sides = [[specs[each] for each in point.jobs] for point in plan.points]
    assert diff_points(*sides).fields == (Change("gan.weight", 0.05, 0.1),)
    first = [side[:1] for side in sides]
    assert diff_points(*first).fields == (), "one tokenizer"
    added = {change.field for change in diff_points(first[0], sides[0]).fields}
    assert {"gan.weight", "finetune.steps"} <= added
    assert not any(name.startswith("tokenizer.") for name in added)


def test_the_command_on_files(tmp_path: Path) -> None:
    old = write(tmp_path, SMALL, "a.yaml")
    new = write(tmp_path, replaced("steps: 20", "steps: 30"), "b.yaml")
    text = run(old, new).stdout
    assert "train.steps 20 -> 30" in " ".join(text.split())
    assert text.count("- point") == text.count("+ point") == 4
    document = json.loads(run(old, new, "--json").stdout)
    assert document["fields"] == [{"field": "train.steps", "old": 20, "new": 30}]
    assert len(document["points_added"]) == 4
    assert run(old, old).stdout == "no difference\n"


def test_the_command_on_jobs_and_points(plan: Plan, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for job in plan.jobs:
        folder = results / "jobs" / f"{job.slug}-{job.id}"
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps(job.spec()))
    first, second = (job for job in plan.jobs[:4] if job.kind == "tokenizer")
    options = ("--results", str(results), "--json")
    by_prefix = json.loads(run(first.id[:8], second.slug, *options).stdout)
    assert by_prefix["fields"] == [{"field": "tokenizer.channels", "old": 4, "new": 8}]
    assert isinstance(run("nothing", second.slug, *options).exception, UserError)
    assert isinstance(run(first.id, str(tmp_path / "sweep.yaml"), *options).exception, UserError)
    assert isinstance(run(first.id, second.id, "--results", "none").exception, UserError)
