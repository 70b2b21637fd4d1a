"""Every field that a sweep file may give, by its dotted path: what it takes, what its default is.

The table is made from the scientific configuration (vitok_core.config) and `Resources`, so a new
field there is at once a key in the file, an axis, a --set, and a property in the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sweep.model import SITE_ONLY, Resources
from sweep.spec import own
from sweep.spec.problems import nearest, shown
from sweep.spec.values import describe, fit, options_of
from vitok_core.config import (
    DataConfig,
    EvaluationConfig,
    FinetuneConfig,
    GanConfig,
    GeneratorConfig,
    GeneratorTrainConfig,
    LossConfig,
    SamplingConfig,
    TokenizerConfig,
    TrainConfig,
)
from vitok_core.data.sources import DATASETS, data_set_names
from vitok_core.kinds import KINDS
from vitok_core.variants import DIT_SIZES, SIZES, Tower

SECTIONS: Mapping[str, type[BaseModel]] = {
    "tokenizer": TokenizerConfig,
    "data": DataConfig,
    "loss": LossConfig,
    "train": TrainConfig,
    "gan": GanConfig,
    "finetune": FinetuneConfig,
    "evaluation": EvaluationConfig,
    "generator": GeneratorConfig,
    "generator_train": GeneratorTrainConfig,
    "sampling": SamplingConfig,
}
STAGE2 = ("gan", "finetune")  # sections that matter only where stage 2 is trained
GENERATION = ("generator", "generator_train", "sampling")  # only where there are generators
GENERATOR = "generator.model"
RESOURCE_KINDS = ("default", *KINDS)
TOWERS = ("tokenizer.encoder", "tokenizer.decoder")
SIZE = "tokenizer.size"
FILLED = ("tokenizer.class_sha256",)  # by planning: what no file may give

# What people write for a field: on the command line (--only), and in hints.
ALIASES: Mapping[str, str] = {
    "p": "tokenizer.patch",
    "q": "tokenizer.stride",
    "c": "tokenizer.channels",
    "size": SIZE,
    "encoder": "tokenizer.encoder",
    "decoder": "tokenizer.decoder",
    "resolution": "data.resolution",
    "frames": "data.frames",
    "T": "data.frames",
    "lr": "train.base_lr",
    "steps": "train.steps",
    "batch": "train.batch",
    "beta": "loss.kl",
    "eta": "loss.perceptual_weight",
    "latents": "tokenizer.latents",
    "gan": "gan.weight",
    "disc_lr": "gan.disc_lr",
    "scope": "finetune.scope",
    "ema": "finetune.ema",
    "dit": GENERATOR,
    "objective": "generator.objective",
}


Sizes = Mapping[str, Tower]


class Size(tuple[Tower, Tower]):
    """What `tokenizer.size: S-B` stands for: (encoder, decoder)."""

    __slots__ = ()


@dataclass(frozen=True)
class Field:
    """One dotted path: the annotation it is checked by and its default."""

    path: str
    info: FieldInfo
    required: bool
    default: Any

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        annotation: Any = Annotated[self.info.annotation, *self.info.metadata, self.path]
        return TypeAdapter(annotation)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value, without the file's shorthands (suffixes, ranges)."""
        schema = self.adapter.json_schema()
        if self.info.description:
            schema["description"] = self.info.description
        return schema

    @property
    def is_list(self) -> bool:
        """Whether one value of this field is itself a list."""
        return any(option.get("type") == "array" for option in options_of(self.schema))

    @property
    def expectation(self) -> str:
        """What is expected, in words."""
        return describe(self.schema)

    def check(self, value: Any, sizes: Sizes) -> Any:
        """The value as the configuration holds it; ValueError says what was expected."""
        special = _SPECIAL.get(self.path)
        if special is not None:
            return special(value, sizes)
        return self._check_plain(value)

    def _check_plain(self, value: Any) -> Any:
        try:
            return self.adapter.validate_python(fit(value, self.schema))
        except (ValidationError, ValueError, OverflowError) as error:
            # Pydantic's own words name its internals; the field's expectation says it plainly.
            hint = str(error) if type(error) is ValueError else ""
            raise ValueError(f"expected {self.expectation}, got {shown(value)}{hint}") from None


def _tower(value: Any, sizes: Sizes) -> Tower:
    if isinstance(value, str):
        if value in sizes:
            return sizes[value]
        raise ValueError(f"unknown size '{value}'{nearest(value, sizes)}")
    if isinstance(value, dict):
        return tower_of(value)
    raise ValueError(
        f"expected a size ({', '.join(sizes)}) or {{width, blocks, heads}}, got {shown(value)}"
    )


