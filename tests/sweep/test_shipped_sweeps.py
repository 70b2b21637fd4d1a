"""The sweep files that come with the package: valid, of the shape they claim, and in the schema."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from sweepfiles import BROKEN, SMALL, write

import analysis.published
from analysis.lineage import loss_label
from sweep.planning.plan import plan_file
from sweep.spec.document import find, known_names, load, packaged_sweeps
from sweep.spec.schema import sweep_schema
from sweep.spec.yamlfile import read
from vitok_core.config import FinetuneJob, TokenizerJob
from vitok_core.data.sources import DATASETS
from vitok_core.training.schedule import discriminator_rate

SHIPPED = sorted(packaged_sweeps().rglob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(sweep_schema())


@pytest.mark.parametrize("name", known_names())
def test_every_sweep_plans(name: str) -> None:
    plan = plan_file(name)
    assert plan.points
    header = find(name).read_text().splitlines()
    assert header[0].startswith("# "), "a sweep file says what it is for"


@pytest.mark.parametrize(
    ("name", "images", "clips"),
    [
        ("bottleneck_256p", ["inception-2015"], []),
        ("baselines_256p", ["inception-2015"], []),
        ("video_256p", ["inception-2015"], ["i3d"]),
    ],
)
def test_what_the_paper_reports_is_scored(name: str, images: list[str], clips: list[str]) -> None:
    """rFID, rIS, gFID, gIS by the standard Inception, rFVD by the standard I3D; no LPIPS."""
    for job in plan_file(name).jobs:
        if job.kind in ("reconstruct", "generate", "baseline"):
            evaluation = {**job.config["evaluation"]}
            assert list(evaluation.pop("networks")) == images
            assert list(evaluation.pop("video", [])) == clips
            assert evaluation == {}, "PSNR and SSIM are always there"


def test_the_quickstart_is_the_paper_grid_at_64_px() -> None:
    plan, paper = plan_file("quickstart"), plan_file("bottleneck_256p", only="seed=0")
    assert [(p.p, p.c) for p in plan.points] == [(p.p, p.c) for p in paper.points]
    assert [(point.p, point.c) for point in plan.points] == [
        (p, c) for p in (8, 16, 32) for c in (4, 8, 16, 32, 64)
    ]
    assert {point.resolution for point in plan.points} == {64}
    assert (min(p.E for p in plan.points), max(p.E for p in plan.points)) == (16, 4096)
    assert len(plan.jobs) == 75
    assert all(job.resources.chain and job.resources.threads == 1 for job in plan.jobs)
    assert len({json.dumps(point.config["train"]) for point in plan.points}) == 1, "equal steps"


def test_stage_2_of_the_paper_is_spelled_out() -> None:
    document = plan_file("gan_ablation").document
    tuned, gan = document["finetune"], document["gan"]
    assert (tuned["steps"], tuned["batch"], tuned["ema"]) == (100_000, 256, 0.9999)
    assert (tuned["scope"], tuned["base_lr"], tuned["precision"]) == ("decoder", 1e-4, "bf16")
    assert (gan["weight"], gan["disc_lr"], gan["disc_warmup"]) == (0.05, 2e-5, 25_000)


def test_the_settings_of_video(tmp_path: Path) -> None:
    """§2.3: batch, rate and losses of both stages; the discriminator's 25k steps of warm-up."""
    text = (packaged_sweeps() / "video_256p.yaml").read_text()
    plan = plan_file(
        write(tmp_path, text.replace("train: stage1", "train: stage1\n  - train: stage2"))
    )
    first, tuned = (each for each in plan.jobs if each.id in plan.points[0].jobs[:2])
    job = TokenizerJob.model_validate(first.config)
    assert (job.data.resolution, job.data.frames, job.data.fps) == (256, 16, 8)
    assert (job.train.batch, job.train.peak_lr(16)) == (256, pytest.approx(1.6e-3))
    # The released code has 3e-4 · 4096 / E and 0.1.
    assert (job.loss.kl, job.loss.perceptual_weight) == (1e-3, 1.0)
    stage2 = FinetuneJob.model_validate(tuned.config)
    assert (stage2.finetune.batch, stage2.finetune.peak_lr(16)) == (128, pytest.approx(8e-4))
    rates = [discriminator_rate(stage2.gan, 128, step) for step in (12_499, 24_999, 99_999)]
    assert rates == pytest.approx([1e-5, 2e-5, 2e-5])


