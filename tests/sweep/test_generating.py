"""Plans with generators: which jobs there are, what they share, what they cost, what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sweepfiles import ONE, of_kind, write

from sweep.model import Plan
from sweep.planning import identity
from sweep.planning.plan import full_config, plan_file
from sweep.planning.planview import summary, totals
from sweep.planning.preflight import faults, missing
from sweep.rehearsal.script import script
from sweep.rehearsal.shrink import Shrinking
from sweep.site import Site
from vitok_core import cost
from vitok_core.config import (
    GenerateJob,
    GeneratorConfig,
    GeneratorJob,
    GeneratorTrainConfig,
    LatentsJob,
    SamplingConfig,
)
from vitok_core.data import latentwriter
from vitok_core.errors import UserError
from vitok_core.variants import DIT_SIZES, Tower

BASE = (
    ONE
    + """\
train: {steps: 20, batch: 4}
finetune: {steps: 30, batch: 2}
generator_train: {steps: 50, batch: 8}
sampling: {samples: 64, steps: 10}
"""
)
GENERATE = "  - generate: {model: DiT-S, cfg: [1, 1.5], reference: photos-heldout}\n"
PLAIN = BASE.replace("finetune: {steps: 30, batch: 2}\n", "") + (
    "stages:\n  - train: stage1\n" + GENERATE
)
TWO_STAGES = BASE + "stages:\n  - train: stage1\n" + GENERATE + "  - train: stage2\n" + GENERATE


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_file(write(tmp_path, PLAIN))


def test_golden_ids() -> None:
    """Of the paper's S-B/16 in bottleneck_256p, whose tokenizer has had its id for long."""
    plan = plan_file("bottleneck_256p", only="p=16,c=16,seed=0")
    jobs = [job.id for job in plan.jobs if job.kind != "reconstruct"]
    assert jobs == GOLDEN


GOLDEN = [
    "32a1dc527cef", "35f2276f7d4f", "85c233b68e56", "26d0e3590575", "020b39318dea", "53cf1c0f20d0",
]  # fmt: skip


def test_jobs_and_their_parents(plan: Plan) -> None:
    tokenizer, latents, generator, unguided, guided = plan.jobs
    assert [job.kind for job in plan.jobs] == [
        "tokenizer", "latents", "generator", "generate", "generate",
    ]  # fmt: skip
    assert latents.parents == (tokenizer.id,)
    assert generator.parents == (latents.id,)
    assert unguided.parents == guided.parents == (generator.id, tokenizer.id)
    assert plan.points[0].jobs == tuple(job.id for job in plan.jobs)
    slug = "64x1-64x1-p8-c4-64p-s0"
    assert [job.slug for job in plan.jobs[1:]] == [
        f"latents-{slug}-photos-train",
        f"generator-{slug}-DiT-S",
        f"generate-{slug}-DiT-S-cfg1-photos-heldout",
        f"generate-{slug}-DiT-S-cfg1.5-photos-heldout",
    ]


def test_what_they_compute(plan: Plan) -> None:
    latents, generator, unguided, _ = (full_config(job.kind, job.config) for job in plan.jobs[1:])
    assert latents == LatentsJob(dataset="photos-train", resolution=64)
    assert generator == GeneratorJob(
        generator=GeneratorConfig(model=DIT_SIZES["DiT-S"]),
        train=GeneratorTrainConfig(steps=50, batch=8),
    )
    assert unguided == GenerateJob(
        cfg=1,
        sampling=SamplingConfig(samples=64, steps=10),
        reference="photos-heldout",
        resolution=64,
    )


@pytest.mark.parametrize("text", [PLAIN, TWO_STAGES])
def test_the_fast_road_and_the_slow_road_agree(tmp_path: Path, text: str) -> None:
    for job in plan_file(write(tmp_path, text), ["seeds=[0, 7]"]).jobs:
        config = full_config(job.kind, job.config)
        assert identity.job_id(job.kind, config, job.parents) == job.id
        assert identity.scientific(config) == job.config


def test_the_room_that_latents_take(tmp_path: Path) -> None:
    plan = plan_file("bottleneck_256p", only="seed=0")
    samples, codes = 1_281_167, sum(point.E for point in plan.points)
    assert totals(plan, {})["latents_bytes"] == 2 * 6 * samples * codes
    assert "latents: 2.56 TB" in summary(plan, {})
    plain = plan_file(write(tmp_path, PLAIN), ["data.flip=false"])
    assert totals(plain, {})["latents_bytes"] == 816 * plain.points[0].E * latentwriter._ELEMENT
    other = plan_file(write(tmp_path, PLAIN.replace("cfg:", "data: shutterstock-imagenet1k, cfg:")))
    (line,) = [line for line in summary(other, {}) if line.startswith("latents")]
    assert line.startswith("latents: 3.07 MB (shutterstock-imagenet1k, whose size is not known")


