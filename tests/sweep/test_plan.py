"""Plans: points, jobs, their order, names and costs; `--only`; speed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sweepfiles import SMALL, replaced, write

from sweep.layout import JobFolder
from sweep.model import Plan
from sweep.planning.plan import plan_file
from sweep.planning.planview import job_table, plan_json, point_table, summary, text_table, totals
from vitok_core.cost import vgg16_macs
from vitok_core.errors import UserError

ROOT = Path(__file__).parent.parent.parent
STAGES = "  - reconstruct: [photos-tune, photos-heldout]\n  - floor: photos-tune\n"

# 10,000 points, 30,100 jobs.
LARGE = """\
extends: protocols/image_64p_photos.yaml
axes:
  tokenizer.patch: 4..64 x2
  tokenizer.channels: 1..10
  train.base_lr: [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4, 9e-4, 1e-3]
  train.steps: 10k..80k x2
seeds: 0..4
stages:
  - train: stage1
  - reconstruct: [photos-tune, photos-heldout]
  - floor: [photos-tune, photos-heldout]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_file(write(tmp_path, "seeds: [0, 1]\n" + SMALL + STAGES))


def test_jobs_of_points(plan: Plan) -> None:
    assert plan.sweep == "sweep"
    assert Counter(job.kind for job in plan.jobs) == {"tokenizer": 8, "reconstruct": 16, "floor": 4}
    jobs = {job.id: job for job in plan.jobs}
    for point in plan.points:
        tokenizer, first, second, floor = (jobs[each] for each in point.jobs)
        assert (tokenizer.kind, first.kind, floor.kind) == ("tokenizer", "reconstruct", "floor")
        assert first.parents == second.parents == (tokenizer.id,)
        assert first.config == {"dataset": "photos-tune", "resolution": 64}
        assert floor.parents == ()
        assert "seed" not in floor.config
    assert {job.point for job in plan.jobs if job.kind == "floor"} == {
        point.id for point in plan.points if point.seed == 0
    }, "the first point that needs a job has it"


def test_evaluations_follow_their_point(tmp_path: Path) -> None:
    text = replaced("axes:\n", "axes:\n  data.resolution: [64, 128]\n") + STAGES
    plan = plan_file(write(tmp_path, text))
    jobs = {job.id: job for job in plan.jobs}
    for point in plan.points:
        _, first, second, floor = (jobs[each].config for each in point.jobs)
        assert first["resolution"] == second["resolution"] == point.resolution
        assert floor["data"]["resolution"] == point.resolution
    assert len({job.slug for job in plan.jobs}) == len(plan.jobs)


def test_parents_come_first_and_ids_are_unique(plan: Plan) -> None:
    place = {job.id: number for number, job in enumerate(plan.jobs)}
    assert len(place) == len(plan.jobs)
    for job in plan.jobs:
        assert all(place[parent] < place[job.id] for parent in job.parents)


def test_slugs(plan: Plan) -> None:
    assert plan.points[0].slug == "64x1-64x1-p8-c4-64p-s0"
    assert [job.slug for job in plan.jobs[:4]] == [
        "tokenizer-64x1-64x1-p8-c4-64p-s0",
        "reconstruct-64x1-64x1-p8-c4-64p-s0-photos-tune",
        "reconstruct-64x1-64x1-p8-c4-64p-s0-photos-heldout",
        "floor-p8-c4-64p-photos-tune",
    ]
    for job in plan.jobs:
        assert re.fullmatch(r"[A-Za-z0-9-]+", job.slug), "safe as a file name"
        folder = JobFolder(Path(f"{job.slug}-{job.id}"))
        assert (folder.slug, folder.id) == (job.slug, job.id)


def test_slugs_of_the_paper_and_of_video(tmp_path: Path) -> None:
    assert plan_file("bottleneck_256p").points[7].slug == "S-B-p16-c16-256p-s0"
    text = replaced("resolution: 64", "resolution: 64, frames: 16")
    (point, *_) = plan_file(
        write(tmp_path, text.replace("size: T-T", "size: S-B, stride: 4"))
    ).points
    assert point.slug == "S-B-p8-q4-c4-16x64p-s0"
    assert (point.variant, point.q, point.frames, point.L) == ("S-B/4x8", 4, 16, 256)


def test_the_paper_file_shows_the_paper_numbers() -> None:
    plan = plan_file("bottleneck_256p", only="seed=0")
    assert len(plan.points) == 15
    by_shape = {(point.p, point.c): point for point in plan.points}
    assert by_shape[8, 64].E == 65536
    assert by_shape[32, 4].E == 256
    point = by_shape[16, 16]
    assert (point.variant, point.L, point.E, point.pixels_per_channel) == ("S-B/16", 256, 4096, 48)
    assert (round(point.params_m, 1), round(point.gflops, 1)) == (129.0, 34.8)
    assert plan.device == "h100"
    tokenizer = next(job for job in plan.jobs if job.id == point.jobs[0])
    hours = tokenizer.device_hours / 8
    assert 6 <= hours <= 12, "S-B/16 stage 1 takes 6-12 h on 8 H100"
    assert tokenizer.resources.gpus == 8
    assert point.config["train"] == {"batch": 1024, "steps": 100_000}


