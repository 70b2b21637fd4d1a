"""The job `baseline`: scored as `reconstruct` is; pretrained tokenizers from folders made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor, nn

from vitok_core import jobs, plugins
from vitok_core.baselines import table
from vitok_core.config import BaselineJob
from vitok_core.context import Machine, Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError

SIDE, SAMPLES = 32, 6
CROPS = EvalCrops(open_source("photos-tune", {}), SIDE, SAMPLES).samples(range(SAMPLES))


class Halved(nn.Module):
    """An encoder that keeps the mean of 2×2 pixels, in a tuple as Cosmos's does."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return nn.functional.avg_pool2d(x, 2), x


class Doubled(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return nn.functional.interpolate(z, scale_factor=2.0)


def pair(folder: Path, encoder: nn.Module, decoder: nn.Module) -> Path:
    folder.mkdir(exist_ok=True)
    for name, module in zip(table.JIT, (encoder, decoder), strict=True):
        torch.jit.script(module).save(folder / name)
    return folder


def run(
    folder: Path, codec: dict[str, Any], weights: Path | None = None, **changes: Any
) -> RecordingContext:
    context = RecordingContext(folder)
    if weights is not None:
        context.paths = Paths(weights={codec["name"]: str(weights)})
    if "machine" in changes:
        context.machine = changes.pop("machine")
    fields = {
        "codec": codec,
        "dataset": "photos-tune",
        "resolution": SIDE,
        "evaluation": {"samples": SAMPLES, "networks": ()},
    }
    jobs.baseline(BaselineJob.model_validate({**fields, **changes}), context)
    return context


def values(context: RecordingContext) -> dict[str, float]:
    return {name: value for name, value, _ in context.results}


def mean_psnr(rebuilt: Tensor) -> float:
    pairs = zip(CROPS.numpy(), rebuilt.numpy(), strict=True)
    return sum(peak_signal_noise_ratio(*each) for each in pairs) / len(CROPS)


def halves() -> Tensor:
    """What a pair of `Halved` and `Doubled` shows."""
    blocks = CROPS.double().unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-1, -3))
    return blocks.repeat_interleave(2, -1).repeat_interleave(2, -2).round().to(torch.uint8)


