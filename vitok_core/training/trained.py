"""Trained weights, read back: from a job's folder, one of its checkpoints, or an export.

An export is a folder with `model.safetensors` and `config.json`. The latter holds the training's
whole configuration, the weights' digest, which reading checks, and where they come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vitok_core.config import FinetuneJob, TokenizerJob
from vitok_core.errors import UserError
from vitok_core.files import sync_folder, written_beside
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.build import build_tokenizer
from vitok_core.training.checkpoint import State, load_checkpoint, weights_hash
from vitok_core.training.final import NAME, read_final

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
FORMAT = "vitok-sweep tokenizer 1"


@dataclass(frozen=True)
class Trained:
    """A tokenizer's weights with all that one must know to use them.

    Attributes:
        config: of the training that they come from, whose kind is `kind`.
        step: optimizer steps of that training.
        path: the file that holds them.
    """

    config: TokenizerJob | FinetuneJob
    weights: Mapping[str, Tensor]
    step: int
    weights_sha256: str
    path: Path

    @property
    def kind(self) -> str:
        """The kind of job that trained them."""
        return "finetune" if isinstance(self.config, FinetuneJob) else "tokenizer"

    def model(self) -> AutoEncoder:
        """The tokenizer in evaluation mode, on the CPU."""
        data = self.config.data
        model = build_tokenizer(self.config.tokenizer, data.frames, data.resolution)
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            raise UserError(
                f"{self.path}: its weights are not those of its configuration; export it again"
            ) from error
        return model.eval().requires_grad_(False)


def load_model(place: Path, step: int | None = None) -> AutoEncoder:
    """The model at `place`, on the CPU; arguments as of `read_trained`."""
    return read_trained(place, step).model()


def read_trained(place: Path, step: int | None = None) -> Trained:
    """The trained weights of either stage at `place`.

    Args:
        place: a job's folder, a final checkpoint or a milestone, or an exported folder or its
            weights. Of several attempts that finished, the lowest whole one counts (contract 4).
        step: of a job's folder, the milestone to read; None: its final weights.

    Raises:
        UserError: nothing there, damaged, or no finished tokenizer.
    """
    if not place.exists():
        raise UserError(
            f"{place}: no such file or folder; expected a job's folder, a {NAME} or an export"
        )
    if step is None and (place / CONFIG).is_file():
        return _read_exported(place)
    if step is None and place.is_file():
        return _read_exported(place.parent) if place.name == WEIGHTS else _read_file(place)
    if place.is_file():
        raise UserError(f"{place}: a milestone (step {step}) is found in a job's folder alone")
    found = read_final(place, step)
    return _of_state(found.state, found.path)


def write_exported(
    trained: Trained, folder: Path, origin: Mapping[str, Any], *, overwrite: bool = False
) -> list[Path]:
    """Write weights and configuration to `folder`, both or neither; returns their paths.

    Raises:
        UserError: a file is there already and `overwrite` is false.
    """
    weights, config = folder / WEIGHTS, folder / CONFIG
    for path in (weights, config):
        if path.exists() and not overwrite:
            raise UserError(f"{path}: exists; --overwrite replaces it, --out writes elsewhere")
    document = {
        "format": FORMAT,
        "kind": trained.kind,
        "step": trained.step,
        "weights_sha256": trained.weights_sha256,
        "origin": dict(origin),
        "config": trained.config.model_dump(mode="json"),
    }
    tensors = {name: tensor.contiguous() for name, tensor in trained.weights.items()}
    metadata = {"format": "pt", "weights_sha256": trained.weights_sha256}
    text = json.dumps(document, indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        written_beside(weights, lambda file: file.write(save(tensors, metadata))) as first,
        written_beside(config, lambda file: file.write(text.encode())) as second,
    ):
        first.replace(weights)
        second.replace(config)
    sync_folder(folder)
    return [weights, config]


def _read_exported(folder: Path) -> Trained:
    path = folder / WEIGHTS
    try:
        document = json.loads((folder / CONFIG).read_text("utf-8"))
        weights = load_file(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: an exported tokenizer is {WEIGHTS} and {CONFIG}; the latter two are not "
            "both there; export it again"
        ) from error
    except (ValueError, SafetensorError) as error:  # of json and of safetensors
        raise UserError(f"{folder}: not readable: {error}; export it again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f"{folder / CONFIG}: expected format {FORMAT!r}; export it again")
    for key, kind in (("config", dict), ("step", int), ("weights_sha256", str)):
        if not isinstance(document.get(key), kind):
            raise UserError(f"{folder / CONFIG}: without {key}; export it again")
    if weights_hash(weights) != document["weights_sha256"]:
        raise UserError(f"{path}: damaged, not the weights of its {CONFIG}; export it again")
    return _trained(document, weights, path)


def _read_file(path: Path) -> Trained:
    try:
        state = load_checkpoint(path)
    except ValueError as error:
        raise UserError(str(error)) from error
    if "config" not in state:
        raise UserError(
            f"{path}: not finished weights, but what a training resumes from; name its {NAME}, or "
            "a milestone"
        )
    return _of_state(state, path)


def _of_state(state: State, path: Path) -> Trained:
    return _trained(state, state["model"], path)


def _trained(known: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path) -> Trained:
    config = known["config"]
    kind = FinetuneJob if "finetune" in config else TokenizerJob
    try:
        job = kind.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: its configuration is not of this release: {where}: {first['msg']}"
        ) from error
    return Trained(job, weights, int(known["step"]), str(known["weights_sha256"]), path)
