"""The discriminator in training: its loss, its optimizer and its schedules (§2.3, §8.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from vitok_core.config import FinetuneJob
from vitok_core.data.counter import bits
from vitok_core.errors import UserError
from vitok_core.judging import fault
from vitok_core.models.discriminator import Discriminator
from vitok_core.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty
from vitok_core.training.checkpoint import State
from vitok_core.training.schedule import discriminator_rate, gan_weight
from vitok_core.training.setup import Run, make_optimizer
from vitok_core.training.step import autocast, clip, set_rate

WEIGHTS_STREAM = "discriminator weights"


class Adversary:
    """StyleGAN's discriminator, learning from the first step on, before the tokenizer heeds it.

    Its AdamW has the tokenizer's betas, decay and clipping; its weights are not averaged.
    """

    def __init__(self, config: FinetuneJob, run: Run) -> None:
        self.config, self.run = config.gan, run
        _check(config, run)
        word = int(bits(config.seed, WEIGHTS_STREAM, 0, 1)[0])
        generator = torch.Generator().manual_seed(word >> 32)
        model = Discriminator(config.data.resolution, config.gan.width, generator)
        self.model = model.to(run.device)
        self.optimizer = make_optimizer(self.model, config.finetune)

    @property
    def weight(self) -> float:
        """λ of the step that is being done."""
        return gan_weight(self.config, self.run.train.batch, self.run.step)

    def tokenizer_loss(self, fake: Tensor) -> Tensor:
        """The adversarial term of reconstructions (b, 3, t, h, w), unweighted; its gradient reaches
        them and not the discriminator."""
        with _frozen(self.model), autocast(self.run):
            return generator_loss(self.config.loss, self.model(fake))

    def own_loss(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The discriminator's loss `disc_loss` on originals and (detached) reconstructions, with
        its parts for the learning curves."""
        with autocast(self.run):
            scores = self.model(real), self.model(fake.detach())
        loss = discriminator_loss(self.config.loss, *scores)
        terms = {"disc_real": scores[0].mean(), "disc_fake": scores[1].mean()}
        if self.config.r1 > 0:
            terms["r1"] = r1_penalty(self.model, real)
            loss = loss + self.config.r1 * terms["r1"]
        return {**{name: value.detach() for name, value in terms.items()}, "disc_loss": loss}

    def clip(self) -> float:
        """Clip its gradients; their norm before."""
        return clip(self.model, self.run.train.clip_norm)

    def step(self) -> float:
        """Update it; returns the learning rate."""
        rate = discriminator_rate(self.config, self.run.train.batch, self.run.step)
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        return rate

    def state(self) -> State:
        """Weights and optimizer."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: State) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


@contextmanager
def _frozen(model: torch.nn.Module) -> Iterator[None]:
    model.requires_grad_(False)
    try:
        yield
    finally:
        model.requires_grad_(True)


def _check(config: FinetuneJob, run: Run) -> None:
    micro_batch = run.context.machine.micro_batch
    reason = fault(config.data.resolution, run.train.batch, run.world.size, micro_batch)
    if reason is not None:
        raise UserError(reason)
