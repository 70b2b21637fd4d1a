"""Which metrics an objective can name, and which stages of a sweep file make them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.search.model import COSTS
from sweep.spec.stages import Stage
from vitok_core import plugins

_OF_SETS = ("FID", "FD", "IS", "KID", "KD", "FVD", "KVD", "CMMD", "Precision", "Recall")
_OF_PAIRS = ("rPSNR", "rSSIM", "rMS-SSIM", "LPIPS", "rPD")
_OF_CODES = ("kl_bits_per_pixel", "active_channels", "effective_rank", "high_frequency_share")
_OF_PROBES = ("probe_accuracy", "shift_error", "flip_error")
# Jobs that a point shares with others: what they score is not the trial's own.
SHARED = ("floor", "baseline")


def known_metrics() -> list[str]:
    """Every name, without the network that may follow it in brackets."""
    sets = [f"{prefix}{name}" for prefix in "rg" for name in _OF_SETS]
    own = plugins.known("metric")
    return [*_OF_PAIRS, *sets, *_OF_CODES, *_OF_PROBES, *own, *COSTS]


def base(metric: str) -> str:
    """`rFD[efficientnet-lite0]` → `rFD`."""
    return metric.partition("[")[0]


def makers(metric: str, stages: Sequence[Stage]) -> list[Stage]:
    """The stages that score a metric."""
    name = base(metric)
    kind = "probe" if name in _OF_PROBES else "reconstruct"
    if name[:1] == "g" and name[1:] in _OF_SETS:
        kind = "generate"
    return [stage for stage in stages if stage.name == kind]


def data_sets(metric: str, stages: Sequence[Stage], learned: str | None) -> list[str]:
    """The data sets that a metric is scored on.

    Args:
        learned: the data set that the tokenizer learns from.
    """
    found: dict[str, None] = {}
    for stage in makers(metric, stages):
        if stage.generation is None:
            found |= dict.fromkeys(stage.arguments)
        else:
            given = stage.generation.reference or stage.generation.data or learned
            found |= {given: None} if given else {}
    return list(found)


def scales(metric: str, stages: Sequence[Stage]) -> list[float]:
    """The guidance scales that a metric is scored at; none of reconstructions."""
    found = (stage.generation for stage in makers(metric, stages))
    return list(dict.fromkeys(scale for each in found if each for scale in each.cfg))
