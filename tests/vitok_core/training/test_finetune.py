"""Stage 2: what moves and what does not, the averages, the discriminator, and its way back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from finetuning import context_of, finetune_job, parent, stepped
from recording import RecordingContext
from torch import Tensor

from vitok_core import jobs
from vitok_core.config import FinetuneJob
from vitok_core.context import Parent
from vitok_core.data.pixels import to_model, to_uint8
from vitok_core.errors import Stopped
from vitok_core.kinds import KINDS
from vitok_core.tokenizers import export_tokenizer, load_tokenizer
from vitok_core.training import finetune as finetune_module
from vitok_core.training.checkpoint import load_checkpoint, weights_hash
from vitok_core.training.finetune import FinetuneStage, finetune_tokenizer
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.step import Diverged
from vitok_core.training.trained import load_model

State = dict[str, Tensor]
ENCODER = ("embed.", "encoder.", "moments.")


def final(context: RecordingContext) -> dict[str, State]:
    return load_checkpoint(context.checkpoints / "final.pt")


def deterministic(context: RecordingContext) -> list[tuple[str, float, int]]:
    return [row for row in context.metrics if row[0] != THROUGHPUT]


def test_from_end_to_end(new: Callable[..., RecordingContext]) -> None:
    context = new()
    job = finetune_job()
    assert KINDS["finetune"].config is FinetuneJob
    assert KINDS["finetune"].function == "vitok_core.jobs:finetune"
    jobs.finetune(job, context)
    always = {"loss", "loss_rec", "loss_kl", "kl_sum", "lr", "grad_norm", "gan_weight"}
    adversarial = {"disc_loss", "disc_real", "disc_fake", "disc_lr", "disc_grad_norm", "loss_gan"}
    assert {name for name, _, _ in context.metrics} == always | adversarial | {THROUGHPUT}
    weights = [value for _, value in context.curve("gan_weight")]
    assert weights == pytest.approx([0.1 * step / 16 for step in range(10)])
    assert [step for step, _ in context.curve("loss_gan")] == list(range(2, 11))
    rates = [value for _, value in context.curve("disc_lr")]
    assert rates == pytest.approx([1e-3 * step / 16 for step in range(1, 11)])
    for step, total in context.curve("loss"):
        terms = {name: value for name, value, at in context.metrics if at == step}
        wanted = terms["loss_rec"] + 1e-3 * terms["loss_kl"]
        wanted += terms["gan_weight"] * terms.get("loss_gan", 0.0)
        assert total == pytest.approx(wanted, rel=1e-5)
        hinge = terms["disc_loss"] - 2 + terms["disc_real"] - terms["disc_fake"]
        assert hinge > -1e-5  # equal to zero where no score is beyond the hinge
    state = final(context)
    assert FinetuneJob.model_validate(state["config"]) == job
    assert context.saved == [(context.checkpoints / "final.pt", 10)]
    summary = json.loads((context.artifacts / "training.json").read_text())
    assert summary["weights_sha256"] == weights_hash(load_model(context.folder).state_dict())
    assert summary["samples"] == 160


@pytest.mark.parametrize("scope", ["decoder", "full"])
def test_what_is_frozen_stays_and_all_else_moves(
    new: Callable[..., RecordingContext], trained: Parent, scope: str
) -> None:
    context = new()
    finetune_tokenizer(finetune_job(finetune={"scope": scope, "steps": 3}), context)
    before = load_model(trained.folder).state_dict()
    for kind in ("model", "raw"):
        for name, tensor in final(context)[kind].items():
            frozen = scope == "decoder" and name.startswith(ENCODER)
            assert torch.equal(tensor, before[name]) == frozen, name


def test_latent_tokens_belong_to_the_encoder_and_mask_tokens_to_the_decoder(
    tmp_path: Path,
) -> None:
    masked = {"tokenizer": {"variant": "mask_latent", "latents": 6, "lengths": (1, 2, 4)}}
    of, context = parent(tmp_path / "parent", **masked), tmp_path / "job"
    running = stepped(finetune_job(**masked), context_of(context, of), 2)
    before = load_model(of.folder).state_dict()
    for name, tensor in running.model.state_dict().items():
        frozen = name.startswith(ENCODER) or name == "latents"
        assert torch.equal(tensor, before[name]) == frozen, name


def test_a_frozen_encoder_gives_the_very_same_codes(
    new: Callable[..., RecordingContext], trained: Parent
) -> None:
    context = new()
    finetune_tokenizer(finetune_job(finetune={"steps": 2}), context)
    x = torch.rand(2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codes = [load_model(f).encode(x).mean for f in (trained.folder, context.folder)]
    assert torch.equal(*codes)


def test_the_weights_to_evaluate_are_the_averages_that_the_configuration_asks_for(
    new: Callable[..., RecordingContext], trained: Parent
) -> None:
    before = load_model(trained.folder).state_dict()
    for decay in (0.5, 0.9):
        job = finetune_job(finetune={"ema": decay})
        wanted = {name: tensor.double() for name, tensor in before.items()}
        running = FinetuneStage(job, new("by hand"))
        for step in range(4):
            indices = range(step * 16, (step + 1) * 16)
            running.update(running.run.data.batch(indices)[0])
            running.run.step += 1
            for name, tensor in running.model.state_dict().items():
                wanted[name] = decay * wanted[name] + (1 - decay) * tensor.double()
        found = running.weights()
        assert set(found) == {"model", "raw"}
        for name, tensor in found["model"].items():
            torch.testing.assert_close(tensor.double(), wanted[name], rtol=1e-5, atol=1e-6)
        assert not torch.equal(found["model"]["unembed.weight"], found["raw"]["unembed.weight"])


def test_the_averages_are_what_is_exported(
    new: Callable[..., RecordingContext], tmp_path: Path
) -> None:
    context = new()
    finetune_tokenizer(finetune_job(finetune={"steps": 3, "milestones": (1,)}), context)
    export_tokenizer(context.folder, tmp_path / "out")
    averages = final(context)["model"]
    tokenizer = load_tokenizer(tmp_path / "out")
    assert tokenizer.weights_sha256 == weights_hash(averages) != weights_hash(final(context)["raw"])
    picture = torch.randint(256, (2, 3, 32, 48), dtype=torch.uint8)
    code = tokenizer.encode(picture)
    model = load_model(context.folder)
    with torch.no_grad():
        clips = model.reconstruct(to_model(picture)[:, :, None])
    assert torch.equal(tokenizer.decode(code), to_uint8(clips[:, :, 0]))
    assert load_tokenizer(context.folder, step=1).step == 1


def test_without_averaging_the_raw_weights_are_left(new: Callable[..., RecordingContext]) -> None:
    context = new()
    finetune_tokenizer(finetune_job(finetune={"ema": 0.0, "steps": 2}), context)
    assert "raw" not in final(context)
    plain = new("averaged")
    finetune_tokenizer(finetune_job(finetune={"steps": 2}), plain)
    assert weights_hash(final(context)["model"]) == weights_hash(final(plain)["raw"])


def attempt(context: RecordingContext, stop: int | None = None) -> State:
    """Train to that step, or to the end; what the last checkpoint holds."""
    context.stop = lambda step: "time" if step == stop else None
    job = finetune_job(gan={"r1": 0.1})
    if stop is None:
        finetune_tokenizer(job, context)
    else:
        with pytest.raises(Stopped):
            finetune_tokenizer(job, context)
    return load_checkpoint(context.saved[-1][0])


def test_stopped_and_resumed_is_bit_identical(new: Callable[..., RecordingContext]) -> None:
    """Averages, discriminator and both optimizers included: they are in the last checkpoint."""
    undisturbed, parts = new("undisturbed"), [new("parted", number) for number in (1, 2, 3)]
    whole, straight = attempt(undisturbed), attempt(new("straight"), 7)
    attempt(parts[0], 3)
    seven, end = attempt(parts[1], 7), attempt(parts[2])
    assert [step for step, _ in parts[1].resumes] == [3]
    assert set(seven) == {
        "model", "optimizer", "ema", "discriminator", "step", "config_sha256",
    }  # fmt: skip
    assert weights_hash(seven) == weights_hash(straight)
    assert weights_hash(end) == weights_hash(whole)
    rows = [row for part in parts for row in deterministic(part)]
    assert rows == deterministic(undisturbed)


def test_a_run_killed_after_its_last_step_only_writes_the_end_again(
    new: Callable[..., RecordingContext],
) -> None:
    first, again = new(), new(attempt=2)
    finetune_tokenizer(finetune_job(), first)
    finetune_tokenizer(finetune_job(), again)
    assert again.metrics == []
    assert {k: weights_hash(final(first)[k]) for k in ("model", "raw")} == {
        k: weights_hash(final(again)[k]) for k in ("model", "raw")
    }


def test_a_checkpoint_without_its_optimizers_is_no_checkpoint(
    new: Callable[..., RecordingContext],
) -> None:
    running = stepped(finetune_job(), new(), 2)
    whole = {**running.state(), "step": 2}
    for part in ("optimizer", "discriminator", "ema"):
        with pytest.raises(KeyError, match=part):
            FinetuneStage(finetune_job(), new("other")).load(
                {name: value for name, value in whole.items() if name != part}
            )


def test_clipping_limits_what_both_optimizers_see(new: Callable[..., RecordingContext]) -> None:
    running = FinetuneStage(finetune_job(finetune={"clip_norm": 0.01}), new())
    terms = running.update(running.run.data.batch(range(16))[0])
    assert running.adversary is not None
    for model, logged in (
        (running.model, "grad_norm"),
        (running.adversary.model, "disc_grad_norm"),
    ):
        assert terms[logged] > 0.02  # before clipping
        norms = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None])
        assert float(norms.norm()) == pytest.approx(0.01, rel=1e-3)


def test_divergence_stops_before_any_weights_are_touched(
    new: Callable[..., RecordingContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new(checkpoint_every=2)
    original = finetune_module.learning_rate

    def explode(config: object, frames: int, step: int) -> float:
        return math.inf if step == 6 else original(config, frames, step)  # type: ignore[arg-type]

    monkeypatch.setattr(finetune_module, "learning_rate", explode)
    with pytest.raises(Diverged, match=r"nan at step 8.*Lower finetune.base_lr or gan.disc_lr"):
        finetune_tokenizer(finetune_job(), context)
    kept = sorted(context.checkpoints.glob("*.pt"))
    assert [path.name for path in kept] == ["step-000000004.pt", "step-000000006.pt"]
    state = load_checkpoint(kept[-1])
    for part in (state["model"], state["ema"], state["discriminator"]["model"]):
        assert all(bool(tensor.isfinite().all()) for tensor in part.values())
