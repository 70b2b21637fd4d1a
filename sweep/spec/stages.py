"""What every point runs, in order: `stages` of a sweep file.

stages:
  - train: stage1
  - reconstruct: [imagenet1k-val, coco2017-val]
  - floor: [imagenet1k-val]
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.spec.fields import check_data_set
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.yamlfile import Node

TRAINED = ("stage1",)
ON_DATA = ("reconstruct", "floor")
STAGES = ("train", *ON_DATA)


@dataclass(frozen=True)
class Stage:
    """One entry: `name` with what it trains (`stage1`) or the data sets that it runs on."""

    name: str
    arguments: tuple[str, ...]
    mark: Mark


def read_stages(node: Node, place: str, problems: Problems) -> tuple[Stage, ...]:
    """The list of stages; wrong ones are left out and told of."""
    if not node.is_list or not node.value:
        message = f"expected a list of stages ({', '.join(STAGES)}), got {shown(node.plain())}"
        problems.add(node.mark, place, message)
        return ()
    read = (_stage(entry, place, problems) for entry in node.value)
    stages = tuple(stage for stage in read if stage is not None)
    _check_order(stages, place, problems)
    return stages


def _stage(entry: Node, place: str, problems: Problems) -> Stage | None:
    if not entry.is_map or len(entry.value) != 1:
        message = (
            f"expected one `stage: argument`, such as train: stage1, got {shown(entry.plain())}"
        )
        problems.add(entry.mark, place, message)
        return None
    ((name, argument),) = entry.value.items()
    if name not in STAGES:
        problems.add(argument.mark, place, f"unknown stage '{name}'{nearest(name, STAGES)}")
        return None
    if name == "train":
        return _train(argument, place, problems)
    return _on_data(name, argument, place, problems)


def _train(argument: Node, place: str, problems: Problems) -> Stage | None:
    if argument.value not in TRAINED:
        known = ", ".join(TRAINED)
        message = f"cannot train {shown(argument.plain())} in this release; known: {known}"
        problems.add(argument.mark, f"{place}.train", message)
        return None
    return Stage("train", (str(argument.value),), argument.mark)


def _on_data(name: str, argument: Node, place: str, problems: Problems) -> Stage | None:
    items = argument.value if argument.is_list else [argument]
    field = f"{place}.{name}"
    if not items:
        problems.add(argument.mark, field, "expected a data set or a list of them, got []")
        return None
    names: list[str] = []
    for item in items:
        try:
            checked = check_data_set(item.plain())
        except ValueError as error:
            problems.add(item.mark, field, str(error))
            continue
        if checked in names:
            problems.add(item.mark, field, f"'{checked}' is named twice")
        else:
            names.append(checked)
    return Stage(name, tuple(names), argument.mark)


def _check_order(stages: tuple[Stage, ...], place: str, problems: Problems) -> None:
    trained: set[str] = set()
    seen: set[tuple[str, str]] = set()
    for stage in stages:
        if stage.name == "reconstruct" and not trained:
            message = "needs a `train: stage1` before it: a reconstruction needs a tokenizer"
            problems.add(stage.mark, f"{place}.reconstruct", message)
        if stage.name == "train":
            trained |= set(stage.arguments)
        for argument in stage.arguments:
            if (stage.name, argument) in seen:
                message = f"{stage.name}: {argument} stands twice in the stages"
                problems.add(stage.mark, place, message)
            seen.add((stage.name, argument))
