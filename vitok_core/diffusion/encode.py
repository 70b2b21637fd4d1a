"""The job `latents`: a data set as the parent tokenizer encodes it, for generators to train on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vitok_core.config import LatentsJob
from vitok_core.context import Context
from vitok_core.data.images import CorruptImage
from vitok_core.data.latents import latents_folder
from vitok_core.data.latentwriter import Encoded, LatentWriter, shard_samples
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.data.samples import stacked
from vitok_core.data.skips import Skips
from vitok_core.errors import Stopped
from vitok_core.metrics.evaluation import journal_data
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.tubelets import grid_of
from vitok_core.training.distributed import World, join
from vitok_core.training.trained import read_trained

BATCH = 64  # frames encoded at once, unless the machine says how many samples


def latents(config: LatentsJob, context: Context) -> None:
    """Encode every sample, shard by shard; whole shards of an earlier attempt are kept.

    Samples are those of an evaluation: the centre crop of an image, the middle clip of a video,
    several crops of each embedded photo. Corrupt files are left out, told of, and too many of them
    are an error, as in a training. Several processes share the shards.
    """
    torch.set_num_threads(context.machine.threads)
    with join(context.machine) as world:
        _encode(config, context, world)


def _encode(config: LatentsJob, context: Context, world: World) -> None:
    (parent,) = context.parents
    trained = read_trained(parent.folder)
    model = trained.model().to(world.device)
    bits = journal_data(config.dataset, config.version, context)
    source = open_source(config.dataset, context.paths.data, context.cache)
    crops = EvalCrops(source, config.resolution, config.samples, config.frames, config.fps)
    q, p = model.config.stride, model.config.patch
    tubelets = grid_of(config.frames, config.resolution, config.resolution, q, p)
    tokens, channels = model.code_tokens(tubelets), model.config.channels
    made_of = {
        "tokenizer": trained.weights_sha256,
        "data": bits,
        "config": config.model_dump_json(),
    }
    writer = LatentWriter(latents_folder(context.folder), made_of)
    size = shard_samples(tokens, channels, config.flip)
    shards = {n: range(first, min(first + size, len(crops)))
              for n, first in enumerate(range(0, len(crops), size))}  # fmt: skip

    # The first process says what there is to do: while others look, it may have begun to write.
    todo = world.tell([n for n in shards if not writer.has(n)] if world.first else [])
    queues = _queues({number: shards[number] for number in todo}, context, config.frames, world)
    encoder = _Encoder(model, world.device, config.flip)
    done = len(crops) - sum(len(shards[number]) for number in todo)
    unit = "images" if config.frames == 1 else "clips"
    skips = Skips(context, world.gather)
    own, encoded = queues[world.rank], [_nothing(tokens, channels, config.flip)]
    batches = _batches(crops, [part.samples for part in own], context)
    for step in range(max(map(len, queues))):
        reason = world.asked_to_stop(context)
        if reason is not None:
            raise Stopped(reason)
        batch = next(batches) if step < len(own) else None
        # Of all processes, as every one of them knows.
        asked = sum(len(queue[step].samples) for queue in queues if step < len(queue))
        done += asked
        skips.add(asked, batch.corrupt if batch else [], done)
        if batch is not None and batch.samples is not None:
            encoded.append(encoder(batch.samples, batch.labels))
        if batch is not None and own[step].last:
            writer.write(own[step].shard, _joined(encoded))
            encoded = encoded[:1]
        context.progress(done, len(crops), unit)

    about = {
        "grid": [tokens] if model.config.latents else list(tubelets),
        "tokenizer": parent.id,
        "weights_sha256": trained.weights_sha256,
        "dataset": f"{config.dataset}@{config.version}",
        "fingerprint": bits,
        "samples": crops.protocol,
    }
    for records in world.collect(writer.records):
        writer.records.update(records)
    if world.first:
        context.artifact(writer.finish(about), "latents")


class _Part(NamedTuple):
    """The samples of a batch, of which shard they are, and whether they complete it."""

    shard: int
    samples: range
    last: bool


def _queues(
    shards: Mapping[int, range], context: Context, frames: int, world: World
) -> list[list[_Part]]:
    """The batches of each process, of whole shards in turn; no batch is of two shards."""
    size = context.machine.micro_batch or max(1, BATCH // frames)
    queues: list[list[_Part]] = [[] for _ in range(world.size)]
    for turn, (number, samples) in enumerate(shards.items()):
        for at in range(0, len(samples), size):
            part = samples[at : at + size]
            queues[turn % world.size].append(_Part(number, part, at + size >= len(samples)))
    return queues


class _Encoder:
    """A tokenizer's encoder, of samples and of their mirror images."""

    def __init__(self, model: AutoEncoder, device: torch.device, flip: bool) -> None:
        self._model, self._device, self._flip = model, device, flip

    @torch.inference_mode()
    def __call__(self, samples: Tensor, labels: Tensor) -> Encoded:
        """Posteriors of samples (b, 3, h, w) or (b, 3, t, h, w) uint8, on the CPU."""
        clips = as_clips(to_model(samples.to(self._device)))
        mirrored = self._codes(clips.flip(-1)) if self._flip else ()
        return Encoded(*self._codes(clips), labels, *mirrored)

    def _codes(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        posterior = self._model.encode(clips)
        return posterior.mean.float().cpu(), posterior.logvar.float().cpu()


def _nothing(tokens: int, channels: int, flip: bool) -> Encoded:
    """What is left of a shard whose files are all corrupt."""
    codes = torch.zeros(0, tokens, channels)
    label = torch.zeros(0, dtype=torch.int64)
    return Encoded(codes, codes, label, *((codes, codes) if flip else ()))


def _joined(parts: Sequence[Encoded]) -> Encoded:
    columns = list(zip(*parts, strict=True))
    mirrored = () if columns[-1][0] is None else columns[3:]
    return Encoded(*(torch.cat(column) for column in (*columns[:3], *mirrored)))


class _Batch(NamedTuple):
    """What could be read of some samples; None: nothing."""

    samples: Tensor | None
    labels: Tensor
    corrupt: list[str]


def _batches(crops: EvalCrops, parts: Sequence[range], context: Context) -> Iterator[_Batch]:
    """Batches of these samples, in order."""
    batches = _Batches(crops, parts)
    workers = context.machine.workers
    if workers and parts:
        yield from DataLoader(batches, batch_size=None, num_workers=workers)
    else:
        yield from (batches[k] for k in range(len(parts)))


class _Batches(Dataset[_Batch]):
    def __init__(self, crops: EvalCrops, parts: Sequence[range]) -> None:
        self.crops, self.parts = crops, parts

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, k: int) -> _Batch:
        examples, corrupt = [], []
        for i in self.parts[k]:
            try:
                examples.append(self.crops.read(i))
            except CorruptImage as error:
                corrupt.append(str(error))
        labels = torch.tensor([example.label for example in examples], dtype=torch.int64)
        pixels = stacked([example.pixels for example in examples]) if examples else None
        return _Batch(pixels, labels, corrupt)
