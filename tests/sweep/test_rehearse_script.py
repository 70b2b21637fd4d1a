"""What a rehearsal makes of a plan: the same science in small, every job stood for once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweepfiles import SMALL, write

from sweep.model import Plan
from sweep.planning.plan import full_config, plan_file
from sweep.rehearsal.script import Script, script
from sweep.rehearsal.shrink import Shrinking, shorter
from sweep.site import Site
from sweep.spec.document import known_names
from vitok_core.config import FinetuneJob, FloorJob, ReconstructJob, TokenizerJob
from vitok_core.kinds import KINDS

SMALLEST = Shrinking(3)
SWEEPS = [name for name in known_names() if not name.startswith("protocols/")]


def rehearsal(plan: Plan, site: Site | None = None, shrinking: Shrinking = SMALLEST) -> Script:
    return script(plan, site or Site(), shrinking, shared=False)


def tokenizers(made: Script) -> list[TokenizerJob]:
    jobs = [full_config(job.kind, job.config) for job in made.plan.jobs]
    return [job for job in jobs if isinstance(job, TokenizerJob)]


@pytest.mark.parametrize("name", SWEEPS)
def test_every_packaged_sweep_has_a_small_rehearsal(name: str) -> None:
    plan = plan_file(name)
    made = rehearsal(plan)
    stood_for = [each for job in made.jobs.values() for each in job.stands_for]
    assert sorted(stood_for) == sorted(job.id for job in plan.jobs)
    before = {job.id: full_config(job.kind, job.config) for job in plan.jobs}
    seen: set[str] = set()
    for key, each in made.jobs.items():
        assert set(each.job.parents) <= seen, "parents stand before their children"
        seen.add(key)
        small = full_config(each.job.kind, each.job.config)
        true = before[each.original.id]
        assert (each.job.resources.gpus, each.job.resources.world) == (0, 1)
        if isinstance(small, TokenizerJob | FinetuneJob):
            assert isinstance(true, TokenizerJob | FinetuneJob)
            kept = ("variant", "patch", "stride", "channels", "init", "final_norm", "rope", "gate")
            for field in kept:
                assert getattr(small.tokenizer, field) == getattr(true.tokenizer, field), field
            assert bool(small.tokenizer.lengths) == bool(true.tokenizer.lengths)
            assert small.loss.model_copy(
                update={"perceptual": None, "perceptual_weight": 0}
            ) == true.loss.model_copy(update={"perceptual": None, "perceptual_weight": 0})
            assert small.data.resolution <= max(32, 2 * small.tokenizer.patch)
            width = max(small.tokenizer.encoder.width, small.tokenizer.decoder.width)
            assert width <= max(32, small.tokenizer.channels)
        elif isinstance(small, ReconstructJob | FloorJob):
            assert small.evaluation.samples == 4


def test_points_of_one_small_job_are_rehearsed_once(tmp_path: Path) -> None:
    """Sizes and seeds vanish; patches, channels and losses do not."""
    text = SMALL.replace("axes:", "  milestones: [5, 10]\nseeds: [0, 1]\naxes:", 1)
    text = text.replace("train: {steps: 20, batch: 4}", "train:\n  steps: 20\n  batch: 4")
    text += "  - reconstruct: {data: [photos-tune], steps: [5, 10]}\n"
    made = rehearsal(plan_file(write(tmp_path, text)))
    kinds = [job.kind for job in made.plan.jobs]
    # Of each point: the tokenizer, one milestone for both, and the final weights.
    assert kinds.count("tokenizer") == 4
    assert all(len(each.stands_for) >= 2 for each in made.jobs.values())
    assert all(job.train.milestones == (1,) for job in tokenizers(made))
    scored = [full_config(job.kind, job.config) for job in made.plan.jobs]
    assert {job.step for job in scored if isinstance(job, ReconstructJob)} == {1, None}
    sizes = rehearsal(plan_file("model_size_256p"))
    assert {len(each.stands_for) for each in sizes.jobs.values()} == {7 + 3 * 2}, "and all seeds"


def test_lengths_are_the_same_share_of_the_code() -> None:
    assert [shorter(length, 256, 4) for length in (32, 64, 128, 256)] == [1, 1, 2, 4]
    assert [shorter(length, 256, 256) for length in (3, 256)] == [3, 256]
    made = rehearsal(plan_file("masked_variant"))
    masked = [job for job in tokenizers(made) if job.tokenizer.lengths]
    assert {job.tokenizer.lengths for job in masked} == {(1, 2, 4)}
    scored = [full_config(job.kind, job.config) for job in made.plan.jobs]
    assert {job.length for job in scored if isinstance(job, ReconstructJob)} == {None, 1, 2}


def test_true_shapes_change_the_length_alone() -> None:
    plan = plan_file("bottleneck_256p", only="p=16,c=16,seed=0")
    made = rehearsal(plan, shrinking=Shrinking(10, small=False))
    (small,) = tokenizers(made)
    true = full_config("tokenizer", plan.jobs[0].config)
    assert isinstance(true, TokenizerJob)
    assert small.tokenizer == true.tokenizer
    assert small.data.resolution == 256
    assert small.train == true.train.model_copy(update={"steps": 10})
    given = made.plan.jobs[0].resources
    assert (given.gpus, given.compile, given.threads) == (8, True, 8)


def test_the_adversarial_term_is_on_from_the_first_step() -> None:
    made = rehearsal(plan_file("gan_ablation"))
    tuned = [full_config(job.kind, job.config) for job in made.plan.jobs]
    gans = [job.gan for job in tuned if isinstance(job, FinetuneJob)]
    assert {(gan.start, gan.ramp, gan.disc_warmup) for gan in gans} == {(0, 0, 0)}
    assert {gan.weight for gan in gans} == {0.05, 0, 0.1}


def test_what_the_machine_was_not_told_of_is_said(tmp_path: Path) -> None:
    """Drawn data where there is no path; no perceptual term where there are no weights."""
    plan = plan_file("masked_variant", only="c=4")
    made = rehearsal(plan)
    trained, scored = made.jobs.values()
    assert trained.job.config["data"]["name"] == "synthetic"
    assert trained.original.config["loss"]["perceptual"] == "lpips-vgg"
    assert "perceptual" not in trained.job.config.get("loss", {})
    assert "imagenet1k-train: its path is not set" in trained.drawn[0]
    assert "lpips-vgg" in trained.lacks[0]
    assert len(scored.drawn) == 2, "its own data set, and its parent's"
    own, *inherited = scored.lacks
    assert "inception-2015" in own
    assert tuple(inherited) == trained.lacks

    told = Site(data={"imagenet1k-train": str(tmp_path)}, weights={"lpips-vgg": str(tmp_path)})
    trained = next(iter(rehearsal(plan, told).jobs.values()))
    assert trained.job.config["data"]["name"] == "imagenet1k-train", "a wrong path is to fail"
    assert trained.job.config["loss"]["perceptual"] == "lpips-vgg"
    assert (trained.drawn, trained.lacks) == ((), ())


def test_every_kind_of_job_has_a_rule(tmp_path: Path) -> None:
    probed = write(tmp_path, f"{SMALL}  - probe: [photos-tune]\n")
    plans = map(plan_file, ("mini_baselines", "gan_ablation", "mini_generation", probed))
    jobs = [job for plan in plans for job in rehearsal(plan).plan.jobs]
    found = {type(full_config(job.kind, job.config)) for job in jobs}
    assert found == {kind.config for kind in KINDS.values()}


def test_jobs_of_one_shape_of_resources_share_a_submission() -> None:
    plan = plan_file("bottleneck_256p")
    small = script(plan, Site(), SMALLEST, shared=True).plan
    assert {(job.point, job.resources.chain) for job in small.jobs} == {("1x0x1x1", True)}
    true = script(plan, Site(), Shrinking(10, small=False), shared=True).plan
    assert {job.point for job in true.jobs} == {"1x8x1x8", "1x1x1x8"}
    apart = script(plan, Site(), Shrinking(10, small=False), shared=False).plan
    assert not any(job.resources.chain for job in apart.jobs)
