from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
import torch

from vitok_core.training.checkpoint import (
    first_whole,
    load_checkpoint,
    prune,
    save_checkpoint,
    step_path,
    weights_hash,
)

State = dict[str, object]


def state(step: int = 7) -> State:
    model = {"a": torch.arange(600.0).view(20, 30), "b": torch.ones((), dtype=torch.bfloat16)}
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "groups": [{"betas": (0.9, 0.95)}]}
    return {"model": model, "optimizer": optimizer, "step": step, "config_sha256": "c"}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, state())
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["model"]["a"], state()["model"]["a"])  # type: ignore[index]
    assert loaded["optimizer"]["groups"] == [{"betas": (0.9, 0.95)}]
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_anyone_can_open_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", state())
    assert torch.load(tmp_path / "a.pt", weights_only=True)["step"] == 7


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_noticed(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, state())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"a\.pt"):
        load_checkpoint(path)


def test_no_flipped_byte_changes_what_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, state())
    whole, expected = path.read_bytes(), load_checkpoint(path)
    noticed = 0
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            loaded = load_checkpoint(path)
        except ValueError:
            noticed += 1
            continue
        # Padding and unread fields of the zip may change freely; content may not.
        assert weights_hash(loaded["model"]) == weights_hash(expected["model"])
        assert loaded["step"] == 7
    assert noticed > 2400 / 37  # at the least every hit on the 2400 bytes of the tensor


def test_damaged_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("torn.pt", "foreign.pt", "missing.pt", "good.pt")]
    paths[0].write_bytes(b"PK\x03\x04 torn")
    save_checkpoint(paths[1], {**state(9), "config_sha256": "another"})
    save_checkpoint(paths[3], state(5))
    found = first_whole(paths, "c")
    assert found is not None
    assert found.path == paths[3]
    assert found.state["step"] == 5
    assert first_whole(paths[:3], "c") is None


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, state(1))

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vitok_core.files.os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, state(2))
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_pruning_keeps_the_furthest(tmp_path: Path) -> None:
    for step in (5, 1000, 20):
        save_checkpoint(step_path(tmp_path, step), state(step))
    prune(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000000020.pt", "step-000001000.pt"]
    prune(tmp_path, keep=0)
    assert list(tmp_path.iterdir()) == []


def test_the_hash_sees_every_bit_name_type_and_shape() -> None:
    a = torch.zeros(4)
    hashes = {
        weights_hash(weights)
        for weights in (
            {"a": a},
            {"b": a},
            {"a": a.double()},
            {"a": a.view(2, 2)},
            {"a": -a},  # negative zeros: equal numbers, other bits
        )
    }
    assert len(hashes) == 5
    assert weights_hash({"a": a, "b": a + 1}) == weights_hash({"b": a + 1, "a": a})


def test_a_full_disk_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch makes a RuntimeError of a failed write; nobody could mend that by its message."""

    def full(content: object, file: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 25600 vs 25552")

    monkeypatch.setattr(torch, "save", full)
    state = {"model": {"weight": torch.zeros(1000)}}
    with pytest.raises(RuntimeError):  # there is room: the error is another
        save_checkpoint(tmp_path / "step-1.pt", state)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4000))
    with pytest.raises(OSError, match="No space left") as caught:
        save_checkpoint(tmp_path / "step-1.pt", state)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())
