"""The sweep files that come with the package: valid, of the shape they claim, and in the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from sweepfiles import BROKEN, SMALL, write

from sweep.planning.plan import plan_file
from sweep.spec.document import known_names, load, packaged_sweeps
from sweep.spec.schema import sweep_schema
from sweep.spec.yamlfile import read
from vitok_core.data.sources import DATASETS

SHIPPED = sorted(packaged_sweeps().rglob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(sweep_schema())


@pytest.mark.parametrize("name", known_names())
def test_every_sweep_plans(name: str) -> None:
    plan = plan_file(name)
    assert plan.points
    header = (packaged_sweeps() / f"{name}.yaml").read_text().splitlines()
    assert header[0].startswith("# "), "a sweep file says what it is for"


def test_the_quickstart_is_the_paper_grid_at_64_px() -> None:
    plan, paper = plan_file("quickstart"), plan_file("bottleneck_256p")
    assert [(p.p, p.c) for p in plan.points] == [(p.p, p.c) for p in paper.points]
    assert [(point.p, point.c) for point in plan.points] == [
        (p, c) for p in (8, 16, 32) for c in (4, 8, 16, 32, 64)
    ]
    assert {point.resolution for point in plan.points} == {64}
    assert (min(p.E for p in plan.points), max(p.E for p in plan.points)) == (16, 4096)
    assert len(plan.jobs) == 75
    assert all(job.resources.chain and job.resources.threads == 1 for job in plan.jobs)
    assert len({json.dumps(point.config["train"]) for point in plan.points}) == 1, "equal steps"


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
    }  # fmt: skip
    assert document["loss"] == {
        "reconstruction": "l2", "kl": 1e-3, "perceptual": "lpips-vgg", "perceptual_weight": 1.0,
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
stages: [{train: stage1}, {reconstruct: photos-tune}, {floor: [photos-tune]}]
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
    "seed_is_text", "negative_seed", "empty_stages", "unknown_stage", "stage_of_a_later_release",
    "train_stage2", "stage_is_text", "stage_data_set", "stage_without_data", "resources_kind",
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