def _dit(value: Any, sizes: Sizes) -> Tower:
    """A generator's size: one of DiT's, or of the file's own; a tokenizer's S is another."""
    return _tower(value, {**DIT_SIZES, **{n: t for n, t in sizes.items() if n not in SIZES}})


def tower_of(value: Mapping[str, Any]) -> Tower:
    """A tower from {width, blocks, heads}; ValueError says what is wrong with it."""
    wrong = [
        f"unknown key '{key}'{nearest(key, Tower.model_fields)}"
        for key in value
        if key not in Tower.model_fields
    ]
    checked = {}
    for key in Tower.model_fields:
        if key not in value:
            wrong.append(f"{key} is missing (a tower has width, blocks and heads)")
            continue
        try:
            checked[key] = field(f"tokenizer.encoder.{key}").check(value[key], {})
        except ValueError as error:
            wrong.append(f"{key}: {error}")
    if wrong:
        raise ValueError("; ".join(wrong))
    try:
        return Tower(**checked)
    except ValidationError as error:
        raise ValueError(plain_message(error)) from None


def _size(value: Any, sizes: Sizes) -> Size:
    parts = value.split("-") if isinstance(value, str) else []
    if len(parts) != 2:
        known = ", ".join(sizes)
        raise ValueError(
            f"expected ENCODER-DECODER, such as S-B (sizes: {known}), got {shown(value)}"
        )
    return Size((_tower(parts[0], sizes), _tower(parts[1], sizes)))


def check_data_set(value: Any, sizes: Sizes | None = None) -> str:
    """A registered data set's name; ValueError otherwise."""
    if not isinstance(value, str):
        raise ValueError(f"expected a data set's name, got {shown(value)}")
    if value not in DATASETS and value not in data_set_names():
        raise ValueError(f"unknown data set '{value}'{nearest(value, data_set_names())}")
    return str(value)


_SPECIAL: Mapping[str, Callable[[Any, Sizes], Any]] = {
    SIZE: _size,
    **dict.fromkeys(TOWERS, _tower),
    GENERATOR: _dit,
    "data.name": check_data_set,
    own.CLASS: lambda value, _: own.check_class(value),
    own.LOSSES: lambda value, _: own.check_losses(value),
    own.METRICS: lambda value, _: own.check_metrics(value),
}


def plain_message(error: ValidationError) -> str:
    """What our own validators said, without pydantic's wrapping."""
    return "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())


@cache
def fields() -> Mapping[str, Field]:
    """The table, by dotted path."""
    table = {}
    for section, model in SECTIONS.items():
        for name, info in given_fields(model):
            table[f"{section}.{name}"] = _field(f"{section}.{name}", info)
    size = FieldInfo(annotation=str, description="shorthand for encoder-decoder, such as S-B")
    table[SIZE] = Field(SIZE, size, required=False, default=None)
    for tower in TOWERS:
        for name, info in Tower.model_fields.items():
            table[f"{tower}.{name}"] = _field(f"{tower}.{name}", info)
    for kind in RESOURCE_KINDS:
        for name, info in Resources.model_fields.items():
            if name in SITE_ONLY:
                continue
            table[f"resources.{kind}.{name}"] = _field(f"resources.{kind}.{name}", info)
    return table


def given_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """A section's fields by the names that a file gives them by."""
    for name, info in model.model_fields.items():
        if f"tokenizer.{name}" not in FILLED:
            yield info.alias or name, info


def _field(path: str, info: FieldInfo) -> Field:
    required = info.is_required()
    return Field(path, info, required, None if required else info.default)


def field(path: str) -> Field:
    """The field of a dotted path; KeyError if there is none."""
    return fields()[path]


def unknown_field(path: str) -> str:
    """The message for a dotted path that does not exist."""
    if path in FILLED:
        return f"'{path}' is filled in when the sweep is planned; leave it out"
    if path in ALIASES:
        return f"unknown field '{path}'; did you mean {ALIASES[path]}?"
    if path.startswith("resources.") and path.rpartition(".")[2] in SITE_ONLY:
        return f"'{path}' is shell text, which the site file alone may give"
    section, _, name = path.partition(".")
    if section in SECTIONS and name:
        inside = [each for each in fields() if each.startswith(f"{section}.")]
        return f"unknown field '{path}'{nearest(path, inside)}"
    return f"unknown field '{path}'{nearest(path, [*fields()])}"


def tower_name(tower: Tower, sizes: Sizes = SIZES) -> str:
    """A tower's short name: its size, else its numbers (`w128b2h4`), so that equal towers are
    called the same in every sweep."""
    for name, size in sizes.items():
        if size == tower:
            return name
    return f"w{tower.width}b{tower.blocks}h{tower.heads}"
