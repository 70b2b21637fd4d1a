"""The one door through which jobs are run: job kind → function. The table of kinds names these.

Each function imports what it needs when it is called, so that no kind pays for another's imports.
"""

from __future__ import annotations

from vitok_core.config import (
    BaselineJob,
    FinetuneJob,
    FloorJob,
    GenerateJob,
    GeneratorJob,
    LatentsJob,
    ProbeJob,
    ReconstructJob,
    TokenizerJob,
)
from vitok_core.context import Context


def tokenizer(config: TokenizerJob, context: Context) -> None:
    """Stage 1: train a tokenizer."""
    from vitok_core.training.tokenizer import train_tokenizer

    train_tokenizer(config, context)


def finetune(config: FinetuneJob, context: Context) -> None:
    """Stage 2: fine-tune the parent tokenizer with an adversarial term."""
    from vitok_core.training.finetune import finetune_tokenizer

    finetune_tokenizer(config, context)


def reconstruct(config: ReconstructJob, context: Context) -> None:
    """Reconstruct a data set with the parent tokenizer and score it."""
    from vitok_core.metrics.evaluation import reconstruct as run

    run(config, context)


def floor(config: FloorJob, context: Context) -> None:
    """Score the PCA of patches at the same p, c and data."""
    from vitok_core.baselines.floor import floor as run

    run(config, context)


def baseline(config: BaselineJob, context: Context) -> None:
    """Score a codec, or a tokenizer that was not trained here."""
    from vitok_core.baselines.scoring import baseline as run

    run(config, context)


def probe(config: ProbeJob, context: Context) -> None:
    """Linear probe and equivariance of the parent tokenizer's code."""
    from vitok_core.metrics.probe import probe as run

    run(config, context)


def latents(config: LatentsJob, context: Context) -> None:
    """Encode a data set with the parent tokenizer, for generators to train on."""
    from vitok_core.diffusion.encode import latents as run

    run(config, context)


def generator(config: GeneratorJob, context: Context) -> None:
    """Train a generator on the parent's cached latents."""
    from vitok_core.training.generator import train_generator

    train_generator(config, context)


def generate(config: GenerateJob, context: Context) -> None:
    """Draw samples from the parent generator, decode and score them."""
    from vitok_core.diffusion.generate import generate as run

    run(config, context)