def test_another_scale_is_one_job_more(tmp_path: Path, plan: Plan) -> None:
    more = plan_file(write(tmp_path, PLAIN.replace("[1, 1.5]", "[1, 1.5, 4]")))
    assert [job.id for job in more.jobs][:-1] == [job.id for job in plan.jobs]


def test_the_seed_is_the_points(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, PLAIN + "seeds: [3]\n"))
    seeds = {job.kind: job.config.get("seed") for job in plan.jobs}
    assert seeds == {"tokenizer": 3, "latents": None, "generator": 3, "generate": 3}


def test_what_it_learns_from_is_the_tokenizers_data_unless_it_is_said(tmp_path: Path) -> None:
    text = PLAIN.replace(", reference: photos-heldout", "")
    other = text.replace("cfg: [1, 1.5]", "cfg: 1.5, data: photos-tune")
    assert full_config("generate", of_kind(plan_file(write(tmp_path, text)), "generate")[0].config)
    plans = [plan_file(write(tmp_path, each)) for each in (text, other)]
    for plan, data in zip(plans, ("photos-train", "photos-tune"), strict=True):
        assert of_kind(plan, "latents")[0].config["dataset"] == data
        assert of_kind(plan, "generate")[0].config["reference"] == data
    assert of_kind(plans[1], "generator")[0].slug.endswith("-DiT-S-photos-tune")
    unflipped = plan_file(write(tmp_path, text), ["data.flip=false"])
    (latents,) = of_kind(unflipped, "latents")
    assert full_config("latents", latents.config) == LatentsJob(
        dataset="photos-train", resolution=64, flip=False
    )


def test_a_stage_2_of_the_decoder_shares_latents_and_generator(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, TWO_STAGES))
    assert Counter(job.kind for job in plan.jobs) == {
        "tokenizer": 1, "finetune": 1, "latents": 1, "generator": 1, "generate": 4,
    }  # fmt: skip
    decoders = {job.parents[1] for job in of_kind(plan, "generate")}
    assert decoders == {job.id for job in plan.jobs if job.kind in ("tokenizer", "finetune")}


def test_a_stage_2_of_everything_has_its_own(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, TWO_STAGES), ["finetune.scope=full"])
    (tuned,) = of_kind(plan, "finetune")
    assert [job.parents for job in of_kind(plan, "latents")][1] == (tuned.id,)
    assert len(of_kind(plan, "generator")) == 2


SWEPT = (
    PLAIN.replace("model: DiT-S, ", "")
    + """\
axes:
  generator.model: [DiT-S, T]
  generator.objective: [noise, flow]
"""
)


def test_generators_are_swept_on_one_tokenizer(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, SWEPT))
    assert Counter(job.kind for job in plan.jobs) == {
        "tokenizer": 1, "latents": 1, "generator": 4, "generate": 8,
    }  # fmt: skip
    (point,) = plan.points
    assert set(point.jobs) == {job.id for job in plan.jobs}
    slugs = [job.slug.rpartition("s0-")[2] for job in of_kind(plan, "generator")]
    assert slugs == ["DiT-S", "DiT-S-flow", "64x1", "64x1-flow"]
    kept = plan_file(write(tmp_path, SWEPT), only="objective=flow")
    assert len(of_kind(kept, "generator")) == 2


@pytest.mark.parametrize(
    ("only", "trained", "scales"),
    [
        ("dit=T", 2, [1, 1.5] * 2),
        ("generator.model=DiT-S|T,cfg=1.5", 4, [1.5] * 4),
        ("cfg=1.2..3,objective=noise", 2, [1.5] * 2),
        ("generator_train.steps=50,sampling.eta=0,cfg=1", 4, [1] * 4),
    ],
)
def test_a_filter_of_generators_keeps_those_alone(
    tmp_path: Path, only: str, trained: int, scales: list[float]
) -> None:
    kept = plan_file(write(tmp_path, SWEPT), only=only)
    assert len(of_kind(kept, "generator")) == trained
    assert [job.config["cfg"] for job in of_kind(kept, "generate")] == scales
    assert {job.id for job in kept.jobs} <= {
        job.id for job in plan_file(write(tmp_path, SWEPT)).jobs
    }


