"""Plans with a stage 2, with milestones and with kept lengths."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from sweepfiles import ONE, of_kind, write
from typer.testing import CliRunner

from sweep.cli import running
from sweep.model import Plan
from sweep.planning import identity
from sweep.planning.plan import plan_file
from sweep.planning.planview import plan_json, point_table, summary
from sweep.planning.preflight import missing
from sweep.site import Site
from vitok_core import cost
from vitok_core.config import (
    DataConfig,
    FinetuneConfig,
    FinetuneJob,
    GanConfig,
    LossConfig,
    TokenizerConfig,
)
from vitok_core.errors import UserError
from vitok_core.variants import SIZES

TUNED = (
    ONE
    + """\
train: {steps: 20, batch: 4, milestones: [5, 10]}
finetune: {steps: 30, batch: 2, milestones: [10, 20]}
gan: {width: 8}
axes:
  gan.weight: [0.05, 0.1]
stages:
  - train: stage1
  - reconstruct: {data: [photos-tune], steps: [10]}
  - train: stage2
  - reconstruct: {data: [photos-tune], steps: [10, 20, 30]}
resources:
  default: {threads: 2}
  finetune: {threads: 4, hours: 3}
"""
)
MASKED = (
    ONE.replace("channels: 4}", "channels: 4, variant: mask_simple, lengths: [16, 32, 64]}")
    + """\
train: {steps: 20, batch: 4}
stages:
  - train: stage1
  - reconstruct: {data: [photos-tune], lengths: 16..64 x2}
