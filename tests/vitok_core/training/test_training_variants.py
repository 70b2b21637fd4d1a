"""Stage 1 of the variants of §8.3, and the machine's settings that training hands to its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recording import RecordingContext

from vitok_core.config import TokenizerJob
from vitok_core.context import Machine
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.latent import LatentViTok
from vitok_core.training import setup
from vitok_core.training.lengths import kept_lengths
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.tokenizer import TokenizerStage, train_tokenizer
from vitok_core.training.trained import load_model

MakeJob = Callable[..., TokenizerJob]
MASKED = {"variant": "mask_latent", "latents": 6, "lengths": (1, 2, 4)}


def test_each_sample_keeps_the_length_drawn_for_its_index(
    make_job: MakeJob, context: RecordingContext
) -> None:
    stage = TokenizerStage(make_job(tokenizer=MASKED, seed=3), context)
    seen: list[torch.Tensor] = []

    def spy(x: torch.Tensor, noise: torch.Tensor, kept: torch.Tensor | None) -> Any:
        assert kept is not None
        seen.append(kept)
        return stage.model(x, noise, kept)

    stage.forward = spy
    stage.update(stage.run.data.batch(range(4, 8))[0])
    (kept,) = seen
    assert torch.equal(kept, kept_lengths((1, 2, 4), 3, range(4, 8), kept.device))  # type: ignore[arg-type]


def test_micro_batches_of_masked_codes_give_the_whole_gradient(
    make_job: MakeJob, tmp_path: Path
) -> None:
    """Each clip's KL is averaged over its own kept elements: any cut of the batch adds up."""
    curves = []
    for size in (None, 3):
        context = RecordingContext(tmp_path / str(size), machine=Machine(micro_batch=size))
        job = make_job(tokenizer=MASKED, loss={"kl": 0.1}, train={"steps": 2})
        train_tokenizer(job, context)
        curves.append([(name, value) for name, value, _ in context.metrics if name != THROUGHPUT])
    for (name, value), (_, whole) in zip(*curves, strict=True):
        assert value == pytest.approx(whole, rel=1e-4), name
    assert isinstance(load_model(tmp_path / "3"), LatentViTok)


def test_a_variants_training_repeats_bit_by_bit(make_job: MakeJob, tmp_path: Path) -> None:
    states = []
    for name, checkpointed in (("plain", False), ("checkpointed", True)):
        machine = Machine(checkpoint_activations=checkpointed)
        context = RecordingContext(tmp_path / name, machine=machine)
        train_tokenizer(make_job(tokenizer=MASKED, train={"steps": 3}), context)
        states.append(load_model(context.folder).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("on", [False, True])
def test_the_machines_settings_reach_the_model(
    make_job: MakeJob, context: RecordingContext, monkeypatch: pytest.MonkeyPatch, on: bool
) -> None:
    compiled: list[torch.nn.Module] = []

    def compile_blocks(model: torch.nn.Module) -> int:
        compiled.append(model)
        return 2

    monkeypatch.setattr(setup, "compile_blocks", compile_blocks)
    context.machine = Machine(compile=on, checkpoint_activations=on)
    model = TokenizerStage(make_job(), context).model
    assert model.encoder.checkpoint_activations is model.decoder.checkpoint_activations is on
    assert compiled == ([model] if on else [])


def test_what_compiling_cannot_change_is_said(
    make_job: MakeJob, context: RecordingContext, caplog: pytest.LogCaptureFixture
) -> None:
    """A class of somebody's own has no blocks that we know."""
    context.machine = Machine(compile=True)
    run = TokenizerStage(make_job(), context).run
    assert not caplog.records
    setup.place(AutoEncoder(make_job().tokenizer, 1, 16), run)
    assert [record.getMessage() for record in caplog.records] == [
        "compile: true changes nothing: AutoEncoder has no blocks of ViTok's"
    ]
