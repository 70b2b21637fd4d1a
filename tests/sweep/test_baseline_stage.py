"""The stage `baseline` of a sweep file: what it plans, what it refuses, what the machine lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from sweepfiles import SMALL, write

from sweep.planning.estimate import samples
from sweep.planning.plan import full_config, plan_file
from sweep.planning.preflight import faults, missing
from sweep.rehearsal.shrink import Shrinking
from sweep.rehearsal.standins import equipped
from sweep.site import Site
from sweep.spec.document import known_names
from sweep.spec.schema import sweep_schema
from vitok_core.baselines.table import KNOWN
from vitok_core.config import BaselineJob
from vitok_core.errors import UserError

VALIDATOR = jsonschema.Draft202012Validator(sweep_schema())


def stage(codecs: str, data: str = "[photos-tune]") -> str:
    return f"{SMALL}  - baseline: {{codecs: {codecs}, data: {data}}}\n"


def baselines(folder: Path, text: str) -> dict[str, BaselineJob]:
    plan = plan_file(write(folder, text))
    VALIDATOR.validate(yaml.safe_load(text))
    found = {}
    for job in plan.jobs:
        if job.kind == "baseline":
            config = full_config(job.kind, job.config)
            assert isinstance(config, BaselineJob)
            assert job.parents == ()
            found[job.slug] = config
    return found


def test_points_share_codecs_and_each_e_has_its_budget(tmp_path: Path) -> None:
    text = stage("[jpeg, bicubic-8, sd-vae]", "[photos-tune, photos-heldout]")
    jobs = baselines(tmp_path, text)
    # p 8, 16 and c 4, 8 at 64 px: E 256, 512, 64, 128.
    assert sorted(jobs) == sorted(
        f"baseline-{name}-64p-{data}"
        for name in ("jpeg-E256", "jpeg-E512", "jpeg-E64", "jpeg-E128", "bicubic-8", "sd-vae")
        for data in ("photos-tune", "photos-heldout")
    )
    jpeg = jobs["baseline-jpeg-E256-64p-photos-tune"]
    assert jpeg.codec.bits(64 * 64) == 256 * 8
    plan = plan_file(write(tmp_path, text))
    for point in plan.points:
        assert len(point.jobs) == 1 + 6
    ids = {job.slug: job.id for job in plan.jobs}
    seeded = plan_file(write(tmp_path, f"{text}seeds: [0, 1]\n"))
    assert {job.id for job in seeded.jobs if job.kind == "baseline"} == {
        each for slug, each in ids.items() if slug.startswith("baseline-")
    }


def test_every_way_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylab_own.py").write_text("def encode(x): ...\ndef decode(z): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    codecs = (
        "[webp, {name: jpeg, bits_per_value: 16}, {name: webp, bits_per_pixel: 0.5}, "
        "{name: cosmos-ci8x8, version: 2}, {name: tuned, kind: AutoencoderKL}, "
        "{name: ours, kind: torchscript}, "
        "{name: mine, encode: 'mylab_own:encode', decode: 'mylab_own:decode'}]"
    )
    one = stage(codecs).replace("[8, 16]", "[16]").replace("[4, 8]", "[8]")
    jobs = {slug.split("-", 1)[1]: job.codec for slug, job in baselines(tmp_path, one).items()}
    assert set(jobs) == {
        f"{each}-64p-photos-tune"
        for each in ("webp-E128", "jpeg-E128x16", "webp-0.5bpp", "cosmos-ci8x8", "tuned", "ours",
                     "mine")
    }  # fmt: skip
    kinds = {codec.name: codec.kind for codec in jobs.values()}
    assert kinds["cosmos-ci8x8"] == kinds["ours"] == "torchscript"
    assert (kinds["tuned"], kinds["mine"]) == ("AutoencoderKL", "functions")
    assert jobs["jpeg-E128x16-64p-photos-tune"].bits(64 * 64) == 128 * 16
    assert jobs["webp-0.5bpp-64p-photos-tune"].bits(64 * 64) == 2048
    mine = jobs["mine-64p-photos-tune"].sha256
    (tmp_path / "mylab_own.py").write_text("def encode(x): return x\ndef decode(z): ...\n")
    changed = {job.codec.name: job.codec for job in baselines(tmp_path, one).values()}["mine"]
    assert mine != changed.sha256


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[jpg]", "unknown codec 'jpg'; did you mean jpeg?"),
        ("[{name: ours}]", "unknown codec 'ours'"),
        ("[{kind: torchscript}]", "name is missing"),
        ("[jpeg, jpeg]", "'jpeg' is named twice"),
        ("[]", "expected a list of codecs, got []"),
        ("[3]", "unknown codec '3'"),
        ("[bicubic-1]", "unknown codec 'bicubic-1'; did you mean bicubic-8?"),
        ("[{name: sd-vae, kind: torchscript}]", "'sd-vae' says its kind itself"),
        ("[{name: ours, kind: AutoencoderXL}]", "kind: expected one of jpeg"),
        ("[{name: sd-vae, bits_per_pixel: 1}]", "jpeg and webp, no others, take"),
        ("[{name: sd-vae, bits_per_value: 4}]", "bits_per_value is for a budget by values"),
        ("[{name: jpeg, bits_per_pixel: 1, bits_per_value: 4}]", "bits_per_value is for a budget"),
        ("[{name: jpeg, bits_per_value: 1e308}]", "above 0 and at most 1000000, got 1e+308"),
        ("[{name: jpeg, bits_per_pixel: 0}]", "bits_per_pixel: expected a number, above 0"),
        ("[{name: jpeg, bpp: 1}]", "bpp: unknown key"),
        ("[{name: 'a/b', kind: torchscript}]", "name: expected a codec's name, got 'a/b'"),
        ("[{name: ours, encode: 'nowhere_at_all:f', decode: 'nowhere_at_all:g'}]",
         "there is no package 'nowhere_at_all'"),
        ("[{name: ours, encode: 'vitok_core.x:f'}]", "unknown codec 'ours'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(given: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        plan_file(write(tmp_path, stage(given)))
    assert "sweep.yaml:11" in str(error.value)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("baseline: jpeg", "expected {codecs: [...], data: [...]}, got 'jpeg'"),
        ("baseline: {codecs: [jpeg]}", "baseline.data: missing: expected a data set"),
        ("baseline: {data: [photos-tune]}", "baseline.codecs: missing: expected a list of codecs"),
        ("baseline: {codecs: [jpeg], data: [photos-tun]}", "unknown data set 'photos-tun'"),
        ("baseline: {codecs: [jpeg], data: photos-tune, x: 1}", "baseline.x: unknown key"),
    ],
)
def test_a_stage_of_another_form_is_refused(given: str, said: str, tmp_path: Path) -> None:
    text = f"{SMALL}  - {given}\n"
    with pytest.raises(UserError, match=r"sweep\.yaml:11") as error:
        plan_file(write(tmp_path, text))
    assert said in str(error.value)
    if "photos-tun]" not in given:
        assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_what_the_machine_lacks_is_said_before_anything_is_submitted(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, stage("[jpeg, cosmos-ci8x8, {name: own, kind: torchscript}]")))
    lines = missing(plan, Site())
    assert lines == [
        "codec cosmos-ci8x8: its folder is not set; set weights.cosmos-ci8x8 in the site file to "
        f"the folder of {KNOWN['cosmos-ci8x8'].source}",
        "codec own: its folder is not set; set weights.own in the site file to the folder",
    ]
    for name in ("encoder.jit", "decoder.jit"):
        (tmp_path / name).write_text("")
    site = Site(weights=dict.fromkeys(("cosmos-ci8x8", "own"), str(tmp_path)))
    assert missing(plan, site) == []


def test_a_size_that_no_machine_could_run_is_a_fault(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, stage("[bicubic-5, dc-ae-f32c32]")))
    assert faults(plan) == ["data.resolution: 64: the codec bicubic-5 needs a multiple of 5"]
    plan = plan_file(write(tmp_path, stage("[{name: webp, bits_per_value: 0.5}]")))
    assert faults(plan) == [
        "bits_per_value or bits_per_pixel: WebP 0.5 bits/value gives a picture 32 bits, one colour "
        "takes 40; raise it"
    ]


def test_a_rehearsal_is_small_and_shrinks_what_has_no_weights(tmp_path: Path) -> None:
    jobs = baselines(tmp_path, stage("[jpeg, dc-ae-f64c128]", "[imagenet1k-val]"))
    vae = next(job for job in jobs.values() if job.codec.name == "dc-ae-f64c128")
    made = equipped(vae, Site())
    assert isinstance(made.config, BaselineJob)
    assert (made.config.codec.kind, made.config.codec.factor) == ("bicubic", 64)
    assert any("stands in for codec dc-ae-f64c128" in line for line in made.lacks)
    assert made.config.dataset == "synthetic"
    small, told = Shrinking(3).job(vae, None)
    assert isinstance(small, BaselineJob)
    assert (small.resolution, told) == (64, None)
    jpeg, _ = Shrinking(3).job(next(j for j in jobs.values() if j.codec.kind == "jpeg"), None)
    assert isinstance(jpeg, BaselineJob)
    assert (jpeg.resolution, samples(jpeg.evaluation, jpeg.dataset)) == (32, 4)


def test_the_shipped_files_and_the_floors_of_every_mini_sweep_over_e() -> None:
    plan = plan_file("baselines_256p")
    assert {job.kind for job in plan.jobs} == {"baseline"}
    budgets = {job.config["codec"].get("values") for job in plan.jobs} - {None}
    assert budgets == {1024, 2048, 4096, 8192, 16384}
    assert len(plan.jobs) == 2 * (2 * 5 + 6)
    shared: dict[str, Any] = {job.id: job for job in plan_file("quickstart").jobs}
    mini = plan_file("mini_baselines")
    assert shared.keys() <= {job.id for job in mini.jobs}
    for name in ("quickstart", *(each for each in known_names() if each.startswith("mini_"))):
        made = plan_file(name)
        if len({point.E for point in made.points}) == 1:
            continue  # says nothing of E, which a floor is beside
        kinds = {job.id: job.kind for job in made.jobs}
        for point in made.points:
            assert "floor" in {kinds[each] for each in point.jobs}, (name, point.slug)
