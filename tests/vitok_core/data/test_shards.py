"""Tar shards: what webdataset reads from them, in place, exactly resumed, however it is shared."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from media import encoded, shards, tar

from vitok_core.data import shards as shards_module
from vitok_core.data.decode import Images, decode
from vitok_core.data.images import CorruptImage, MissingData
from vitok_core.data.listing import shard_files
from vitok_core.data.sampler import EvalCrops, TrainCrops, loader, step_indices
from vitok_core.data.shards import Shards
from vitok_core.data.tarindex import index_shard


def opened(root: Path, cache: Path | None = None) -> Shards:
    return Shards(shard_files(str(root)), "images", cache)


def contents(store: Shards) -> list[tuple[bytes, int]]:
    found = []
    for i in range(len(store)):
        with store.open(i) as file:
            found.append((file.read(), store.label(i)))
    return found


def messy(root: Path) -> Path:
    """What real shards hold: folders, long names, upper case, further members, captions only."""
    deep = "/".join(["a" * 60] * 4)
    tar(root / "0.tar", {
        "./x/000.JPG": encoded(0), "./x/000.cls": b"4", "./x/000.txt": b"a caption",
        f"{deep}/001.cls": b"5", f"{deep}/001.png": encoded(1, "PNG"),
        "notes": b"no suffix", "002.txt": b"an image is missing", "002.cls": b"6",
        "003.seg.png": encoded(9, "PNG"), "003.jpg": encoded(3), "003.cls": b"7",
        "003.mask.png": encoded(8, "PNG"),
    })  # fmt: skip
    tar(root / "1.tar", {"y/004.webp": encoded(4, "WEBP"), "y/004.cls": b"0"})
    return root


@pytest.mark.parametrize("make", [messy, lambda root: shards(root, 3, 4)])
def test_the_samples_are_webdatasets(tmp_path: Path, make: object) -> None:
    webdataset = pytest.importorskip("webdataset")
    root = make(tmp_path)  # type: ignore[operator]
    files = shard_files(str(root))
    stream = webdataset.WebDataset(files, shardshuffle=False, empty_check=False)
    theirs = []
    for sample in stream:
        images = [sample[kind] for kind in ("jpg", "png", "webp") if kind in sample]
        theirs += [(data, int(sample["cls"])) for data in images]
    assert len(theirs) >= 4
    assert contents(opened(root)) == theirs


def test_labels_of_json_and_of_none(tmp_path: Path) -> None:
    tar(tmp_path / "a" / "0.tar", {
        "0.jpg": b"x", "0.json": json.dumps({"label": 3, "caption": "c"}).encode(),
        "1.jpg": b"x", "1.json": b'{"cls": 8}',
    })  # fmt: skip
    assert [opened(tmp_path / "a").label(i) for i in range(2)] == [3, 8]
    tar(tmp_path / "b" / "0.tar", {"0.jpg": b"x", "0.json": b'{"caption": "c"}', "1.jpg": b"x"})
    assert [opened(tmp_path / "b").label(i) for i in range(2)] == [0, 0]
    tar(tmp_path / "c" / "0.tar", {"0.jpg": b"x", "0.cls": b"1", "1.jpg": b"x", "1.cls": b"??"})
    with pytest.raises(CorruptImage, match=r"0\.tar: 1\.jpg: no label"):
        opened(tmp_path / "c").label(1)
    tar(tmp_path / "d" / "0.tar", {"0.jpg": b"x", "0.json": b"[" * 100_000})  # nested too deep
    assert opened(tmp_path / "d").label(0) == 0


class TestIndex:
    def test_it_is_made_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = shards(tmp_path / "shards", 17, 1)
        with caplog.at_level(logging.WARNING):
            first = contents(opened(root, tmp_path / "cache"))
        assert "indexing 17 shards" in caplog.text
        monkeypatch.setattr(shards_module, "index_shard", None)
        assert contents(opened(root, tmp_path / "cache")) == first

    def test_an_interrupted_start_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, indexed = shards(tmp_path / "shards", 3, 2), []

        def index(path: Path, media: str) -> object:
            indexed.append(path.name)
            if path.name == "00002.tar" and indexed.count(path.name) == 1:
                raise KeyboardInterrupt
            return index_shard(path, media)  # type: ignore[arg-type]

        monkeypatch.setattr(shards_module, "index_shard", index)
        with pytest.raises(KeyboardInterrupt):
            opened(root, tmp_path / "cache")
        assert len(opened(root, tmp_path / "cache")) == 7
        assert sorted(indexed) == ["00000.tar", "00001.tar", "00002.tar", "00002.tar"]

    def test_a_changed_shard_is_indexed_again(self, tmp_path: Path) -> None:
        root = shards(tmp_path / "shards", 2, 2)
        opened(root, tmp_path / "cache")
        tar(root / "00001.tar", {"only.jpg": b"x", "only.cls": b"2"})
        assert contents(opened(root, tmp_path / "cache"))[-1] == (b"x", 2)

    def test_a_damaged_cache_is_made_again(self, tmp_path: Path) -> None:
        root = shards(tmp_path / "shards", 2, 2)
        first = contents(opened(root, tmp_path / "cache"))
        for file in (tmp_path / "cache").rglob("*.npy"):
            file.write_bytes(file.read_bytes()[:40])
        assert contents(opened(root, tmp_path / "cache")) == first

    def test_a_full_disk_is_called_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """NumPy's own error of a failed write has no errno: the job would fail, not wait."""

        def onto_full_disk(path: Path, write: Callable[[BinaryIO], object]) -> None:
            with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
                write(file)

        monkeypatch.setattr(shards_module, "replace_atomically", onto_full_disk)
        with pytest.raises(OSError, match="No space left") as caught:
            opened(shards(tmp_path, 1, 2), tmp_path / "cache")
        assert caught.value.errno == errno.ENOSPC

    # Within the first sample's data, at its end, within the second's header.
    @pytest.mark.parametrize("keep", [700, 1024, 1536, 1636])
    def test_a_truncated_shard_is_named(self, tmp_path: Path, keep: int) -> None:
        root = shards(tmp_path, 2, 3)
        shard = root / "00001.tar"
        shard.write_bytes(shard.read_bytes()[:keep])
        with pytest.raises(MissingData, match=r"00001\.tar: not a whole, uncompressed tar"):
            opened(root)

    def test_a_damaged_header_loses_no_samples_unseen(self, tmp_path: Path) -> None:
        shard = tar(tmp_path / "0.tar", {f"{i}.jpg": b"x" for i in range(3)})
        content = bytearray(shard.read_bytes())
        content[1024:1100] = b"?" * 76  # in the second member's header
        shard.write_bytes(content)
        with pytest.raises(MissingData, match=r"0\.tar: not a whole.* damaged at byte 1024"):
            opened(tmp_path)

    def test_a_compressed_shard_is_refused(self, tmp_path: Path) -> None:
        tar(tmp_path / "0.tar", {"0.jpg": b"x"}, "w:gz")
        with pytest.raises(MissingData, match="uncompressed"):
            opened(tmp_path)

    def test_shards_without_images_are_refused(self, tmp_path: Path) -> None:
        tar(tmp_path / "0.tar", {"0.mp4": b"x"})
        with pytest.raises(MissingData, match="no images"):
            opened(tmp_path)


