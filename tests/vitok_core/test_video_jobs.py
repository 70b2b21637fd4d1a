"""Video from end to end: a tokenizer trained on clips, resumed, scored frame by frame, floored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vitok_core import jobs
from vitok_core.config import EvaluationConfig, FloorJob, ReconstructJob, TokenizerJob
from vitok_core.context import Machine, Parent
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import to_model, to_uint8
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped
from vitok_core.training import linear
from vitok_core.training.checkpoint import weights_hash
from vitok_core.training.tokenizer import train_tokenizer
from vitok_core.training.trained import load_model

MakeJob = Callable[..., TokenizerJob]
DATA: dict[str, Any] = {"name": "synthetic", "resolution": 16, "frames": 4, "fps": 8.0}
CLIPS = 3
EVALUATION = EvaluationConfig(samples=CLIPS, networks=())


@pytest.fixture
def job(make_job: MakeJob) -> TokenizerJob:
    return make_job(tokenizer={"stride": 2}, data=DATA, train={"steps": 4, "batch": 2})


def weights(folder: Path) -> str:
    return weights_hash(load_model(folder).state_dict())


def test_clips_train_and_resume_bit_identically(job: TokenizerJob, tmp_path: Path) -> None:
    straight = RecordingContext(tmp_path / "straight", machine=Machine(workers=1))
    train_tokenizer(job, straight)
    losses = [value for _, value in straight.curve("loss")]
    assert len(losses) == 4
    folder = tmp_path / "stopped"
    stop = RecordingContext(folder, stop=lambda step: "preempted" if step == 2 else None)
    with pytest.raises(Stopped):
        train_tokenizer(job, stop)
    rest = RecordingContext(folder, 2)
    train_tokenizer(job, rest)
    assert [value for _, value in stop.curve("loss") + rest.curve("loss")] == losses
    assert weights(folder) == weights(straight.folder)


def test_reconstructions_are_scored_frame_by_frame(job: TokenizerJob, tmp_path: Path) -> None:
    trained = RecordingContext(tmp_path / "tokenizer")
    train_tokenizer(job, trained)
    parent = Parent("t0", "tokenizer", job.model_dump(mode="json"), trained.folder)
    context = RecordingContext(tmp_path / "scored", parents=(parent,))
    scored = ReconstructJob(
        dataset="synthetic", resolution=16, frames=4, fps=8.0, evaluation=EVALUATION
    )
    jobs.reconstruct(scored, context)
    found = {name: value for name, value, _ in context.results}

    clips = EvalCrops(open_source("synthetic", {}), 16, CLIPS, 4, 8.0).samples(range(CLIPS))
    rebuilt = to_uint8(load_model(trained.folder).reconstruct(to_model(clips)))
    frames = [clip.permute(1, 2, 3, 0).numpy() for clip in clips]
    copies = [clip.permute(1, 2, 3, 0).numpy() for clip in rebuilt]
    pairs = list(zip(np.concatenate(frames), np.concatenate(copies), strict=True))
    assert len(pairs) == CLIPS * 4
    psnr = np.mean([peak_signal_noise_ratio(a, b, data_range=255) for a, b in pairs])
    ssim = np.mean([_ssim(a, b) for a, b in pairs])
    assert found["rPSNR"] == pytest.approx(psnr, abs=1e-4)
    assert found["rSSIM"] == pytest.approx(ssim, abs=1e-4)
    assert all("4 frames at 8 fps" in protocol for _, _, protocol in context.results)
    assert context.progressed[-1] == (CLIPS, CLIPS, "clips")
    with Image.open(context.artifacts / "sheet.png") as sheet:
        assert sheet.width > sheet.height / 3


def test_the_floor_of_clips_is_above_that_of_their_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "MOST_CROPS", 64)

    def psnr(stride: int, channels: int) -> float:
        context = RecordingContext(tmp_path / f"floor-{stride}")
        config = FloorJob(
            patch=8, stride=stride, channels=channels, data=DATA, dataset="synthetic",
            evaluation=EVALUATION,
        )  # fmt: skip
        jobs.floor(config, context)
        assert [name for name, _, _ in context.results] == ["rPSNR", "rSSIM"]
        return context.results[0][1]

    # The same number of values per clip: tubelets of two frames share what stands still.
    assert psnr(2, 8) > psnr(1, 4)


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    return float(
        structural_similarity(
            a / 255, b / 255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            data_range=1, channel_axis=-1,
        )
    )  # fmt: skip