def test_the_settings_of_figure_18(published: list[dict[str, str]]) -> None:
    plan = plan_file("gan_ablation")
    ours = {
        (
            point.config.get("gan", {}).get("weight", 0.05) if gan else 0.0,
            point.config.get("gan", {}).get("disc_lr", 2e-5) if gan else None,
            point.config["finetune"].get("scope") == "full",
        )
        for point in plan.points
        for gan in (point.config.get("gan", {}).get("weight") != 0,)
    }
    theirs = {
        (float(row["gan_weight"] or 0.05), _rate(row), row["full_finetune"] == "1")
        for row in published
        if row["figure"] == "18"
    }
    assert ours == theirs
    steps = {int(row["finetune_step"]) for row in published if row["figure"] == "18"}
    scored = {job.config.get("step", 100_000) for job in plan.jobs if job.kind == "reconstruct"}
    assert scored == steps


def _rate(row: dict[str, str]) -> float | None:
    """Of the full fine-tuning the paper says none: the best one's."""
    if row["gan_weight"] == "0":
        return None
    return float(row["disc_lr"] or 2e-5)


@pytest.mark.parametrize(
    ("figure", "sweep"),
    [("19", "latent_variant"), ("20", "masked_variant"), ("6", "model_size_256p")],
)
def test_codes_of_the_papers_figures(
    published: list[dict[str, str]], figure: str, sweep: str
) -> None:
    """(variant, encoder, decoder, channels, tokens at evaluation) of every published point."""
    theirs = {
        (row["variant"], row["encoder"], row["decoder"], int(row["c"]), int(row["latent_tokens"]))
        for row in published
        if row["figure"] == figure
    }
    plan = plan_file(sweep)
    jobs = {job.id: job for job in plan.jobs}
    ours = {
        (
            point.config["tokenizer"].get("variant", "simple"), point.encoder, point.decoder,
            point.c, jobs[job].config.get("length", point.L),
        )
        for point in plan.points for job in point.jobs if jobs[job].kind == "reconstruct"
    }  # fmt: skip
    assert ours == theirs


def test_the_losses_of_figure_10(published: list[dict[str, str]]) -> None:
    theirs = {row["loss_label"] for row in published if row["figure"] == "10"}
    ours = set()
    for point in plan_file("loss_tradeoff").points:
        loss = point.config.get("loss", {})
        label = loss_label(loss, adversarial="finetune" in point.config)
        ours.add(label)
    assert ours == theirs


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    """The paper's points."""
    path = Path(analysis.published.__file__).parent / "points.csv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


needs_the_mix = pytest.mark.skipif(
    "shutterstock-imagenet1k" not in DATASETS, reason="the paper's mix is not registered"
)


@needs_the_mix
def test_the_paper_protocol_differs_in_the_training_data_alone(tmp_path: Path) -> None:
    text = (packaged_sweeps() / "bottleneck_256p.yaml").read_text()
    paper = text.replace("protocols/image_256p.yaml", "protocols/image_256p_paper.yaml")
    assert paper != text
    ours, theirs = plan_file("bottleneck_256p"), plan_file(write(tmp_path, paper))
    for one, other in zip(ours.points, theirs.points, strict=True):
        assert other.config["data"]["name"] == "shutterstock-imagenet1k"
        assert {**one.config, "data": None} == {**other.config, "data": None}


