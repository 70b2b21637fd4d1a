"""A sweep file with everything it extends and every --set, merged into one tree of marked values.

`extends` names one base or a list of them, relative to the file or among the packaged sweeps; later
bases win over earlier ones and the file wins over all. Mappings are merged, lists are replaced.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sweep
from sweep.spec.problems import Mark, SpecError, fail, nearest_name, shown
from sweep.spec.scalars import Text, looks_like_range, scalar
from sweep.spec.yamlfile import Node, parse, read

_MOST_FILES = 32

# Mappings whose keys are dotted paths: --set axes.train.steps=[1k] has two keys, not three.
SWEPT = (("axes",), ("search", "space"))
DOTTED_KEYS = (*SWEPT, ("zip",))


@dataclass(frozen=True)
class Document:
    """A merged file: `root` holds marked values; `files` are all that were read, the file first."""

    name: str
    file: str
    root: Node
    files: tuple[Path, ...]

    @property
    def mark(self) -> Mark:
        """The file as a whole."""
        return Mark(self.file, 1)


def packaged_sweeps() -> Path:
    """The folder of the sweep files that come with the package."""
    return Path(sweep.__file__).parent.parent / "sweeps"


def find(name: str) -> Path:
    """The file that `name` means: a path, else a packaged sweep (`quickstart`, `quickstart.yaml`,
    `sweeps/quickstart.yaml`, `mini_variants` of the folder `mini`, `mid_bottleneck` of `mid`)."""
    for path in _candidates(name):
        if _exists(path):
            return path
    if "\0" not in name and _exists(Path(name)):
        raise fail(Mark(name or "."), "", "is a directory; expected a YAML file")
    message = "no such sweep file, here or in the package"
    near = nearest_name(_stem(name), known_names())
    if near:
        message += f"; did you mean {near}?"
    elif known_names():
        message += f"; packaged: {', '.join(known_names())}"
    raise fail(Mark(name), "", message)


def is_sweep_file(name: str) -> bool:
    """Whether `name` means a sweep file rather than a job or a point."""
    if name.endswith((".yaml", ".yml")):
        return True
    return any(_exists(path) and path.is_file() for path in _candidates(name))


def known_names() -> list[str]:
    """The packaged sweeps, as `find` takes them."""
    return [file.stem for folder in _sweep_folders() for file in sorted(folder.glob("*.yaml"))]


def _sweep_folders() -> tuple[Path, ...]:
    """Where packaged sweeps lie: the paper's, and the same at a lab's and at laptop scale."""
    return packaged_sweeps(), packaged_sweeps() / "mid", packaged_sweeps() / "mini"


def _candidates(name: str) -> list[Path]:
    if not name or "\0" in name or len(name) > 4096:
        return []
    path = Path(os.path.expanduser(name))  # noqa: PTH111  (Path's raises for ~nobody)
    inside = Path(*path.parts[1:]) if path.parts[:1] == ("sweeps",) else path
    found = [path] if path.suffix or (_exists(path) and path.is_file()) else []
    if not path.is_absolute() and inside.parts:
        file = inside if inside.suffix else Path(f"{inside}.yaml")
        found += [folder / file for folder in _sweep_folders()]
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name longer than the file system allows
        return False


def _stem(name: str) -> str:
    return name.removeprefix("sweeps/").removesuffix(".yaml").removesuffix(".yml")


def load(name: str, sets: Sequence[str] = ()) -> Document:
    """Read a sweep file, its bases and the overrides; SpecError says what is wrong where."""
    path = find(name)
    place = display(path)
    files: list[Path] = []
    root = _load(path, place, (), files)
    for assignment in sets:
        root = _override(root, assignment)
    if not path.stem.strip():
        raise fail(Mark(place), "", "a sweep is named by its file; give the file a name")
    return Document(path.stem, place, root, tuple(files))


def recorded(name: str, file: str, resolved: Mapping[str, Any]) -> Document:
    """A resolved file as a registration keeps it, to be read again.

    Args:
        name: the sweep's.
        file: where it was read from when it was launched; it need not be there any more.
    """
    return Document(name, file, _marked(resolved, Mark(f"{file} as it was launched")), ())


def _marked(value: Any, mark: Mark) -> Node:
    if isinstance(value, Mapping):
        return Node({key: _marked(item, mark) for key, item in value.items()}, mark)
    if isinstance(value, list):
        return Node([_marked(item, mark) for item in value], mark)
    # Text that reads as something else was quoted in the file.
    quoted = isinstance(value, str) and scalar(value) != value
    return Node(Text(value) if quoted else value, mark)


def display(path: Path) -> str:
    """A path as messages show it: relative to here when it is below here."""
    absolute = os.path.abspath(path)  # noqa: PTH100  (resolve() would follow links)
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative


def _load(path: Path, place: str, above: tuple[Path, ...], files: list[Path]) -> Node:
    real = path.resolve()
    files.append(path)
    if len(files) > _MOST_FILES:
        raise fail(Mark(place), "extends", f"more than {_MOST_FILES} files extend each other")
    node = read(path, place)
    bases = node.value.pop("extends", None)
    merged: Node | None = None
    for base in _base_names(bases):
        found = _find_base(base, path.parent)
        if found.resolve() in (*above, real):
            raise fail(base.mark, "extends", f"'{base.value}' extends this file in turn: a cycle")
        loaded = _load(found, display(found), (*above, real), files)
        merged = loaded if merged is None else merge(merged, loaded)
    return node if merged is None else merge(merged, node)


def _base_names(node: Node | None) -> list[Node]:
    if node is None:
        return []
    items = node.value if node.is_list else [node]
    for item in items:
        if not isinstance(item.value, str) or not item.value or "\0" in item.value:
            message = f"expected the path of a YAML file or a list of them, got {shown(item.value)}"
            raise fail(item.mark, "extends", message)
    return list(items)


def _find_base(base: Node, folder: Path) -> Path:
    name = Path(base.value)
    inside = Path(*name.parts[1:]) if name.parts[:1] == ("sweeps",) else name
    for path in (folder / name, packaged_sweeps() / inside):
        if _exists(path):
            if path.is_dir():
                raise fail(base.mark, "extends", f"'{base.value}' is a directory; expected a file")
            return path
    beside = [display(file) for file in sorted((folder / name).parent.glob("*.yaml"))]
    packaged = [
        str(file.relative_to(packaged_sweeps())) for file in packaged_sweeps().rglob("*.yaml")
    ]
    near = nearest_name(str(base.value), [*beside, *sorted(packaged)])
    hint = f"; did you mean {near}?" if near else ""
    raise fail(base.mark, "extends", f"no file '{base.value}' beside this one or packaged{hint}")


def merge(base: Node, over: Node) -> Node:
    """`over` on top of `base`: mappings key by key, anything else replaced."""
    if not (base.is_map and over.is_map):
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return Node(merged, over.mark)


def _override(root: Node, assignment: str) -> Node:
    """One `--set FIELD=VALUE`. On a swept field it replaces the axis."""
    path, equals, text = assignment.partition("=")
    path = path.strip()
    mark = Mark(f"--set {assignment}")
    if not equals or not path:
        raise fail(mark, "", "expected FIELD=VALUE, e.g. train.steps=20k")
    if path == "extends":
        raise fail(mark, path, "is of a file; write the field that should differ")
    value = _value(text, mark)
    for keys in SWEPT:
        axes = _below(root, keys)
        if axes is not None and axes.is_map and path in axes.value:
            whole = _is_axis(value, axes.value[path])
            return _with(root, (*keys, path), value if whole else Node([value], mark), mark)
    for place in ("zip", "include"):
        _refuse_swept(root.value.get(place), place, path, mark)
    return _with(root, _keys(path), value, mark)


def _keys(path: str) -> tuple[str, ...]:
    """`axes.train.steps` → (axes, train.steps); `train.steps` → (train, steps)."""
    for place in DOTTED_KEYS:
        start = ".".join(place) + "."
        if path.startswith(start):
            return (*place, path.removeprefix(start))
    return tuple(path.split("."))


def _below(root: Node, place: tuple[str, ...]) -> Node | None:
    for key in place:
        found = root.value.get(key) if root.is_map else None
        if found is None:
            return None
        root = found
    return root


def _is_axis(value: Node, axis: Node) -> bool:
    """Whether a value set on a swept field is a whole axis: a range, an interval of a search, or a
    list of what it lists."""
    if value.is_map:
        return "low" in value.value
    if not value.is_list:
        return looks_like_range(value.value)
    of_lists = axis.is_list and all(item.is_list for item in axis.value)
    return not of_lists or all(item.is_list for item in value.value)


def _value(text: str, mark: Mark) -> Node:
    if not text.strip():
        return Node(Text(""), mark)
    try:
        return parse(text, mark.place, numbered=False)
    except SpecError as error:
        if text.strip() in ("null", "~"):
            return Node(None, mark)
        raise error from None


def _refuse_swept(node: Node | None, place: str, path: str, mark: Mark) -> None:
    if node is None:
        return
    for entry in node.value if node.is_list else [node]:
        if entry.is_map and path in entry.value:
            where = entry.value[path].mark
            message = f"{place} ({where}) gives this field point by point; change it there"
            raise fail(mark, path, message)


def _with(root: Node, keys: tuple[str, ...], value: Node, mark: Mark) -> Node:
    if not keys:
        return value
    if not all(keys):
        raise fail(mark, "", "expected FIELD=VALUE, e.g. train.steps=20k")
    items: dict[str, Any] = dict(root.value) if root.is_map else {}
    below = items.get(keys[0], Node({}, mark))
    items[keys[0]] = _with(below, keys[1:], value, mark)
    return Node(items, root.mark)
