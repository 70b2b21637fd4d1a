"""Trained tokenizers, to use and to take elsewhere. Torch is imported by the calls alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from vitok_core.codec import Tokenizer
    from vitok_core.config import TokenizerJob
    from vitok_core.training.adopted import Adoptable as Adoptable


def load_tokenizer(
    path: str | Path,
    *,
    step: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Tokenizer:
    """A trained tokenizer, ready to encode and decode.

    Args:
        path: a job's folder, a `final.pt` or `milestone-*.pt` of it, or an exported folder (or the
            `model.safetensors` in it).
        step: of a job's folder, the milestone to load; None: the final weights. Of a stage 2 that
            averages its weights these are the averages.
        device: where it computes.
        dtype: of the weights and of the computation inside; None: float32, as it was trained.

    Raises:
        UserError: nothing there, damaged, no tokenizer, or no such device.
    """
    import torch

    from vitok_core.codec import Tokenizer
    from vitok_core.training.trained import read_trained

    return Tokenizer(read_trained(Path(path), step), device, dtype or torch.float32)


def export_tokenizer(
    path: Path,
    folder: Path,
    *,
    step: int | None = None,
    origin: Callable[[Path], Mapping[str, Any]] = lambda checkpoint: {},
    overwrite: bool = False,
) -> list[Path]:
    """Write a trained tokenizer as `folder`/model.safetensors and config.json; returns both paths.

    Args:
        path, step: as of `load_tokenizer`.
        origin: what config.json shall say of where the weights come from, given the path of the
            checkpoint that was read.
        overwrite: replace an export that is there already.

    Raises:
        UserError: as `load_tokenizer`; or a file is there and `overwrite` is false.
    """
    from vitok_core.training.trained import read_trained, write_exported

    trained = read_trained(path, step)
    return write_exported(trained, folder, origin(trained.path), overwrite=overwrite)


def read_adoptable(config: TokenizerJob, source: Path) -> Adoptable:
    """Weights that were trained elsewhere, proved to fit the planned stage 1 `config`.

    Raises:
        UserError: not readable, or of another configuration, other names or shapes.
    """
    from vitok_core.training.adopted import adoptable

    return adoptable(config, source)
