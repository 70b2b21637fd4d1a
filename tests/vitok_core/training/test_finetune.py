"""Stage 2: what moves and what does not, the averages, the discriminator, and its way back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from finetuning import context_of, finetune_job, parent
from recording import RecordingContext
from torch import Tensor

from vitok_core import jobs
from vitok_core.config import FinetuneJob
from vitok_core.context import Parent
from vitok_core.errors import Stopped, UserError
from vitok_core.kinds import KINDS
from vitok_core.training import finetune as finetune_module
from vitok_core.training.checkpoint import load_checkpoint, weights_hash
from vitok_core.training.final import load_tokenizer
from vitok_core.training.finetune import FinetuneStage, finetune_tokenizer
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.step import Diverged

State = dict[str, Tensor]
ENCODER = ("embed.", "encoder.", "moments.")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    torch.set_num_threads(1)
    return parent(tmp_path_factory.mktemp("parent"))


@pytest.fixture
def new(tmp_path: Path, trained: Parent) -> Callable[..., RecordingContext]:
    """A context of that parent in a folder of its own."""
    return lambda name="job", attempt=1, **machine: context_of(
        tmp_path / name, trained, attempt, **machine
    )


def stage(job: FinetuneJob, context: RecordingContext) -> FinetuneStage:
    return FinetuneStage(job, context)


def stepped(job: FinetuneJob, context: RecordingContext, steps: int) -> FinetuneStage:
    """A stage after some steps, without the loop's records."""
    found = stage(job, context)
    batch = job.finetune.batch
    for step in range(steps):
        indices = range(step * batch, (step + 1) * batch)
        found.update(found.run.crops.samples(indices), indices)
        found.run.step += 1
    return found


def final(context: RecordingContext) -> dict[str, State]:
    return load_checkpoint(context.checkpoints / "final.pt")


def deterministic(context: RecordingContext) -> list[tuple[str, float, int]]:
    return [row for row in context.metrics if row[0] != THROUGHPUT]


def test_from_end_to_end(new: Callable[..., RecordingContext], trained: Parent) -> None:
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
    assert summary["weights_sha256"] == weights_hash(load_tokenizer(context.folder).state_dict())
    assert summary["images"] == 160


@pytest.mark.parametrize("scope", ["decoder", "full"])
def test_what_is_frozen_stays_and_all_else_moves(
    new: Callable[..., RecordingContext], trained: Parent, scope: str
) -> None:
    context = new()
    finetune_tokenizer(finetune_job(finetune={"scope": scope, "steps": 3}), context)
    before = load_tokenizer(trained.folder).state_dict()
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
    before = load_tokenizer(of.folder).state_dict()
    for name, tensor in running.model.state_dict().items():
        frozen = name.startswith(ENCODER) or name == "latents"
        assert torch.equal(tensor, before[name]) == frozen, name


def test_a_frozen_encoder_gives_the_very_same_codes(
    new: Callable[..., RecordingContext], trained: Parent
) -> None:
    context = new()
    finetune_tokenizer(finetune_job(finetune={"steps": 2}), context)
    x = torch.rand(2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codes = [load_tokenizer(f).encode(x).mean for f in (trained.folder, context.folder)]
    assert torch.equal(*codes)


def test_the_weights_to_evaluate_are_the_averages_that_the_configuration_asks_for(
    new: Callable[..., RecordingContext], trained: Parent
) -> None:
    before = load_tokenizer(trained.folder).state_dict()
    for decay in (0.5, 0.9):
        job = finetune_job(finetune={"ema": decay})
        wanted = {name: tensor.double() for name, tensor in before.items()}
        running = stage(job, new("by hand"))
        for step in range(4):
            indices = range(step * 16, (step + 1) * 16)
            running.update(running.run.crops.samples(indices), indices)
            running.run.step += 1
            for name, tensor in running.model.state_dict().items():
                wanted[name] = decay * wanted[name] + (1 - decay) * tensor.double()
        found = running.weights()
        assert set(found) == {"model", "raw"}
        for name, tensor in found["model"].items():
            torch.testing.assert_close(tensor.double(), wanted[name], rtol=1e-5, atol=1e-6)
        assert not torch.equal(found["model"]["unembed.weight"], found["raw"]["unembed.weight"])


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
            stage(finetune_job(), new("other")).load(
                {name: value for name, value in whole.items() if name != part}
            )


def test_clipping_limits_what_both_optimizers_see(new: Callable[..., RecordingContext]) -> None:
    running = stage(finetune_job(finetune={"clip_norm": 0.01}), new())
    terms = running.update(running.run.crops.samples(range(16)), range(16))
    assert running.adversary is not None
    for model, logged in (
        (running.model, "grad_norm"),
        (running.adversary.model, "disc_grad_norm"),
    ):
        assert terms[logged] > 0.02  # before clipping
        norms = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None])
        assert float(norms.norm()) == pytest.approx(0.01, rel=1e-3)


