"""The job `probe` on codes whose answers are known, and on a trained tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from recording import RecordingContext
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from vitok_core import jobs
from vitok_core.config import ProbeJob, TokenizerConfig, TokenizerJob
from vitok_core.context import Parent, Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError
from vitok_core.metrics.probe import Behaviour, encoded, pool, shift
from vitok_core.metrics.ridge import STRENGTHS
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid
from vitok_core.training.trained import load_model

TOWER = {"width": 24, "blocks": 1, "heads": 2}
SIZES: dict[str, Any] = {"encoder": TOWER, "decoder": TOWER, "patch": 8, "channels": 4}


class Means(AutoEncoder):
    """Codes that are the means of patches: they move as the picture does."""

    def encode(self, x: Tensor) -> Posterior:
        grid = self.grid_of(x)
        frames = avg_pool2d(x.transpose(1, 2).flatten(0, 1), self.config.patch)
        z = frames.unflatten(0, (len(x), -1)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        return Posterior(z, torch.zeros_like(z), grid)


class Noise(AutoEncoder):
    """Codes that have nothing to do with the picture."""

    draws = torch.Generator().manual_seed(0)

    def encode(self, x: Tensor) -> Posterior:
        grid = self.grid_of(x)
        z = torch.randn(len(x), grid.tokens, 3, generator=self.draws)
        return Posterior(z, torch.zeros_like(z), grid)


class Columns(AutoEncoder):
    """Codes that say in which column they stand, whatever the picture is."""

    def encode(self, x: Tensor) -> Posterior:
        grid = self.grid_of(x)
        z = torch.arange(grid.w).float().expand(len(x), grid.t, grid.h, grid.w)
        z = z.flatten(1)[..., None].repeat(1, 1, 3)
        return Posterior(z, torch.zeros_like(z), grid)


def behaviour(kind: type[AutoEncoder], clips: Tensor, cuts: tuple[int, ...] = ()) -> Behaviour:
    model = kind(TokenizerConfig.model_validate({**SIZES, "channels": 3}), 1, clips.shape[-1])
    found = Behaviour(8, 3)
    for part in torch.tensor_split(clips, cuts):
        found.add(model, part, *encoded(model, part))
    return found


def test_known_codes_have_known_errors() -> None:
    clips = torch.rand(40, 3, 2, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    exact = behaviour(Means, clips)
    assert exact.flip_error == pytest.approx(0.0, abs=1e-10)
    assert exact.shift_error == pytest.approx(0.0, abs=1e-10)
    unrelated = behaviour(Noise, clips, (7, 20))
    assert unrelated.flip_error == pytest.approx(1.0, abs=0.05)
    assert unrelated.shift_error == pytest.approx(1.0, abs=0.05)
    # Columns 0..3 have the variance 5/4. Mirrored they differ by 3, 1, 1, 3: a mean square of 5;
    # shifted by 1 everywhere.
    columns = behaviour(Columns, clips, (13,))
    many = 40 * 2 * 16
    unbiased = many / (many - 1)
    assert columns.flip_error * unbiased == pytest.approx(5 / 2.5)
    assert columns.shift_error * unbiased == pytest.approx(1 / 2.5)


def test_a_shifted_clip_is_its_reflection_beside_it() -> None:
    clips = torch.rand(2, 3, 4, 16, 24)
    moved = shift(clips, 8)
    assert moved.shape == clips.shape
    torch.testing.assert_close(moved[..., 8:], clips[..., :-8])
    torch.testing.assert_close(moved[..., :8], clips[..., 1:9].flip(-1))


def test_pooled_codes() -> None:
    z = torch.randn(3, 2 * 8 * 8, 5)
    frames = z.view(3, 2, 8, 8, 5).mean(1).permute(0, 3, 1, 2)
    torch.testing.assert_close(pool(z, Grid(2, 8, 8)), avg_pool2d(frames, 2).flatten(1))
    small = torch.randn(3, 4, 5)  # no larger than asked: the code itself, channels first
    torch.testing.assert_close(pool(small, Grid(1, 2, 2)), small.transpose(1, 2).flatten(1))
    latents = torch.randn(3, 32, 5)
    pairs = latents.view(3, 16, 2, 5).mean(2).transpose(1, 2)
    torch.testing.assert_close(pool(latents, None), pairs.flatten(1))


def train(folder: Path, **tokenizer: Any) -> Parent:
    job = TokenizerJob.model_validate(
        {
            "tokenizer": {**SIZES, **tokenizer},
            "data": {"name": "photos-train", "resolution": 32},
            "train": {"steps": 2, "batch": 4, "base_lr": 0.1, "precision": "fp32"},
        }
    )
    context = RecordingContext(folder)
    jobs.tokenizer(job, context)
    return Parent("t0", "tokenizer", job.model_dump(mode="json"), context.folder)


def test_the_job_against_scikit_learn(tmp_path: Path) -> None:
    parent = train(tmp_path / "tokenizer")
    context = RecordingContext(tmp_path / "probe", parents=(parent,))
    jobs.probe(ProbeJob(dataset="photos-tune", resolution=32, samples=51), context)
    found = {name: value for name, value, _ in context.results}
    assert list(found) == ["probe_accuracy", "shift_error", "flip_error"]
    (_, _, protocol), *_ = context.results
    assert "17 classes; N=51; photos-tune@1: 51 low-discrepancy crops of 17 photos" in protocol
    assert [name for name, _, _ in context.fingerprints] == ["photos-tune"]
    assert context.progressed[-1] == (51, 51, "images")

    crops = EvalCrops(open_source("photos-tune", {}), 32, 51)
    clips = crops.samples(range(51))[:, :, None].float() / 127.5 - 1
    model = load_model(parent.folder)
    code = model.encode(clips).mean  # 4 x 4 tokens of 4 channels
    labels = crops.labels(range(51)).numpy()
    assert sorted(np.bincount(labels).tolist()) == [3] * 17
    # Sorted by class and dealt out to five folds in turn.
    fold = np.empty(51, dtype=int)
    fold[np.argsort(labels, kind="stable")] = np.arange(51) % 5
    x, right = code.transpose(1, 2).flatten(1).double().numpy(), 0
    for tested in range(5):
        out = fold == tested
        strengths = (~out).sum() * np.array(STRENGTHS)
        theirs = make_pipeline(StandardScaler(), RidgeClassifierCV(strengths))
        right += (theirs.fit(x[~out], labels[~out]).predict(x[out]) == labels[out]).sum()
    assert found["probe_accuracy"] == pytest.approx(right / 51)

    mirrored = model.encode(clips.flip(-1)).mean.view(51, 4, 4, 4)
    moved = model.encode(pad(clips[:, :, 0], (8, 0, 0, 0), mode="reflect")[..., None, :, :-8]).mean
    grid = code.view(51, 4, 4, 4)
    unrelated = 2 * code.flatten(0, 1).double().var(0).sum()
    flip = (mirrored - grid.flip(2)).square().sum(-1).mean() / unrelated
    assert found["flip_error"] == pytest.approx(float(flip), rel=1e-5)
    gap = (moved.view(51, 4, 4, 4)[:, :, 1:] - grid[:, :, :-1]).square().sum(-1).mean()
    assert found["shift_error"] == pytest.approx(float(gap / unrelated), rel=1e-5)


def test_latent_tokens_stand_nowhere(tmp_path: Path) -> None:
    parent = train(tmp_path / "tokenizer", variant="latent", latents=5)
    context = RecordingContext(tmp_path / "probe", parents=(parent,))
    jobs.probe(ProbeJob(dataset="photos-tune", resolution=32, samples=34), context)
    assert [name for name, _, _ in context.results] == ["probe_accuracy"]


def test_a_data_set_without_classes_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (40, 40), (9, 9, 9)).save(folder / f"{name}.png")
    parent = train(tmp_path / "tokenizer")
    paths = Paths(data={"coco2017-val": str(folder)})
    context = RecordingContext(tmp_path / "probe", parents=(parent,), paths=paths)
    with pytest.raises(UserError, match=r"coco2017-val: its 3 samples are of one class"):
        jobs.probe(ProbeJob(dataset="coco2017-val", resolution=32), context)


def test_a_class_of_each_sample_cannot_be_learned(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path / "probe", parents=(train(tmp_path / "tokenizer"),))
    with pytest.raises(UserError, match=r"photos-tune: its 9 samples are of as many classes"):
        jobs.probe(ProbeJob(dataset="photos-tune", resolution=32, samples=9), context)