def test_a_torchscript_pair_in_any_chunks(tmp_path: Path) -> None:
    weights = pair(tmp_path / "pair", Halved(), Doubled())
    codec = {"name": "ours", "kind": "torchscript", "version": "7"}
    context = run(tmp_path / "a", codec, weights)
    found = values(context)
    assert found["rPSNR"] == pytest.approx(mean_psnr(halves()), abs=0.02)
    assert found["code_values"] == 3 * (SIDE // 2) ** 2
    small = run(tmp_path / "b", codec, weights, machine=Machine(micro_batch=1))
    assert values(small) == found
    (name, version, bits), *_ = [f for f in context.fingerprints if f[0] == "weights-ours"]
    assert (name, version) == ("weights-ours", "7")
    pair(weights, Halved(), nn.Sequential(Doubled(), nn.Identity()))
    other = run(tmp_path / "c", codec, weights)
    assert bits not in {f[2] for f in other.fingerprints}


def test_protocols_and_sheet_are_those_of_a_reconstruction(tmp_path: Path) -> None:
    context = run(tmp_path, {"name": "bicubic-8", "kind": "bicubic", "factor": 8})
    protocols = {name: protocol for name, _, protocol in context.results}
    assert protocols["rPSNR"].endswith("photos-tune@1: 6 low-discrepancy crops of 6 photos, "
                                       f"{SIDE}px, box 2^k then bicubic, antialiased")  # fmt: skip
    assert context.artifacts_made == [(context.artifacts / "sheet.png", "sheet")]
    assert [name for name, _, _ in context.fingerprints] == ["photos-tune"]


def test_the_budget_of_a_code_is_its_values_times_their_bits(tmp_path: Path) -> None:
    codec = {"name": "jpeg", "kind": "jpeg", "values": 256}
    eight = run(tmp_path / "a", codec)
    same = run(tmp_path / "b", {**codec, "values": 512, "bits_per_value": 4})
    rate = run(tmp_path / "c", {"name": "jpeg", "kind": "jpeg", "bits_per_pixel": 2})
    assert values(eight) == values(same) == values(rate)
    assert 1.5 < values(eight)["bits_per_pixel"] <= 2
    assert values(run(tmp_path / "d", {**codec, "values": 128}))["rPSNR"] < values(eight)["rPSNR"]


def test_functions_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylab_code.py").write_text(
        "from torch.nn.functional import avg_pool2d, interpolate\n"
        "def encode(x): return {'z': avg_pool2d(x, 2)}\n"
        "def decode(z): return interpolate(z['z'], scale_factor=2.0)\n"
        "def wrong(z): return z['z']\n"
        "def nothing(z): return interpolate(z['z'], scale_factor=2.0) / 0\n"
        "def whole(z): return ((decode(z) + 1) * 127.5).byte()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = {
        "name": "mine", "kind": "functions", "encode": "mylab_code:encode",
        "decode": "mylab_code:decode", "sha256": plugins.source_sha256("mylab_code"),
    }  # fmt: skip
    found = values(run(tmp_path / "a", own))
    assert found["rPSNR"] == pytest.approx(mean_psnr(halves()), abs=0.02)
    assert "code_values" not in found
    with pytest.raises(UserError, match=r"codec mine: decode gives \(6, 3, 16, 16\), expected"):
        run(tmp_path / "b", {**own, "decode": "mylab_code:wrong"})
    with pytest.raises(UserError, match="codec mine: decode gives what is no number"):
        run(tmp_path / "c", {**own, "decode": "mylab_code:nothing"})
    with pytest.raises(
        UserError, match=r"mine: decode gives torch\.uint8, expected floats in \[-1"
    ):
        run(tmp_path / "e", {**own, "decode": "mylab_code:whole"})
    with pytest.raises(UserError, match=r"its source has sha256 .* the job was planned with"):
        run(tmp_path / "d", {**own, "sha256": "0" * 64})
    assert list(plugins.used({"codec": own})) == [
        (own["sha256"][:12], "mylab_code:encode"), (own["sha256"][:12], "mylab_code:decode"),
    ]  # fmt: skip


def lack(codec: dict[str, Any], weights: Path, tmp_path: Path) -> str:
    with pytest.raises(UserError) as error:
        run(tmp_path / "job", codec, weights)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_bad_weights_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"name": "ours", "kind": "torchscript"}
    assert "gone does not exist; set weights.ours" in lack(ours, tmp_path / "gone", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "has no encoder.jit and no decoder.jit" in lack(ours, tmp_path / "empty", tmp_path)
    for name in table.JIT:
        (tmp_path / "empty" / name).write_text("no model")
    assert "codec ours: " in lack(ours, tmp_path / "empty", tmp_path)
    kl = {"name": "sd-vae", "kind": "AutoencoderKL"}
    monkeypatch.setattr(table, "find_spec", lambda _: None)
    assert "diffusers is not installed; pip install" in lack(kl, tmp_path / "empty", tmp_path)
    monkeypatch.setattr(table, "find_spec", lambda _: object())
    assert (
        "has no readable config.json; set weights.sd-vae in the site file to the folder of https"
        in lack(kl, tmp_path / "empty", tmp_path)
    )
    said = {"_class_name": "AutoencoderKL", "latent_channels": 16}
    (tmp_path / "empty" / "config.json").write_text(json.dumps(said))
    assert "has no diffusion_pytorch_model.safetensors" in lack(kl, tmp_path / "empty", tmp_path)
    (tmp_path / "empty" / "diffusion_pytorch_model.bin").write_text("")
    assert "says latent_channels 16, not 4" in lack(kl, tmp_path / "empty", tmp_path)


def test_a_size_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="resolution: 32: the codec bicubic-5 needs a multiple of 5"
    ):
        run(tmp_path, {"name": "bicubic-5", "kind": "bicubic", "factor": 5})


def test_a_budget_below_one_colour_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="JPEG 8 bits/value gives a picture 32 bits, one colour"):
        run(tmp_path, {"name": "jpeg", "kind": "jpeg", "values": 4})
