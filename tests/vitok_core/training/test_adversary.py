"""The discriminator in training: when it is heeded, what it learns, what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from finetuning import context_of, finetune_job, parent, stepped
from recording import RecordingContext

from vitok_core.errors import UserError
from vitok_core.training.checkpoint import weights_hash
from vitok_core.training.finetune import FinetuneStage, finetune_tokenizer
from vitok_core.training.step import Diverged


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
    with pytest.raises(UserError, match=r"micro_batch: 6 .* multiple of 4"):
        finetune_tokenizer(finetune_job(), new(micro_batch=6))
    FinetuneStage(finetune_job(gan={"weight": 0.0}), new("other", micro_batch=6))


def test_frames_too_small_for_the_discriminator_are_refused(tmp_path: Path) -> None:
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


def test_a_discriminator_that_diverges_takes_nothing_along(
    new: Callable[..., RecordingContext],
) -> None:
    running = stepped(finetune_job(gan={"start": 10}), new(), 1)
    assert running.adversary is not None
    with torch.no_grad():
        running.adversary.model.score.bias.fill_(math.nan)
    before = weights_hash(running.model.state_dict())
    with pytest.raises(Diverged, match="the discriminator's loss is nan at step 2"):
        running.update(running.run.data.batch(range(16))[0])
    assert weights_hash(running.model.state_dict()) == before
