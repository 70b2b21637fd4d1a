"""The site file: what belongs to this machine or cluster, so that sweep files travel unchanged.

    # ~/.config/vitok-sweep/site.yaml
    data:
      imagenet1k-val: /datasets/imagenet/val
    weights:
      lpips-vgg: /weights/vgg.pth
    scheduler: slurm
    device: h100
    db: sqlite:////local/$USER/vitok.db
    resources:                  # where a sweep file leaves a field open
      default: {partition: gpu, account: lab, setup: [module load cuda]}
      tokenizer: {hours: 12}
    slurm: {throttle: 64}

Relative paths are relative to the site file; `~` and `$VARIABLES` are expanded, in `db` too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sweep.model import Plan, PlannedJob, Resources
from sweep.planning.estimate import DEVICES
from sweep.schedulers import NAMES
from sweep.schedulers.slurm.settings import Node as WholeNode
from sweep.schedulers.slurm.settings import SlurmSettings
from sweep.sitefile import site_file
from sweep.spec.document import display
from sweep.spec.fields import RESOURCE_KINDS, Field
from sweep.spec.mappings import mapping
from sweep.spec.problems import Mark, Problems, nearest, nearest_name, shown
from sweep.spec.yamlfile import Node, read
from vitok_core.baselines.table import KNOWN
from vitok_core.context import Paths
from vitok_core.data.sources import data_set_names
from vitok_core.metrics.networks import NETWORKS

_ONE_WORD = re.compile(r"-{0,2}\w[\w-]*", re.ASCII)
KEYS = ("data", "weights", "scheduler", "device", "db", "resources", "slurm")
_WEIGHTS = (*NETWORKS, *KNOWN)
_NESTED: Mapping[str, type[BaseModel]] = {"slurm.node": WholeNode}


@dataclass(frozen=True)
class Site:
    """This machine. `file` is None when there is no site file."""

    file: Path | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    scheduler: str | None = None  # the default of --scheduler
    device: str | None = None  # the device profile of estimates
    db: str | None = field(default=None, repr=False)  # the default of --db; may hold a password
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by kind
    slurm: SlurmSettings = field(default_factory=lambda: SlurmSettings.model_validate({}))

    @property
    def paths(self) -> Paths:
        """What jobs are given."""
        return Paths(data=self.data, weights=self.weights)

    def database(self, option: str | None) -> str | None:
        """The database URL: the option (or VITOK_DB), else this site's; None: the root's own."""
        return option or self.db

    def equip(self, plan: Plan) -> Plan:
        """The plan with this site's resources where its sweep file leaves a field open."""
        return replace(plan, jobs=tuple(self._equipped(job) for job in plan.jobs))

    def _equipped(self, job: PlannedJob) -> PlannedJob:
        given = {**self.resources.get("default", {}), **self.resources.get(job.kind, {})}
        own = job.resources.model_fields_set
        open_ones = {name: value for name, value in given.items() if name not in own}
        if not open_ones:
            return job
        return replace(job, resources=job.resources.model_copy(update=open_ones))


def load(option: Path | None = None, environ: Mapping[str, str] | None = None) -> Site:
    """The site: --site, else VITOK_SITE, else the default file if it exists, else nothing set."""
    path = site_file(option, environ)
    return Site() if path is None else _read(path)


def _read(path: Path) -> Site:
    place = display(path)
    root: dict[str, Node] = read(path, place).value
    problems = Problems()
    for key, node in root.items():
        if key not in KEYS:
            problems.add(node.mark, key, f"unknown key{nearest(key, KEYS)}")
    data = _paths(root.get("data"), "data", path, problems)
    for name, node in root["data"].value.items() if data else ():
        if name not in data_set_names():
            message = f"unknown data set '{name}'{nearest(name, data_set_names())}"
            problems.add(node.mark, "data", message)
    weights = _paths(root.get("weights"), "weights", path, problems)
    for name, where in weights.items():
        if not _may_have_weights(name, Path(where)):
            message = f"unknown network or codec '{name}'{nearest(name, _WEIGHTS)}"
            if Path(where).exists():
                message += "; a codec of your own has a folder, and this is a file"
            problems.add(root["weights"].value[name].mark, "weights", message)
    scheduler = _choice(root.get("scheduler"), "scheduler", NAMES, problems)
    device = _choice(root.get("device"), "device", tuple(DEVICES), problems)
    db = _database(root.get("db"), path, problems)
    resources = _resources(root.get("resources"), problems)
    slurm = _settings(root.get("slurm"), "slurm", SlurmSettings, problems)
    problems.check()
    return Site(
        path, data, weights, scheduler, device, db, resources, SlurmSettings.model_validate(slurm)
    )


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