def test_until_it_starts_the_adversary_changes_nothing(
    new: Callable[..., RecordingContext],
) -> None:
    without = stepped(finetune_job(gan={"weight": 0.0}), new("a"), 4)
    waiting = stepped(finetune_job(gan={"start": 10}), new("b"), 4)
    at_work = stepped(finetune_job(gan={"start": 0, "ramp": 0}), new("c"), 4)
    assert without.adversary is None
    hashes = [weights_hash(each.model.state_dict()) for each in (without, waiting, at_work)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_tokenizers_term_gives_the_discriminator_no_gradient(
    new: Callable[..., RecordingContext],
) -> None:
    """After one step from the same start it is the same, whether the tokenizer heeded it or not."""
    found = [
        stepped(finetune_job(gan={"start": start, "ramp": 0}), new(str(start)), 1).adversary
        for start in (0, 10)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert weights_hash(found[0].model.state_dict()) == weights_hash(found[1].model.state_dict())
    assert all(p.requires_grad for p in found[0].model.parameters())


def test_micro_batches_give_the_gradients_of_the_whole(
    new: Callable[..., RecordingContext],
) -> None:
    job = finetune_job(gan={"start": 0, "ramp": 0, "r1": 0.1}, finetune={"clip_norm": None})
    grads = []
    for size in (None, 12):
        running = stepped(job, new(str(size), micro_batch=size), 1)
        assert running.adversary is not None
        both = [*running.model.parameters(), *running.adversary.model.parameters()]
        grads.append([p.grad for p in both if p.grad is not None])
    for whole, parts in zip(*grads, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-5)


def test_micro_batches_that_would_change_the_result_are_refused(
    new: Callable[..., RecordingContext],
) -> None:
    with pytest.raises(UserError, match=r"micro_batch: 6: .* multiple of 4"):
        finetune_tokenizer(finetune_job(), new(micro_batch=6))
    stage(finetune_job(gan={"weight": 0.0}), new("other", micro_batch=6))


def test_frames_too_small_for_the_discriminator_are_refused(
    tmp_path: Path, new: Callable[..., RecordingContext]
) -> None:
    small = {"tokenizer": {"patch": 2}, "data": {"resolution": 4}}
    context = context_of(tmp_path / "job", parent(tmp_path / "parent", **small))
    with pytest.raises(UserError, match=r"data\.resolution: 4: the discriminator needs 8 px"):
        finetune_tokenizer(finetune_job(**small), context)


@pytest.mark.parametrize("loss", ["hinge", "non_saturating"])
def test_the_discriminator_learns_to_tell(new: Callable[..., RecordingContext], loss: str) -> None:
    """Against a tokenizer that hardly moves."""
    job = finetune_job(
        gan={"loss": loss, "disc_lr": 3e-3, "width": 8, "disc_warmup": 0, "start": 1000},
        finetune={"steps": 40, "base_lr": 1e-9, "clip_norm": None},
    )
    context = new()
    finetune_tokenizer(job, context)
    curve = [value for _, value in context.curve("disc_loss")]
    assert sum(curve[-5:]) < 0.6 * sum(curve[:5])
    real, fake = (dict(context.curve(name))[40] for name in ("disc_real", "disc_fake"))
    assert real > fake + 0.5


def test_the_tokenizer_learns_to_please_it(new: Callable[..., RecordingContext]) -> None:
    """Against a discriminator that hardly moves, with little else to mind."""
    job = finetune_job(
        gan={"weight": 10.0, "disc_lr": 1e-12, "start": 0, "ramp": 0, "width": 8},
        finetune={"steps": 30, "warmup": 0.0},
    )
    context = new()
    finetune_tokenizer(job, context)
    curve = dict(context.curve("loss_gan"))
    assert curve[30] < curve[1] - 0.1
    fakes = dict(context.curve("disc_fake"))
    assert fakes[30] == pytest.approx(-curve[30], rel=1e-5)


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


def test_a_discriminator_that_diverges_takes_nothing_along(
    new: Callable[..., RecordingContext],
) -> None:
    running = stepped(finetune_job(gan={"start": 10}), new(), 1)
    assert running.adversary is not None
    with torch.no_grad():
        running.adversary.model.score.bias.fill_(math.nan)
    before = weights_hash(running.model.state_dict())
    with pytest.raises(Diverged, match="the discriminator's loss is nan at step 2"):
        running.update(running.run.crops.samples(range(16)), range(16))
    assert weights_hash(running.model.state_dict()) == before
