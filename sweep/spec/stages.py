"""What every point runs, in order: `stages` of a sweep file.

stages:
  - train: stage1
  - reconstruct: [imagenet1k-val, coco2017-val]
  - train: stage2
  - reconstruct: {data: [imagenet1k-val], steps: [10k, 20k]}
  - floor: [imagenet1k-val]
  - probe: [imagenet1k-val]
  - baseline: {codecs: [jpeg, sd-vae], data: [imagenet1k-val]}
  - generate: {model: DiT-L, cfg: [1.5, 3.0]}
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sweep.spec.codecs import Codec, read_codec
from sweep.spec.fields import GENERATION, STAGE2, Sizes, check_data_set
from sweep.spec.generating import Generation, read_generation
from sweep.spec.lists import items_of
from sweep.spec.mappings import entries_of
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.scalars import LARGEST
from sweep.spec.yamlfile import Node
from vitok_core.variants import SIZES

TRAINED = ("stage1", "stage2")
ON_DATA = ("reconstruct", "floor", "probe")
OF_TOKENIZER = ("reconstruct", "probe", "generate")  # of the nearest train stage before
STAGES = ("train", *ON_DATA, "baseline", "generate")
NUMBERS = ("lengths", "steps")  # of a reconstruct stage, beside its `data`
_DATA = "a data set or a list of them"


@dataclass(frozen=True)
class Numbers:
    """A list of whole numbers and where it stands."""

    values: tuple[int, ...]
    mark: Mark


_NONE = Numbers((), Mark(""))


@dataclass(frozen=True)
class Stage:
    """One entry: `name` with what it trains (`stage1`) or the data sets that it runs on.

    `lengths` and `steps` of a `reconstruct` are the kept code lengths (none: the whole code) and
    the milestones of the nearest train stage before it that are scored besides its final weights.
    `codecs` are what a `baseline` runs on its data sets.
    A `generate` has its `generation`, and its guidance scales as arguments.
    """

    name: str
    arguments: tuple[str, ...]
    mark: Mark
    lengths: Numbers = _NONE
    steps: Numbers = _NONE
    codecs: tuple[Codec, ...] = ()
    generation: Generation | None = None


def trains(stages: tuple[Stage, ...], stage: str) -> bool:
    """Whether a point with these stages trains `stage1` or `stage2`."""
    return any(each.name == "train" and stage in each.arguments for each in stages)


def generations(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The `generate` stages among them."""
    return tuple(each for each in stages if each.name == "generate")


def idle_sections(stages: tuple[Stage, ...]) -> tuple[str, ...]:
    """The sections that points with these stages have no use for."""
    stage2 = () if trains(stages, "stage2") else STAGE2
    return (*stage2, *(() if generations(stages) else GENERATION))


def read_stages(
    node: Node, place: str, problems: Problems, sizes: Sizes = SIZES
) -> tuple[Stage, ...]:
    """The list of stages; empty where one cannot be read, which is told of."""
    if not node.is_list or not node.value:
        message = f"expected a list of stages ({', '.join(STAGES)}), got {shown(node.plain())}"
        problems.add(node.mark, place, message)
        return ()
    read = [_stage(entry, place, problems, sizes) for entry in node.value]
    stages = tuple(stage for stage in read if stage is not None)
    if len(stages) < len(read):
        return ()  # what it stands for is not missed a second time
    _check_order(stages, place, problems)
    return stages


def _stage(entry: Node, place: str, problems: Problems, sizes: Sizes) -> Stage | None:
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
    if name == "baseline":
        return _baseline(argument, f"{place}.{name}", problems)
    if name == "generate":
        return _generate(argument, f"{place}.{name}", problems, sizes)
    if name == "reconstruct" and argument.is_map:
        return _reconstruct(argument, f"{place}.{name}", problems)
    return _on_data(name, argument, f"{place}.{name}", problems)


def _train(argument: Node, place: str, problems: Problems) -> Stage | None:
    if argument.value not in TRAINED:
        known = ", ".join(TRAINED)
        message = f"cannot train {shown(argument.plain())}; known: {known}"
        problems.add(argument.mark, f"{place}.train", message)
        return None
    return Stage("train", (str(argument.value),), argument.mark)


