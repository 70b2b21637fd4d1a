"""What the site file maps: data sets and network weights."""

from __future__ import annotations

from collections.abc import Collection
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
        mend = f"correct weights.{name} in the site file"
        return [problem(check, f"{path} does not exist", mend)]
    return [ok(check, f"{path}, of a network or codec that this release does not know")]


def other_networks(asked: Collection[str], site: Site) -> list[Finding]:
    """The networks besides those asked for: whether what is here is right, and which are not."""
    rest = [network for name, network in networks.NETWORKS.items() if name not in asked]
    paths = {network.name: networks.weights_path(network, {}) for network in rest}
    here = [name for name, path in paths.items() if path is not None and path.is_file()]
    found = [finding for name in here for finding in weights(name, site)]
    if absent := [name for name in paths if name not in here]:
        line = f"not installed: {', '.join(absent)} (`plan FILE` says which a sweep needs)"
        found.append(ok("networks", line))
    return found