def test_a_broken_member_is_named(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", {"a/0.jpg": encoded(0), "a/1.jpg": encoded(1)[:99]})
    source = Images(opened(tmp_path))
    assert np.array_equal(source.image(0), decode(encoded(0), "a"))
    with pytest.raises(CorruptImage, match=r"0\.tar: a/1\.jpg: not a readable image"):
        source.image(1)


def test_a_shard_that_shrank_or_went_is_named(tmp_path: Path) -> None:
    root = shards(tmp_path, 2, 2)
    store = opened(root)
    (root / "00001.tar").write_bytes(b"")
    with pytest.raises(CorruptImage, match=r"00001\.tar.*shorter"):
        store.open(3)
    (root / "00000.tar").unlink()
    with pytest.raises(CorruptImage, match=r"00000\.tar: No such file"):
        store.open(0)


class TestSampling:
    @pytest.fixture
    def crops(self, tmp_path: Path) -> TrainCrops:
        return TrainCrops(Images(opened(shards(tmp_path, 5, 6))), 16, seed=5, scale=(0.4, 1.0))

    def test_an_epoch_has_every_image_once(self, crops: TrainCrops) -> None:
        n = len(crops.source)
        for epoch in range(2):
            seen = [crops.image_index(epoch * n + i) for i in range(n)]
            assert sorted(seen) == list(range(n))

    def test_a_run_resumes_in_the_middle(self, crops: TrainCrops, tmp_path: Path) -> None:
        whole = list(loader(crops, 4, range(20)))  # into the third epoch
        again = TrainCrops(Images(opened(tmp_path)), 16, seed=5, scale=(0.4, 1.0))
        for one, two in zip(whole[11:], loader(again, 4, range(11, 20)), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))

    def test_ranks_and_workers_share_it_without_overlap(self, crops: TrainCrops) -> None:
        ranks = [list(loader(crops, 4, range(8), workers=2, rank=r, world=2)) for r in range(2)]
        for step in range(8):
            both = [torch.cat(each) for each in zip(*(rank[step] for rank in ranks), strict=True)]
            alone, _ = crops.batch(step_indices(step, 4))
            assert all(torch.equal(a, b) for a, b in zip(both, alone, strict=True))

    def test_evaluation_goes_through_the_shards_in_order(self, tmp_path: Path) -> None:
        crops = EvalCrops(Images(opened(shards(tmp_path, 2, 3))), 16)
        assert [crops.image_index(i) for i in range(7)] == list(range(7))
        assert crops.labels(range(7)).tolist() == [0, 1, 2, 1, 2, 0, 1]
