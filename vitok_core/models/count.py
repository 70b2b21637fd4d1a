"""Counts tokenizers of users' own classes: `python -m vitok_core.models.count`.

Reads a JSON list of {"tokenizer", "frames", "resolution"} and writes a list of {"parameters",
"encoder_macs", "decoder_macs"}, or {"error"} where a class cannot be built or run on torch's meta
device. MACs are half of what torch's flop counter sees: products, not element-wise work.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vitok_core.config import TokenizerConfig
from vitok_core.models.build import build_tokenizer


def count(config: TokenizerConfig, frames: int, resolution: int) -> dict[str, int]:
    """Parameters, and multiply-accumulates of one sample each way. Nothing is allocated."""
    with torch.device("meta"):
        model = build_tokenizer(config, frames, resolution).eval()
        clip = torch.zeros(1, 3, frames, resolution, resolution)
        with torch.no_grad(), FlopCounterMode(display=False) as encoder:
            posterior = model.encode(clip)
        with torch.no_grad(), FlopCounterMode(display=False) as decoder:
            model.decode(posterior.mean, posterior.grid)
    return {
        "parameters": sum(each.numel() for each in model.parameters()),
        "encoder_macs": encoder.get_total_flops() // 2,
        "decoder_macs": decoder.get_total_flops() // 2,
    }


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        config = TokenizerConfig.model_validate(asked["tokenizer"])
        return count(config, asked["frames"], asked["resolution"])
    except (Exception, SystemExit) as error:  # of any kind: it is somebody else's code
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


if __name__ == "__main__":
    # Theirs may print, and what they call may, past Python: only the answer goes to stdout.
    with open(os.dup(1), "w", encoding="utf-8") as out:  # noqa: PTH123  (a descriptor)
        os.dup2(2, 1)
        json.dump([_answer(each) for each in json.load(sys.stdin)], out)
