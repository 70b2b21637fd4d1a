"""The job `reconstruct` on a tokenizer trained for two steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.distributions import Normal, kl_divergence

from vitok_core import jobs
from vitok_core.config import EvaluationConfig, ReconstructJob, TokenizerJob
from vitok_core.context import Parent, Paths
from vitok_core.data.images import MissingData
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped, UserError
from vitok_core.training.trained import load_model

SAMPLES, RESOLUTION = 9, 32
JOB = ReconstructJob(
    dataset="photos-tune", resolution=RESOLUTION, evaluation=EvaluationConfig(samples=SAMPLES)
)
RESULTS = ["rPSNR", "rSSIM", "rFD[efficientnet-lite0]", "rFD[efficientnet-lite0-112]",
           "rIS[efficientnet-lite0]", "kl_bits_per_pixel", "active_channels",
           "effective_rank", "high_frequency_share"]  # fmt: skip


# What each variant adds to the tokenizer; at 32 px it has 16 tubelets.
VARIANTS: dict[str, dict[str, Any]] = {
    "simple": {},
    "latent": {"latents": 5},
    "mask_simple": {"lengths": [1, 16]},
    "mask_latent": {"latents": 5, "lengths": [1, 4]},
}


def train(folder: Path, variant: str = "simple") -> Parent:
    tower = {"width": 24, "blocks": 1, "heads": 2}
    sizes = {"encoder": tower, "decoder": tower, "patch": 8, "channels": 4}
    job = TokenizerJob.model_validate(
        {
            "tokenizer": {"variant": variant, **sizes, **VARIANTS[variant]},
            "data": {"name": "photos-train", "resolution": RESOLUTION},
            "train": {"steps": 2, "batch": 4, "base_lr": 0.1, "precision": "fp32"},
        }
    )
    context = RecordingContext(folder)
    jobs.tokenizer(job, context)
    return Parent("t0", "tokenizer", job.model_dump(mode="json"), context.folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    return train(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def context(tmp_path: Path, trained: Parent) -> RecordingContext:
    return RecordingContext(tmp_path, parents=(trained,))


def test_all_results_with_their_protocols(context: RecordingContext) -> None:
    jobs.reconstruct(JOB, context)
    assert [name for name, _, _ in context.results] == RESULTS
    for _, value, protocol in context.results:
        assert math.isfinite(value)
        assert protocol.endswith(
            "; photos-tune@1: 9 low-discrepancy crops of 9 photos, 32px, "
            "box 2^k then bicubic, antialiased"
        )
    protocols = {name: protocol for name, _, protocol in context.results}
    assert "bits / (T H W)" in protocols["kl_bits_per_pixel"]
    assert "var of posterior mean > 0.01" in protocols["active_channels"]
    ((name, version, bits),) = context.fingerprints
    assert (name, version, len(bits)) == ("photos-tune", "1", 64)
    assert context.metrics == []
    assert context.progressed[-1] == (SAMPLES, SAMPLES, "images")


def test_the_numbers_are_those_of_the_posterior_mean(
    context: RecordingContext, trained: Parent
) -> None:
    jobs.reconstruct(JOB, context)
    found = {name: value for name, value, _ in context.results}
    model = load_model(trained.folder)
    images = EvalCrops(open_source("photos-tune", {}), RESOLUTION, SAMPLES).samples(range(SAMPLES))
    clips = images[:, :, None].float() / 127.5 - 1
    rebuilt = (model.reconstruct(clips)[:, :, 0] * 127.5 + 127.5).round().clamp(0, 255).numpy()
    pairs = list(zip(images.numpy(), rebuilt.astype(np.uint8), strict=True))
    expected = np.mean([peak_signal_noise_ratio(x, y, data_range=255) for x, y in pairs])
    assert found["rPSNR"] == pytest.approx(expected, abs=1e-3)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = np.mean(
        [structural_similarity(x, y, channel_axis=0, data_range=255, **settings) for x, y in pairs]
    )
    assert found["rSSIM"] == pytest.approx(expected, abs=1e-3)

    posterior = model.encode(clips)
    q = Normal(posterior.mean.double(), (0.5 * posterior.logvar.double()).exp())
    nats = float(kl_divergence(q, Normal(0.0, 1.0)).sum()) / SAMPLES
    assert found["kl_bits_per_pixel"] == pytest.approx(nats / math.log(2) / RESOLUTION**2, rel=1e-5)
    variances = posterior.mean.flatten(0, 1).var(0, unbiased=False)
    assert found["active_channels"] == int((variances > 0.01).sum())


def test_the_sheet_shows_the_first_crops(context: RecordingContext) -> None:
    pixels = EvaluationConfig(samples=3, networks=())
    jobs.reconstruct(JOB.model_copy(update={"evaluation": pixels}), context)
    *_, (path, kind) = context.artifacts_made
    assert (path, kind) == (context.artifacts / "sheet.png", "sheet")
    first = EvalCrops(open_source("photos-tune", {}), RESOLUTION, 3).crop(0)
    with Image.open(path) as sheet:
        corner = np.asarray(sheet)[4 : 4 + 128 : 4, 100 : 100 + 128 : 4]
    assert np.array_equal(corner, first)


def test_what_is_not_finite_is_not_scored_as_black(
    context: RecordingContext, trained: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(trained.folder)
    for parameter in model.parameters():
        parameter.fill_(math.nan)
    monkeypatch.setattr("vitok_core.metrics.evaluation.load_model", lambda *place: model)
    with pytest.raises(UserError, match="no numbers"):
        jobs.reconstruct(JOB, context)
    assert context.results == []


def test_it_repeats_to_the_last_bit(tmp_path: Path, trained: Parent) -> None:
    runs = [RecordingContext(tmp_path / name, parents=(trained,)) for name in "ab"]
    for run in runs:
        jobs.reconstruct(JOB, run)
    assert runs[0].results == runs[1].results
    assert (runs[0].artifacts / "sheet.png").read_bytes() == (
        runs[1].artifacts / "sheet.png"
    ).read_bytes()


def test_another_resolution_than_trained(context: RecordingContext) -> None:
    larger = JOB.model_copy(
        update={"resolution": 48, "evaluation": EvaluationConfig(samples=2, networks=())}
    )
    jobs.reconstruct(larger, context)
    assert all(" 48px," in protocol for _, _, protocol in context.results)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_scored_at_its_lengths(tmp_path: Path, variant: str) -> None:
    parent = train(tmp_path / "parent", variant)
    model = load_model(parent.folder)
    images = EvalCrops(open_source("photos-tune", {}), RESOLUTION, SAMPLES).samples(range(SAMPLES))
    clips = images[:, :, None].float() / 127.5 - 1
    pixels = EvaluationConfig(samples=SAMPLES, networks=())
    for length in (None, 1, 3) if "lengths" in VARIANTS[variant] else (None,):
        context = RecordingContext(tmp_path / str(length), parents=(parent,))
        jobs.reconstruct(JOB.model_copy(update={"evaluation": pixels, "length": length}), context)
        found = {name: value for name, value, _ in context.results}

        posterior = model.encode(clips)
        z = posterior.mean.clone()
        if length is not None:
            assert model.masking is not None
            z[:, length:] = model.masking.token
        rebuilt = (model.decode(z)[:, :, 0] * 127.5 + 127.5).round().clamp(0, 255).numpy()
        pairs = zip(images.numpy(), rebuilt.astype(np.uint8), strict=True)
        psnr = np.mean([peak_signal_noise_ratio(x, y, data_range=255) for x, y in pairs])
        assert found["rPSNR"] == pytest.approx(psnr, abs=1e-3)

        q = Normal(posterior.mean.double(), (0.5 * posterior.logvar.double()).exp())
        nats = float(kl_divergence(q, Normal(0.0, 1.0))[:, :length].sum()) / SAMPLES
        rate = nats / math.log(2) / RESOLUTION**2
        assert found["kl_bits_per_pixel"] == pytest.approx(rate, rel=1e-5)
        variances = posterior.mean[:, :length].flatten(0, 1).var(0, unbiased=False)
        assert found["active_channels"] == int((variances > 0.01).sum())


@pytest.mark.parametrize(
    ("variant", "length", "message"),
    [
        ("simple", 4, "length: 4: a tokenizer of variant simple decodes its whole code"),
        ("latent", 4, "variant latent decodes its whole code; leave length out"),
        ("mask_simple", 17, "length: 17: the code has 16 tokens; give 1 to 16"),
        ("mask_latent", 6, "length: 6: the code has 5 tokens"),
    ],
)
def test_lengths_that_a_tokenizer_has_not(
    tmp_path: Path, variant: str, length: int, message: str
) -> None:
    context = RecordingContext(tmp_path / "job", parents=(train(tmp_path / "parent", variant),))
    with pytest.raises(UserError, match=message):
        jobs.reconstruct(JOB.model_copy(update={"length": length}), context)
    assert context.results == context.fingerprints == []


def _refuse(name: str, version: str, fingerprint: str) -> None:
    raise UserError(f"{name}@{version}: other bytes than before")


@pytest.mark.parametrize(
    ("job", "prepare", "error", "message"),
    [
        (JOB, {"data_fingerprint": _refuse}, UserError, "photos-tune@1: other bytes"),
        (JOB, {"stop": lambda step: "cancelled"}, Stopped, "cancelled"),
        (JOB.model_copy(update={"frames": 16}), {}, UserError, "frames: 16"),
        (
            JOB.model_copy(update={"dataset": "coco2017-val"}),
            {"paths": Paths(data={"coco2017-val": "/nowhere"})},
            MissingData,
            "/nowhere does not exist",
        ),
        (
            JOB,
            {"paths": Paths(weights={"efficientnet-lite0": "/nowhere.pth"})},
            UserError,
            "nowhere.pth does not exist",
        ),
    ],
)
def test_refusals_report_no_result(
    context: RecordingContext,
    job: ReconstructJob,
    prepare: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    for name, value in prepare.items():
        setattr(context, name, value)
    with pytest.raises(error, match=message):
        jobs.reconstruct(job, context)
    assert context.results == []
    assert context.artifacts_made == []


def test_an_untrained_parent_is_named(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path, parents=(Parent("t0", "tokenizer", {}, tmp_path),))
    with pytest.raises(UserError, match=r"no whole final\.pt"):
        jobs.reconstruct(JOB, context)