def _reconstruct(argument: Node, place: str, problems: Problems) -> Stage | None:
    """The long form: {data: [...], lengths: [...], steps: [...]}."""
    example = "{data: [...], lengths: [...], steps: [...]}"
    keys, needed = ("data", *NUMBERS), {"data": _DATA}
    entries = entries_of(argument, keys, needed, example, place, problems)
    if entries is None:
        return None
    stage = _on_data("reconstruct", entries["data"], f"{place}.data", problems)
    lengths, steps = (_numbers(entries.get(key), f"{place}.{key}", problems) for key in NUMBERS)
    return None if stage is None else Stage(stage.name, stage.arguments, stage.mark, lengths, steps)


def _baseline(argument: Node, place: str, problems: Problems) -> Stage | None:
    needed = {"codecs": "a list of codecs", "data": _DATA}
    example = "{codecs: [...], data: [...]}"
    entries = entries_of(argument, tuple(needed), needed, example, place, problems)
    if entries is None:
        return None
    codecs = _codecs(entries["codecs"], f"{place}.codecs", problems)
    stage = _on_data("baseline", entries["data"], f"{place}.data", problems)
    return stage and replace(stage, codecs=codecs)


def _codecs(node: Node, place: str, problems: Problems) -> tuple[Codec, ...]:
    found: list[Codec] = []
    entries = node.value if node.is_list else [node]
    if not entries:
        problems.add(node.mark, place, "expected a list of codecs, got []")
    for entry in entries:
        codec = read_codec(entry, place, problems)
        if codec is not None and codec in found:
            problems.add(entry.mark, place, f"'{dict(codec.fields)['name']}' is named twice")
        elif codec is not None:
            found.append(codec)
    return tuple(found)


def _generate(argument: Node, place: str, problems: Problems, sizes: Sizes) -> Stage | None:
    generation = read_generation(argument, place, sizes, problems)
    if generation is None:
        return None
    scales = tuple(f"cfg {scale:g}" for scale in generation.cfg)
    return Stage("generate", scales, argument.mark, generation=generation)


def _numbers(node: Node | None, place: str, problems: Problems) -> Numbers:
    if node is None:
        return _NONE
    numbers: list[int] = []
    for item in items_of(node, place, problems) or []:
        value = item.plain()
        whole = isinstance(value, int | float) and not isinstance(value, bool)
        if not whole or not 1 <= value <= LARGEST or value != int(value):
            message = f"expected a whole number, at least 1, got {shown(value)}"
            problems.add(item.mark, place, message)
        elif int(value) in numbers:
            problems.add(item.mark, place, f"{int(value)} stands twice")
        else:
            numbers.append(int(value))
    return Numbers(tuple(numbers), node.mark)


def _on_data(name: str, argument: Node, field: str, problems: Problems) -> Stage | None:
    items = argument.value if argument.is_list else [argument]
    if not items:
        problems.add(argument.mark, field, f"expected {_DATA}, got []")
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


_NEEDED = {
    "reconstruct": "needs a `train: stage1` before it: a reconstruction needs a tokenizer",
    "probe": "needs a `train: stage1` before it: it asks a tokenizer's codes",
    "generate": "needs a `train: stage1` before it: a generator learns a tokenizer's codes",
    "train": "stage2 needs a `train: stage1` before it: it fine-tunes that tokenizer",
}


def _check_order(stages: tuple[Stage, ...], place: str, problems: Problems) -> None:
    trained: tuple[str, ...] = ()
    seen: set[tuple[object, ...]] = set()
    for stage in stages:
        if stage.name == "train":
            if stage.arguments == ("stage2",) and "stage1" not in trained:
                problems.add(stage.mark, f"{place}.train", _NEEDED["train"])
        elif stage.name in OF_TOKENIZER and not trained:
            problems.add(stage.mark, f"{place}.{stage.name}", _NEEDED[stage.name])
        scored = trained if stage.name in OF_TOKENIZER else ()  # anew after each training
        for argument in stage.arguments:
            key = (
                stage.name, argument, scored, stage.lengths.values, stage.steps.values,
                stage.codecs, stage.generation and stage.generation.generator,
            )  # fmt: skip
            if key in seen:
                message = f"{stage.name}: {argument} stands twice in the stages"
                problems.add(stage.mark, place, message)
            seen.add(key)
        if stage.name == "train":
            trained += stage.arguments
