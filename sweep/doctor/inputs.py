"""What the site file maps: data sets and network weights."""

from __future__ import annotations

from pathlib import Path

from sweep.doctor.finding import Finding, ok, problem, told
from sweep.site import Site
from vitok_core.baselines.table import KNOWN, missing
from vitok_core.config import CodecConfig
from vitok_core.data import sources
from vitok_core.metrics import networks


def data_set(name: str, site: Site) -> list[Finding]:
    """Whether a data set's folder holds what is expected of it."""
    check = f"data {name}"
    lack = sources.missing(name, site.data)
    return [ok(check, site.data.get(name, "")) if lack is None else told(check, lack)]


def weights(name: str, site: Site) -> list[Finding]:
    """Whether a network's weights are here, and are those that its scores are named after."""
    check = f"weights {name}"
    network = networks.NETWORKS.get(name)
    if network is not None:
        lack = networks.missing(name, site.weights)
        where = networks.weights_path(network, site.weights)
        return [told(check, lack) if lack else ok(check, f"{where}, sha256 as pinned")]
    if name in KNOWN:
        lack = missing(CodecConfig(name=name, kind=KNOWN[name].kind), site.weights)
        return [told(check, lack) if lack else ok(check, f"{site.weights[name]}, a codec")]
    path = Path(site.weights[name])
    if not path.exists():
        return [problem(check, f"{path} does not exist", f"set weights.{name} in the site file")]
    return [ok(check, f"{path}, of a network or codec that this release does not know")]
