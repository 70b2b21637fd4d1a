"""The quickstart's recipe, whole: what training adds to its linear start is in the branches."""

from __future__ import annotations

import pytest
import torch
from recording import RecordingContext

from vitok_core.config import TokenizerJob
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import to_model, to_uint8
from vitok_core.data.sampler import EvalCrops
from vitok_core.metrics.pixels import psnr, ssim
from vitok_core.models.tokenizer import ViTok
from vitok_core.training.tokenizer import train_tokenizer
from vitok_core.training.trained import load_model

# sweeps/protocols/image_64p_photos.yaml at p16 c4.
RECIPE = {
    "tokenizer": {
        "encoder": {"width": 128, "blocks": 1, "heads": 4},
        "decoder": {"width": 128, "blocks": 2, "heads": 4},
        "patch": 16,
        "channels": 4,
        "init": "pca",
        "final_norm": False,
    },
    "data": {"name": "photos-train", "resolution": 64, "crop_scale": (0.4, 1.0)},
    "loss": {"kl": 1e-5},
    "train": {
        "steps": 250,
        "batch": 32,
        "base_lr": 6.4e-3,
        "final_lr": 0,
        "warmup": 0.07,
        "weight_decay": 0.01,
        "precision": "fp32",
    },
}


@torch.inference_mode()
def scores(model: ViTok, images: torch.Tensor) -> tuple[float, float]:
    """rPSNR and rSSIM from the posterior mean."""
    rebuilt = to_uint8(model.reconstruct(to_model(images)[:, :, None])[:, :, 0])
    return float(psnr(rebuilt, images).mean()), float(ssim(rebuilt, images).mean())


@pytest.mark.longest
def test_without_its_residual_branches_the_trained_tokenizer_is_worse(
    context: RecordingContext,
) -> None:
    train_tokenizer(TokenizerJob.model_validate(RECIPE), context)
    images = EvalCrops(open_source("photos-tune", {}), 64, 128).samples(range(128))
    model = load_model(context.folder)
    trained = scores(model, images)
    model.zero_branches()
    silenced = scores(model, images)
    assert trained[0] - silenced[0] > 0.1
    assert trained[1] - silenced[1] > 0.01
