"""Weights that were trained elsewhere, as the final checkpoint of a planned stage 1."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vitok_core.config import TokenizerJob
from vitok_core.errors import UserError
from vitok_core.models.build import build_tokenizer
from vitok_core.training.checkpoint import (
    DIGEST,
    State,
    config_sha256,
    save_checkpoint,
    weights_hash,
)
from vitok_core.training.trained import CONFIG, FORMAT, WEIGHTS, read_trained

_SAID = 4  # names of tensors in a message
_INSIDE = ("model", "state_dict")  # where checkpoints of others keep their weights


@dataclass(frozen=True)
class Adoptable:
    """Weights that fit a planned training, proved before anything is written.

    Attributes:
        file: what was read; `sha256` is of its bytes.
        form: `checkpoint` or `export`, whose configuration was compared; `weights`, of which names
            and shapes were.
        step: optimizer steps, by its checkpoint's word; of plain weights those that were planned.
    """

    config: TokenizerJob
    weights: Mapping[str, Tensor]
    file: Path
    sha256: str
    form: str
    step: int

    @property
    def weights_sha256(self) -> str:
        """As a training's own summary has it."""
        return weights_hash(self.weights)

    def save(self, path: Path) -> None:
        """Write the final checkpoint that the training would have left; atomic and durable."""
        state: State = {
            "model": dict(self.weights),
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "config_sha256": config_sha256(self.config),
            "weights_sha256": self.weights_sha256,
        }
        save_checkpoint(path, state)


def adoptable(config: TokenizerJob, source: Path) -> Adoptable:
    """The weights at `source`, proved to be those of a finished training of `config`.

    Args:
        source: what `read_trained` takes; or plain weights, `.safetensors` or a `.pt` that
            `torch.load` opens with `weights_only=True`, with the model's own names and shapes.

    Raises:
        UserError: nothing there, not readable, of another configuration, unfinished, or weights
            of other names, shapes or kinds, or that are not finite.
    """
    plain = _plain_weights(source) if source.is_file() else None
    if plain is not None:
        weights, file, form, step = plain, source, "weights", config.train.steps
    else:
        trained = read_trained(source)
        if trained.kind != "tokenizer":
            raise UserError(f"{source}: is of stage 2; only a stage 1 can be adopted")
        assert isinstance(trained.config, TokenizerJob)
        _expect_config(config, trained.config, source)
        if trained.step != config.train.steps:
            raise UserError(
                f"{source}: unfinished, {trained.step:,} of {config.train.steps:,} steps"
            )
        weights, file, step = trained.weights, trained.path, trained.step
        form = "export" if trained.path.name == WEIGHTS else "checkpoint"
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Adoptable(config, _fitted(config, weights, file), file, digest, form, step)


def _plain_weights(source: Path) -> Mapping[str, Tensor] | None:
    """The tensors of a file without a configuration; None: it is a checkpoint or an export."""
    if source.suffix == ".safetensors":
        if source.name == WEIGHTS and _is_export(source.parent):
            return None
        try:
            return load_file(source)
        except (ValueError, OSError, SafetensorError) as error:
            raise UserError(f"{source}: not readable: {error}") from error
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # damage surfaces as almost any exception, see load_checkpoint
        # Torch's own words are many lines, and advise to load it unsafely.
        raise UserError(
            f"{source}: torch.load (weights_only=True) cannot read it: damaged, or more than "
            f"tensors by name ({type(error).__name__})"
        ) from error
    if isinstance(state, Mapping) and DIGEST in state:
        return None
    for name in _INSIDE:
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{source}: expected tensors by name, alone or under `model`")
    return state


def _is_export(folder: Path) -> bool:
    try:
        document = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def _expect_config(wanted: TokenizerJob, found: TokenizerJob, source: Path) -> None:
    ours, theirs = _flat(wanted.model_dump(mode="json")), _flat(found.model_dump(mode="json"))
    differs = [
        f"{name} is {theirs.get(name)!r}, planned {ours.get(name)!r}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    if differs:
        raise UserError(f"{source}: of another configuration: {_listed(differs)}")


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted path."""
    if not isinstance(value, Mapping):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _flat(item, f"{name}.{key}" if name else str(key))
    return found


def _fitted(config: TokenizerJob, weights: Mapping[str, Tensor], file: Path) -> State:
    """The weights as the planned model holds them, in its order and types."""
    model = build_tokenizer(config.tokenizer, config.data.frames, config.data.resolution)
    expected = model.state_dict()
    wrong = [f"no {name}" for name in expected if name not in weights]
    wrong += [f"unknown {name}" for name in weights if name not in expected]
    for name, tensor in expected.items():
        other = weights.get(name)
        if other is None:
            continue
        if other.shape != tensor.shape:
            wrong.append(f"{name} is {tuple(other.shape)}, planned {tuple(tensor.shape)}")
        elif other.is_floating_point() != tensor.is_floating_point():
            wrong.append(f"{name} is {other.dtype}, planned {tensor.dtype}")
        elif not bool(torch.isfinite(other.to(tensor.dtype)).all()):
            wrong.append(f"{name} is not finite")
    if wrong:
        raise UserError(f"{file}: not the weights of the planned tokenizer: {_listed(wrong)}")
    return {name: weights[name].to(tensor.dtype) for name, tensor in expected.items()}


def _listed(found: list[str]) -> str:
    more = f"; and {len(found) - _SAID} more" if len(found) > _SAID else ""
    return "; ".join(found[:_SAID]) + more
