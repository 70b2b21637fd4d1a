"""Which submissions go into which job array, at which index, after what. Pure.

Few arrays, not many jobs: one per kinds, shape and set of parent arrays. A child takes its parent's
index, so that `aftercorr` ties them index by index; where parents stand at different indices,
`afterok` names their tasks. Where whole nodes are handed out, several submissions share one task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.model import Resources

# An array: its position among those that are to be submitted, or Slurm's id of one in the queue.
Ref = int | str
TaskRef = tuple[Ref, int]


@dataclass(frozen=True)
class Item:
    """One submission, as far as its place is concerned.

    Args:
        parents: ids of items of the same call that must be done first.
        queued: tasks that are in the queue already and must be done first.
    """

    id: str
    kinds: tuple[str, ...]
    resources: Resources
    parents: tuple[str, ...] = ()
    queued: tuple[tuple[str, int], ...] = ()


@dataclass
class Array:
    """One job array to be submitted.

    Args:
        resources: of one submission; a task that holds several has a whole node.
        tasks: ids of the submissions of each task, by index.
        corresponding: arrays whose task of the same index each task waits for.
        after: tasks that all tasks wait for.
    """

    kinds: tuple[str, ...]
    resources: Resources
    corresponding: frozenset[Ref] = frozenset()
    after: frozenset[TaskRef] = frozenset()
    tasks: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def parents(self) -> frozenset[Ref]:
        """The arrays that it waits for, in whichever way."""
        return self.corresponding | {ref for ref, _ in self.after}


_Kind = tuple[tuple[str, ...], Resources]


def group(
    items: Sequence[Item],
    max_array_size: int,
    members: Callable[[Resources], int] = lambda resources: 1,
) -> list[Array]:
    """The arrays for these items, parents first.

    Args:
        items: parents before their children.
        max_array_size: Slurm's; indices stay below it.
        members: how many submissions of a shape share one task.
    """
    arrays: list[Array] = []
    place: dict[str, TaskRef] = {}
    alike: dict[object, list[int]] = {}
    for pack in packs(items, members):
        first = pack[0]
        kind: _Kind = (tuple(dict.fromkeys(first.kinds)), shape(first.resources))
        parents = frozenset(
            [place[parent] for item in pack for parent in item.parents]
            + [task for item in pack for task in item.queued]
        )
        common = {index for _, index in parents}
        if len(common) == 1 and max(common) < max_array_size:
            (wanted,) = common
            corresponding, after = frozenset(ref for ref, _ in parents), frozenset[TaskRef]()
        else:
            wanted, corresponding, after = None, frozenset(), parents
        same = alike.setdefault((kind, corresponding, after), [])
        number, index = _free(arrays, same, wanted, max_array_size)
        if number is None:
            number = len(arrays)
            same.append(number)
            arrays.append(Array(*kind, corresponding, after))
        arrays[number].tasks[index] = tuple(item.id for item in pack)
        place.update((item.id, (number, index)) for item in pack)
    return arrays


def packs(items: Sequence[Item], members: Callable[[Resources], int]) -> Iterator[tuple[Item, ...]]:
    """Items that share a task, parents first: alike, and equally far from what can start now."""
    depths: dict[str, int] = {}
    waiting: dict[tuple[int, _Kind], list[Item]] = {}
    for item in items:
        above = [depths[parent] for parent in item.parents] + [0 for _ in item.queued]
        depths[item.id] = depth = max(above) + 1 if above else 0
        key = (depth, (tuple(dict.fromkeys(item.kinds)), shape(item.resources)))
        waiting.setdefault(key, []).append(item)
    for (_, (_, resources)), alike in sorted(waiting.items(), key=lambda entry: entry[0][0]):
        size = members(resources)
        for start in range(0, len(alike), size):
            yield tuple(alike[start : start + size])


def dependency(array: Array, ids: Mapping[int, str]) -> str | None:
    """The value of sbatch's `--dependency`; None: nothing to wait for.

    Args:
        ids: Slurm's ids of the arrays before it, by their position.
    """

    def name(ref: Ref) -> str:
        return ref if isinstance(ref, str) else ids[ref]

    if array.corresponding:
        return ":".join(["aftercorr", *sorted(map(name, array.corresponding))])
    if array.after:
        return ":".join(["afterok", *sorted(f"{name(ref)}_{index}" for ref, index in array.after)])
    return None


def index_list(indices: Sequence[int], throttle: int | None = None) -> str:
    """The value of sbatch's `--array`, e.g. `0-2,7%4`."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    text = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
    return text if throttle is None else f"{text}%{throttle}"


def shape(resources: Resources) -> Resources:
    """What Slurm is told of them; the rest is between the launcher and the worker."""
    return resources.model_copy(
        update={
            "workers": 0,
            "micro_batch": None,
            "checkpoint_every": None,
            "compile": False,
            "chain": False,
        }
    )


def _free(
    arrays: Sequence[Array], alike: Sequence[int], wanted: int | None, size: int
) -> tuple[int | None, int]:
    """An array among the alike with a free index (the wanted one); None: a new one is needed."""
    if wanted is None:
        # Filled one after the other, so only the last can have room.
        if alike and len(arrays[alike[-1]].tasks) < size:
            return alike[-1], len(arrays[alike[-1]].tasks)
        return None, 0
    found = next((number for number in alike if wanted not in arrays[number].tasks), None)
    return found, wanted
