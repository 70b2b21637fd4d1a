from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import TokenizerJob
from vitok_core.context import Machine, Paths
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError
from vitok_core.training import tokenizer as stage_module
from vitok_core.training.checkpoint import load_checkpoint, weights_hash
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.setup import initial_model
from vitok_core.training.step import Diverged
from vitok_core.training.tokenizer import TokenizerStage, train_tokenizer
from vitok_core.training.trained import load_model

MakeJob = Callable[..., TokenizerJob]
PCA = {"init": "pca", "final_norm": False, "channels": 8}

# The loss of `make_job()`'s first steps: what should not alter results must not move them.
GOLDEN = (0.41272, 0.48580, 0.36871, 0.34665, 0.32988)


@pytest.fixture(autouse=True)
def few_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitok_core.training.linear.MOST_CROPS", 1024)


def weights(folder: Path) -> str:
    return weights_hash(load_model(folder).state_dict())


def test_a_training_from_end_to_end(make_job: MakeJob, context: RecordingContext) -> None:
    job = make_job()
    jobs.tokenizer(job, context)
    curve = dict(context.curve("loss_rec"))
    assert list(curve) == list(range(1, 13))
    assert curve[12] < 0.8 * curve[1]
    names = {name for name, _, _ in context.metrics}
    assert names == {"loss", "loss_rec", "loss_kl", "kl_sum", "lr", "grad_norm"} | {THROUGHPUT}
    assert context.saved == [(context.checkpoints / "final.pt", 12)]
    assert context.progressed[-1] == (12, 12, "steps")
    assert [name for name, _, _ in context.fingerprints] == ["photos-train"]

    state = load_checkpoint(context.checkpoints / "final.pt")
    assert TokenizerJob.model_validate(state["config"]) == job
    ((path, _),) = context.artifacts_made
    summary = json.loads(path.read_text())
    assert summary["weights_sha256"] == state["weights_sha256"] == weights(context.folder)


def test_the_first_steps_follow_the_golden_curve(
    make_job: MakeJob, context: RecordingContext
) -> None:
    train_tokenizer(make_job(), context)
    first = [value for _, value in context.curve("loss")[: len(GOLDEN)]]
    assert first == pytest.approx(GOLDEN, rel=2e-3)


def test_runs_repeat_bit_by_bit_and_seeds_differ(make_job: MakeJob, tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        context = RecordingContext(tmp_path / name)
        train_tokenizer(make_job(seed=seed, train={"steps": 3}), context)
        hashes.append(weights(context.folder))
    assert hashes[0] == hashes[1] != hashes[2]


def test_micro_batches_give_the_gradient_of_the_whole(make_job: MakeJob, tmp_path: Path) -> None:
    states = []
    for size in (None, 3, 1):
        context = RecordingContext(tmp_path / str(size), machine=Machine(micro_batch=size))
        train_tokenizer(make_job(train={"steps": 2}), context)
        states.append((context.metrics, load_model(context.folder).state_dict()))
    for metrics, state in states[1:]:
        for (name, value, _), (_, whole, _) in zip(metrics, states[0][0], strict=True):
            if name != THROUGHPUT:
                assert value == pytest.approx(whole, rel=1e-4)
        # Adam's first steps have the size of the rate whatever the gradient's: compare loosely.
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, states[0][1][name], atol=1e-4, rtol=1e-3)


def test_clipping_limits_the_update_it_is_given(
    make_job: MakeJob, context: RecordingContext
) -> None:
    stage = TokenizerStage(make_job(train={"clip_norm": 0.01}), context)
    terms = stage.update(stage.run.data.batch(range(4))[0])
    assert terms["grad_norm"] > 0.1  # what is logged is the norm before clipping
    norms = torch.stack([p.grad.norm() for p in stage.model.parameters() if p.grad is not None])
    assert float(norms.norm()) == pytest.approx(0.01, rel=1e-3)


def test_without_a_limit_gradients_are_left_alone(
    make_job: MakeJob, context: RecordingContext
) -> None:
    stage = TokenizerStage(make_job(train={"clip_norm": None}), context)
    terms = stage.update(stage.run.data.batch(range(4))[0])
    norms = torch.stack([p.grad.norm() for p in stage.model.parameters() if p.grad is not None])
    assert float(norms.norm()) == pytest.approx(terms["grad_norm"], rel=1e-4)