def _may_have_weights(name: str, path: Path) -> bool:
    """Whether something can be meant by the name: a sweep file may name a codec of its own after
    any folder, which need not be here; what is like a known name is a slip then."""
    if name in _WEIGHTS or path.is_dir():
        return True
    return not path.exists() and nearest_name(name, _WEIGHTS) is None


def _database(node: Node | None, file: Path, problems: Problems) -> str | None:
    """The URL, a relative SQLite file made absolute. It may hold a password, so it is not shown."""
    if node is None or node.value is None:
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = make_url(os.path.expandvars(node.value if isinstance(node.value, str) else ""))
        if url.drivername != "postgres":  # which the store takes for postgresql+psycopg
            url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        message = "expected a database URL: sqlite:////local/disk/results.db, "
        message += "or postgresql+psycopg://user@host/name"
        problems.add(node.mark, "db", message)
        return None
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        url = url.set(database=str(file.parent.absolute() / Path(url.database).expanduser()))
    return url.render_as_string(hide_password=False)


def _resources(node: Node | None, problems: Problems) -> dict[str, dict[str, Any]]:
    """By kind, the fields that are given; of any kind under `default`."""
    found = {}
    for kind, entry in mapping(node, "resources", problems).items():
        if kind in RESOURCE_KINDS:
            found[kind] = _settings(entry, f"resources.{kind}", Resources, problems)
        else:
            message = f"unknown job kind '{kind}'{nearest(kind, RESOURCE_KINDS)}"
            problems.add(entry.mark, "resources", message)
    return found


def _settings(
    node: Node | None, place: str, model: type[BaseModel], problems: Problems
) -> dict[str, Any]:
    """The fields of a model that a mapping gives, each checked."""
    found: dict[str, Any] = {}
    entries = mapping(node, place, problems)
    for name, entry in entries.items():
        path = f"{place}.{name}"
        if name not in model.model_fields:
            message = f"unknown field '{name}'{nearest(name, model.model_fields)}"
            problems.add(entry.mark, path, message)
        elif path in _NESTED and entry.value is not None:
            found[name] = _settings(entry, path, _NESTED[path], problems)
        elif path == "slurm.options":
            found[name] = _options(mapping(entry, path, problems), path, problems)
        else:
            try:
                found[name] = _field(path, model).check(entry.plain(), {})
            except ValueError as error:
                problems.add(entry.mark, path, str(error))
    for name, info in model.model_fields.items():
        if node is not None and node.is_map and info.is_required() and name not in entries:
            expected = _field(f"{place}.{name}", model).expectation
            problems.add(node.mark, f"{place}.{name}", f"missing: expected {expected}")
    return found


def _options(entries: Mapping[str, Node], place: str, problems: Problems) -> dict[str, Any]:
    for name, entry in entries.items():
        if not _ONE_WORD.fullmatch(name):
            message = f"expected the name of an sbatch option, got {shown(name)}"
            problems.add(entry.mark, place, message)
        elif not isinstance(entry.value, str | int):
            _expected("text, a whole number, true or false", entry, f"{place}.{name}", problems)
        elif not str(entry.value).isprintable():  # a line break would begin a command of its own
            _expected("text without control characters", entry, f"{place}.{name}", problems)
    return {name: entry.plain() for name, entry in entries.items()}


def _field(path: str, model: type[BaseModel]) -> Field:
    info = model.model_fields[path.rpartition(".")[2]]
    return Field(path, info, info.is_required(), None)


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
