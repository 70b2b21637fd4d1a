"""Generators: a training step on cached latents beside one that encodes its pictures, and samples.

`python benchmarks/generator.py --batch 4 --rounds 3` prints these rows alone.

Codes are those of S-B/16 at 256 px, c = 16, with random weights. What a cache saves of a step is
the encoder's forward pass and the reading of pictures; the rest is the generator's own. The label
of a row says how large the saving can be: (encoder + 3 · generator) / (3 · generator) in FLOPs, 3
for forward and backward. DiT-S, the smallest of the table, costs half the encoder.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from timing import Row, compare

from vitok_core.config import (
    GeneratorConfig,
    GeneratorJob,
    GeneratorTrainConfig,
    SamplingConfig,
    TokenizerConfig,
)
from vitok_core.context import Machine, Parent
from vitok_core.cost import Shape, encoder_macs, generator_macs
from vitok_core.data.counter import noise
from vitok_core.data.latents import latents_folder
from vitok_core.data.latentwriter import Encoded, LatentWriter
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.data.sampler import TrainCrops
from vitok_core.data.samples import Batch
from vitok_core.diffusion.sampling import guided, sample
from vitok_core.health.bench import Bench
from vitok_core.models.build import build_tokenizer
from vitok_core.models.dit import Dit
from vitok_core.models.initialise import init_standard
from vitok_core.training.generator import GeneratorStage
from vitok_core.variants import DIT_SIZES, SIZES, Tower

PIXELS, PATCH, CHANNELS, CLASSES = 256, 16, 16, 10
SHAPE = Shape(PIXELS, PATCH, CHANNELS)
GRID = (1, PIXELS // PATCH, PIXELS // PATCH)
TRAINED = {"a DiT of 6 blocks of 192": Tower(width=192, blocks=6, heads=3)} | {
    name: DIT_SIZES[name] for name in ("DiT-S", "DiT-B")
}
TOY = Tower(width=128, blocks=4, heads=4)


def measure(folder: Path, batch: int = 4, rounds: int = 3) -> Iterator[Row]:
    """All rows, one by one."""
    steps = _Steps(folder, batch)
    what = f"{batch} codes of S-B/16 at {PIXELS} px"
    yield compare(f"{what}, to train on", rounds, cached=steps.read, encoded=steps.encode)
    encoder = encoder_macs(SIZES["S"], SHAPE)
    for name, tower in TRAINED.items():
        own = 3 * generator_macs(tower, SHAPE.tokens, CHANNELS)
        stage = steps.stage(tower)
        label = f"training step of {name} on {what} (at most {(encoder + own) / own:.2g}×)"
        yield compare(
            label,
            rounds,
            cached=lambda stage=stage: stage.update(steps.read()),
            encoded_on_the_fly=lambda stage=stage: stage.update(steps.encode()),
        )
    yield guidance(batch, rounds)
    yield sampling("DiT-S, S-B/16 at 256 px", DIT_SIZES["DiT-S"], GRID, batch, steps=10)
    yield sampling("a DiT of 4 blocks of 128, 16 tokens", TOY, (1, 4, 4), 32, steps=250)


class _Steps:
    """Batches of a cache and of the pictures themselves, and what trains on them."""

    def __init__(self, folder: Path, batch: int) -> None:
        self.folder = folder / "generator"
        self.size, self.step = batch, 0
        sizes = TokenizerConfig(
            encoder=SIZES["S"], decoder=SIZES["B"], patch=PATCH, channels=CHANNELS
        )
        self.tokenizer = build_tokenizer(sizes, 1, PIXELS)
        init_standard(self.tokenizer, torch.Generator().manual_seed(0))
        self.crops = TrainCrops(open_source("photos-train", {}, folder), PIXELS, seed=0)
        writer, n = LatentWriter(latents_folder(self.folder), {}), 64
        codes = torch.randn(n, SHAPE.tokens, CHANNELS)
        writer.write(0, Encoded(codes, codes.clamp(-9, -3), torch.arange(n) % CLASSES))
        writer.finish({"grid": GRID})
        self.data = self.stage(TOY).run.data

    def stage(self, tower: Tower) -> GeneratorStage:
        """A generator of that size in training."""
        train = GeneratorTrainConfig(steps=1000, batch=self.size, precision="fp32")
        config = GeneratorJob(generator=GeneratorConfig(model=tower), train=train)
        context = Bench(self.folder, Machine())
        context.parents = (Parent("l0", "latents", {}, self.folder),)
        return GeneratorStage(config, context)

    def read(self) -> Batch:
        """The next batch of the cache."""
        return self.data.batch(self._next())[0]

    @torch.inference_mode()
    def encode(self) -> Batch:
        """The next batch of pictures, cut, encoded and drawn from its posteriors."""
        indices = self._next()
        found, _ = self.crops.batch(indices)
        posterior = self.tokenizer.encode(as_clips(to_model(found.samples)))
        codes = posterior.sample(noise(0, "codes", indices, self.tokenizer.code_shape))
        return Batch(codes.clone(), found.labels % CLASSES, found.indices)

    def _next(self) -> range:
        self.step += 1
        return range((self.step - 1) * self.size, self.step * self.size)


def generator(tower: Tower, grid: tuple[int, ...]) -> Dit:
    """One with the weights that it starts from."""
    model = Dit(GeneratorConfig(model=tower), CHANNELS, grid, CLASSES)
    model.initialise(torch.Generator().manual_seed(0))
    return model.eval()


@torch.inference_mode()
def guidance(batch: int, rounds: int) -> Row:
    """A guided prediction as one forward pass, and as two."""
    model = generator(TOY, GRID)
    x, t = torch.randn(batch, *model.code_shape), torch.full((batch,), 500.0)
    labels, none = torch.arange(batch) % CLASSES, torch.full((batch,), CLASSES)
    together = guided(model, labels, 2.0)

    def apart() -> object:
        conditional, unconditional = model(x, t, labels), model(x, t, none)
        return unconditional + 2.0 * (conditional - unconditional)

    with torch.inference_mode():
        what = f"guided prediction, a DiT of 4 blocks of 128, {batch} samples of 256 tokens"
        return compare(what, 10 * rounds, one_pass=lambda: together(x, t), two_passes=apart)


def sampling(what: str, tower: Tower, grid: tuple[int, ...], batch: int, steps: int) -> Row:
    """Samples per second, decoding left out, with guidance and without."""
    model, labels = generator(tower, grid), torch.arange(batch) % CLASSES

    def run(cfg: float) -> Callable[[], object]:
        how = SamplingConfig(steps=steps)
        return lambda: sample(model, labels, cfg, how, 0, range(batch))

    times = compare(what, 1, guided=run(2.0), unguided=run(1.0)).seconds
    label = f"samples per second of {what}: DDIM of {steps} steps, batch {batch}"
    rates = {name: seconds / batch for name, seconds in times.items()}
    return Row(label, rates, lambda each: f"{1 / each:.3g} images/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        for row in measure(Path(name), given.batch, given.rounds):
            print(row.markdown(), flush=True)


if __name__ == "__main__":
    main()
