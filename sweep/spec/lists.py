"""Lists of values, as they are written: item by item, or as a range."""

from __future__ import annotations

from sweep.spec.problems import Problems, shown
from sweep.spec.scalars import expand, looks_like_range
from sweep.spec.yamlfile import Node


def items_of(node: Node, place: str, problems: Problems) -> list[Node] | None:
    """The items of a list, ranges expanded; None (and a problem) for anything else."""
    if not node.is_list and not looks_like_range(node.value):
        message = (
            f"expected a list of values, such as [8, 16] or 4..64 x2, got {shown(node.plain())}"
        )
        problems.add(node.mark, place, message)
        return None
    if node.is_list and not node.value:
        problems.add(node.mark, place, "is an empty list; expected at least one value")
        return None
    items: list[Node] = []
    for item in node.value if node.is_list else [node]:
        if not looks_like_range(item.value):
            items.append(item)
            continue
        try:
            items += [Node(value, item.mark) for value in expand(item.value)]
        except ValueError as error:
            problems.add(item.mark, place, str(error))
            return None
    return items
