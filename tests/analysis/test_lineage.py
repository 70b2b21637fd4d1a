"""What stands behind a score: stages, losses, towers, by the jobs' own configurations."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from analysis.frames import EDGES, JOBS
from analysis.lineage import generator_label, lineage, loss_label, tower_millions
from vitok_core.config import (
    FinetuneJob,
    GenerateJob,
    GeneratorJob,
    LatentsJob,
    ReconstructJob,
    TokenizerJob,
)
from vitok_core.variants import DIT_SIZES, SIZES

TOKENIZER = TokenizerJob.model_validate({
    "tokenizer": {"encoder": SIZES["S"], "decoder": SIZES["B"], "patch": 16, "channels": 16},
    "data": {"name": "imagenet1k-train", "resolution": 256},
    "loss": {"perceptual": "lpips-vgg", "perceptual_weight": 1.0},
    "train": {"steps": 10, "batch": 2},
})  # fmt: skip
FINETUNE = FinetuneJob.model_validate({
    "tokenizer": TOKENIZER.tokenizer,
    "data": TOKENIZER.data,
    "loss": TOKENIZER.loss,
    "finetune": {"steps": 10, "batch": 2, "milestones": [4]},
})  # fmt: skip
LATENTS = LatentsJob(dataset="imagenet1k-train", resolution=256)
GENERATOR = GeneratorJob.model_validate({
    "generator": {"model": DIT_SIZES["DiT-S"]},
    "train": {"steps": 90, "batch": 256},
})  # fmt: skip
GENERATE = GenerateJob(cfg=1.5, reference="imagenet1k-val", resolution=256)
RECONSTRUCT = ReconstructJob(dataset="imagenet1k-val", resolution=512)


def facts(jobs: dict[str, tuple[str, dict[str, Any]]], *edges: tuple[str, str]) -> dict[str, Any]:
    """By job: its lineage."""
    rows = [(job, kind, json.dumps(config)) for job, (kind, config) in jobs.items()]
    frame = lineage(
        pl.DataFrame(rows, schema=dict(JOBS), orient="row"),
        pl.DataFrame(edges, schema=dict(EDGES), orient="row"),
    )
    return {row["job_id"]: row for row in frame.to_dicts()}


def short(config: Any) -> dict[str, Any]:
    """As job.json has it: without what equals its default."""
    dumped: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True)
    return dumped


def test_a_reconstruction_of_stage_1() -> None:
    found = facts(
        {"t": ("tokenizer", short(TOKENIZER)), "r": ("reconstruct", short(RECONSTRUCT))},
        ("r", "t"),
    )["r"]
    assert found["tokenizer"] == "t"
    assert (found["form"], found["stage"], found["loss"]) == ("simple", 1, "L2 + 1.0*LP")
    assert f"{found['encoder_params_m']:.1f} {found['decoder_params_m']:.1f}" == "43.3 85.8"
    assert (found["gan_weight"], found["full_finetune"]) == (0.0, False)
    assert (found["job_resolution"], found["job_frames"]) == (512, None)


def test_all_that_follows_a_tokenizer_shares_it() -> None:
    found = facts(
        {
            "t": ("tokenizer", short(TOKENIZER)),
            "f": ("finetune", short(FINETUNE)),
            "r": ("reconstruct", {}),
            "m": ("reconstruct", {"step": 4}),
            "l": ("latents", short(LATENTS)),
            "d": ("generator", short(GENERATOR)),
            "g": ("generate", short(GENERATE)),
        },
        *[("f", "t"), ("r", "f"), ("m", "f"), ("l", "t"), ("d", "l"), ("g", "d"), ("g", "t")],
    )
    assert {each["tokenizer"] for each in found.values()} == {"t"}
    assert [found[job]["stage"] for job in "trg"] == [1, 2, 1]
    made = {job: each["generator"] for job, each in found.items()}
    assert made == dict.fromkeys("tfrml") | dict.fromkeys("dg", "DiT-S, noise, 90 steps")
    assert (found["g"]["job_resolution"], found["g"]["job_frames"]) == (256, None)
    assert found["r"]["loss"] == "L2+LP+GAN"
    assert [found[job]["step"] for job in "trmg"] == [None, 10, 4, None]
    assert (found["r"]["gan_weight"], found["r"]["disc_lr"]) == (0.05, 2e-5)


@pytest.mark.parametrize(
    ("changes", "facts_of_it"),
    [
        ({}, ("L2+LP+GAN", 0.05, 2e-5, False)),
        ({"gan": {"weight": 0.1, "disc_lr": 1e-5}}, ("L2+LP+GAN", 0.1, 1e-5, False)),
        ({"gan": {"weight": 0.0}}, ("L2 + 1.0*LP", 0.0, None, False)),
        (
            {"finetune": {"steps": 9, "batch": 2, "scope": "full"}},
            ("L2+LP+GAN", 0.05, 2e-5, True),
        ),
        # Its own losses count, not those of stage 1.
        ({"loss": {"reconstruction": "l1"}}, ("L1+GAN", 0.05, 2e-5, False)),
    ],
)
def test_stage_2_by_its_own_configuration(
    changes: dict[str, Any], facts_of_it: tuple[str, float, float | None, bool]
) -> None:
    config = FinetuneJob.model_validate({**FINETUNE.model_dump(), **changes})
    found = facts(
        {
            "t": ("tokenizer", short(TOKENIZER)),
            "f": ("finetune", short(config)),
            "r": ("reconstruct", {"step": 5}),
        },
        ("f", "t"),
        ("r", "f"),
    )["r"]
    names = ("loss", "gan_weight", "disc_lr", "full_finetune")
    assert tuple(found[name] for name in names) == facts_of_it
    assert (found["stage"], found["step"]) == (2, 5)


def test_a_generator_is_known_whatever_its_seed() -> None:
    large = {"model": DIT_SIZES["DiT-L"].model_dump()}
    assert generator_label({"generator": large, "seed": 3}) == "DiT-L, noise"
    longer = {"generator": large, "train": {"steps": 500_000}, "seed": 1}
    assert generator_label(longer) == generator_label(longer | {"seed": 2})
    assert generator_label(longer) == "DiT-L, noise, 500000 steps"


@pytest.mark.parametrize(
    ("generator", "train", "label"),
    [
        ({}, {}, "DiT-S, noise, 90 steps"),
        ({"objective": "flow"}, {}, "DiT-S, flow, 90 steps"),
        ({"learned_sigma": True, "normalize": "none"}, {},
         "DiT-S, noise, learned sigma, normalize none, 90 steps"),
        ({"classes": 1, "label_dropout": 0.2}, {},
         "DiT-S, noise, label dropout 0.2, no classes, 90 steps"),
        ({}, {"batch": 64, "base_lr": 2e-4}, "DiT-S, noise, 90 steps, batch 64, lr 0.0002"),
        ({"model": {"width": 64, "blocks": 3, "heads": 2}}, {}, "DiT 64x3, noise, 90 steps"),
    ],
)  # fmt: skip
def test_what_differs_from_the_papers_generators_is_said(
    generator: dict[str, Any], train: dict[str, Any], label: str
) -> None:
    job = GENERATOR.model_dump()
    config = GeneratorJob.model_validate(
        {"generator": job["generator"] | generator, "train": job["train"] | train}
    )
    assert generator_label(short(config)) == label


def test_a_generator_says_which_data_it_learned_from_where_it_is_not_its_tokenizers() -> None:
    other = LatentsJob(dataset="imagenet1k-val", resolution=256)
    found = facts(
        {
            "t": ("tokenizer", short(TOKENIZER)),
            "l": ("latents", short(other)),
            "d": ("generator", short(GENERATOR)),
        },
        ("d", "l"),
        ("l", "t"),
    )
    assert found["d"]["generator"] == "DiT-S, noise, 90 steps, on imagenet1k-val"


def test_samples_that_stage_2_decodes_are_of_stage_2() -> None:
    """Its decoder alone was trained on, so the generator learned stage 1's code."""
    found = facts(
        {
            "t": ("tokenizer", short(TOKENIZER)),
            "f": ("finetune", short(FINETUNE)),
            "l": ("latents", short(LATENTS)),
            "d": ("generator", short(GENERATOR)),
            "g": ("generate", short(GENERATE)),
        },
        *[("f", "t"), ("l", "t"), ("d", "l"), ("g", "d"), ("g", "f")],
    )["g"]
    assert (found["tokenizer"], found["stage"], found["loss"]) == ("t", 2, "L2+LP+GAN")
    assert found["generator"] == "DiT-S, noise, 90 steps"


