"""Somebody else's code in a sweep: found, hashed, loaded. Torch-free, until theirs is loaded.

A tokenizer is named by `module:Class`. Losses, metrics and data sets are named by entry points of
installed packages, in the groups below. What is named is hashed when a sweep is planned: the source
of its whole top-level package is part of a job's identity. To find and to hash it runs none of it.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from vitok_core.errors import UserError

Kind = Literal["loss", "metric", "data set"]
GROUPS: Mapping[Kind, str] = {
    "loss": "vitok_sweep.losses",
    "metric": "vitok_sweep.metrics",
    "data set": "vitok_sweep.data",
}
KEY_DIGITS = 12  # of a package's hash, where it names a folder or stands in a version
_CODE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_OURS = frozenset({"sweep", "vitok_core", "analysis", "sweeps"})
_PATH = "install its package, or put the folder that holds it on PYTHONPATH"


@dataclass(frozen=True)
class Plugin:
    """An entry point: its name in sweep files, `module:attribute`, its distribution's version."""

    name: str
    code: str
    version: str


def known(kind: Kind) -> Mapping[str, Plugin]:
    """What installed packages offer, by name. Of two with one name the first on the path counts."""
    found: dict[str, Plugin] = {}
    for point in entry_points(group=GROUPS[kind]):
        found.setdefault(point.name, _plugin(point))
    return dict(sorted(found.items()))


def _plugin(point: EntryPoint) -> Plugin:
    version = point.dist.version if point.dist is not None else "0"
    return Plugin(point.name, f"{point.module}:{point.attr}", version)


def metadata_of(top: str) -> Mapping[str, Mapping[str, str]]:
    """What makes a copy's entry points found: the text of files, by dist-info folder."""
    found: dict[str, dict[str, str]] = {}
    for point in (each for group in GROUPS.values() for each in entry_points(group=group)):
        if point.dist is not None and top_of(point.value) == top:
            name = re.sub(r"[-_.]+", "_", point.dist.name)
            found[f"{name}-{point.dist.version}.dist-info"] = {
                file: point.dist.read_text(file) or "" for file in ("METADATA", "entry_points.txt")
            }
    return found


def top_of(code: str) -> str:
    """The top-level package of `module:attribute`."""
    return code.partition(":")[0].partition(".")[0]


def place_of(top: str) -> Path:
    """The folder of a top-level package, or the file of a module; UserError where there is none."""
    importlib.invalidate_caches()
    try:
        spec: ModuleSpec | None = find_spec(top)
    except ValueError:  # a module without a spec, such as __main__
        spec = None
    if spec is None:
        raise UserError(f"there is no package '{top}'; {_PATH}")
    folders = list(spec.submodule_search_locations or ())
    if folders and spec.origin is None:  # others may add to it, so its source has no one hash
        raise UserError(f"package '{top}' ({', '.join(folders)}) has no __init__.py; add one")
    place = Path(folders[0] if folders else spec.origin or "")
    if top in _OURS or not (place.is_dir() if folders else place.suffix == ".py"):
        raise UserError(f"'{top}' is no package of yours with Python source")
    return place


def check(code: str) -> None:
    """Whether `module:attribute` is there, by its source alone; UserError says what is not."""
    if not _CODE.fullmatch(code):
        raise UserError(f"expected MODULE:NAME, such as mylab.tok:Build, got '{code}'")
    module, _, name = code.partition(":")
    file = _file_of(module)
    try:
        names = _names(ast.parse(file.read_bytes(), str(file)).body)
    except SyntaxError as error:
        raise UserError(f"{file}:{error.lineno}: {error.msg}") from error
    if name not in names and not {"*", "__getattr__"} & names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {module}:{near[0]}?" if near else ""
        raise UserError(f"{file} has no '{name}'{hint}")


def source_sha256(top: str) -> str:
    """SHA-256 over the names and contents of a top-level package's Python files."""
    return _tree_sha256(place_of(top))


def _tree_sha256(place: Path) -> str:
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(place.parent).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def load(code: str, sha256: str | None = None) -> Any:
    """Import what a job names; UserError where its source is not what was planned.

    Args:
        sha256: of its package; None: not known here (that of a data set is in its version).
    """
    check(code)
    found = source_sha256(top_of(code))
    if sha256 is not None and found != sha256:
        raise UserError(
            f"{code}: its source has sha256 {found[:KEY_DIGITS]}…, the job was planned with "
            f"{sha256[:KEY_DIGITS]}…; put that source back, or launch the sweep again"
        )
    module, _, name = code.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{code} cannot be imported: {error}") from error


def data_version(plugin: Plugin) -> str:
    """The version of a data set that is a plugin: its distribution's, and its source's key."""
    return f"{plugin.version}+{source_sha256(top_of(plugin.code))[:KEY_DIGITS]}"


def used(config: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """What a job's configuration (as in job.json) names of others: (key of its package, code).

    The code of a data set is its entry point's here; None where it is not installed.
    """
    tokenizer = config.get("tokenizer", {})
    if tokenizer.get("class"):
        yield tokenizer["class_sha256"][:KEY_DIGITS], tokenizer["class"]
    for section in ("loss", "evaluation"):
        for extra in config.get(section, {}).get("extra", ()):
            yield extra["sha256"][:KEY_DIGITS], extra["code"]
    codec = config.get("codec", {})
    for code in (codec.get("encode"), codec.get("decode")):
        if code:
            yield codec["sha256"][:KEY_DIGITS], code
    data = config.get("data", {})
    for name, version in (
        (data.get("name"), data.get("version", "")),
        (config.get("dataset", config.get("reference")), config.get("version", "")),
    ):
        key = re.fullmatch(rf".*\+([0-9a-f]{{{KEY_DIGITS}}})", version)
        if name and key:
            plugin = known("data set").get(name)
            yield key[1], plugin.code if plugin else None


@contextmanager
def activated(copies: Iterable[Path]) -> Iterator[None]:
    """Import from these folders before anything that is installed, and afterwards no more."""
    before = list(sys.path)
    folders = list(dict.fromkeys(map(str, copies)))
    tops = {entry.stem for folder in folders for entry in Path(folder).iterdir()}
    sys.path[:0] = folders
    aside = _taken_out(tops)
    try:
        yield
    finally:
        sys.path[:] = before
        _taken_out(tops)
        sys.modules.update(aside)
        importlib.invalidate_caches()


def _taken_out(tops: set[str]) -> dict[str, ModuleType]:
    """Forget the imported modules of these packages; returns them."""
    importlib.invalidate_caches()
    names = [name for name in sys.modules if name.partition(".")[0] in tops]
    return {name: sys.modules.pop(name) for name in names}


def _file_of(module: str) -> Path:
    """The source file of a dotted module, found without importing its packages."""
    top, *inner = module.split(".")
    place = place_of(top)
    if not inner and place.is_file():
        return place
    base = place.joinpath(*inner)
    for file in (base / "__init__.py", base.with_suffix(".py")):
        if file.is_file() and (inner or file.parent == place):
            return file
    raise UserError(f"there is no module '{module}' in {place}; {_PATH}")


def _names(body: Iterable[ast.stmt]) -> set[str]:
    """What a module's top level binds; `*` where it imports all of another's."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                each.id for t in targets for each in ast.walk(t) if isinstance(each, ast.Name)
            }
        elif isinstance(node, ast.If | ast.Try | ast.With):
            found |= _names(
                each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)
            )
    return found