def test_a_filter_takes_stages_of_other_generators_away(tmp_path: Path) -> None:
    other = GENERATE.replace("DiT-S, cfg: [1, 1.5]", "DiT-B, cfg: 1.5")
    file = write(tmp_path, f"{PLAIN}  - reconstruct: [photos-heldout]\n{other}")
    kinds = {
        only: [job.kind for job in plan_file(file, only=only).jobs]
        for only in ("dit=DiT-B", "cfg=1", "cfg=1.5")
    }
    one = ["tokenizer", "latents", "generator", "generate"]
    assert sorted(kinds["dit=DiT-B"]) == sorted(kinds["cfg=1"]) == sorted([*one, "reconstruct"])
    assert sorted(kinds["cfg=1.5"]) == sorted([*one, "reconstruct", "generator", "generate"])


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("cfg=2", "no point has cfg = 2; cfg is 1, 1.5"),
        ("dit=DiT-L", "no point has dit = DiT-L; dit is DiT-S"),
    ],
)
def test_a_filter_that_no_generator_passes(tmp_path: Path, only: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_file(write(tmp_path, PLAIN), only=only)
    bare = BASE.split("finetune")[0] + "stages:\n  - train: stage1\n"
    with pytest.raises(UserError, match="no point has cfg = 2: none has a generator"):
        plan_file(write(tmp_path, bare), only="cfg=2")


def test_costs_are_those_of_the_formulas(plan: Plan) -> None:
    _, latents, generator, unguided, guided = plan.jobs
    macs = cost.generator_macs(DIT_SIZES["DiT-S"], 64, 4)
    assert generator.train_flops == 2 * 3 * macs * 8 * 50
    assert latents.train_flops == guided.train_flops == 0
    shape, tower = cost.Shape(64, 8, 4), Tower(width=64, blocks=1, heads=2)
    rate = 96e9 * 3600
    encoding = 2 * cost.encoder_macs(tower, shape) * 816 * 2
    assert latents.device_hours == pytest.approx(encoding / rate)
    passes = (guided.device_hours - unguided.device_hours) * rate / (2 * macs * 64)
    assert passes == pytest.approx(10), "guidance takes a second pass at each of 10 steps"


def test_what_is_missing_is_said_before_it_runs(tmp_path: Path) -> None:
    text = PLAIN.replace("reference: photos-heldout", "reference: imagenet1k-val")
    lines = missing(plan_file(write(tmp_path, text)), Site())
    assert any(line.startswith("data set imagenet1k-val: its path is not set") for line in lines)
    clips = ["data.frames=4", "data.name=synthetic"]
    assert any("photos-heldout holds images" in line
               for line in faults(plan_file(write(tmp_path, PLAIN), clips)))  # fmt: skip
    processes = ["resources.generator.processes=3"]
    (line,) = faults(plan_file(write(tmp_path, PLAIN), processes))
    assert line.startswith("generator_train.batch: 8 does not divide by the 3 processes")
    sharing = [f"resources.{kind}.processes=3" for kind in ("reconstruct", "latents", "generate")]
    assert faults(plan_file(write(tmp_path, PLAIN), sharing)) == []
    (line,) = faults(plan_file(write(tmp_path, PLAIN), ["sampling.samples=1"]))
    assert line.startswith("sampling.samples: 1: a Fréchet distance needs")
    few = ["sampling.samples=9", "evaluation.samples=9", "evaluation.networks=[inception-2015]"]
    (line,) = faults(plan_file(write(tmp_path, PLAIN), few))
    assert line.startswith("sampling.samples: 9: an Inception Score of 10 splits needs 10 or more")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["evaluation.splits=65"], "sampling.samples: 64: an Inception Score of 65 splits needs"),
        (
            ["sampling.samples=9", "evaluation.networks=[inception-2015]"],
            "sampling.samples: 9: an Inception Score of 10 splits needs 10 or more",
        ),
        (
            ["evaluation.samples=3", "evaluation.scores=[precision_recall]"],
            "evaluation.samples: 3: a manifold of 3 neighbours needs 4 or more",
        ),
        (["evaluation.samples=1"], "evaluation.samples: 1: a Fréchet distance needs 2 or more"),
    ],
)
def test_too_few_samples_are_told_of_before_a_generator_is_trained(
    tmp_path: Path, sets: list[str], said: str
) -> None:
    assert any(line.startswith(said) for line in faults(plan_file(write(tmp_path, PLAIN), sets)))
    enough = ["sampling.samples=10", "evaluation.networks=[inception-2015]"]
    assert faults(plan_file(write(tmp_path, PLAIN), enough)) == []