def test_the_paper_hyper_parameters_are_spelled_out() -> None:
    document = plan_file("bottleneck_256p").document
    assert document["train"] == {
        "steps": 100_000, "batch": 1024, "base_lr": 1e-4, "final_lr": 1e-5, "warmup": 0.03,
        "betas": [0.9, 0.95], "weight_decay": 1e-4, "clip_norm": 1.0, "precision": "bf16",
        "milestones": [],
    }  # fmt: skip
    assert document["loss"] == {
        "reconstruction": "l2", "kl": 1e-3, "kl_reduction": "mean", "perceptual": "lpips-vgg",
        "perceptual_weight": 1.0, "extra": [],
    }  # fmt: skip


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(sweep_schema())
    json.dumps(sweep_schema(), allow_nan=False)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=needs_the_mix if "_paper" in path.stem else ())
        for path in SHIPPED
    ],
)
def test_shipped_files_fit_the_schema(path: Path) -> None:
    """As our reader, YAML 1.2 editors and PyYAML (where 1e-4 is text) see them."""
    VALIDATOR.validate(read(path, str(path)).plain())
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("name", known_names())
def test_merged_and_resolved_documents_fit_the_schema(name: str) -> None:
    VALIDATOR.validate(load(name).root.plain())
    VALIDATOR.validate(dict(plan_file(name).document))


LONGHAND = """
sizes: {T: {width: 64, blocks: 1, heads: 2}}
tokenizer: {encoder: T, decoder: {width: 64, blocks: 2, heads: 2}, final_norm: off}
train: {steps: 20k, batch: 4, base_lr: 1e-3, clip_norm: null}
axes: {tokenizer.patch: 8..32 x2, tokenizer.channels: [4, 8..64 x2], data.name: [photos-train]}
zip: {loss.kl: [1e-3, 1e-2], train.betas: [[0.9, 0.95], [0.9, 0.99]]}
include:
  - {tokenizer.patch: 8, resources.tokenizer.threads: 2, stages: [{train: stage1}], seeds: 0..3}
exclude: [{tokenizer.patch: [8, 16], seed: 1}, {tokenizer.channels: 4..64 x2}]
seeds: 0..2
stages: [{train: stage1}, {reconstruct: photos-tune}, {floor: [photos-tune]}, {train: stage2},
  {reconstruct: {data: photos-tune, lengths: 8..64 x2, steps: [1k, 2e3]}},
  {generate: {model: DiT-S, cfg: [1, 1.5..3 x2], data: photos-train, reference: photos-tune}},
  {generate: {model: {width: 64, blocks: 1, heads: 2}, cfg: 4}}]
resources: {default: {threads: 1}, tokenizer: {checkpoint_every: 1k}}
"""


def test_every_shorthand_fits_the_schema() -> None:
    VALIDATOR.validate(yaml.safe_load(LONGHAND))
    VALIDATOR.validate(yaml.safe_load(SMALL))


# What a schema of one file can know: not points, bases, or what only several fields show.
SEEN_BY_EDITORS = [
    "unknown_top_key", "unknown_field", "section_null", "section_list", "text_for_number",
    "bad_suffix", "fraction_for_whole", "negative", "zero_patch", "null_number",
    "boolean_for_number", "number_for_boolean", "wrong_choice", "wrong_length", "list_for_number",
    "unknown_data_set", "redefined_size", "size_without_heads", "size_name", "tower_key",
    "half_a_size", "empty_axes", "empty_axis", "axis_is_a_number", "axes_are_a_list", "axis_alias",
    "axis_typo", "include_is_a_mapping", "include_typo", "exclude_unknown", "repeated_seed",
    "seed_is_text", "negative_seed", "empty_stages", "unknown_stage", "generate_lacks_cfg",
    "generate_key", "generate_scale", "generate_is_a_list", "generate_data_set",
    "train_unknown", "reconstruct_key", "reconstruct_lacks_data", "lengths_are_text",
    "stage_is_text", "stage_data_set", "stage_without_data", "resources_kind",
    "resources_field", "resources_value", "extends_number",
]  # fmt: skip


@pytest.mark.parametrize("name", SEEN_BY_EDITORS)
def test_editors_see_the_mistake(name: str) -> None:
    document: Any = yaml.safe_load((BROKEN / f"{name}.yaml").read_text())
    assert not VALIDATOR.is_valid(document)


def test_axes_offer_every_dotted_path() -> None:
    offered = sweep_schema()["properties"]["axes"]["properties"]
    assert {"tokenizer.patch", "train.base_lr", "loss.kl", "tokenizer.encoder.width"} <= set(
        offered
    )
