"""What a sweep file names of somebody else's code, found and hashed: classes, losses, metrics."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sweep.spec.problems import nearest, shown
from vitok_core import plugins
from vitok_core.config import ExtraLoss, ExtraMetric
from vitok_core.errors import UserError
from vitok_core.plugins import Kind, Plugin

CLASS = "tokenizer.class"
LOSSES = "loss.extra"
METRICS = "evaluation.extra"
# Names that ours have: `loss_<name>` is a learning curve, and a metric's name its column.
_TAKEN: Mapping[Kind, str] = {
    "loss": r"rec|kl|perceptual|gan",
    "metric": r"[rg](PSNR|SSIM|MS-SSIM|FID|IS|FVD|FD|PD)(\[.*)?|LPIPS|kl_bits_per_pixel|"
    r"active_channels|effective_rank|high_frequency_share|probe_accuracy|(shift|flip)_error|"
    r"bits_per_pixel|code_values",
}


def check_class(value: Any) -> str | None:
    """A tokenizer class as `module:Class`, which is there; ValueError otherwise."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"expected module:Class, such as mylab.tok:Build, got {shown(value)}")
    source_of(value)
    return value


def check_losses(value: Any) -> tuple[ExtraLoss, ...]:
    """Losses by name from {name: weight}; a weight of null drops what a base says."""
    if value is None or value in ([], ()):
        return ()
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping of losses to weights, got {shown(value)}")
    found = []
    for name, weight in sorted(value.items(), key=str):
        if weight is None:
            continue
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight):
            raise ValueError(f"{name}: expected its weight, a number, got {shown(weight)}")
        plugin, sha256 = _named("loss", name)
        found.append(
            ExtraLoss(name=plugin.name, weight=float(weight), code=plugin.code, sha256=sha256)
        )
    return tuple(found)


def check_metrics(value: Any) -> tuple[ExtraMetric, ...]:
    """Metrics by name from a list of names."""
    names = value if isinstance(value, list | tuple) else [value]
    found = []
    for name in sorted(set(names), key=str) if value is not None else ():
        plugin, sha256 = _named("metric", name)
        found.append(
            ExtraMetric(name=plugin.name, code=plugin.code, sha256=sha256, version=plugin.version)
        )
    return tuple(found)


def in_words(extra: Mapping[str, Any]) -> str:
    """A loss or a metric of a job's configuration, for tables."""
    weight = f" {extra['weight']:g}" if "weight" in extra else ""
    return f"{extra['name']}{weight}"


def _named(kind: Kind, name: Any) -> tuple[Plugin, str]:
    """The entry point of that name and the hash of its source."""
    if not isinstance(name, str):
        raise ValueError(f"expected a {kind}'s name, got {shown(name)}")
    known = plugins.known(kind)
    if re.fullmatch(_TAKEN[kind], name):
        raise ValueError(f"'{name}' is a {kind} of ours; yours needs another name")
    if name not in known:
        hint = nearest(name, known) or f"; no installed package offers one ({plugins.GROUPS[kind]})"
        raise ValueError(f"unknown {kind} '{name}'{hint}")
    return known[name], source_of(known[name].code, f"{kind} {name}: ")


def source_of(code: str, what: str = "") -> str:
    """The hash of `module:attribute`'s package; ValueError where it is not there."""
    try:
        plugins.check(code)
        return plugins.source_sha256(plugins.top_of(code))
    except UserError as error:
        raise ValueError(f"{what}{error}") from None
