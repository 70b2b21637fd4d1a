"""What a training run is made of: data, model, optimizer, and where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vitok_core.config import TokenizerJob
from vitok_core.context import Context
from vitok_core.data.opening import training_crops
from vitok_core.data.sampler import TrainCrops
from vitok_core.data.sources import fingerprint
from vitok_core.models.blocks import compile_blocks
from vitok_core.models.build import build_tokenizer
from vitok_core.models.initialise import init_pca, init_standard, pca_rank
from vitok_core.models.posterior import Posterior
from vitok_core.models.tokenizer import ViTok
from vitok_core.training.linear import training_pca

Forward = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Posterior]]


@dataclass
class Run:
    """The moving parts of one training."""

    config: TokenizerJob
    context: Context
    device: torch.device
    crops: TrainCrops
    model: ViTok
    forward: Forward  # the model as it is called in training: (clips, noise, kept lengths)
    optimizer: torch.optim.AdamW
    step: int = 0  # optimizer steps done


def build_run(config: TokenizerJob, context: Context) -> Run:
    """Open the data, make and initialise the model, and give it its optimizer."""
    data = config.data
    device = torch.device(context.machine.device)
    crops = training_crops(data, config.seed, context)
    context.data_fingerprint(data.name, data.version, fingerprint(data.name, context.paths.data))
    model = initial_model(config, context).to(device)
    model.checkpoint_activations(context.machine.checkpoint_activations)
    if context.machine.compile:
        compile_blocks(model)
    return Run(config, context, device, crops, model, model, make_optimizer(model, config))


def initial_model(config: TokenizerJob, context: Context) -> ViTok:
    """The tokenizer at step 0, on the CPU: a function of the configuration and its seed alone."""
    sizes, data = config.tokenizer, config.data
    model = build_tokenizer(sizes, data.frames, data.resolution)
    generator = torch.Generator().manual_seed(config.seed)
    if sizes.init == "pca":
        pca = training_pca(data, sizes.stride, sizes.patch, pca_rank(model), context)
        init_pca(model, pca, generator)
    else:
        init_standard(model, generator)
    return model


def make_optimizer(model: ViTok, config: TokenizerJob) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: decaying norms and biases would only shift the output."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.train.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=config.train.betas, fused=True)