def test_equal_jobs_are_one_job_across_sweeps(tmp_path: Path) -> None:
    one = plan_file(write(tmp_path, SMALL, "one.yaml"))
    other = plan_file(write(tmp_path, replaced("[8, 16]", "[16, 32]"), "two.yaml"))
    shared = {job.id for job in one.jobs} & {job.id for job in other.jobs}
    assert len(shared) == 2
    specs = [{job.id: job.spec() for job in plan.jobs if job.id in shared} for plan in (one, other)]
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("only", "left"),
    [
        ("p=8", 4),
        ("p=8,c=4", 2),
        ("p=8|16,c=8", 4),
        ("E=256", 2),
        ("E=100..300", 4),
        ("L=64", 4),
        ("size=T-T", 8),
        ("encoder=T,decoder=T", 8),
        ("variant=T-T/8", 4),
        ("seed=1", 4),
        ("resolution=64,frames=1", 8),
        ("tokenizer.patch=16", 4),
        ("train.base_lr=1e-4", 8),
        ("train.steps=0.02k", 8),
        ("lr=0.0001", 8),
        ("data.flip=true", 8),
        ("loss.perceptual=null", 8),
        ("tokenizer.encoder.width=64", 8),
        ("evaluation.samples=null", 8),
        (" p = 8 , c = 4 ", 2),
        ("slug=64x1-64x1-p8-c4-64p-s0", 1),
    ],
)
def test_only(tmp_path: Path, only: str, left: int) -> None:
    path = write(tmp_path, "seeds: [0, 1]\n" + SMALL)
    part = plan_file(path, only=only)
    assert len(part.points) == left
    assert {point.id for point in part.points} <= {point.id for point in plan_file(path).points}
    assert {job.id for job in part.jobs} == {each for point in part.points for each in point.jobs}


