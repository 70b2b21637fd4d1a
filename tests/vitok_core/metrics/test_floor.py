"""The floor against scikit-learn's PCA of the same patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio
from skimage.util import view_as_blocks
from sklearn.decomposition import PCA

from vitok_core import jobs
from vitok_core.config import DataConfig, EvaluationConfig, FloorJob
from vitok_core.data.images import MissingData
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops, TrainCrops
from vitok_core.errors import UserError
from vitok_core.training import linear

RESOLUTION, PATCH, SAMPLES = 32, 8, 24
DATA = DataConfig(name="photos-train", resolution=RESOLUTION)


@pytest.fixture(autouse=True)
def few_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 training crops are enough to compare two fits."""
    monkeypatch.setattr(linear, "FITTED_VALUES", 0)


def floor(folder: Path, channels: int, **changes: object) -> RecordingContext:
    context = RecordingContext(folder)
    fields = {
        "patch": PATCH,
        "channels": channels,
        "data": DATA,
        "dataset": "photos-tune",
        "evaluation": EvaluationConfig(samples=SAMPLES, networks=()),
    }
    jobs.floor(FloorJob.model_validate({**fields, **changes}), context)
    return context


def blocks(crop: np.ndarray) -> np.ndarray:
    """The patches of (r, r, 3) uint8 in raster order, (l, 3·p·p) in [-1, 1]."""
    cut = view_as_blocks(crop, (PATCH, PATCH, 3)).reshape(-1, PATCH * PATCH * 3)
    return cut / 127.5 - 1


def by_scikit_learn(channels: int) -> float:
    """Mean PSNR in dB of the same linear code, made without any code of the project's metrics."""
    train = TrainCrops(open_source("photos-train", {}), RESOLUTION, linear.PCA_SEED)
    patches = np.concatenate([blocks(train.crop(i)) for i in range(linear.LEAST_CROPS)])
    pca = PCA(channels, svd_solver="full").fit(patches)
    scores = []
    crops = EvalCrops(open_source("photos-tune", {}), RESOLUTION, SAMPLES)
    for i in range(SAMPLES):
        original = blocks(crops.crop(i))
        rebuilt = pca.inverse_transform(pca.transform(original)).clip(-1, 1)
        shown = (rebuilt * 127.5 + 127.5).round() / 127.5 - 1
        scores.append(peak_signal_noise_ratio(original, shown, data_range=2))
    return float(np.mean(scores))


def test_it_is_the_best_linear_code_and_rises_with_c(tmp_path: Path) -> None:
    found = []
    for channels in (4, 16, 64):
        context = floor(tmp_path, channels)
        values = {name: value for name, value, _ in context.results}
        assert set(values) == {"rPSNR", "rSSIM"}
        assert values["rPSNR"] == pytest.approx(by_scikit_learn(channels), abs=0.01)
        found.append((values["rPSNR"], values["rSSIM"]))
    assert found == sorted(found)
    assert found[2][0] - found[0][0] > 5
    assert found[0][1] < found[1][1] < found[2][1]


def test_as_many_components_as_values_lose_nothing(tmp_path: Path) -> None:
    (_, value, _), _ = floor(tmp_path, 3 * PATCH**2).results
    assert value == 100.0


def test_it_says_which_data_it_read_and_leaves_a_sheet(tmp_path: Path) -> None:
    context = floor(tmp_path, 4)
    assert [name for name, _, _ in context.fingerprints] == ["photos-train", "photos-tune"]
    assert context.artifacts_made == [(context.artifacts / "sheet.png", "sheet")]
    assert all("photos-tune@1: 24 low-disc" in protocol for _, _, protocol in context.results)
    assert context.metrics == []


def test_absent_training_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"imagenet1k-train: its path is not set; set data\."):
        floor(tmp_path, 4, data=DATA.model_copy(update={"name": "imagenet1k-train"}))


def test_clips_of_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="frames: 2"):
        floor(tmp_path, 4, data=DATA.model_copy(update={"frames": 2}))