def test_statistics_as_a_reference(tmp_path: Path) -> None:
    text = PLAIN.replace("reference: photos-heldout", "reference: adm-imagenet256")
    plan = plan_file(write(tmp_path, text), ["evaluation.networks=[inception-2015]"])
    assert faults(plan) == []
    assert any(line.startswith("data set adm-imagenet256: its path is not set")
               for line in missing(plan, Site()))  # fmt: skip
    (line,) = faults(plan_file(write(tmp_path, text)))
    assert line.startswith("evaluation.networks: efficientnet-lite0: the reference adm-imagenet256")
    sets = ["evaluation.networks=[inception-2015]", "evaluation.scores=[kid]"]
    (line,) = faults(plan_file(write(tmp_path, text), sets))
    assert line.startswith("evaluation.scores: kid: the reference adm-imagenet256 holds")
    learned = PLAIN.replace("cfg: [1, 1.5]", "cfg: 1.5, data: adm-imagenet512")
    (line,) = faults(plan_file(write(tmp_path, learned)))
    assert "adm-imagenet512: holds statistics and no images" in line


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["data.name=coco2017-val"],
         ":9: stages.generate.data: coco2017-val has no classes to learn; set generator.classes"),
        (["generator.classes=1"],
         "stages.generate.cfg: 1.5: guidance needs classes, and generator.classes is 1"),
        (["generator.objective=flow", "sampling.eta=0.5"], "sampling.eta: 0.5: is DDIM's"),
        (["generator.label_dropout=0"], "cfg: 1.5: with generator.label_dropout 0"),
        (["generator.objective=nose"], "did you mean noise?"),
        (["generator.objective=v", "generator.learned_sigma=true"], "learned_sigma goes with"),
        (["generator.model=S"], "unknown size 'S'"),
        (["axes={generator.model: [DiT-S, DiT-B]}"], "is swept, and given in `generate:"),
    ],
)  # fmt: skip
def test_generators_that_cannot_be_are_refused(tmp_path: Path, sets: list[str], said: str) -> None:
    with pytest.raises(UserError) as error:
        plan_file(write(tmp_path, PLAIN), sets)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_data_without_classes_is_learned_where_it_is_asked_for(tmp_path: Path) -> None:
    text = PLAIN.replace("cfg: [1, 1.5]", "cfg: 1")
    plan = plan_file(write(tmp_path, text), ["data.name=coco2017-val", "generator.classes=1"])
    assert of_kind(plan, "generator")[0].slug.endswith("-DiT-S-unconditional")


def test_what_no_point_uses_is_refused_but_in_protocols(tmp_path: Path) -> None:
    without = PLAIN.replace(GENERATE, "")
    with pytest.raises(UserError, match=r":5: generator_train.steps: is of generators, which"):
        plan_file(write(tmp_path, without))
    base = tmp_path / "base.yaml"
    base.write_text(BASE)
    extending = "extends: base.yaml\nstages:\n  - train: stage1\n"
    plan = plan_file(write(tmp_path, extending))
    assert {"generator", "generator_train", "sampling"}.isdisjoint(plan.document)


def test_rehearsals_shrink_them(plan: Plan) -> None:
    made = script(plan, Site(), Shrinking(steps=3), shared=False).plan.jobs
    latents, generator, unguided, _ = (full_config(job.kind, job.config) for job in made[1:])
    assert isinstance(latents, LatentsJob)
    assert latents.samples == 16
    assert isinstance(generator, GeneratorJob)
    assert (generator.train.steps, generator.generator.model.blocks) == (3, 1)
    assert isinstance(unguided, GenerateJob)
    assert (unguided.sampling.samples, unguided.sampling.steps) == (4, 3)
    assert unguided.resolution == latents.resolution == 32
    assert [job.parents for job in made[1:3]] == [(made[0].id,), (made[1].id,)]


def test_rehearsals_draw_what_is_not_here(tmp_path: Path) -> None:
    text = PLAIN.replace("reference: photos-heldout", "reference: adm-imagenet256")
    plan = plan_file(write(tmp_path, text), ["data.name=imagenet1k-train"])
    made = script(plan, Site(), Shrinking(steps=3), shared=False).plan.jobs
    named = [job.config.get("dataset", job.config.get("reference")) for job in made[1:]]
    assert named == ["synthetic", None, "synthetic", "synthetic"]
