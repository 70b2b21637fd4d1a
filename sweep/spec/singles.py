"""Single values of a `search` section, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.spec.problems import Problems, nearest, shown
from sweep.spec.yamlfile import Node


def whole_number(
    node: Node | None, place: str, least: int, most: int, problems: Problems
) -> int | None:
    """A whole number between two; None where it is absent or wrong."""
    if node is None:
        return None
    value = node.value
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    if not whole or not math.isfinite(value) or value != int(value) or not least <= value <= most:
        message = f"expected a whole number from {least} to {most:,}, got {shown(node.plain())}"
        problems.add(node.mark, place, message)
        return None
    return int(value)


def choice(
    node: Node | None, place: str, known: Sequence[str], default: str, problems: Problems
) -> str:
    """One of some words; the default where it is absent or wrong."""
    if node is None:
        return default
    if node.value not in known:
        said = nearest(str(node.value), known)
        problems.add(
            node.mark, place, f"unknown {place.rpartition('.')[2]} {shown(node.plain())}{said}"
        )
        return default
    return str(node.value)


def flag(node: Node | None, place: str, problems: Problems) -> bool:
    """True or false; false where it is absent or wrong."""
    if node is None:
        return False
    words = {"on": True, "yes": True, "off": False, "no": False}
    value = words.get(node.value, node.value) if isinstance(node.value, str) else node.value
    if not isinstance(value, bool):
        problems.add(node.mark, place, f"expected true or false, got {shown(node.plain())}")
        return False
    return value