"""
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_file(write(tmp_path, TUNED))


def text(plan: Plan) -> dict[str, Any]:
    document: dict[str, Any] = json.loads("".join(plan_json(plan, {})))
    return document


def test_golden_ids_of_the_gan_ablation() -> None:
    plan = plan_file("gan_ablation", only="seed=0")
    best, without, full = (plan.points[n] for n in (1, 3, 5))
    assert plan.jobs[0].id == "32a1dc527cef", "the S-B/16 of bottleneck_256p"
    assert [job.id for job in plan.jobs if job.kind == "finetune"] == [
        "71cbff43939d", "298a6b39ef03", "cf5cee8e272f", "1ca090470a37", "a127f4f813d1",
        "1d8bb9d82600",
    ]  # fmt: skip
    assert (best.id, without.id, full.id) == ("ec8146898611", "a1250bd374a9", "be7e56e6b52b")
    assert best.config_id == "554a4845a48d"
    tradeoff = plan_file("loss_tradeoff", only="seed=0")
    shared = {job.id for job in of_kind(tradeoff, "finetune")}
    assert shared == {"298a6b39ef03"}, "Figure 10's GAN point is Figure 18's best"


def test_a_finetune_job_is_the_hash_of_its_configuration_and_its_tokenizer() -> None:
    job = FinetuneJob(
        tokenizer=TokenizerConfig(encoder=SIZES["S"], decoder=SIZES["B"], patch=16, channels=16),
        data=DataConfig(name="imagenet1k-train", resolution=256),
        loss=LossConfig(perceptual="lpips-vgg", perceptual_weight=1.0),
        gan=GanConfig(disc_lr=1e-5),
        finetune=FinetuneConfig(
            steps=100_000, batch=256, milestones=tuple(range(10_000, 100_000, 10_000))
        ),
    )
    planned = of_kind(plan_file("gan_ablation", only="disc_lr=1e-5,gan=0.05,seed=0"), "finetune")
    assert [each.id for each in planned] == [identity.job_id("finetune", job, ["32a1dc527cef"])]
    assert planned[0].config == identity.scientific(job)


def test_points_that_differ_in_stage_2_share_the_tokenizer(plan: Plan) -> None:
    assert Counter(job.kind for job in plan.jobs) == {
        "tokenizer": 1, "finetune": 2, "reconstruct": 2 + 2 * 3,
    }  # fmt: skip
    (tokenizer,) = of_kind(plan, "tokenizer")
    assert {job.parents for job in of_kind(plan, "finetune")} == {(tokenizer.id,)}
    assert len({point.id for point in plan.points}) == 2
    assert len({point.config_id for point in plan.points}) == 2
    jobs = {job.id: job for job in plan.jobs}
    for point in plan.points:
        kinds = [jobs[each].kind for each in point.jobs]
        assert kinds == ["tokenizer", *["reconstruct"] * 2, "finetune", *["reconstruct"] * 3]
        steps = [jobs[each].config.get("step") for each in point.jobs]
        assert steps == [None, 10, None, None, 10, 20, None], "30 is the last: the final weights"
        parents = [jobs[each].parents for each in point.jobs]
        assert parents[1:3] == [(point.jobs[0],)] * 2
        assert parents[4:] == [(point.jobs[3],)] * 3
    seen: set[str] = set()
    for job in plan.jobs:
        assert set(job.parents) <= seen, "parents come first"
        seen.add(job.id)


def test_a_point_without_stage_2_keeps_its_id(tmp_path: Path) -> None:
    stages = "stages=[{train: stage1}, {reconstruct: [photos-tune]}]"
    plain = TUNED.replace("axes:\n  gan.weight: [0.05, 0.1]\n", "")
    (alone,) = plan_file(write(tmp_path, plain), [stages]).points
    (tuned,) = plan_file(write(tmp_path, plain)).points
    bare = plain.replace("finetune: {steps: 30, batch: 2, milestones: [10, 20]}\n", "")
    bare = bare.replace("gan: {width: 8}\n", "")
    (never,) = plan_file(write(tmp_path, bare), [stages]).points
    assert (alone.id, alone.config_id, alone.slug) == (never.id, never.config_id, never.slug)
    assert alone.jobs == never.jobs
    assert alone.id != tuned.id
    assert tuned.jobs[0] == alone.jobs[0]
    assert tuned.jobs[2] == alone.jobs[1], "the final weights, however they are asked for"


def test_an_include_alone_may_have_a_stage_2(tmp_path: Path) -> None:
    plan = plan_file("loss_tradeoff", only="seed=0")
    assert Counter(job.kind for job in plan.jobs) == {
        "tokenizer": 5, "finetune": 1, "reconstruct": 6,
    }  # fmt: skip
    assert ["finetune" in point.config for point in plan.points] == [False] * 5 + [True]
    assert plan.points[-1].jobs[0] == plan.points[2].jobs[0], "of the protocol's own loss"
    assert len({point.id for point in plan.points}) == 6
    table = point_table(plan)
    assert [row[table[0].index("stage")] for row in table[1:]] == ["1"] * 5 + ["2"]
    twice = TUNED.replace("stages:", "include:\n  - {gan.weight: 0.1}\nstages:", 1)
    with pytest.raises(UserError, match=r"sweep.yaml:10: include: repeats the point .*gan0\.1"):
        plan_file(write(tmp_path, twice))


def test_a_stage_that_cannot_be_read_is_the_only_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        plan_file(write(tmp_path, TUNED.replace("stage2", "stage3")))
    assert len(str(caught.value).splitlines()) == 1
    assert "sweep.yaml:12: stages.train: cannot train 'stage3'" in str(caught.value)


def test_seeds_reach_both_stages(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, TUNED), ["seeds=[0, 1]"])
    assert len({point.config_id for point in plan.points}) == 2
    assert len({point.id for point in plan.points}) == 4
    assert [job.config.get("seed", 0) for job in of_kind(plan, "tokenizer")] == [0, 1]
    assert [job.config.get("seed", 0) for job in of_kind(plan, "finetune")] == [0, 0, 1, 1]


def test_slugs_say_the_variant_and_stage_2(plan: Plan) -> None:
    assert [point.slug for point in plan.points] == [
        "64x1-64x1-p8-c4-64p-gan0.05-s0", "64x1-64x1-p8-c4-64p-gan0.1-s0",
    ]  # fmt: skip
    assert [job.slug for job in plan.jobs[:6]] == [
        "tokenizer-64x1-64x1-p8-c4-64p-s0",
        "reconstruct-64x1-64x1-p8-c4-64p-s0-photos-tune-at10",
        "reconstruct-64x1-64x1-p8-c4-64p-s0-photos-tune",
        "finetune-64x1-64x1-p8-c4-64p-gan0.05-s0",
        "reconstruct-64x1-64x1-p8-c4-64p-gan0.05-s0-photos-tune-at10",
        "reconstruct-64x1-64x1-p8-c4-64p-gan0.05-s0-photos-tune-at20",
    ]
    slugs = [point.slug for point in plan_file("gan_ablation", only="seed=0").points]
    assert slugs == [
        "S-B-p16-c16-256p-gan0.05-lr1e-5-s0", "S-B-p16-c16-256p-gan0.05-s0",
        "S-B-p16-c16-256p-gan0.05-lr4e-5-s0", "S-B-p16-c16-256p-gan0-s0",
        "S-B-p16-c16-256p-gan0.1-lr1e-5-s0", "S-B-p16-c16-256p-gan0.05-full-s0",
    ]  # fmt: skip
    variants = [point.slug for point in plan_file("mini_variants", only="seed=0").points[-3:]]
    assert variants == [
        "128x1-128x2-p8-c16-64p-latent64-s0", "128x1-128x2-p8-c16-64p-mask-s0",
        "128x1-128x2-p8-c16-64p-latent64-mask-s0",
    ]  # fmt: skip


def test_lengths_are_one_job_each(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, MASKED))
    whole = plan_file(write(tmp_path, MASKED.replace(", lengths: 16..64 x2", "")))
    scored = of_kind(plan, "reconstruct")
    assert [job.config.get("length") for job in scored] == [16, 32, None]
    assert scored[-1].id == whole.jobs[-1].id, "64 tokens are the whole code"
    assert scored[0].slug.endswith("-mask-s0-photos-tune-l16")


def test_latent_tokens_are_the_code() -> None:
    points = plan_file("latent_variant", only="seed=0").points
    assert [point.E for point in points[:5]] == [point.E for point in points[5:]]
    assert [point.L for point in points[5:]] == [64, 128, 256, 512, 1024]
    assert {point.c for point in points[5:]} == {16}


def test_resources_of_the_kind(plan: Plan, tmp_path: Path) -> None:
    assert {job.resources.threads for job in of_kind(plan, "finetune")} == {4}
    assert {job.resources.hours for job in of_kind(plan, "finetune")} == {3.0}
    assert {job.resources.threads for job in of_kind(plan, "tokenizer")} == {2}
    swept = TUNED.replace("gan.weight: [0.05, 0.1]", "resources.finetune.threads: [1]")
    (job,) = of_kind(plan_file(write(tmp_path, swept)), "finetune")
    assert job.resources.threads == 1


def test_what_the_discriminator_refuses_is_refused_before_stage_1(tmp_path: Path) -> None:
    text = TUNED.replace("batch: 2,", "batch: 16,")

    def lines(text: str, *sets: str, **resources: int) -> list[str]:
        site = Site(resources={"finetune": resources})
        return missing(site.equip(plan_file(write(tmp_path, text), sets)), site)

    assert lines(text) == lines(text, processes=4) == lines(text, micro_batch=8) == []
    for given in ({"micro_batch": 6}, {"processes": 8}):
        (line,) = lines(text, **given)
        assert "resources.finetune.micro_batch" in line
        assert "groups of 4" in line
    assert lines(text.replace("[0.05, 0.1]", "[0]"), processes=8) == []
    small = text.replace("resolution: 64", "resolution: 4").replace("patch: 8", "patch: 4")
    assert "data.resolution: 4: the discriminator needs 8 px or more" in "".join(lines(small))


def test_json_and_filters(plan: Plan, tmp_path: Path) -> None:
    document = text(plan)
    assert document["totals"]["kinds"]["finetune"] == 2
    (first, _) = [job for job in document["jobs"] if job["kind"] == "finetune"]
    assert first["train_flops"] > 0
    path = write(tmp_path, TUNED)
    for only in ("gan.weight=0.1", "gan=0.1", "gan=0.1,scope=decoder,finetune.ema=0.9999"):
        assert [point.id for point in plan_file(path, only=only).points] == [plan.points[1].id]
    (tuned,) = plan_file("loss_tradeoff", only="gan.weight=0.05,seed=0").points
    assert "finetune" in tuned.config


def test_the_resolved_file_has_stage_2_where_it_runs(plan: Plan) -> None:
    assert plan.document["gan"]["disc_lr"] == 2e-5
    assert plan.document["finetune"]["ema"] == 0.9999
    assert "gan" not in plan_file("bottleneck_256p").document, "though its protocol has it"


def test_a_gan_that_never_sets_in_is_said(plan: Plan, tmp_path: Path) -> None:
    """The default start is the paper's: 5,000 steps of 256 clips, far beyond a short stage 2."""
    assert plan.notes == (
        "stage 2 never sees its GAN term: gan.start is 5,000 steps of 256 clips, "
        "finetune's 30 steps of 2 are 0.234 of them",
    ), "once for both weights"
    assert plan.notes[0] in summary(plan, {})
    app = typer.Typer()
    running.register(app)
    arguments = ["launch", write(tmp_path, TUNED), "--dry-run", "--scheduler", "inline"]
    launched = CliRunner().invoke(app, [*arguments, "--results", str(tmp_path / "none")])
    assert f"note: {plan.notes[0]}" in launched.stderr
    file = write(tmp_path, TUNED)
    assert plan_file(file, ["gan.start=0"]).notes == ()
    without = TUNED.replace("[0.05, 0.1]", "[0]")
    assert plan_file(write(tmp_path, without, "without.yaml")).notes == ()
    for shipped in ("gan_ablation", "mini_loss_tradeoff", "mini_variants"):
        assert plan_file(shipped).notes == ()


def test_what_stage_2_costs(tmp_path: Path) -> None:
    """By hand: passes of the decoder and of the discriminator, times images."""
    tower = plan_file(write(tmp_path, MASKED)).points[0].config["tokenizer"]["decoder"]
    model = FinetuneJob.model_validate({
        "tokenizer": {"encoder": tower, "decoder": tower, "patch": 8, "channels": 4},
        "data": {"name": "photos-train", "resolution": 64},
        "finetune": {"steps": 30, "batch": 2},
    }).tokenizer  # fmt: skip
    shape = cost.Shape(64, 8, 4)
    encoder = cost.encoder_macs(model.encoder, shape)
    decoder = cost.decoder_macs(model.decoder, shape)
    judge = cost.discriminator_macs(8, 64)
    samples = 2 * 30

    def flops(*sets: str) -> float:
        return of_kind(plan_file(write(tmp_path, TUNED), sets), "finetune")[0].train_flops

    frozen = 2 * samples * (encoder + 3 * decoder)
    assert flops("gan.weight=0") == frozen
    assert flops("gan.weight=0.05") == frozen + 2 * samples * 8 * judge
    assert flops("gan.weight=0", "finetune.scope=full") == 2 * samples * 3 * (encoder + decoder)
