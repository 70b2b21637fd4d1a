"""The stage `probe` of a sweep file and the small print of `evaluation`."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from sweepfiles import SMALL, replaced, write

from sweep.planning.plan import full_config, plan_file
from sweep.planning.preflight import faults, feature_networks, missing, perceptual_networks
from sweep.rehearsal.shrink import Shrinking
from sweep.rehearsal.standins import equipped
from sweep.site import Site
from sweep.spec.schema import sweep_schema
from vitok_core.config import EvaluationConfig, ProbeJob, ReconstructJob, TokenizerJob
from vitok_core.errors import UserError

VALIDATOR = jsonschema.Draft202012Validator(sweep_schema())
PROBED = SMALL.replace("axes:", "evaluation: {samples: 51}\naxes:") + "  - probe: [photos-tune]\n"


def test_every_point_is_probed_after_its_training(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, PROBED))
    jobs = {job.id: job for job in plan.jobs}
    for point in plan.points:
        tokenizer, probe = (jobs[each] for each in point.jobs)
        assert probe.kind == "probe"
        assert probe.parents == (tokenizer.id,)
        assert probe.slug == f"probe-{point.slug}-photos-tune"
        assert probe.config == {"dataset": "photos-tune", "resolution": 64, "samples": 51}
        assert probe.device_hours > 0
        assert probe.train_flops == 0
    assert missing(plan, Site()) == []
    assert feature_networks(plan) == []  # it scores by none


def test_a_stage_2_of_the_decoder_leaves_the_code_to_one_probe(tmp_path: Path) -> None:
    after = "  - train: stage2\n  - probe: [photos-tune]\n"
    sections = "finetune: {{steps: 8, batch: 4, scope: {}}}\naxes:"
    for scope, probes in (("decoder", 1), ("full", 2)):
        text = PROBED.replace("axes:", sections.format(scope)) + after
        VALIDATOR.validate(yaml.safe_load(text))
        plan = plan_file(write(tmp_path, text))
        jobs = {job.id: job for job in plan.jobs}
        for point in plan.points:
            found = [jobs[each] for each in point.jobs if jobs[each].kind == "probe"]
            assert len(found) == probes
            parents = [jobs[each.parents[0]].kind for each in found]
            assert parents == ["tokenizer", "finetune"][:probes]


def test_another_number_of_samples_is_another_job(tmp_path: Path) -> None:
    ids = [
        {job.id for job in plan_file(write(tmp_path, text)).jobs if job.kind == "probe"}
        for text in (PROBED, PROBED.replace("51", "68"), PROBED.replace("51", "51, networks: []"))
    ]
    assert not ids[0] & ids[1]
    assert ids[0] == ids[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            replaced("  - train: stage1\n", "  - probe: photos-tune\n"),
            "stages.probe: needs a `train: stage1` before it: it asks a tokenizer's codes",
        ),
        (f"{SMALL}  - probe: photos\n", "stages.probe: unknown data set 'photos'"),
        (f"{PROBED}  - probe: photos-tune\n", "probe: photos-tune stands twice in the stages"),
    ],
)
def test_what_cannot_be_probed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        plan_file(write(tmp_path, text))
    assert message in str(caught.value)


def test_a_data_set_without_classes_is_refused_before_anything_runs(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, PROBED.replace("photos-tune", "coco2017-val")))
    assert faults(plan) == [
        "stages.probe: coco2017-val is one flat folder without classes, and a probe tells classes "
        "apart; name another data set"
    ]


def test_a_rehearsal_has_small_probes(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, PROBED))
    told = None
    for job in plan.jobs:
        config = full_config(job.kind, job.config)
        if isinstance(config, TokenizerJob):
            _, told = Shrinking(3).job(config, None)
        elif isinstance(config, ProbeJob):
            small, nothing = Shrinking(3).job(config, told)
            assert isinstance(small, ProbeJob)
            assert small.samples == 4
            assert small.resolution <= 32
            assert nothing is None


SCORED = SMALL + "  - reconstruct: photos-tune\n"


def test_networks_of_all_scores_are_missed(tmp_path: Path) -> None:
    named = "evaluation: {networks: [], video: [i3d], perceptual: [lpips-vgg]}\naxes:"
    plan = plan_file(write(tmp_path, SCORED.replace("axes:", named)))
    assert feature_networks(plan) == ["i3d"]
    assert perceptual_networks(plan) == ["lpips-vgg"]
    weights = {"i3d": "/nowhere/a", "lpips-vgg": "/nowhere/b"}
    lines = missing(plan, Site(weights=weights))
    assert lines[0].startswith("network lpips-vgg: /nowhere/b does not exist; correct ")
    assert lines[1].startswith("network i3d: /nowhere/a does not exist; correct ")
    assert lines[1].endswith("/hub/checkpoints/i3d_torchscript.pt")
    assert lines[2] == (
        "evaluation.video: i3d looks at clips of 16 frames, data.frames is 1; leave it out, or "
        "raise data.frames"
    )


def test_images_too_small_for_five_scales(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, SCORED.replace("axes:", "evaluation: {ms_ssim: true}\naxes:")))
    assert faults(plan) == [
        "evaluation.ms_ssim: its five scales need images of 161 px or more, data.resolution is 64; "
        "leave it out"
    ]


def test_a_rehearsal_leaves_out_what_it_lacks_or_shrinks_below() -> None:
    evaluation = EvaluationConfig(
        networks=("efficientnet-lite0",), video=("i3d",), perceptual=("lpips-vgg",), ms_ssim=True
    )
    job = ReconstructJob(dataset="photos-tune", resolution=256, frames=16, evaluation=evaluation)
    told = equipped(job, Site(weights={}))
    found = told.config
    assert isinstance(found, ReconstructJob)
    assert found.evaluation.networks == ("efficientnet-lite0",)
    assert (found.evaluation.video, found.evaluation.perceptual) == ((), ())
    assert len(told.lacks) == 2
