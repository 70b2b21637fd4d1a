"""No field of a training's configuration is read and ignored: each one changes the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from finetuning import finetune_job
from recording import RecordingContext

from vitok_core.config import FinetuneConfig, GanConfig, TokenizerJob, TrainConfig
from vitok_core.training.checkpoint import load_checkpoint
from vitok_core.training.finetune import finetune_tokenizer
from vitok_core.training.setup import make_optimizer
from vitok_core.training.tokenizer import train_tokenizer

MakeJob = Callable[..., TokenizerJob]
STEPS = 4

TRAIN: dict[str, Any] = {
    "steps": STEPS + 1, "batch": 8, "base_lr": 0.1, "final_lr": 1e-3, "warmup": 0.5,
    "betas": (0.8, 0.95), "weight_decay": 0.5, "clip_norm": 1e-3, "precision": "bf16",
}  # fmt: skip
GAN: dict[str, Any] = {
    "weight": 0.2, "loss": "non_saturating", "disc_lr": 1e-2, "disc_warmup": 3, "start": 1,
    "ramp": 2, "r1": 1.0, "width": 8,
}  # fmt: skip
FINETUNE = {**TRAIN, "batch": 32, "scope": "full", "ema": 0.5}
DATA: dict[str, Any] = {
    "name": "photos-tune", "resolution": 24, "crop_scale": (0.4, 0.6), "flip": False,
}  # fmt: skip
LOSS: dict[str, Any] = {"reconstruction": "l1", "kl": 1e-2, "kl_reduction": "sum"}


def test_every_field_of_the_optimisation_is_here() -> None:
    """Milestones change no weights; they have tests of their own."""
    for fields, config in ((TRAIN, TrainConfig), (FINETUNE, FinetuneConfig), (GAN, GanConfig)):
        assert set(fields) | {"milestones"} == set(config.model_fields) | {"milestones"}


def pairs(**sections: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(section, name, value, id=f"{section}.{name}")
        for section, fields in sections.items()
        for name, value in fields.items()
    ]


def weights(context: RecordingContext) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = load_checkpoint(context.checkpoints / "final.pt")["model"]
    return model


def differ(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(("section", "name", "value"), pairs(train=TRAIN, data=DATA, loss=LOSS))
def test_stage_1(make_job: MakeJob, tmp_path: Path, section: str, name: str, value: Any) -> None:
    found = []
    for place, changes in (("base", {}), ("changed", {name: value})):
        base: dict[str, dict[str, Any]] = {"train": {"steps": STEPS}, "loss": {"kl": 1e-3}}
        base[section] = base.get(section, {}) | changes
        context = RecordingContext(tmp_path / place)
        train_tokenizer(make_job(**base), context)
        found.append(weights(context))
    assert differ(*found)


@pytest.mark.parametrize(("section", "name", "value"), pairs(finetune=FINETUNE, gan=GAN))
def test_stage_2(new: Callable[..., RecordingContext], section: str, name: str, value: Any) -> None:
    found = []
    for place, changes in (("base", {}), ("changed", {name: value})):
        base: dict[str, dict[str, Any]] = {"finetune": {"steps": STEPS}, "gan": {}}
        base[section] |= changes
        context = new(place)
        finetune_tokenizer(finetune_job(**base), context)
        found.append(weights(context))
    assert differ(*found)


def test_the_optimizer_is_fused_adamw_and_decays_matrices_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    model[2].requires_grad_(False)
    train = TrainConfig(steps=1, batch=1, betas=(0.7, 0.8), weight_decay=0.3)
    optimizer = make_optimizer(model, train)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["fused"] is True
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decay == {id(p): 0.3 if p.ndim > 1 else 0.0 for p in model[:2].parameters()}
    assert all(group["betas"] == (0.7, 0.8) for group in optimizer.param_groups)
