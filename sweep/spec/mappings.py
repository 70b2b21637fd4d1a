"""Mappings, as they are written: their entries, and which keys they may and must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.spec.problems import Problems, nearest, shown
from sweep.spec.yamlfile import Node


def mapping(node: Node | None, place: str, problems: Problems) -> Mapping[str, Node]:
    """The entries of a mapping, {} (and a problem, unless it is absent) for anything else."""
    if node is None:
        return {}
    if not node.is_map:
        problems.add(node.mark, place, f"expected a mapping, got {shown(node.plain())}")
        return {}
    entries: Mapping[str, Node] = node.value
    return entries


def entries_of(
    node: Node,
    keys: Sequence[str],
    needed: Mapping[str, str],
    example: str,
    place: str,
    problems: Problems,
) -> Mapping[str, Node] | None:
    """The entries of a mapping with these keys; None where it is none, or lacks one that it needs.

    What is wrong is told of; an unknown key stays among the entries.

    Args:
        needed: those of the keys that must be there, and what each is expected to hold.
        example: how such a mapping looks.
    """
    if not node.is_map:
        problems.add(node.mark, place, f"expected {example}, got {shown(node.plain())}")
        return None
    entries: Mapping[str, Node] = node.value
    for key, entry in entries.items():
        if key not in keys:
            problems.add(entry.mark, f"{place}.{key}", f"unknown key{nearest(str(key), keys)}")
    lacking = [key for key in needed if key not in entries]
    for key in lacking:
        problems.add(node.mark, f"{place}.{key}", f"missing: expected {needed[key]}")
    return None if lacking else entries
