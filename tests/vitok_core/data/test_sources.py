"""The registry: names, what is said about missing data, and fingerprints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vitok_core.data import listing
from vitok_core.data.sources import DATASETS, UnknownDataSet, data_set, fingerprint, missing


def imagenet(root: Path, files: tuple[str, ...] = ("n01/a.JPEG", "n02/b.JPEG")) -> dict[str, str]:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"not decoded here")
    return {"imagenet1k-val": str(root)}


def test_names() -> None:
    assert set(DATASETS) == {
        "photos-train", "photos-tune", "photos-heldout",
        "videos-train", "videos-heldout", "synthetic",
        "imagenet1k-train", "shutterstock-imagenet1k", "imagenet1k-val", "coco2017-val",
        "kinetics700-train", "kinetics700-val", "ucf101-train", "shutterstock-video",
        "shutterstock-video-val",
        "adm-imagenet256", "adm-imagenet512",
    }  # fmt: skip
    assert all(name == entry.name and entry.version for name, entry in DATASETS.items())


@pytest.mark.parametrize("function", [data_set, lambda n: missing(n, {})])
def test_unknown_names_are_refused(function: object) -> None:
    with pytest.raises(UnknownDataSet, match="imagenet-val"):
        function("imagenet-val")  # type: ignore[operator]


def test_embedded_photos_are_never_missing() -> None:
    assert all(missing(f"photos-{split}", {}) is None for split in ("train", "tune", "heldout"))


class TestMissing:
    def check(self, reason: str | None, *words: str) -> None:
        assert reason is not None
        assert "\n" not in reason
        for word in ("imagenet1k-val", "set data.imagenet1k-val in the site file", *words):
            assert word in reason
        assert "one folder per class" in reason

    def test_no_path(self) -> None:
        self.check(missing("imagenet1k-val", {}), "its path is not set")
        self.check(missing("imagenet1k-val", {"imagenet1k-val": ""}), "its path is not set")

    def test_no_such_folder(self, tmp_path: Path) -> None:
        gone = str(tmp_path / "gone")
        self.check(missing("imagenet1k-val", {"imagenet1k-val": gone}), gone, "does not exist")

    def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "val.zip"
        file.touch()
        self.check(missing("imagenet1k-val", {"imagenet1k-val": str(file)}), "is not a folder")

    def test_empty(self, tmp_path: Path) -> None:
        self.check(missing("imagenet1k-val", {"imagenet1k-val": str(tmp_path)}), "is empty")

    def test_wrong_layout(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_val_00000001.JPEG").touch()
        paths = {"imagenet1k-val": str(tmp_path), "coco2017-val": str(tmp_path)}
        self.check(missing("imagenet1k-val", paths), "does not have the expected layout")
        assert missing("coco2017-val", paths) is None

    def test_present(self, tmp_path: Path) -> None:
        assert missing("imagenet1k-val", imagenet(tmp_path)) is None

    def test_only_a_few_entries_are_looked_at(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = imagenet(tmp_path, tuple(f"n{i % 200:03}/{i}.JPEG" for i in range(400)))
        seen = []
        scandir = os.scandir

        @contextmanager
        def counted(folder: str | Path) -> Iterator[Iterator[os.DirEntry[str]]]:
            with scandir(folder) as entries:
                yield (seen.append(entry.name) or entry for entry in entries)

        monkeypatch.setattr(listing.os, "scandir", counted)
        assert missing("imagenet1k-val", paths) is None
        assert len(seen) < 100


class TestFingerprint:
    def test_photos_differ_by_split_and_are_fixed(self) -> None:
        # Golden: the same name and version must never hold other photos.
        assert {s: fingerprint(f"photos-{s}", {})[:12] for s in ("train", "tune", "heldout")} == {
            "train": "d37339132d76",
            "tune": "523fe5c58292",
            "heldout": "641f81504207",
        }

    def test_folder_does_not_depend_on_where_or_when(self, tmp_path: Path) -> None:
        a = fingerprint("imagenet1k-val", imagenet(tmp_path / "a"))
        b = fingerprint("imagenet1k-val", imagenet(tmp_path / "b", ("n02/b.JPEG", "n01/a.JPEG")))
        assert a == b

    def test_names_that_are_no_text_are_names(self, tmp_path: Path) -> None:
        paths = imagenet(tmp_path)
        before = fingerprint("imagenet1k-val", paths)
        odd = os.fsencode(tmp_path / "n01") + b"/\xff.JPEG"
        Path(os.fsdecode(odd)).write_bytes(b"x")
        assert fingerprint("imagenet1k-val", paths) != before

    def test_folder_sees_names_and_sizes(self, tmp_path: Path) -> None:
        paths = imagenet(tmp_path)
        before = fingerprint("imagenet1k-val", paths)
        (tmp_path / "n01/a.JPEG").write_bytes(b"longer than it was before")
        resized = fingerprint("imagenet1k-val", paths)
        (tmp_path / "n01/a.JPEG").replace(tmp_path / "n01/c.JPEG")
        renamed = fingerprint("imagenet1k-val", paths)
        assert len({before, resized, renamed}) == 3


def test_the_registry_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from vitok_core.data.sources import fingerprint, missing;"
        "missing('photos-train', {}); fingerprint('photos-train', {});"
        "sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
