"""Other people's tokenizers as a pair of functions: images to code, code to images.

Weights in a local folder: classes of diffusers, loaded by it; torchscript as encoder.jit and
decoder.jit, as Cosmos has them; functions of the user's own. Codes are posterior means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitok_core import plugins
from vitok_core.baselines.table import DIFFUSERS, JIT, WEIGHTS
from vitok_core.config import CodecConfig
from vitok_core.data.pixels import as_images, as_shaped, to_model
from vitok_core.errors import UserError

NOISE_SEED = 0  # of the consistency decoder: every picture starts from the same noise


@dataclass(frozen=True)
class Pair:
    """Both ways: `encode` from (b, 3, h, w) in [-1, 1] to a code, `decode` back."""

    encode: Callable[[Tensor], Any]
    decode: Callable[[Any], Any]


def open_pair(codec: CodecConfig, weights: Path | None, device: torch.device) -> Pair:
    """The codec's two functions.

    Args:
        weights: its folder, of which `table.missing` has found nothing wrong; None of functions.

    Raises:
        UserError: the folder holds no such model, or the functions' source is not what was planned.
    """
    if codec.kind == "functions":
        own = (plugins.load(str(code), codec.sha256) for code in (codec.encode, codec.decode))
        return Pair(*own)
    assert weights is not None
    try:
        if codec.kind in DIFFUSERS:
            return _diffusers(codec.kind, weights, device)
        return _torchscript(weights, device)
    except (OSError, RuntimeError, ValueError) as error:
        why = str(error).strip().splitlines()[0]
        raise UserError(f"codec {codec.name}: {weights} cannot be loaded: {why}") from error


def weights_sha256(codec: CodecConfig, folder: Path) -> str:
    """SHA-256 over the names and bytes of the files that make the codec."""
    own = codec.kind in DIFFUSERS
    files = sorted({folder / "config.json", *folder.glob(f"{WEIGHTS}*")}) if own else [
        folder / name for name in JIT
    ]  # fmt: skip
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest.update(f"{file.name}\0".encode())
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


class Pretrained:
    """Rebuilds batches through a pair, and knows how many values the code has.

    Args:
        chunk: images in one forward pass; the scores do not depend on it.
    """

    def __init__(self, name: str, pair: Pair, device: torch.device, chunk: int) -> None:
        self.name, self.pair, self.device, self.chunk = name, pair, device, chunk
        self.values: int | None = None  # of one image's code; None: it is no tensor

    @torch.inference_mode()
    def __call__(self, samples: Tensor) -> Tensor:
        """(b, 3, h, w) or (b, 3, t, h, w) uint8 → the same, rebuilt frame by frame, in [-1, 1]."""
        frames = as_images(samples)
        return as_shaped(torch.cat(list(self._rebuilt(frames))), samples)

    def _rebuilt(self, frames: Tensor) -> Iterator[Tensor]:
        for part in torch.split(frames, self.chunk):
            images = to_model(part.to(self.device))
            code = self.pair.encode(images)
            if isinstance(code, Tensor):
                self.values = code.numel() // len(images)
            output = self.pair.decode(code)
            self._check(output, images)
            yield output.float().cpu()

    def _check(self, output: Any, images: Tensor) -> None:
        if not isinstance(output, Tensor) or output.shape != images.shape:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UserError(
                f"codec {self.name}: decode gives {got}, expected images {tuple(images.shape)}"
            )
        if not output.is_floating_point():
            raise UserError(
                f"codec {self.name}: decode gives {output.dtype}, expected floats in [-1, 1]"
            )
        if not bool(output.isfinite().all()):
            raise UserError(f"codec {self.name}: decode gives what is no number")


def _diffusers(kind: str, folder: Path, device: torch.device) -> Pair:
    model = getattr(import_module("diffusers"), kind).from_pretrained(
        folder, local_files_only=True, torch_dtype=torch.float32
    )
    model = model.to(device).eval()
    if kind == "AutoencoderDC":
        return Pair(lambda x: model.encode(x).latent, lambda z: model.decode(z).sample)

    def encode(images: Tensor) -> Tensor:
        code: Tensor = model.encode(images).latent_dist.mode()
        return code

    if kind == "AutoencoderKL":
        return Pair(encode, lambda z: model.decode(z).sample)

    def decode(code: Tensor) -> Tensor:
        # One by one, from one noise: a picture is the same in any batch.
        noises = [torch.Generator(device).manual_seed(NOISE_SEED) for _ in code]
        made = [
            model.decode(z[None], generator=noise).sample
            for z, noise in zip(code, noises, strict=True)
        ]
        return torch.cat(made)

    return Pair(encode, decode)


def _torchscript(folder: Path, device: torch.device) -> Pair:
    """encoder.jit and decoder.jit, in the precision of their own weights. Of a tuple the first
    counts: Cosmos's encoder also gives its posterior."""
    load: Any = torch.jit.load
    encoder, decoder = (load(folder / name, device).eval() for name in JIT)
    own = (each.dtype for each in encoder.parameters() if each.is_floating_point())
    dtype = next(own, torch.float32)
    return Pair(lambda x: _first(encoder(x.to(dtype))), lambda z: _first(decoder(z)))


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple | list) else output
