"""The site file: what belongs to this machine or cluster, so that sweep files travel unchanged.

    # ~/.config/vitok-sweep/site.yaml
    data:
      imagenet1k-val: /datasets/imagenet/val
    weights:
      lpips-vgg: /weights/vgg.pth
    scheduler: local
    device: h100

Relative paths are relative to the site file; `~` and `$VARIABLES` are expanded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweep.planning.estimate import DEVICES
from sweep.schedulers import NAMES
from sweep.spec.document import display
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.yamlfile import Node, read
from vitok_core.context import Paths
from vitok_core.data.sources import DATASETS
from vitok_core.errors import UserError

DEFAULT = Path("~/.config/vitok-sweep/site.yaml")
KEYS = ("data", "weights", "scheduler", "device")


@dataclass(frozen=True)
class Site:
    """This machine. `file` is None when there is no site file."""

    file: Path | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    scheduler: str | None = None  # the default of --scheduler
    device: str | None = None  # the device profile of estimates

    @property
    def paths(self) -> Paths:
        """What jobs are given."""
        return Paths(data=self.data, weights=self.weights)


def load(option: Path | None = None, environ: Mapping[str, str] | None = None) -> Site:
    """The site: --site, else VITOK_SITE, else the default file if it exists, else nothing set."""
    environ = os.environ if environ is None else environ
    named = option or (Path(environ["VITOK_SITE"]) if environ.get("VITOK_SITE") else None)
    path = (named or DEFAULT).expanduser()
    if not path.exists():
        if named is None:
            return Site()
        source = "--site" if option else "VITOK_SITE"
        raise UserError(f"{path}: no such site file ({source})")
    return _read(path)


def _read(path: Path) -> Site:
    place = display(path)
    root: dict[str, Node] = read(path, place).value
    problems = Problems()
    for key, node in root.items():
        if key not in KEYS:
            problems.add(node.mark, key, f"unknown key{nearest(key, KEYS)}")
    data = _paths(root.get("data"), "data", path, problems)
    for name, node in root["data"].value.items() if data else ():
        if name not in DATASETS:
            message = f"unknown data set '{name}'{nearest(name, DATASETS)}"
            problems.add(node.mark, "data", message)
    weights = _paths(root.get("weights"), "weights", path, problems)
    scheduler = _choice(root.get("scheduler"), "scheduler", NAMES, problems)
    device = _choice(root.get("device"), "device", tuple(DEVICES), problems)
    problems.check()
    return Site(path, data, weights, scheduler, device)


def _paths(node: Node | None, place: str, file: Path, problems: Problems) -> dict[str, str]:
    if node is None:
        return {}
    if not node.is_map:
        problems.add(node.mark, place, f"expected name: path lines, got {shown(node.plain())}")
        return {}
    found = {}
    for name, entry in node.value.items():
        if not isinstance(entry.value, str) or not entry.value:
            _expected("a path", entry, f"{place}.{name}", problems)
            continue
        expanded = Path(os.path.expandvars(entry.value)).expanduser()
        found[name] = str(file.parent.absolute() / expanded)
    return found


def _choice(
    node: Node | None, place: str, known: tuple[str, ...], problems: Problems
) -> str | None:
    if node is None or node.value is None:
        return None
    if node.value not in known:
        _expected(f"one of {', '.join(known)}", node, place, problems)
        return None
    return str(node.value)


def _expected(what: str, node: Node, place: str, problems: Problems) -> None:
    mark: Mark = node.mark
    problems.add(mark, place, f"expected {what}, got {shown(node.plain())}")