def test_a_floor_has_none() -> None:
    assert facts({"f": ("floor", {})})["f"]["tokenizer"] is None


@pytest.mark.parametrize(
    ("loss", "label"),
    [
        ({}, "L2"),
        ({"reconstruction": "l1"}, "L1"),
        ({"perceptual_weight": 0.5}, "L2 + 0.5*LP"),
        ({"reconstruction": "l1", "perceptual_weight": 1}, "L1 + 1.0*LP"),
    ],
)
def test_losses_as_figure_10_calls_them(loss: dict[str, Any], label: str) -> None:
    assert loss_label(loss) == label


def test_a_size_is_known_by_its_name() -> None:
    assert [round(tower_millions(name) or 0, 1) for name in "SBL"] == [43.3, 85.8, 383.7]
    assert tower_millions("w128b2h4") is None


def test_what_users_bring_is_told_apart() -> None:
    """Their classes are a form of their own, and their losses stand in the label."""
    extra = [{"name": "lab-edges", "weight": 0.1, "code": "lab:edges", "sha256": "0"}]
    assert loss_label({"extra": extra}) == "L2 + 0.1*lab-edges"
    loss = {"extra": extra, "perceptual_weight": 0.5}
    assert loss_label(loss) == "L2 + 0.5*LP + 0.1*lab-edges"
    assert loss_label(loss, adversarial=True) == "L2+LP+lab-edges+GAN"
    config = json.dumps({"tokenizer": {"class": "lab.tok:Build", "class_sha256": "0"}})
    jobs = pl.DataFrame(
        [("t", "tokenizer", config)], schema=["job_id", "kind", "config"], orient="row"
    )
    edges = pl.DataFrame(schema={"child": pl.String, "parent": pl.String})
    assert lineage(jobs, edges)["form"].to_list() == ["lab.tok:Build"]
