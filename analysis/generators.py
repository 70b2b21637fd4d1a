"""What tells several generators apart, in few words."""

from __future__ import annotations

from collections.abc import Sequence


def told_apart(names: Sequence[str]) -> tuple[dict[str, str], str]:
    """Each generator's name without the parts that all have, and these parts.

    `DiT-S, v, 9 steps` and `DiT-S, flow, 9 steps` are `v` and `flow`, both `DiT-S, 9 steps`. A
    single one is its whole name.
    """
    parts = {name: name.split(", ") for name in names}
    if len(parts) < 2:
        return {name: name for name in names}, ""
    first = next(iter(parts.values()))
    shared = [part for part in first if all(part in every for every in parts.values())]
    own = {
        name: ", ".join(part for part in every if part not in shared) or every[0]
        for name, every in parts.items()
    }
    return own, ", ".join(shared)
