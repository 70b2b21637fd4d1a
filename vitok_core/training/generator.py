"""Train a class-conditional diffusion transformer on cached latents (§2.3).

Codes, noise, times and dropped labels derive from (seed, global sample index), so a resumed run
goes on exactly; what is evaluated is the average of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor

from vitok_core.config import GeneratorJob
from vitok_core.context import Context
from vitok_core.data.counter import noise, uniforms
from vitok_core.data.latents import LatentSet, latents_folder
from vitok_core.data.samples import Batch
from vitok_core.diffusion.objectives import objective_of
from vitok_core.errors import UserError
from vitok_core.models.dit import Dit
from vitok_core.training.checkpoint import State
from vitok_core.training.distributed import World, join
from vitok_core.training.ema import Ema
from vitok_core.training.final import read_final
from vitok_core.training.loop import train
from vitok_core.training.schedule import learning_rate
from vitok_core.training.setup import Run, enter, make_optimizer, place
from vitok_core.training.step import autocast, batch_gradients, clip, guard, set_rate

NOISE_STREAM = "diffusion noise"
TIME_STREAM = "diffusion times"
DROPOUT_STREAM = "label dropout"
_REMEDY = "Lower generator_train.base_lr, or set generator_train.clip_norm"


def train_generator(config: GeneratorJob, context: Context) -> None:
    """Train to the last step and leave `checkpoints/<attempt>/final.pt`; see `loop.train`."""
    with join(context.machine) as world:
        train(GeneratorStage(config, context, world))


class GeneratorStage:
    """A transformer that learns to denoise the parent's latents."""

    def __init__(self, config: GeneratorJob, context: Context, world: World | None = None) -> None:
        self.config, train = config, config.train
        world = enter(train, context, world)
        (parent,) = context.parents
        latents = LatentSet(latents_folder(parent.folder), config.generator.classes)
        if world.first:
            latents.verify()
        self.run = Run(config, train, context, world, TrainLatents(latents, config.seed))
        self.model = place(initial_model(config, latents), self.run)
        self.objective = objective_of(config.generator, self.model.code_shape)
        self.optimizer = make_optimizer(self.model, train)
        self.ema = Ema(self.model, train.ema) if train.ema else None
        self._code: State = {
            "channels": latents.channels, "grid": list(latents.grid), "classes": latents.classes,
        }  # fmt: skip

    def update(self, batch: Batch) -> dict[str, float]:
        """One optimizer step."""
        run, config = self.run, self.run.train
        rate = learning_rate(config, 1, run.step)
        set_rate(self.optimizer, rate)

        self.optimizer.zero_grad(set_to_none=True)
        terms = batch_gradients(run, batch, self._backward, self.model.parameters())
        norm = clip(self.model, config.clip_norm)
        guard({"loss": terms["loss"], "gradient norm": norm}, run.step + 1, _REMEDY)

        self.optimizer.step()
        if self.ema:
            self.ema.update()
        return {**terms, "grad_norm": norm, "lr": rate}

    def _backward(self, batch: Batch, share: float) -> Mapping[str, Tensor]:
        seed, device, indices = self.config.seed, self.run.device, batch.indices.tolist()
        x = self.model.normalise(batch.samples)  # (b, l, c)
        draws = noise(seed, NOISE_STREAM, indices, self.model.code_shape).to(device)
        times = self.objective.times(_uniform(seed, TIME_STREAM, indices)).float().to(device)
        dropped = _uniform(seed, DROPOUT_STREAM, indices) < self.config.generator.label_dropout
        labels = batch.labels.masked_fill(dropped.to(device), self.model.classes)
        with autocast(self.run):
            output = self.model(self.objective.mix(x, draws, times), times, labels)
        terms = self.objective.losses(output.float(), x, draws, times)
        (share * terms["loss"]).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in terms.items()}

    def state(self) -> State:
        """Weights, averages and optimizer."""
        state: State = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        return {**state, "ema": self.ema.averages} if self.ema else state

    def load(self, state: State) -> None:
        """Go on from `state`; a finished training's final checkpoint has weights alone."""
        finished = state["step"] >= self.run.train.steps
        self.model.load_state_dict(state["raw" if finished and self.ema else "model"])
        if self.ema:
            self.ema.load(state["model" if finished else "ema"])
        if not finished:
            self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> State:
        """The averaged weights, the raw ones, and the code that they are for."""
        raw = self.model.state_dict()
        if self.ema is None:
            return {"model": raw, "code": self._code}
        return {"model": {**raw, **self.ema.averages}, "raw": raw, "code": self._code}

    def summary(self) -> dict[str, str]:
        """Nothing beside the weights' hash."""
        return {}


class TrainLatents:
    """The latents as an endless stream of training samples: posteriors, drawn from anew."""

    def __init__(self, latents: LatentSet, seed: int) -> None:
        self.latents, self.seed = latents, seed

    def batch(self, indices: Sequence[int]) -> tuple[Batch, list[str]]:
        """The codes of these indices; none is ever corrupt."""
        codes, labels = self.latents.batch(indices, self.seed)
        return Batch(codes, labels, torch.tensor(list(indices))), []

    def account(self, samples: int, corrupt: Sequence[str], step: int) -> None:
        """Nothing to tell."""


def initial_model(config: GeneratorJob, latents: LatentSet) -> Dit:
    """The transformer at step 0, on the CPU: a function of configuration, seed and latents alone.

    Raises:
        UserError: a channel cannot be normalised.
    """
    model = Dit(config.generator, latents.channels, latents.grid, latents.classes)
    model.initialise(torch.Generator().manual_seed(config.seed))
    if config.generator.normalize == "channel":
        for channel, spread in enumerate(latents.std.tolist()):
            if not spread > 0:
                raise UserError(
                    f"latents: channel {channel} has the standard deviation {spread:g}: it cannot "
                    "be normalised; see the tokenizer, or set generator.normalize to none"
                )
        model.mean.copy_(latents.mean)
        model.std.copy_(latents.std)
    return model


class Generator(NamedTuple):
    """A trained generator: the averaged weights in evaluation mode, on the CPU."""

    model: Dit
    config: GeneratorJob
    step: int  # optimizer steps
    weights_sha256: str


def load_generator(folder: Path, step: int | None = None) -> Generator:
    """What the job `generator` in `folder` left.

    Args:
        step: of the milestone to read; None: the final weights.

    Raises:
        UserError: it is not there, or not of this release.
    """
    path, state = read_final(folder, step)
    try:
        config = GeneratorJob.model_validate(state["config"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: its configuration is not a generator's of this release: {where}: "
            f"{first['msg']}"
        ) from error
    model = Dit(config.generator, **state["code"])
    model.load_state_dict(state["model"])
    return Generator(
        model.eval().requires_grad_(False), config, int(state["step"]), str(state["weights_sha256"])
    )


def _uniform(seed: int, stream: str, indices: Sequence[int]) -> Tensor:
    """One draw (b,) float64 in [0, 1) for each sample, from its index alone."""
    return torch.tensor([uniforms(seed, stream, index, 1)[0] for index in indices])
