"""The job `latents`: what the tokenizer encodes is what is cached, also after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from chain import encoded, latents_job, tokenizer
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.context import Machine, Parent
from vitok_core.data import sampler
from vitok_core.data.images import CorruptImage
from vitok_core.data.latents import LatentSet, latents_folder
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import as_clips, to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.diffusion import encode
from vitok_core.errors import Stopped, UserError
from vitok_core.training.trained import load_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    return tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "shard_samples", lambda *_: 5)


def same(ours: LatentSet, theirs: LatentSet) -> bool:
    return all(
        torch.equal(a, b)
        for row in range(len(theirs))
        for mirrored in (False, True)
        for a, b in zip(ours.posterior(row, mirrored), theirs.posterior(row, mirrored), strict=True)
    )


def test_the_cache_holds_the_tokenizers_posteriors(tmp_path: Path, trained: Parent) -> None:
    latents, context = encoded(tmp_path, trained, latents_job())
    model = load_model(trained.folder)
    crops = EvalCrops(open_source("photos-tune", {}), 32, 17)
    assert (len(latents), latents.grid, latents.classes) == (17, (1, 4, 4), 17)
    for row in (0, 9, 16):
        clip = as_clips(to_model(crops.samples([row])))
        for mirrored, x in ((False, clip), (True, clip.flip(-1))):
            posterior = model.encode(x)
            mean, logvar = latents.posterior(row, mirrored)
            assert torch.allclose(mean, posterior.mean[0], atol=1e-5)
            assert torch.allclose(logvar, posterior.logvar[0], atol=1e-3, rtol=2e-3)
    assert latents.labels(range(17)).tolist() == list(range(17))
    assert latents.about["dataset"] == "photos-tune@1"
    assert latents.about["tokenizer"] == "t0"
    ((_, _, bits),) = context.fingerprints
    assert latents.about["fingerprint"] == bits
    assert context.progressed[-1] == (17, 17, "images")
    assert context.artifacts_made == [(latents_folder(tmp_path) / "latents.json", "latents")]


def test_a_stopped_job_goes_on_at_its_shard(
    tmp_path: Path, trained: Parent, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "BATCH", 5)
    looked = iter([None, None, "asked to"])
    stopped = RecordingContext(tmp_path / "a", parents=(trained,), stop=lambda _: next(looked))
    with pytest.raises(Stopped, match="asked to"):
        jobs.latents(latents_job(), stopped)
    folder = latents_folder(tmp_path / "a")
    kept = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(kept) == {"shard-00000.safetensors", "shard-00001.safetensors"}
    with pytest.raises(UserError, match="not finished"):
        LatentSet(folder)
    resumed, context = encoded(tmp_path / "a", trained, latents_job())
    assert context.progressed[0][0] == 15, "two shards of five were not encoded again"
    assert {n: (folder / n).stat().st_mtime_ns for n in kept} == kept
    undisturbed, _ = encoded(tmp_path / "b", trained, latents_job())
    assert same(resumed, undisturbed)
    documents = [json.loads((latents_folder(tmp_path / each) / "latents.json").read_text())
                 for each in "ab"]  # fmt: skip
    assert documents[0] == documents[1]


def test_workers_and_batches_do_not_matter(
    tmp_path: Path, trained: Parent, small_shards: None
) -> None:
    alone, _ = encoded(tmp_path / "a", trained, latents_job())
    machine = Machine(workers=2, micro_batch=5)
    together, _ = encoded(tmp_path / "b", trained, latents_job(), machine)
    assert same(together, alone)


def test_corrupt_files_are_left_out_and_told_of(
    tmp_path: Path, trained: Parent, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = EvalCrops.read

    def broken(self: EvalCrops, i: int) -> Any:
        if i == 2 or 5 <= i < 10:  # a whole shard among them
            raise CorruptImage(f"photo {i}: is broken")
        return read(self, i)

    monkeypatch.setattr(sampler.EvalCrops, "read", broken)
    latents, context = encoded(tmp_path, trained, latents_job())
    assert len(latents) == 11
    assert latents.classes == 11
    assert sum(value for name, value, _ in context.metrics if name == "corrupt_samples") == 6


def test_latent_tokens_stand_in_a_row(tmp_path: Path) -> None:
    of = tokenizer(tmp_path / "t", variant="latent", latents=5)
    latents, _ = encoded(tmp_path / "l", of, latents_job(flip=False))
    assert (latents.grid, latents.tokens, latents.flip) == ((5,), 5, False)


def test_clips_have_latents_too(tmp_path: Path) -> None:
    of = tokenizer(tmp_path / "t", "synthetic", frames=4, stride=2)
    job = latents_job("synthetic", frames=4, samples=12)
    latents, context = encoded(tmp_path / "l", of, job)
    assert (latents.grid, latents.tokens) == ((2, 4, 4), 32)
    assert latents.classes == len({i * 4096 // 12 % 10 for i in range(12)})
    assert context.progressed[-1] == (12, 12, "clips")
