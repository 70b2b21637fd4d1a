"""Site files, and what a plan needs that this machine lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweepfiles import SMALL, replaced, write

from sweep import site
from sweep.planning.plan import plan_file
from sweep.planning.preflight import data_sets, feature_networks, missing, perceptual_networks
from sweep.site import Site
from sweep.spec.problems import SpecError
from vitok_core.errors import UserError

FILE = """\
data:
  imagenet1k-val: $PLACE/val
  coco2017-val: relative/coco
weights: {efficientnet-lite0: ~/w.pth}
scheduler: inline
device: a100
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VITOK_SITE", raising=False)


def test_reads_and_expands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/big")
    found = site.load(Path(write(tmp_path, FILE, "site.yaml")))
    assert found.data == {
        "imagenet1k-val": "/big/val",
        "coco2017-val": str(tmp_path / "relative/coco"),
    }
    assert found.weights == {"efficientnet-lite0": str(tmp_path / "home/w.pth")}
    assert (found.scheduler, found.device) == ("inline", "a100")
    assert found.paths.data == found.data


def test_order_option_environment_default(tmp_path: Path) -> None:
    assert site.load(environ={}) == Site()
    write(tmp_path, "device: h100\n", "home/.config/vitok-sweep/site.yaml")
    named = Path(write(tmp_path, "device: a100\n", "named.yaml"))
    option = Path(write(tmp_path, "device: cpu-core\n", "option.yaml"))
    environ = {"VITOK_SITE": str(named)}
    assert site.load(environ={}).device == "h100"
    assert site.load(environ=environ).device == "a100"
    assert site.load(option, environ).device == "cpu-core"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such site file \(VITOK_SITE\)"):
        site.load(environ={"VITOK_SITE": str(tmp_path / "none.yaml")})
    with pytest.raises(UserError, match=r"no such site file \(--site\)"):
        site.load(tmp_path / "none.yaml", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dta: {}\n", "1: dta: unknown key; did you mean data?"),
        ("data: [a]\n", "1: data: expected name: path lines"),
        ("data:\n  imagenet-val: /x\n", "2: data: unknown data set 'imagenet-val'; did you mean"),
        ("data:\n  imagenet1k-val: 3\n", "2: data.imagenet1k-val: expected a path, got 3"),
        ("weights:\n  lpips-vg: /x.pth\n",
         "2: weights: unknown network or codec 'lpips-vg'; did you mean lpips-vgg?"),
        ("weights:\n  sd-vea: /gone\n",
         "2: weights: unknown network or codec 'sd-vea'; did you mean sd-vae?"),
        ("weights:\n  resnet: site.yaml\n", "2: weights: unknown network or codec 'resnet'"),
        ("scheduler: pbs\n", "1: scheduler: expected one of local, inline, slurm, got 'pbs'"),
        ("device: h200\n", "1: device: expected one of h100, a100, cpu-core"),
        ("data: !!python/name:os.system x\n", "1: tag"),
    ],
)  # fmt: skip
def test_mistakes_have_a_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        site.load(Path(write(tmp_path, text, "site.yaml")))
    assert f"site.yaml:{message}" in str(caught.value)


def test_a_codec_of_ones_own_may_have_weights(tmp_path: Path) -> None:
    """Sweep files name it; its folder may be on another machine, or be called almost as another."""
    (tmp_path / "tuned").mkdir()
    file = Path(write(tmp_path, "weights: {mine: gone, sd-vae-tuned: tuned}\n", "site.yaml"))
    assert set(site.load(file).weights) == {"mine", "sd-vae-tuned"}


def test_networks_and_statistics_are_missed_before_anything_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    text = (
        SMALL + "  - reconstruct: photos-tune\nevaluation: {networks: [inception-2015, vitok-v1]}\n"
    )
    lines = missing(plan_file(write(tmp_path, text)), Site())
    assert [line.split(":")[0] for line in lines] == ["network inception-2015", "network vitok-v1"]
    assert all("fetch https://" in line and "weights." in line for line in lines)
    plan = plan_file(write(tmp_path, SMALL + "  - reconstruct: adm-imagenet256\n"))
    path, no_images = missing(plan, Site())
    assert path.startswith("data set adm-imagenet256: its path is not set; fetch https://")
    assert no_images == (
        "data set adm-imagenet256: holds statistics and no images; it is for references"
    )


def test_all_mistakes_of_a_site_file_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        site.load(Path(write(tmp_path, "device: x\nscheduler: y\nz: 1\n", "site.yaml")))
    assert len(str(caught.value).splitlines()) == 3


def test_the_paper_file_lacks_three_data_sets_and_two_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # none of this user's own cache
    plan = plan_file("bottleneck_256p")
    assert data_sets(plan) == ["imagenet1k-train", "imagenet1k-val", "coco2017-val"]
    assert perceptual_networks(plan) == ["lpips-vgg"]
    assert feature_networks(plan) == ["inception-2015"]
    lines = missing(plan, Site())
    for name in data_sets(plan):
        assert any(name in line and f"data.{name}" in line for line in lines), name
    for network in ("lpips-vgg", "inception-2015"):
        (line,) = (line for line in lines if line.startswith(f"network {network}: "))
        assert f"weights.{network} in the site file" in line
    assert all("\n" not in line for line in lines)


def test_frames_that_the_losses_network_cannot_look_at_are_refused(tmp_path: Path) -> None:
    def lines(resolution: int, perceptual: str) -> list[str]:
        text = SMALL.replace("resolution: 64", f"resolution: {resolution}")
        sets = [f"loss.perceptual={perceptual}", f"loss.perceptual_weight={perceptual != 'null':d}"]
        plan = plan_file(write(tmp_path, text.replace("[8, 16]", "[4]")), sets)
        return [line for line in missing(plan, Site()) if "px or more" in line]

    (line,) = lines(12, "lpips-vgg")
    assert line.startswith("data.resolution: 12: lpips-vgg needs 16 px or more")
    assert lines(16, "lpips-vgg") == lines(12, "null") == lines(12, "efficientnet-lite0") == []


