"""Cached latents: what was encoded is what is read, drawn by (seed, index) alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from vitok_core.data.latents import LatentSet
from vitok_core.data.latentwriter import Encoded, LatentWriter, shard_samples
from vitok_core.errors import UserError

L, C = 3, 2
ABOUT = {"grid": [1, 1, 3], "tokenizer": "abc", "dataset": "toys@1"}


def encoded(first: int, n: int, flip: bool = True) -> Encoded:
    """Codes that tell their sample: mean = 10·sample + channel, mirrored 1000 more."""
    sample = torch.arange(first, first + n, dtype=torch.float32)[:, None, None]
    mean = 10 * sample + torch.arange(C).expand(n, L, C)
    logvar = torch.full((n, L, C), -6.0)
    label = torch.arange(first, first + n) % 3
    mirrored = (mean + 1000, logvar - 1) if flip else (None, None)
    return Encoded(mean, logvar, label, *mirrored)


def written(folder: Path, shards: int = 3, n: int = 4, flip: bool = True) -> Path:
    writer = LatentWriter(folder, {"data": "toys"})
    for number in range(shards):
        writer.write(number, encoded(number * n, n, flip))
    writer.finish(ABOUT)
    return folder


def test_codes_come_back_as_they_were_encoded(tmp_path: Path) -> None:
    latents = LatentSet(written(tmp_path))
    assert (len(latents), latents.tokens, latents.channels) == (12, L, C)
    assert latents.grid == (1, 1, 3)
    assert latents.classes == 3
    for row in (0, 5, 11):
        mean, logvar = latents.posterior(row)
        assert torch.equal(mean, encoded(row, 1).mean[0])
        assert torch.equal(logvar, torch.full((L, C), -6.0))
        assert torch.equal(latents.posterior(row, mirrored=True)[0], mean + 1000)
    assert latents.labels([0, 1, 5, 11]).tolist() == [0, 1, 2, 2]


def test_any_safetensors_reader_sees_them(tmp_path: Path) -> None:
    shard = load_file(written(tmp_path) / "shard-00001.safetensors")
    assert torch.equal(shard["mean"], encoded(4, 4).mean)
    assert shard["label"].tolist() == [1, 2, 0, 1]
    assert torch.equal(shard["logvar_flip"].float(), torch.full((4, L, C), -7.0))


def test_a_sample_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    latents = LatentSet(written(tmp_path))
    whole, labels = latents.batch(range(24), seed=1)
    parts = [latents.batch([i], seed=1) for i in range(24)]
    assert torch.equal(whole, torch.cat([codes for codes, _ in parts]))
    assert torch.equal(labels, torch.cat([each for _, each in parts]))
    assert not torch.equal(whole, latents.batch(range(24), seed=2)[0])
    copy = pickle.loads(pickle.dumps(latents))
    assert torch.equal(whole, copy.batch(range(24), seed=1)[0])


def test_an_epoch_has_each_sample_once_and_half_of_them_mirrored(tmp_path: Path) -> None:
    latents = LatentSet(written(tmp_path, shards=25, n=4))
    codes, labels = latents.batch(range(200), seed=0)
    sample = (codes[:, 0, 0] / 10).round().long() % 100
    for epoch in (sample[:100], sample[100:]):
        assert sorted(epoch.tolist()) == list(range(100))
    assert torch.equal(labels, sample % 3)
    assert not torch.equal(sample[:100], sample[100:])
    mirrored = codes[:, 0, 0] > 995  # means reach 990, mirrored ones begin at 1000
    assert 0.35 < mirrored.float().mean() < 0.65
    again = [bool(mirrored[:100][sample[:100] == k]) == bool(mirrored[100:][sample[100:] == k])
             for k in range(100)]  # fmt: skip
    assert 30 < sum(again) < 70, "each epoch draws anew"


def test_draws_have_the_posteriors_law(tmp_path: Path) -> None:
    writer = LatentWriter(tmp_path, {})
    mean, logvar = torch.full((1, 40, 50), 2.0), torch.full((1, 40, 50), -1.0)
    writer.write(0, Encoded(mean, logvar, torch.zeros(1, dtype=torch.int64)))
    writer.finish(ABOUT)
    codes, _ = LatentSet(tmp_path, classes=1).batch(range(10), seed=3)
    drawn = codes.flatten().double().numpy()
    law = stats.norm(2.0, torch.tensor(-0.5).exp().item())
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3


def test_statistics_are_those_of_samples_of_the_posterior(tmp_path: Path) -> None:
    # Far from zero: sums of squares would lose the digits.
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(40, L, C, generator=generator) * torch.tensor([0.5, 2.0]) + 1e4
    mean[20:] += 3  # shards differ in their means too
    logvar = torch.randn(40, L, C, generator=generator)
    writer = LatentWriter(tmp_path, {})
    for number, part in enumerate((slice(0, 7), slice(7, 8), slice(8, 40))):
        views = (mean[part], logvar[part], torch.arange(40)[part], mean[part] + 1, logvar[part] + 1)
        writer.write(number, Encoded(*views))
    writer.finish(ABOUT)
    latents = LatentSet(tmp_path)
    means, logvars = (torch.cat([each, each + 1]).double().flatten(0, 1) for each in (mean, logvar))
    variance = means.var(0, correction=0) + logvars.exp().mean(0)
    assert torch.allclose(latents.mean, means.mean(0).float(), rtol=1e-7)
    assert torch.allclose(latents.std, variance.sqrt().float(), rtol=1e-5)


def test_a_restart_takes_over_whole_shards_of_the_same_and_no_others(tmp_path: Path) -> None:
    first = LatentWriter(tmp_path, {"data": "a"})
    for number in range(3):
        first.write(number, encoded(4 * number, 4))
    broken = tmp_path / "shard-00001.safetensors"
    broken.write_bytes(broken.read_bytes()[:-5])
    again = LatentWriter(tmp_path, {"data": "a"})
    assert [again.has(number) for number in range(4)] == [True, False, True, False]
    again.write(1, encoded(4, 4))
    again.finish(ABOUT)
    undisturbed = written(tmp_path / "other")
    ours, theirs = (json.loads((f / "latents.json").read_text()) for f in (tmp_path, undisturbed))
    for document in (ours, theirs):
        for shard in document["shards"]:
            del shard["sha256"]  # of `made_of` too
    assert ours == theirs
    assert not LatentWriter(tmp_path, {"data": "b"}).has(0)


def _flip_a_bit(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0.75, 0.8, 0.85, 0.9, 0.95, 0.9999])
def test_a_restart_takes_over_no_shard_whose_bits_have_changed(
    tmp_path: Path, place: float
) -> None:
    LatentWriter(tmp_path, {"data": "a"}).write(0, encoded(0, 40))
    assert LatentWriter(tmp_path, {"data": "a"}).has(0)
    _flip_a_bit(tmp_path / "shard-00000.safetensors", place)
    assert not LatentWriter(tmp_path, {"data": "a"}).has(0)


def test_samples_that_could_not_be_read_are_left_out(tmp_path: Path) -> None:
    writer = LatentWriter(tmp_path, {})
    writer.write(0, encoded(0, 2))
    writer.write(1, encoded(2, 0))
    writer.write(2, encoded(6, 1))
    writer.finish(ABOUT)
    latents = LatentSet(tmp_path)
    assert len(latents) == 3
    assert latents.labels([0, 1, 2]).tolist() == [0, 1, 0]
    assert latents.classes == 2


def test_classes_that_no_sample_has_are_not_counted(tmp_path: Path) -> None:
    writer = LatentWriter(tmp_path, {})
    codes = encoded(0, 4)
    writer.write(0, Encoded(codes.mean, codes.logvar, torch.tensor([7, 2, 9, 2])))
    writer.finish(ABOUT)
    latents = LatentSet(tmp_path)
    assert latents.classes == latents.about["classes"] == 3
    assert latents.labels([0, 1, 2, 3]).tolist() == [1, 0, 2, 0]


def test_shards_stay_within_their_size() -> None:
    assert shard_samples(16, 4, True) == 1024
    large = shard_samples(1024, 64, True)
    assert large * 1024 * 64 * 6 * 2 <= 2**28 < (large + 1) * 1024 * 64 * 6 * 2
    assert shard_samples(10**6, 64, True) == 1


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no latents.json; .* not finished"):
        LatentSet(tmp_path)
    with pytest.raises(UserError, match="no sample could be encoded"):
        LatentWriter(tmp_path, {}).finish(ABOUT)
    broken = encoded(0, 2)
    broken.mean[0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        LatentWriter(tmp_path, {}).write(0, broken)
    folder = written(tmp_path / "whole")
    (folder / "shard-00001.safetensors").unlink()
    with pytest.raises(UserError, match=r"shard-00001.* is gone"):
        LatentSet(folder)
    (folder / "latents.json").write_text("{}")
    with pytest.raises(UserError, match="expected format"):
        LatentSet(folder)
    (folder / "latents.json").write_text('{"format": "vitok-sweep latents 1"}')
    with pytest.raises(UserError, match=r"latents.json: is damaged, without tokens"):
        LatentSet(folder)


def test_data_without_classes_must_be_asked_for_as_such(tmp_path: Path) -> None:
    writer = LatentWriter(tmp_path, {})
    codes = encoded(0, 4)
    writer.write(0, Encoded(codes.mean, codes.logvar, torch.zeros(4, dtype=torch.int64)))
    writer.finish(ABOUT)
    with pytest.raises(UserError, match=r"toys@1 has no classes; set generator.classes=1"):
        LatentSet(tmp_path)
    assert LatentSet(tmp_path, classes=1).classes == 1
    labelled = LatentSet(written(tmp_path / "labelled"), classes=1)
    assert labelled.batch(range(12), seed=0)[1].tolist() == [0] * 12


def test_a_damaged_shard_is_found(tmp_path: Path) -> None:
    latents = LatentSet(written(tmp_path))
    latents.verify()
    shard = tmp_path / "shard-00002.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"shard-00002.safetensors: is damaged"):
        latents.verify()
