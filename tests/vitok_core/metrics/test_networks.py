"""Whether this machine has a network, said in one line before anything is submitted."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from recording import RecordingContext

from vitok_core.context import Paths
from vitok_core.errors import UserError
from vitok_core.metrics import networks
from vitok_core.metrics.features import Extractor
from vitok_core.metrics.networks import NETWORKS, missing, weights_path

NAME = "efficientnet-lite0"
NETWORK = NETWORKS[NAME]


def test_the_installed_weights_are_the_pinned() -> None:
    path = weights_path(NETWORK, {})
    assert path is not None
    assert hashlib.sha256(path.read_bytes()).hexdigest() == NETWORK.sha256
    # The authors put the beginning of the hash into the file's name.
    assert NETWORK.sha256.startswith(path.stem.rpartition("-")[2])
    assert missing(NAME, {}) is None
    assert NETWORK.package not in sys.modules  # found without running the package's code


def test_a_path_of_the_site_file_goes_first(tmp_path: Path) -> None:
    installed = weights_path(NETWORK, {})
    assert installed is not None
    copy = tmp_path / "weights of mine.pth"
    copy.write_bytes(installed.read_bytes())
    assert weights_path(NETWORK, {NAME: str(copy)}) == copy
    assert missing(NAME, {NAME: str(copy)}) is None
    assert weights_path(NETWORK, {NAME: "~/w.pth"}) == Path.home() / "w.pth"


def test_other_weights_are_refused_and_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for content in (b"other weights", b""):
        path.write_bytes(content)
        reason = missing(NAME, {NAME: str(path)})
        assert reason is not None
        assert f"sha256 {hashlib.sha256(content).hexdigest()[:12]}" in reason
        assert f"expected {NETWORK.sha256[:12]}" in reason
        assert str(path) in reason
        assert "\n" not in reason


def test_absent_weights_come_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = missing(NAME, {NAME: str(tmp_path / "gone.pth")})
    assert reason is not None
    assert f"{tmp_path / 'gone.pth'} does not exist; correct weights.{NAME} in the site" in reason
    assert "set weights" not in reason
    assert "is not a file" in str(missing(NAME, {NAME: str(tmp_path)}))
    monkeypatch.setattr(networks, "find_spec", lambda package: None)
    reason = missing(NAME, {})
    assert reason is not None
    assert "not installed" in reason
    for remedy in (NETWORK.source, f"weights.{NAME} in the site file"):
        assert remedy in reason


def test_standard_weights_are_found_where_others_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = NETWORKS["inception-2015"]
    assert network.sha256.startswith("6726825d")
    reason = missing("inception-2015", {})
    assert reason is not None
    assert "fetch https://github.com/toshas/torch-fidelity/releases/" in reason
    assert f" to {tmp_path}/hub/checkpoints/{network.file}, or set weights." in reason
    assert f"dl=1 to {tmp_path}/hub/checkpoints/i3d_torchscript.pt, or" in str(missing("i3d", {}))
    cache = tmp_path / "hub/checkpoints"
    cache.mkdir(parents=True)
    # pytorch-fid's name of the same file, then torch-fidelity's, which goes first.
    for name in (
        "pt_inception-2015-12-05-6726825d.pth",
        "weights-inception-2015-12-05-6726825d.pth",
    ):
        (cache / name).write_bytes(b"other")
        assert weights_path(network, {}) == cache / name
    assert "expected 6726825d0af5" in str(missing("inception-2015", {}))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_pinned_hash_is_whole_and_its_files_name_agrees(name: str) -> None:
    network = NETWORKS[name]
    assert len(bytes.fromhex(network.sha256)) == 32
    for part in network.file.removesuffix(".pth").split("-"):
        if len(part) == 8 and not part.isdigit() and set(part) <= set("0123456789abcdef"):
            assert network.sha256.startswith(part)


def test_a_job_refuses_with_the_same_line(tmp_path: Path) -> None:
    paths = Paths(weights={NAME: str(tmp_path / "gone.pth")})
    context = RecordingContext(tmp_path, paths=paths)
    with pytest.raises(UserError) as caught:
        Extractor.open(NAME, context)
    assert str(caught.value) == missing(NAME, paths.weights)
