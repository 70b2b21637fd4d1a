"""What every training is made of: its data, a model at step 0, an optimizer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from vitok_core.config import FinetuneJob, Science, TokenizerJob, TrainConfig
from vitok_core.context import Context
from vitok_core.data.opening import training_crops
from vitok_core.data.sampler import TrainCrops
from vitok_core.data.samples import TrainSamples
from vitok_core.data.skips import Skips
from vitok_core.data.sources import fingerprint
from vitok_core.models.autoencoder import AutoEncoder, check_shapes
from vitok_core.models.blocks import compile_blocks
from vitok_core.models.build import build_tokenizer
from vitok_core.models.dit import Dit
from vitok_core.models.initialise import init_pca, init_standard, pca_rank
from vitok_core.models.posterior import Posterior
from vitok_core.models.tokenizer import ViTok
from vitok_core.objectives.extra import ExtraTerm, open_extra
from vitok_core.training.distributed import World
from vitok_core.training.linear import training_pca

_log = logging.getLogger(__name__)

# A tokenizer as it is called in training: (clips, noise, kept lengths).
Forward = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Posterior]]
Model = TypeVar("Model", AutoEncoder, Dit)


@dataclass
class Run:
    """One training's configuration, data and place, whatever it trains."""

    config: Science  # of the job
    train: TrainConfig  # the section of `config` that says how to optimise
    context: Context
    world: World
    data: TrainSamples
    step: int = 0  # optimizer steps done

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.world.device


@dataclass
class TokenizerRun(Run):
    """That of a tokenizer, of either stage."""

    config: TokenizerJob | FinetuneJob
    data: TrainCrops
    extra: tuple[ExtraTerm, ...] = ()  # the losses of `config.loss.extra`


def enter(train: TrainConfig, context: Context, world: World | None) -> World:
    """Take the threads, and see to it that every process gets an equal share of a batch.

    Args:
        world: the processes of the training; None: this one, on the context's device.
    """
    world = world or World(torch.device(context.machine.device))
    world.check_batch(train.batch)
    torch.set_num_threads(context.machine.threads)
    return world


def open_run(
    config: TokenizerJob | FinetuneJob, train: TrainConfig, context: Context, world: World | None
) -> TokenizerRun:
    """Open a tokenizer's data and journal what it holds; arguments as of `enter`."""
    data, world = config.data, enter(train, context, world)
    skips = Skips(context, world.gather, world.size)
    crops = training_crops(data, config.seed, context, skips)
    context.data_fingerprint(data.name, data.version, fingerprint(data.name, context.paths.data))
    return TokenizerRun(config, train, context, world, crops, extra=open_extra(config.loss))


def _empty_model(config: TokenizerJob) -> AutoEncoder:
    return build_tokenizer(config.tokenizer, config.data.frames, config.data.resolution)


def starting_model(config: TokenizerJob, run: Run) -> AutoEncoder:
    """The model that training starts from; `place` spreads the first process's to the others."""
    return initial_model(config, run.context) if run.world.first else _empty_model(config)


def initial_model(config: TokenizerJob, context: Context) -> AutoEncoder:
    """The tokenizer at step 0, on the CPU: a function of the configuration and its seed alone."""
    sizes, data = config.tokenizer, config.data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # for the weights of a class of the user's own
        model = _empty_model(config)
    if not isinstance(model, ViTok):
        check_shapes(model)
        return model
    generator = torch.Generator().manual_seed(config.seed)
    if sizes.init == "pca":
        pca = training_pca(data, sizes.stride, sizes.patch, pca_rank(model), context)
        init_pca(model, pca, generator)
    else:
        init_standard(model, generator)
    return model


def place(model: Model, run: Run) -> Model:
    """The model on the job's device, the same in all processes, with the machine's settings."""
    machine = run.context.machine
    model = model.to(run.device)
    run.world.spread(model)
    model.checkpoint_activations(machine.checkpoint_activations)
    if machine.compile and not compile_blocks(model) and run.world.first:
        name = type(model).__name__
        _log.warning("compile: true changes nothing: %s has no blocks of ViTok's", name)
    return model


def make_optimizer(model: nn.Module, train: TrainConfig) -> torch.optim.AdamW:
    """AdamW over what is trained, its rate to be set at each step.

    Decay is on matrices only: decaying norms and biases would only shift the output.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=train.betas, fused=True)