def test_only_by_id_prefix(plan: Plan, tmp_path: Path) -> None:
    chosen = plan.points[3]
    path = str(tmp_path / "sweep.yaml")
    assert [point.id for point in plan_file(path, only=f"id={chosen.id[:8]}").points] == [chosen.id]
    both = plan_file(path, only=f"config_id={chosen.config_id}").points
    assert {point.seed for point in both} == {0, 1}


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("p=9", "no point has p = 9; p is 8, 16"),
        ("p=8,c=16", "no point among those left has c = 16; c is 4, 8"),
        ("chanels=4", "unknown key 'chanels'; did you mean tokenizer.channels?"),
        ("train.step=4", "did you mean train.steps?"),
        ("p", "expected KEY=VALUE"),
        ("p=", "expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("p=8,,c=4", "expected KEY=VALUE"),
        ("E=a..b", "expected an interval"),
        ("size=T-S", "size is T-T"),
        ("seed=false", "no point has seed = false; seed is 0"),
        ("train.base_lr=true", "no point has train.base_lr = true"),
    ],
)
def test_bad_filters_exit_2_with_the_nearest(tmp_path: Path, only: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        plan_file(write(tmp_path, SMALL), only=only)
    assert str(caught.value).startswith("--only")
    assert caught.value.exit_code == 2


def test_json_has_the_documented_fields(plan: Plan) -> None:
    states = {plan.jobs[0].id: "done"}
    document = json.loads("".join(plan_json(plan, states, missing=["no data"])))
    assert document["sweep"] == "sweep"
    assert document["missing"] == ["no data"]
    assert {
        "id", "slug", "variant", "encoder", "decoder", "p", "q", "c", "L", "E", "resolution",
        "frames", "pixels_per_channel", "params_m", "gflops", "seed", "config_id", "jobs",
    } == set(document["points"][0])  # fmt: skip
    assert {
        "id", "kind", "slug", "point", "parents", "state", "other_code", "train_flops",
        "device_hours", "measured_on",
    } == set(document["jobs"][0])  # fmt: skip
    assert [job["state"] for job in document["jobs"]][:2] == ["done", "planned"]
    assert document["totals"] == totals(plan, states)
    left = document["totals"]["device_hours"] - document["totals"]["device_hours_left"]
    assert left == pytest.approx(plan.jobs[0].device_hours)


def test_tables_show_what_differs_and_are_cut(plan: Plan, tmp_path: Path) -> None:
    heading = point_table(plan)[0]
    assert "seed" in heading
    assert "q" not in heading
    rates = replaced("axes:\n", "axes:\n  train.base_lr: [1e-4, 3e-4]\n  train.steps: 1..20\n")
    large = plan_file(write(tmp_path, rates, "rates.yaml"))
    table = point_table(large)
    assert table[0][-2:] == ["train.base_lr", "train.steps"]
    assert table[1][-2:] == ["0.0001", "1"], "a default is shown too"
    text = text_table(table, len(large.points))
    assert text.endswith("... 120 more; --json prints all")
    assert len(text.splitlines()) == 42
    assert "160 planned" in "\n".join(summary(large, {}))
    assert len(job_table(large, {})) == 41


@pytest.mark.parametrize(
    ("network", "macs"),
    [("lpips-vgg", vgg16_macs(64)), ("efficientnet-lite0", 0.407e9 * (64 / 224) ** 2)],
)
def test_perceptual_training_costs_two_forwards_and_a_backward(
    tmp_path: Path, network: str, macs: float
) -> None:
    text = replaced("axes:", f"loss: {{perceptual: {network}, perceptual_weight: 1}}\naxes:")
    plain, perceptual = (plan_file(write(tmp_path, each)).jobs[0] for each in (SMALL, text))
    extra = perceptual.train_flops - plain.train_flops
    assert extra == pytest.approx(2 * 3 * macs * 20 * 4, rel=1e-6)
    point = plan_file(write(tmp_path, SMALL)).points[0]
    assert plain.train_flops == pytest.approx(2 * 3 * point.gflops * 1e9 * 20 * 4)


@pytest.mark.parametrize(("name", "precision"), [("h100", "bf16"), ("cpu-core", "fp32")])
def test_hours_follow_the_named_device(tmp_path: Path, name: str, precision: str) -> None:
    from sweep.planning.estimate import DEVICES

    text = replaced("batch: 4", f"batch: 4, precision: {precision}")
    job = plan_file(write(tmp_path, text), device=name).jobs[0]
    rate = DEVICES[name].peak[precision] * DEVICES[name].training
    assert job.device_hours == pytest.approx(job.train_flops / rate / 3600)


def test_jobs_above_their_time_limit_are_told(tmp_path: Path) -> None:
    text = "\n".join(summary(plan_file("bottleneck_256p", only="seed=0"), {}))
    assert "generator above hours: 48: up to 57.6 h on 8 GPUs (generator-S-B-p8-c64-" in text
    assert "DiT-L); 5 jobs will be requeued\n" in text
    limit = "axes:", "resources: {reconstruct: {hours: 1e-6, threads: 2}}\naxes:"
    lines = summary(plan_file(write(tmp_path, replaced(*limit) + STAGES)), {})
    (told,) = [line for line in lines if "above hours" in line]
    assert told.startswith("reconstruct above hours: 1e-06: up to ")
    assert " h on 2 cores (reconstruct-" in told
    assert told.endswith(
        "; 8 jobs would be stopped and start anew: raise resources.reconstruct.hours"
    )
    assert "start-up of jobs not counted" in "\n".join(lines)


def test_an_unknown_device_gets_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean h100"):
        plan_file(write(tmp_path, SMALL), device="h10")


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`vitok-sweep` in a process of its own."""
    code = (
        "import sys, sweep.cli.app as app\n"
        "try: app.main()\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_ten_thousand_points_without_torch(tmp_path: Path) -> None:
    path = write(tmp_path, LARGE)
    run = command(tmp_path, "plan", path, "--json")
    assert run.returncode == 0, run.stderr
    assert run.stderr.strip() == "False", "torch was imported"
    document = json.loads(run.stdout)
    assert (len(document["points"]), len(document["jobs"])) == (10_000, 30_100)
    assert [each.name for each in tmp_path.iterdir()] == ["sweep.yaml"], "plan writes nothing"


def test_plan_reads_states_from_the_results(tmp_path: Path) -> None:
    from sweep.cli.planning import _states

    path = write(tmp_path, SMALL + STAGES)
    plan = plan_file(path)
    assert _states(plan, tmp_path / "none", None) == ({}, {})
    job = plan.jobs[0]
    folder = tmp_path / "results" / "jobs" / f"{job.slug}-{job.id}"
    (folder / "journal").mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(job.spec()))
    started = {
        "event": "started",
        "t": 1.0,
        "attempt": 1,
        "host": "elsewhere",
        "pid": 1,
        "code": "0ld",
    }
    finished = {"event": "finished", "t": 2.0, "seconds": 1.0}
    (folder / "journal" / "1.jsonl").write_text(f"{json.dumps(started)}\n{json.dumps(finished)}\n")
    states, other_code = _states(plan, tmp_path / "results", None)
    assert states[job.id] == "done"
    assert other_code == {job.id: "0ld"}
    assert {state for each, state in states.items() if each != job.id} == {"planned"}
