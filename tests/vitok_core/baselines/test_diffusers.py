"""Folders of diffusers: small models with drawn weights, run by the job and by diffusers itself."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from vitok_core import jobs
from vitok_core.baselines.pretrained import Pretrained, open_pair
from vitok_core.config import BaselineJob, CodecConfig
from vitok_core.context import Machine, Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops

pytestmark = [
    pytest.mark.slow,  # to import diffusers takes longer than to run it
    pytest.mark.skipif(find_spec("diffusers") is None, reason="needs the extra baselines"),
]

SIDE, SAMPLES = 32, 3
CROPS = EvalCrops(open_source("photos-tune", {}), SIDE, SAMPLES).samples(range(SAMPLES))

KL = {
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (16, 16), "norm_num_groups": 4, "latent_channels": 4,
}  # fmt: skip
DC = {
    "latent_channels": 4, "attention_head_dim": 8,
    "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "encoder_block_out_channels": (16, 16), "decoder_block_out_channels": (16, 16),
    "encoder_layers_per_block": (1, 1),
    "decoder_layers_per_block": (1, 1), "encoder_qkv_multiscales": ((), ()),
    "decoder_qkv_multiscales": ((), ()),
}  # fmt: skip
OAI = {
    "encoder_block_out_channels": (16, 16), "encoder_norm_num_groups": 4,
    "encoder_down_block_types": ("DownEncoderBlock2D",) * 2, "encoder_layers_per_block": 1,
    "decoder_block_out_channels": (16, 16), "decoder_layers_per_block": 1,
    "decoder_down_block_types": ("ResnetDownsampleBlock2D",) * 2,
    "decoder_up_block_types": ("ResnetUpsampleBlock2D",) * 2, "decoder_norm_num_groups": 4,
}  # fmt: skip


def by_diffusers(kind: str, model: Any, images: Tensor) -> Tensor:
    if kind == "AutoencoderDC":
        return model(images).sample
    if kind == "AutoencoderKL":
        return model(images, sample_posterior=False).sample
    noises = [torch.Generator().manual_seed(0) for _ in images]
    pairs = zip(images, noises, strict=True)
    return torch.cat([model(one[None], generator=noise).sample for one, noise in pairs])


@pytest.mark.parametrize(
    ("kind", "config"),
    [("AutoencoderKL", KL), ("AutoencoderDC", DC), ("ConsistencyDecoderVAE", OAI)],
)
def test_it_shows_what_diffusers_shows(kind: str, config: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = getattr(import_module("diffusers"), kind)(**config).eval()
    model.save_pretrained(tmp_path / "weights")
    with torch.no_grad():
        shown = by_diffusers(kind, model, CROPS / 127.5 - 1)
    rebuilt = ((shown + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pairs = zip(CROPS.numpy(), rebuilt.numpy(), strict=True)
    expected = sum(peak_signal_noise_ratio(*each) for each in pairs) / SAMPLES
    found = []
    for chunk in (1, 2):
        context = RecordingContext(tmp_path / str(chunk), machine=Machine(micro_batch=chunk))
        context.paths = Paths(weights={"small": str(tmp_path / "weights")})
        job = {
            "codec": {"name": "small", "kind": kind},
            "dataset": "photos-tune",
            "resolution": SIDE,
            "evaluation": {"samples": SAMPLES, "networks": ()},
        }
        jobs.baseline(BaselineJob.model_validate(job), context)
        found.append({name: value for name, value, _ in context.results})
        assert context.fingerprints[0][0] == "weights-small"
    assert found[0]["rPSNR"] == pytest.approx(expected, abs=1e-3)
    assert found[0]["rPSNR"] == pytest.approx(found[1]["rPSNR"], abs=1e-3)
    assert found[0]["code_values"] == 4 * 16 * 16
    cpu = torch.device("cpu")
    pair = open_pair(CodecConfig(name="small", kind=kind), tmp_path / "weights", cpu)  # type: ignore[arg-type]
    for chunk in (1, 3):
        pictures = Pretrained("small", pair, cpu, chunk)(CROPS)
        torch.testing.assert_close(pictures, shown, rtol=0, atol=1e-4)
