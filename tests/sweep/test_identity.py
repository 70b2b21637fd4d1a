"""Ids: frozen for good, the same however a value was written, by whatever road they are made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweepfiles import SMALL, replaced, write

from sweep.planning import identity
from sweep.planning.plan import full_config, plan_file
from vitok_core.config import (
    DataConfig,
    EvaluationConfig,
    FloorJob,
    LossConfig,
    ReconstructJob,
    TokenizerConfig,
    TokenizerJob,
    TrainConfig,
)
from vitok_core.variants import SIZES

PAPER = TokenizerJob(
    tokenizer=TokenizerConfig(encoder=SIZES["S"], decoder=SIZES["B"], patch=16, channels=16),
    data=DataConfig(name="imagenet1k-train", resolution=256),
    loss=LossConfig(kl=1e-3, perceptual="lpips-vgg", perceptual_weight=1.0),
    train=TrainConfig(steps=100_000, batch=1024),
)
# The text that is hashed, spelled out: no line of it may ever change for a released revision.
PAPER_TEXT = (
    '{"config":{"data":{"name":"imagenet1k-train","resolution":256},'
    '"loss":{"perceptual":"lpips-vgg","perceptual_weight":1},'
    '"tokenizer":{"channels":16,"decoder":{"blocks":12,"heads":12,"width":768},'
    '"encoder":{"blocks":6,"heads":12,"width":768},"patch":16},'
    '"train":{"batch":1024,"steps":100000}},"kind":"tokenizer","parents":[],"revision":1}'
)


def test_golden_ids() -> None:
    tokenizer = identity.job_id("tokenizer", PAPER)
    assert tokenizer == hashlib.sha256(PAPER_TEXT.encode()).hexdigest()[:12]
    assert tokenizer == "32a1dc527cef"
    reconstruct = ReconstructJob(dataset="imagenet1k-val", resolution=256)
    assert identity.job_id("reconstruct", reconstruct, [tokenizer]) == "9e330a4973ef"
    floor = FloorJob(patch=16, channels=16, data=PAPER.data, dataset="imagenet1k-val")
    assert identity.job_id("floor", floor) == "4ec5dffeb210"


def test_golden_points_of_the_paper_file() -> None:
    plan = plan_file("bottleneck_256p", only="p=16,c=16,seed=0")
    (point,) = plan.points
    assert point.jobs[0] == identity.job_id("tokenizer", PAPER), "the file is the paper's config"
    assert (point.id, point.config_id) == ("7680037f6171", "bb13081d1d2e")


@pytest.mark.parametrize(
    ("sweep", "sets"),
    [
        ("quickstart", ["seeds=[0, 7]"]),
        ("mini_video_frames", ["seeds=[0, 7]"]),
        ("bottleneck_256p", []),  # these have seeds of their own
        ("gan_ablation", []),
        ("masked_variant", []),
        ("mini_variants", []),
    ],
)
def test_the_fast_road_and_the_slow_road_agree(sweep: str, sets: list[str]) -> None:
    """Planning joins cached JSON; `job_id` dumps the whole model."""
    for job in plan_file(sweep, sets).jobs:
        config = full_config(job.kind, job.config)
        assert identity.job_id(job.kind, config, job.parents) == job.id
        assert identity.scientific(config) == job.config
        assert list(job.config) == sorted(job.config), "job.json is the same bytes everywhere"


def test_the_seed_is_in_the_id_and_the_default_is_left_out() -> None:
    seeded = PAPER.model_copy(update={"seed": 1})
    assert identity.scientific(seeded)["seed"] == 1
    assert "seed" not in identity.scientific(PAPER)
    assert identity.job_id("tokenizer", seeded) != identity.job_id("tokenizer", PAPER)


def test_points_that_differ_in_the_seed_alone_share_a_config_id(tmp_path: Path) -> None:
    points = plan_file(write(tmp_path, "seeds: 0..2\n" + SMALL)).points
    assert len({point.id for point in points}) == 12
    assert len({point.config_id for point in points}) == 4
    assert not {point.id for point in points} & {point.config_id for point in points}


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
values = st.recursive(
    numbers | st.booleans() | st.none() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(values)
def test_canonical_json_is_one_text_for_equal_values(value: Any) -> None:
    text = identity.canonical_json(value)
    assert identity.canonical_json(json.loads(text)) == text
    assert json.loads(text) == value
    assert text.isascii()


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_floats_are_integers(number: int) -> None:
    assert identity.canonical_json(float(number)) == str(number)


def test_there_is_no_negative_zero_and_no_nan() -> None:
    assert identity.canonical_json([-0.0, 0.0, 1e-3, 1e22]) == "[0,0,0.001,1e+22]"
    with pytest.raises(ValueError, match="JSON"):
        identity.canonical_json(float("inf"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("steps: 20, batch: 4", "steps: 2e1, batch: 4.0"),
        ("steps: 20, batch: 4", "steps: 0.02k, batch: 4, base_lr: 1e-4, warmup: 3e-2"),
        ("steps: 20, batch: 4, base_lr: 1", "steps: 20, batch: 4, base_lr: 1.0"),
        ("steps: 20, batch: 4", "batch: 4, steps: 20, betas: [0.90, 95e-2], clip_norm: 1"),
    ],
)
def test_how_a_value_is_written_does_not_matter(tmp_path: Path, one: str, other: str) -> None:
    ids = [
        [job.id for job in plan_file(write(tmp_path, replaced("steps: 20, batch: 4", each))).jobs]
        for each in (one, other)
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "change",
    [
        "train.steps=21",
        "train.precision=fp32",
        "loss.kl=1e-2",
        "data.name=photos-tune",
        "data.flip=false",
        "tokenizer.encoder={width: 64, blocks: 2, heads: 2}",
        "tokenizer.final_norm=no",
        "seeds=[1]",
    ],
)
def test_whatever_shapes_the_result_changes_the_id(tmp_path: Path, change: str) -> None:
    text = replaced("{size: T-T}", "{encoder: T, decoder: T}")
    path = write(tmp_path, text + "  - floor: photos-tune\n")
    before, after = plan_file(path), plan_file(path, [change])
    old, new = ({job.id for job in p.jobs if job.kind == "tokenizer"} for p in (before, after))
    assert old.isdisjoint(new)
    floors = [{job.id for job in p.jobs if job.kind == "floor"} for p in (before, after)]
    assert floors[0].isdisjoint(floors[1]) == change.startswith("data."), "a floor has data alone"


def test_evaluations_change_their_own_jobs_only(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + "  - reconstruct: photos-tune\n")
    before, after = plan_file(path), plan_file(path, ["evaluation.samples=64"])
    for kind, same in (("tokenizer", True), ("reconstruct", False)):
        ids = [{job.id for job in plan.jobs if job.kind == kind} for plan in (before, after)]
        assert (ids[0] == ids[1]) == same, kind
    evaluation = EvaluationConfig(samples=64)
    assert after.jobs[1].config["evaluation"] == identity.scientific(evaluation)