def test_bf16_runs_the_forward_pass_in_bf16(make_job: MakeJob, tmp_path: Path) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        context = RecordingContext(tmp_path / precision)
        train_tokenizer(make_job(train={"steps": 2, "precision": precision}), context)
        losses[precision] = context.curve("loss")[0][1]
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_divergence_stops_before_the_weights_are_touched(
    make_job: MakeJob, context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.machine = Machine(checkpoint_every=2)
    original = stage_module.learning_rate

    def explode(config: object, frames: int, step: int) -> float:
        return math.inf if step == 6 else original(config, frames, step)  # type: ignore[arg-type]

    monkeypatch.setattr(stage_module, "learning_rate", explode)
    with pytest.raises(Diverged, match=r"the loss is nan at step 8.*Lower train.base_lr"):
        train_tokenizer(make_job(), context)
    kept = sorted(context.checkpoints.glob("*.pt"))
    assert [path.name for path in kept] == ["step-000000004.pt", "step-000000006.pt"]
    good = load_checkpoint(kept[-1])["model"]
    assert all(bool(tensor.isfinite().all()) for tensor in good.values())


def test_the_start_is_the_pca_of_the_training_data(
    make_job: MakeJob, context: RecordingContext
) -> None:
    job = make_job(tokenizer=PCA)
    first = initial_model(job, context)
    (cached,) = context.cache.iterdir()
    before = cached.read_bytes()
    again = initial_model(job.model_copy(update={"seed": 1}), context)
    assert cached.read_bytes() == before
    assert torch.equal(first.embed.weight, again.embed.weight)
    assert not torch.equal(
        first.encoder.blocks[0].attention.qkv.weight,  # type: ignore[union-attr]
        again.encoder.blocks[0].attention.qkv.weight,  # type: ignore[union-attr]
    )


def test_the_residual_branches_of_a_trained_model_matter(
    make_job: MakeJob, context: RecordingContext
) -> None:
    tower = {"width": 48, "blocks": 2, "heads": 2}
    job = make_job(
        tokenizer={**PCA, "channels": 2, "encoder": tower, "decoder": tower},
        data={"resolution": 32, "crop_scale": (0.4, 1.0)},
        train={"steps": 60, "batch": 16, "base_lr": 0.032, "final_lr": 0.0},
    )
    crops = EvalCrops(open_source("photos-tune", {}), 32, 68)
    x = to_model(crops.samples(range(68)))[:, :, None]

    def error(model: torch.nn.Module) -> float:
        with torch.no_grad():
            return float((model.reconstruct(x) - x).square().mean())  # type: ignore[operator]

    start = error(initial_model(job, context))
    train_tokenizer(job, context)
    model = load_model(context.folder)
    trained = error(model)
    model.zero_branches()
    assert trained < 0.95 * start
    assert error(model) > 1.05 * trained


def test_the_perceptual_term_is_trained_on_and_said(
    make_job: MakeJob, context: RecordingContext
) -> None:
    loss = {"perceptual": "efficientnet-lite0", "perceptual_weight": 0.5, "kl": 0.0}
    train_tokenizer(make_job(data={"resolution": 32}, loss=loss, train={"steps": 3}), context)
    for step in range(3):
        total, rec, felt = (
            context.curve(name)[step][1] for name in ("loss", "loss_rec", "loss_perceptual")
        )
        assert total == pytest.approx(rec + 0.5 * felt, rel=1e-5)
    ((path, _),) = context.artifacts_made
    assert json.loads(path.read_text())["perceptual"].startswith("efficientnet-lite0 579344248a93")


def test_what_is_not_here_is_refused_before_any_work(
    make_job: MakeJob, context: RecordingContext
) -> None:
    context.paths = Paths(weights={"lpips-vgg": "/nowhere.pth"})
    job = make_job(loss={"perceptual": "lpips-vgg", "perceptual_weight": 1.0})
    with pytest.raises(UserError, match=r"network lpips-vgg: /nowhere.pth does not exist"):
        train_tokenizer(job, context)
    with pytest.raises(UserError, match="frames: 4: this data set holds images"):
        train_tokenizer(make_job(data={"frames": 4}), context)
    assert context.metrics == []


def test_the_lowest_whole_attempt_is_loaded(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run this training again"):
        load_model(tmp_path)
    hashes = {}
    for attempt, seed in ((2, 0), (10, 1)):
        context = RecordingContext(tmp_path, attempt)
        context.earlier_checkpoints = list  # type: ignore[assignment, method-assign]
        train_tokenizer(make_job(seed=seed, train={"steps": 1}), context)
        hashes[attempt] = weights(context.checkpoints / "final.pt")
    assert weights(tmp_path) == hashes[2] != hashes[10]
    (tmp_path / "checkpoints" / "2" / "final.pt").write_bytes(b"torn")
    assert weights(tmp_path) == hashes[10]
