"""What all parts of reading a sweep file share."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.planning.grid import Values
from sweep.spec.fields import SIZE, TOWERS, Size, field
from sweep.spec.problems import Mark, Problems
from sweep.spec.values import Given
from sweep.spec.yamlfile import Node
from vitok_core.variants import Tower


class Reader:
    """Checks values against their fields, with the sizes known and the problems found so far."""

    def __init__(self, sizes: Mapping[str, Tower], problems: Problems) -> None:
        self.sizes = sizes
        self.problems = problems

    def value(self, path: str, node: Node, place: str = "") -> Values | None:
        """One field's value as the leaves it sets; None (and a problem) if it is wrong."""
        try:
            checked = field(path).check(node.plain(), self.sizes)
        except ValueError as error:
            self.problems.add(node.mark, place or path, str(error))
            return None
        if isinstance(checked, Size):
            return {
                leaf: Given(tower, node.mark) for leaf, tower in zip(TOWERS, checked, strict=True)
            }
        return {path: Given(checked, node.mark)}

    def refuse_both(self, marks: Mapping[str, Mark]) -> None:
        """`tokenizer.size` is shorthand for encoder and decoder: giving both is an error."""
        if SIZE not in marks:
            return
        for tower in TOWERS:
            if tower in marks:
                message = (
                    f"is given as well as {SIZE} ({marks[SIZE]}), which stands for encoder and "
                    f"decoder; give one of them (null drops a base's value)"
                )
                self.problems.add(marks[tower], tower, message)
