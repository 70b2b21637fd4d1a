"""A `generate` stage of a sweep file: which generators a point trains, and how they are scored.

- generate: {model: DiT-L, cfg: [1.5, 3.0], reference: imagenet1k-val}
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.spec.fields import GENERATOR, Sizes, check_data_set, field
from sweep.spec.lists import items_of
from sweep.spec.mappings import entries_of
from sweep.spec.problems import Problems, shown
from sweep.spec.values import Given
from sweep.spec.yamlfile import Node
from vitok_core.variants import Tower

KEYS = ("model", "cfg", "data", "reference")


@dataclass(frozen=True)
class Generation:
    """What one entry asks for.

    Args:
        cfg: guidance scales; each is a job of its own.
        model: the generator's size; None: that of the section `generator`.
        data: what it learns from; None: what the tokenizer did.
        reference: what its samples are compared with; None: what it learned from.
    """

    cfg: tuple[float, ...]
    model: Given | None = None
    data: str | None = None
    reference: str | None = None

    @property
    def generator(self) -> tuple[Tower | None, str | None, str | None]:
        """What tells it from other entries, but for the scales."""
        model = None if self.model is None else self.model.value
        return model, self.data, self.reference


def read_generation(
    argument: Node, place: str, sizes: Sizes, problems: Problems
) -> Generation | None:
    """The entry's mapping; None where it cannot be read, which is told of."""
    needed = {"cfg": "a guidance scale or a list of them, such as [1.5, 3.0]"}
    example = "{model: DiT-L, cfg: [1.5, 3.0]}"
    entries = entries_of(argument, KEYS, needed, example, place, problems)
    if entries is None:
        return None
    return Generation(
        cfg=_scales(entries["cfg"], f"{place}.cfg", problems),
        model=_model(entries.get("model"), f"{place}.model", sizes, problems),
        data=_data_set(entries.get("data"), f"{place}.data", problems),
        reference=_data_set(entries.get("reference"), f"{place}.reference", problems),
    )


def _scales(node: Node, place: str, problems: Problems) -> tuple[float, ...]:
    single = isinstance(node.value, int | float)
    found: list[float] = []
    for item in [node] if single else items_of(node, place, problems) or []:
        value = item.plain()
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            message = f"expected a guidance scale, a number, at least 0, got {shown(value)}"
            problems.add(item.mark, place, message)
        elif float(value) in found:
            problems.add(item.mark, place, f"{value:g} stands twice")
        else:
            found.append(float(value))
    return tuple(found)


def _model(node: Node | None, place: str, sizes: Sizes, problems: Problems) -> Given | None:
    if node is None:
        return None
    try:
        return Given(field(GENERATOR).check(node.plain(), sizes), node.mark)
    except ValueError as error:
        problems.add(node.mark, place, str(error))
        return None


def _data_set(node: Node | None, place: str, problems: Problems) -> str | None:
    if node is None:
        return None
    try:
        return check_data_set(node.plain())
    except ValueError as error:
        problems.add(node.mark, place, str(error))
        return None
