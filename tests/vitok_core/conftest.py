"""Shared by the tests of the science: a tokenizer small enough to train in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recording import RecordingContext

from vitok_core.config import TokenizerJob


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def make_job() -> Callable[..., TokenizerJob]:
    """A small training job on the embedded photos; keywords replace fields of one section."""

    def make(seed: int = 0, **sections: dict[str, Any]) -> TokenizerJob:
        tower = {"width": 24, "blocks": 1, "heads": 2}
        fields: dict[str, dict[str, Any]] = {
            "tokenizer": {"encoder": tower, "decoder": tower, "patch": 8, "channels": 4},
            "data": {"name": "photos-train", "resolution": 16},
            "loss": {"kl": 1e-6},
            "train": {"steps": 12, "batch": 4, "base_lr": 0.128, "precision": "fp32"},
        }
        for name, changes in sections.items():
            fields[name] = {**fields[name], **changes}
        return TokenizerJob.model_validate({**fields, "seed": seed})

    return make


@pytest.fixture
def context(tmp_path: Path) -> RecordingContext:
    return RecordingContext(tmp_path)
