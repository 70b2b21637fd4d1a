"""The job `generate`: samples of a generator at one guidance scale, decoded, scored and shown."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitok_core.arrays import write_array
from vitok_core.config import GenerateJob, SamplingConfig
from vitok_core.context import Context, Parent
from vitok_core.data.counter import uniforms
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import as_samples
from vitok_core.data.sampler import EvalCrops
from vitok_core.data.sources import data_set
from vitok_core.diffusion.sampling import sample
from vitok_core.diffusion.show import show
from vitok_core.errors import UserError
from vitok_core.files import replace_atomically
from vitok_core.metrics.evaluation import journal_data
from vitok_core.metrics.scoring import eight_bits, score_generated
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.dit import Dit
from vitok_core.training.distributed import World, join
from vitok_core.training.generator import load_generator
from vitok_core.training.trained import load_model

_log = logging.getLogger(__name__)

SHOWN = 64  # samples: what sheets have room for
CHUNK = 64  # frames drawn at once, unless the machine says how many samples
CLASS_STREAM = "sample classes"


def generate(config: GenerateJob, context: Context) -> None:
    """Draw all samples, then score them against the reference set; several processes share both.

    Decoded samples are kept in chunks until they are scored, so that a restart draws what is
    missing. Sample n depends on the seed and n alone.
    """
    torch.set_num_threads(context.machine.threads)
    with join(context.machine) as world:
        bits = journal_data(config.reference, config.version, context)
        references = _references(config, context)
        drawn = _Drawn(config, context, world)
        drawn.draw_missing()
        score_generated(
            drawn,
            config.sampling.samples * config.frames,
            how(config),
            references,
            f"{config.reference}@{config.version}",
            bits,
            config.evaluation,
            context,
            world,
        )
        if world.first:
            for kind, path in show(drawn.first(SHOWN), context.artifacts).items():
                context.artifact(path, kind)
            drawn.forget()


def _references(config: GenerateJob, context: Context) -> EvalCrops | Path:
    """What samples are compared with: a data set's crops, or a file of its statistics."""
    paths = context.paths.data
    if data_set(config.reference).kind == "statistics":
        return Path(paths[config.reference]).expanduser()
    source = open_source(config.reference, paths, context.cache)
    samples = config.evaluation.samples
    return EvalCrops(source, config.resolution, samples, config.frames, config.fps)


def how(config: GenerateJob) -> str:
    """How samples were drawn, for protocol strings: but for seed and guidance, which results have
    columns of their own."""
    sampling = config.sampling
    parts = [f"{sampling.classes} classes", f"{sampling.steps} steps"]
    if sampling.eta:
        parts.append(f"eta {sampling.eta:g}")
    if sampling.solver != "euler":
        parts.append(sampling.solver)
    return ", ".join(parts)


def classes_of(sampling: SamplingConfig, classes: int, seed: int, indices: range) -> Tensor:
    """The classes (b,) of these samples: in turn, so that none is more than one ahead, or drawn."""
    if sampling.classes == "balanced":
        return torch.tensor([index % classes for index in indices])
    draws = [uniforms(seed, CLASS_STREAM, index, 1)[0] for index in indices]
    return torch.tensor([int(draw * classes) for draw in draws])


class _Drawn(Sequence[Tensor]):
    """A job's decoded samples in order, in chunk files (b, 3, h, w) or (b, 3, t, h, w) uint8.

    Chunk k is drawn, and scored, by process k mod size: files that another node has just written
    may not be seen at once.
    """

    def __init__(self, config: GenerateJob, context: Context, world: World) -> None:
        self.config, self.context, self.world = config, context, world
        self.folder = context.artifacts / "chunks"
        total = config.sampling.samples
        size = context.machine.micro_batch or max(1, CHUNK // config.frames)
        self.parts = [range(at, min(at + size, total)) for at in range(0, total, size)]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, number: Any) -> Any:
        self.parts[number]  # past the end: IndexError
        chunk = self._read(number)
        if chunk is None:
            raise UserError(f"{self._path(number)}: is gone or damaged; run this job again")
        return chunk

    def draw_missing(self) -> None:
        """Draw and decode the chunks that are not here yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = self.world.tell(self._missing() if self.world.first else set())
        if not missing:
            return
        generator, tokenizer = self._models()
        self._count_classes(generator.classes)
        total = self.config.sampling.samples
        done = total - sum(len(self.parts[number]) for number in missing)

        def draw(number: int) -> int:
            if number not in missing:
                return 0
            self._write(number, self._draw(generator, tokenizer, self.parts[number]))
            return len(self.parts[number])

        unit = "images" if self.config.frames == 1 else "clips"
        for drawn in self.world.in_turn(len(self), draw, self.context):
            done += drawn
            if drawn:
                self.context.progress(done, total, unit)

    def _count_classes(self, classes: int) -> None:
        sampling = self.config.sampling
        if self.world.first and sampling.classes == "balanced" and sampling.samples < classes:
            _log.warning(
                f"sampling.samples: {sampling.samples}: there are {classes} classes, and those "
                "from there on are not drawn: scores are of the others alone"
            )

    def _missing(self) -> set[int]:
        # What is not in the listing is not looked for: a network file system would go on to say
        # for a while that it is absent.
        there = {path.name for path in self.folder.iterdir()}
        numbers = range(len(self))
        return {n for n in numbers if self._path(n).name not in there or self._read(n) is None}

    def first(self, most: int) -> Tensor:
        """The first so many samples, or all."""
        parts, count = [], 0
        for chunk in self:
            parts.append(chunk)
            count += len(chunk)
            if count >= most:
                break
        return torch.cat(parts)[:most]

    def forget(self) -> None:
        """Delete the chunks: a scored job needs them no more, and any of them can be drawn anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @torch.inference_mode()
    def _draw(self, generator: Dit, tokenizer: AutoEncoder, indices: range) -> Tensor:
        config, sampling = self.config, self.config.sampling
        labels = classes_of(sampling, generator.classes, config.seed, indices)
        codes = sample(generator, labels, config.cfg, sampling, config.seed, indices)
        if not bool(codes.isfinite().all()):
            raise UserError(
                f"cfg: {config.cfg:g}: samples hold values that are no numbers; lower it, or see "
                "the generator's training"
            )
        clips = tokenizer.decode(codes, tokenizer.grid)
        return eight_bits(as_samples(clips).float()).cpu()

    def _models(self) -> tuple[Dit, AutoEncoder]:
        device = self.world.device
        generator = load_generator(_parent(self.context, "generator").folder).model
        tokenizer = load_model(_parent(self.context, "tokenizer", "finetune").folder)
        return generator.to(device), tokenizer.to(device)

    def _path(self, number: int) -> Path:
        part = self.parts[number]  # by its samples: other chunks may be of other sizes
        return self.folder / f"samples-{part.start:07d}-{part.stop:07d}.npy"

    def _write(self, number: int, chunk: Tensor) -> None:
        array = chunk.numpy()
        replace_atomically(self._path(number), lambda file: write_array(file, array))

    def _read(self, number: int) -> Tensor | None:
        """A chunk, where it is here and whole."""
        try:
            chunk = torch.from_numpy(np.load(self._path(number), allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None
        return chunk if len(chunk) == len(self.parts[number]) else None


def _parent(context: Context, *kinds: str) -> Parent:
    return next(parent for parent in context.parents if parent.kind in kinds)