def test_without_a_perceptual_term_no_network_of_it_is_missed() -> None:
    plan = plan_file("bottleneck_256p", ["loss.perceptual=null", "loss.perceptual_weight=0"])
    assert not [line for line in missing(plan, Site()) if "lpips" in line]


def test_clips_of_images_are_refused_and_of_videos_are_not(tmp_path: Path) -> None:
    videos = ["data.name=synthetic", "data.frames=16", "data.fps=8"]
    lines = [line for line in missing(plan_file("quickstart", videos), Site()) if "frames" in line]
    for name, line in zip(("photos-tune", "photos-heldout"), lines, strict=True):
        assert line.startswith(f"data.frames: 16: {name} holds images; set data.frames=1, or name ")
        assert "kinetics700-val" in line
    whole = f"{SMALL}  - reconstruct: [synthetic]\n  - floor: [synthetic]\n"
    plan = plan_file(write(tmp_path, whole), videos)
    assert missing(plan, Site()) == []
    assert {job.config["fps"] for job in plan.jobs if job.kind == "reconstruct"} == {8}


def test_too_few_samples_for_a_score(tmp_path: Path) -> None:
    text = f"{SMALL}  - reconstruct: [synthetic]\n"

    def lines(samples: int, *sets: str) -> list[str]:
        plan = plan_file(write(tmp_path, text), [f"evaluation.samples={samples}", *sets])
        return [line for line in missing(plan, Site()) if "samples: " in line]

    assert lines(1) == [
        "evaluation.samples: 1: a Fréchet distance needs 2 or more; raise it or set "
        "evaluation.networks: []"
    ]
    assert lines(1, "evaluation.networks=[]") == []
    assert lines(1, "data.name=synthetic", "data.frames=4") == [], "a clip has several images"
    inception = "evaluation.networks=[inception-2015]"
    (line,) = lines(9, inception)
    assert "9: an Inception Score of 10 splits needs 10 or more" in line
    assert lines(9, inception, "evaluation.splits=1") == []
    (line,) = lines(3, "evaluation.scores=[precision_recall]")
    assert "3: a manifold of 3 neighbours needs 4 or more" in line


def test_a_site_that_maps_the_data_lacks_less(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "000000000139.jpg").write_bytes(b"\xff\xd8")
    lines = missing(
        plan_file("bottleneck_256p"), Site(data={"coco2017-val": str(tmp_path / "coco")})
    )
    assert not [line for line in lines if "coco" in line]
    assert [line for line in lines if "imagenet1k-val" in line]


def test_the_quickstart_lacks_nothing_but_perhaps_weights(tmp_path: Path) -> None:
    lines = missing(plan_file("quickstart"), Site())
    assert not [line for line in lines if not line.startswith("network")]
    wrong = tmp_path / "w.pth"
    wrong.write_bytes(b"other weights")
    site_with = Site(weights={"efficientnet-lite0": str(wrong)})
    assert [line for line in missing(plan_file("quickstart"), site_with) if "sha256" in line]


def test_gpus_that_are_asked_for_but_not_used(tmp_path: Path) -> None:
    """By the site file, too: what counts is the plan with the site's resources."""
    plan = plan_file(write(tmp_path, SMALL))

    def lines(**resources: object) -> list[str]:
        site_with = Site(resources={"tokenizer": resources})
        return missing(site_with.equip(plan), site_with)

    (line,) = lines(gres="tmp:1,gpu:h100:2")
    assert "resources.tokenizer.gres: tmp:1,gpu:h100:2: names GPUs" in line
    assert "resources.tokenizer.gpus is 0" in line
    assert lines(gres="gpu:h100:1", gpus=1) == lines(gres="tmp:1") == lines() == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"nodes": 2, "gpus": 2}, None),
        ({"processes": 4}, None),
        ({"gpus": 3}, "train.batch: 4 does not divide by the 3 processes of resources.tokenizer"),
        ({"nodes": 3, "gpus": 2}, "(3 nodes × 2); change one of them"),
        ({"gpus": 2, "processes": 2}, "leave resources.tokenizer.processes out"),
    ],
)
def test_processes_that_a_training_cannot_have(
    tmp_path: Path, given: dict[str, int], line: str | None
) -> None:
    site_with = Site(resources={"tokenizer": given})
    plan = plan_file(write(tmp_path, SMALL.replace("batch: 8", "batch: 4")))
    lines = missing(site_with.equip(plan), site_with)
    assert len(lines) == (line is not None)
    assert line is None or line in lines[0]


def test_a_floor_is_one_process(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, SMALL + "  - floor: photos-tune\n"))
    site_with = Site(resources={"floor": {"gpus": 8}})
    lines = missing(site_with.equip(plan), site_with)
    wanted = "resources.floor.gpus: 8: floor jobs run as one process; set resources.floor.gpus=1"
    assert wanted in lines


def test_only_named_networks_are_asked_for(tmp_path: Path) -> None:
    text = SMALL + "  - reconstruct: photos-tune\n"
    assert feature_networks(plan_file(write(tmp_path, text))) == ["efficientnet-lite0"]
    text = text.replace("axes:", "evaluation: {networks: []}\naxes:")
    assert feature_networks(plan_file(write(tmp_path, text))) == []
    assert feature_networks(plan_file(write(tmp_path, replaced("[4, 8]", "[4]")))) == []
