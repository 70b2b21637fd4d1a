"""`rehearse` as typed, with the real jobs: what passes, what fails and why, what is left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweepfiles import SMALL, write
from typer.testing import CliRunner, Result

from sweep.cli.app import app, register
from sweep.model import Plan
from sweep.planning.plan import full_config, plan_file
from sweep.spec.document import packaged_sweeps
from vitok_core.config import BaselineJob, FinetuneJob, GeneratorJob, TokenizerJob

ONE = ("--only", "p=16,c=4")

Rehearse = Callable[..., Result]


@pytest.fixture
def rehearse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearse:
    """Runs it inline, over `results`, with temporary files in `tmp`."""
    if not app.registered_commands:
        register()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["rehearse", *arguments, "--on", "inline", "--json"])

    return run


def jobs(done: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
    return found


def outcomes(done: Result) -> list[tuple[str, str]]:
    return [(job["kind"], job["outcome"]) for job in jobs(done)]


def small(folder: Path) -> str:
    return write(folder, f"{SMALL}  - reconstruct: [photos-tune]\n")


def test_a_sweep_passes_and_leaves_nothing(rehearse: Rehearse, tmp_path: Path) -> None:
    done = rehearse(small(tmp_path), *ONE)
    assert done.exit_code == 0, done.output
    assert outcomes(done) == [("tokenizer", "ok"), ("reconstruct", "ok")]
    for job in jobs(done):
        assert 0 < job["seconds"] < 120
        assert 1e8 < job["peak_bytes"] < 1e11  # torch alone is more than 100 MB
        assert job["drawn"] == []
    assert jobs(done)[0]["images_per_second"] > 0
    assert list((tmp_path / "tmp").glob("vitok*")) == []
    assert not (tmp_path / "results").exists()


# Small sweeps run on photographs, by what comes along; the others on drawn data, and without the
# networks whose weights are not here.
LARGE = [
    path.stem for path in sorted(packaged_sweeps().rglob("*.yaml"))
    if path.parent.name not in ("mini", "protocols") and path.stem != "quickstart"
]  # fmt: skip
EACH_ONCE = [
    ("loss_tradeoff", "seed=0"),
    ("masked_variant", "tokenizer.variant=mask_simple|mask_latent"),
    ("latent_variant", "tokenizer.latents=64"),
    ("gan_ablation", "gan.weight=0"),
    ("gan_ablation", "finetune.scope=full"),
    ("headline_image", "size=S-B,resolution=256"),
    ("headline_video", "p=16"),
    ("baselines_256p", "c=16"),
]


def combinations(plan: Plan) -> set[tuple[Any, ...]]:
    """Of each job: its kind, model, loss, and what it loads."""
    models: dict[str, str] = {}
    found = set()
    for job in plan.jobs:
        config = full_config(job.kind, job.config)
        inherited = [models[parent] for parent in job.parents]
        model, loss, clip = inherited[-1] if inherited else "", (), config
        if isinstance(config, TokenizerJob | FinetuneJob):
            model = config.tokenizer.class_ or config.tokenizer.variant
            loss = (config.loss.reconstruction, config.loss.perceptual)
            clip = config.data
        if isinstance(config, FinetuneJob):
            loss = (*loss, config.finetune.scope, config.gan.loss if config.gan.weight else None)
        elif isinstance(config, GeneratorJob):
            loss = (config.generator.objective, config.generator.learned_sigma)
        elif isinstance(config, BaselineJob):
            model = config.codec.kind
        models[job.id] = model
        found.add((job.kind, model, loss, getattr(clip, "frames", 1) > 1))
    return found


def test_each_combination_is_rehearsed_once() -> None:
    rehearsed = {
        each for name, only in EACH_ONCE for each in combinations(plan_file(name, only=only))
    }
    assert set().union(*(combinations(plan_file(name)) for name in LARGE)) == rehearsed
    for without in EACH_ONCE:
        others = [combinations(plan_file(n, only=o)) for n, o in EACH_ONCE if (n, o) != without]
        assert set().union(*others) < rehearsed, f"{without} adds nothing"


@pytest.mark.parametrize(
    ("name", "only"),
    [*EACH_ONCE, *(pytest.param(name, "", marks=pytest.mark.slow) for name in LARGE)],
)
def test_large_sweeps_pass(rehearse: Rehearse, name: str, only: str) -> None:
    done = rehearse(name, *(("--only", only) if only else ()))
    assert {outcome for _, outcome in outcomes(done)} <= {"ok", "missing"}, done.output
    assert done.exit_code in (0, 4)
    for job in jobs(done):
        # Drawn pictures need no path.
        assert all("drawn data stand in" in line for line in job["drawn"])
        for reason in filter(None, job["reason"].split("; ")):
            assert "ran without" in reason or "stands in for" in reason or "weights." in reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "only"), [("quickstart", "p=32,c=4"), ("mini_loss_tradeoff", "p=16")]
)
def test_small_sweeps_pass(rehearse: Rehearse, name: str, only: str) -> None:
    done = rehearse(name, "--only", only)
    assert done.exit_code == 0, done.output
    assert {outcome for _, outcome in outcomes(done)} == {"ok"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_it_like_ctrl_c(
    rehearse: Rehearse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr("sweep.rehearsal.run.run", lambda *given: signal.raise_signal(number))
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert rehearse(small(tmp_path), *ONE).exit_code == 130
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_missing_network_is_told(rehearse: Rehearse, tmp_path: Path) -> None:
    done = rehearse(small(tmp_path), *ONE, "--set", "loss.perceptual=lpips-vgg",
                    "--set", "loss.perceptual_weight=1")  # fmt: skip
    assert done.exit_code == 4
    assert outcomes(done) == [("tokenizer", "missing"), ("reconstruct", "missing")]
    assert all("ran without network lpips-vgg" in job["reason"] for job in jobs(done))


def test_a_wrong_data_path_fails_with_its_reason(rehearse: Rehearse, tmp_path: Path) -> None:
    site = write(tmp_path, "data: {imagenet1k-train: /nowhere/imagenet}\n", "site.yaml")
    file = small(tmp_path)
    done = rehearse(file, *ONE, "--set", "data.name=imagenet1k-train", "--site", site)
    assert done.exit_code == 4
    assert outcomes(done) == [("tokenizer", "failed"), ("reconstruct", "failed")]
    trained, scored = jobs(done)
    assert "/nowhere/imagenet does not exist" in trained["reason"]
    assert "parent" in scored["reason"]
    assert "logs and journals of the rehearsal: " in done.stderr
    assert len(list((tmp_path / "tmp").glob("*/jobs/*/journal/1.jsonl"))) == 1


def test_a_broken_class_fails_with_its_reason(
    rehearse: Rehearse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("vitok_core.models.tokenizer.ViTok.forward", broken)
    done = rehearse(small(tmp_path), *ONE)
    assert done.exit_code == 4
    assert outcomes(done)[0] == ("tokenizer", "failed")
    assert "shapes cannot be multiplied" in jobs(done)[0]["reason"]


def test_what_no_machine_could_run_is_refused(rehearse: Rehearse, tmp_path: Path) -> None:
    done = rehearse(small(tmp_path), "--set", "resources.reconstruct.gres=gpu:1")
    assert type(done.exception).__name__ == "UserError"
    assert "nothing was rehearsed" in str(done.exception)


def test_plan_uses_the_speed_of_true_shapes(rehearse: Rehearse, tmp_path: Path) -> None:
    file = write(tmp_path, SMALL)
    done = rehearse(file, *ONE, "--real-shapes", "--steps", "2")
    assert done.exit_code == 0, done.output
    rate = jobs(done)[0]["images_per_second"]

    def planned(*arguments: str) -> dict[str, Any]:
        shown = CliRunner().invoke(app, ["plan", file, *ONE, "--json", *arguments])
        found: dict[str, Any] = json.loads(shown.stdout)["jobs"][0]
        return found

    for sets, steps in (((), 20), (("--set", "train.steps=40", "--set", "train.base_lr=1"), 40)):
        job = planned(*sets)
        assert job["measured_on"] == jobs(done)[0]["device"]
        assert job["device_hours"] == pytest.approx(steps * 4 / rate / 3600)
    for other in ("train.batch=8", "train.precision=fp32", "resources.default.threads=2"):
        assert planned("--set", other)["measured_on"] is None, other
    assert planned("--device", "h100")["measured_on"] is None
    lines = CliRunner().invoke(app, ["plan", file, *ONE]).stdout
    assert f"measured on {jobs(done)[0]['device']}" in lines
    assert [path.name for path in (tmp_path / "results").rglob("*")] == ["rehearsals", "speed.json"]
    (tmp_path / "results" / "rehearsals" / "speed.json").write_text('{"a": 1}')
    broken = CliRunner().invoke(app, ["plan", file])
    assert "speed.json: expected speeds" in str(broken.exception)
