"""Writing a data set's cached latents: shards of posteriors, and what is known of them all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vitok_core.data.latents import FORMAT, INDEX
from vitok_core.errors import UserError
from vitok_core.files import replace_atomically

_SHARD_BYTES, _SHARD_SAMPLES = 2**28, 1024
_ELEMENT = 4 + 2  # bytes of one mean and one log-variance
_SEAL = "sha256"  # the one entry of a shard's header: of several the order would be drawn
_MOMENTS = ("rows", "mean", "scatter")


def shard_samples(tokens: int, channels: int, flip: bool) -> int:
    """How many samples a shard holds: what a restart may lose, and a file of 256 MB at most."""
    each = tokens * channels * _ELEMENT * (2 if flip else 1)
    return max(1, min(_SHARD_SAMPLES, _SHARD_BYTES // each))


class Encoded(NamedTuple):
    """Some samples' posteriors (n, l, c), in order, and their classes (n,) int64.

    `mean_flip` and `logvar_flip` are those of the mirror images; None: not cached.
    """

    mean: Tensor
    logvar: Tensor
    label: Tensor
    mean_flip: Tensor | None = None
    logvar_flip: Tensor | None = None

    @property
    def views(self) -> list[tuple[Tensor, Tensor]]:
        """(mean, logvar) of the samples, and of their mirror images where they are cached."""
        views = [(self.mean, self.logvar)]
        if self.mean_flip is not None and self.logvar_flip is not None:
            views.append((self.mean_flip, self.logvar_flip))
        return views


Record = Mapping[str, Any]  # what `latents.json` needs to know of a shard


class LatentWriter:
    """Writes shards, each whole or not at all, in any order; `finish` makes a set of them.

    Attributes:
        records: of the shards that this one knows of, by number.

    Args:
        folder: where they go.
        made_of: all that the latents depend on (tokenizer, data, what is cached). Shards of an
            earlier attempt are taken over where it is the same.
    """

    def __init__(self, folder: Path, made_of: Mapping[str, str]) -> None:
        self.folder = folder
        text = json.dumps(dict(made_of), sort_keys=True)
        self._made_of = hashlib.sha256(text.encode()).hexdigest()
        self.records: dict[int, Record] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def has(self, number: int) -> bool:
        """Whether shard `number` is here, whole and made of the same."""
        if number not in self.records:
            found = self._look(self._path(number))
            if found is None:
                return False
            self.records[number] = found
        return True

    def write(self, number: int, shard: Encoded) -> None:
        """Write shard `number`; an empty one, of samples that could not be read, is none."""
        tensors = {"label": shard.label.to(torch.int64)}
        for suffix, (mean, logvar) in zip(("", "_flip"), shard.views, strict=False):
            tensors[f"mean{suffix}"] = mean.to(torch.float32).contiguous()
            tensors[f"logvar{suffix}"] = logvar.to(torch.float16).contiguous()
            if not (mean.isfinite().all() and logvar.isfinite().all()):
                raise UserError(
                    f"latents: shard {number} has codes that are not finite; the tokenizer is "
                    "broken: see its reconstructions"
                )
        tensors |= _moments(shard)
        content = save(tensors, {_SEAL: self._seal(tensors)})
        replace_atomically(self._path(number), lambda file: file.write(content))
        if not self.has(number):
            raise OSError(f"{self._path(number)}: is not what was written")

    def finish(self, about: Mapping[str, Any]) -> Path:
        """Write `latents.json` over the shards of `records`; returns its path.

        Args:
            about: what else it shall say: grid, tokenizer, fingerprint of the data, …
        """
        shards = [self.records[number] for number in sorted(self.records)]
        filled = [shard for shard in shards if shard["n"]]
        if not filled:
            raise UserError("latents: no sample could be encoded")
        mean, std = _merged([shard["moments"] for shard in filled])
        counts = _added([shard["counts"] for shard in filled])
        document = {
            "format": FORMAT,
            "n": sum(shard["n"] for shard in filled),
            **{key: filled[0][key] for key in ("tokens", "channels", "flip")},
            "classes": sum(count > 0 for count in counts),
            "class_counts": counts,
            "channel_mean": mean,
            "channel_std": std,
            **about,
            "shards": [{key: shard[key] for key in ("file", "n", "sha256")} for shard in filled],
        }
        path = self.folder / INDEX
        text = json.dumps(document, indent=1) + "\n"
        replace_atomically(path, lambda file: file.write(text.encode()))
        return path

    def _path(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.safetensors"

    def _seal(self, tensors: Mapping[str, Tensor]) -> str:
        """SHA-256 of what a shard is made of, and of its tensors: names, types, shapes, bits."""
        sha = hashlib.sha256(self._made_of.encode())
        for name, tensor in sorted(tensors.items()):
            sha.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            sha.update(tensor.contiguous().numpy().tobytes())
        return sha.hexdigest()

    def _look(self, path: Path) -> Record | None:
        """What a shard holds; None where it is absent, damaged or made of something else."""
        try:
            with safe_open(path, framework="pt") as file:
                seal = (file.metadata() or {}).get(_SEAL)
                held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except (OSError, SafetensorError):
            return None
        if seal != self._seal(held):
            return None
        n, tokens, channels = held["mean"].shape
        return {
            "file": path.name,
            "n": n,
            "sha256": digest,
            "tokens": tokens,
            "channels": channels,
            "flip": "mean_flip" in held,
            "moments": {name: held[f"moments.{name}"] for name in _MOMENTS},
            "counts": torch.bincount(held["label"]).tolist(),
        }


def _moments(shard: Encoded) -> dict[str, Tensor]:
    """A shard's part of the statistics per channel, in float64: mean, and the scatter about it of
    samples of the posterior (expected: that of the means, and all posterior variances)."""
    mean = torch.cat([view.flatten(0, 1) for view, _ in shard.views]).double()
    variance = sum(logvar.flatten(0, 1).double().exp().sum(0) for _, logvar in shard.views)
    centre = mean.mean(0) if len(mean) else mean.sum(0)
    return {
        "moments.rows": torch.tensor(len(mean)),
        "moments.mean": centre,
        "moments.scatter": (mean - centre).square().sum(0) + variance,
    }


def _merged(parts: Sequence[Mapping[str, Tensor]]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel over all shards."""
    rows = torch.stack([part["rows"] for part in parts]).double()
    means, scatters = (torch.stack([part[name] for part in parts]) for name in ("mean", "scatter"))
    mean = (rows[:, None] * means).sum(0) / rows.sum()
    scatter = (scatters + rows[:, None] * (means - mean).square()).sum(0)
    return mean.tolist(), (scatter / rows.sum()).sqrt().tolist()


def _added(counts: Sequence[Sequence[int]]) -> list[int]:
    total = np.zeros(max(map(len, counts)), np.int64)
    for each in counts:
        total[: len(each)] += each
    return [int(count) for count in total]
