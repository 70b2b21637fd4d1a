"""What a rehearsal does without: data sets that are drawn instead, networks that are left out.

Only for what this machine was never told of. A path that the site file does give is used as it is,
so that a wrong one fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sweep.rehearsal.shrink import replaced
from sweep.site import Site
from vitok_core.baselines.table import missing, side_factor
from vitok_core.config import (
    BaselineJob,
    CodecConfig,
    EvaluationConfig,
    FinetuneJob,
    Science,
    TokenizerJob,
)
from vitok_core.data import sources
from vitok_core.metrics import networks

DRAWN = "synthetic"
_ELSEWHERE = ("folder", "scenes", "statistics")  # kinds that the package does not hold
_NAMED = ("dataset", "reference")  # fields that name a data set


@dataclass(frozen=True)
class Equipped:
    """A configuration that this machine can run.

    Args:
        drawn: data sets for which drawn ones stand in, each with the reason.
        lacks: networks that the job asks for and does without, each with the reason.
    """

    config: Science
    drawn: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def equipped(config: Science, site: Site) -> Equipped:
    """The job as this machine can run it, and what differs."""
    drawn, lacks = _data_sets(config, site), _networks(config, site)
    changes: dict[str, Any] = {}
    version = sources.DATASETS[DRAWN].version
    data = getattr(config, "data", None)
    if data is not None and data.name in drawn:
        changes["data"] = replaced(data, name=DRAWN, version=version)
    for field in _NAMED:
        if getattr(config, field, None) in drawn:
            changes |= {field: DRAWN, "version": version}
    if isinstance(config, TokenizerJob | FinetuneJob) and config.loss.perceptual in lacks:
        changes["loss"] = replaced(config.loss, perceptual=None, perceptual_weight=0.0)
    scored = getattr(config, "evaluation", None)
    if isinstance(scored, EvaluationConfig) and lacks:
        fields = ("networks", "video", "perceptual")
        here = {each: tuple(n for n in getattr(scored, each) if n not in lacks) for each in fields}
        changes["evaluation"] = replaced(scored, **here)
    without = tuple(lacks.values())
    if isinstance(config, BaselineJob) and (reason := _codec(config.codec, site)) is not None:
        factor = max(2, side_factor(config.codec))
        shrinking = CodecConfig(name=f"bicubic-{factor}", kind="bicubic", factor=factor)
        changes["codec"], without = shrinking, (*without, reason)
    made = replaced(config, **changes) if changes else config
    return Equipped(made, tuple(drawn.values()), without)


def _codec(codec: CodecConfig, site: Site) -> str | None:
    """Why a codec whose folder this machine was not told of is not run; None: it is."""
    reason = missing(codec, site.weights)
    if reason is None or codec.name in site.weights:
        return None
    return f"bicubic shrinking stands in for {reason}"


def _data_sets(config: Science, site: Site) -> dict[str, str]:
    """The data sets of the job that this machine has no place for, with the reason."""
    data = getattr(config, "data", None)
    names = [data.name] if data is not None else []
    names += [getattr(config, field) for field in _NAMED if hasattr(config, field)]
    found = {}
    for name in names:
        reason = sources.missing(name, site.data)
        known = sources.data_set(name)
        if reason is not None and name not in site.data and known.kind in _ELSEWHERE:
            found[name] = f"drawn data stand in for {reason.removeprefix('data set ')}"
    return found


def _networks(config: Science, site: Site) -> dict[str, str]:
    """The networks of the job that this machine was not told of, with the reason."""
    loss, scored = getattr(config, "loss", None), getattr(config, "evaluation", None)
    names = [loss.perceptual] if loss is not None and loss.perceptual else []
    if scored is not None:
        names += [*scored.networks, *scored.video, *scored.perceptual]
    reasons = {name: networks.missing(name, site.weights) for name in names}
    return {
        name: f"ran without {reason}"
        for name, reason in reasons.items()
        if reason is not None and name not in site.weights
    }
