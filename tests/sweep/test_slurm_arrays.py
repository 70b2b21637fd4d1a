"""Arrays: every child waits for exactly its parents, and few arrays do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubbed import resources

from sweep.schedulers.slurm.arrays import Array, Item, dependency, group, index_list

KINDS = ("tokenizer", "finetune", "reconstruct")


@st.composite
def dags(draw: st.DrawFn) -> list[Item]:
    """Items with parents among those before them, and some in the queue already."""
    found: list[Item] = []
    for number in range(draw(st.integers(1, 25))):
        before = [item.id for item in found]
        parents = draw(st.sets(st.sampled_from(before), max_size=3)) if before else set()
        queued = draw(st.sets(st.tuples(st.sampled_from(["70", "71"]), st.integers(0, 3)),
                              max_size=2))  # fmt: skip
        kind, threads = draw(st.sampled_from(KINDS)), draw(st.integers(1, 2))
        found.append(Item(f"s{number}", (kind,), resources(threads=threads),
                          tuple(sorted(parents)), tuple(sorted(queued))))  # fmt: skip
    return found


def waited_for(arrays: list[Array], number: int, index: int) -> set[tuple[object, int]]:
    """The tasks that Slurm would make a task wait for, read off sbatch's own words."""
    text = dependency(arrays[number], {n: f"new{n}" for n in range(number)})
    if text is None:
        return set()
    how, *names = text.split(":")
    if how == "aftercorr":
        pairs = {(name, index) for name in names}
    else:
        assert how == "afterok"
        pairs = {(name.rpartition("_")[0], int(name.rpartition("_")[2])) for name in names}
    return {(int(a[3:]) if a.startswith("new") else a, i) for a, i in pairs}


@given(dags(), st.integers(1, 6), st.integers(1, 3))
def test_children_wait_for_exactly_their_parents(
    items: list[Item], size: int, members: int
) -> None:
    arrays = group(items, size, lambda shape: members)
    by_id = {item.id: item for item in items}
    place = {
        id: (number, index)
        for number, array in enumerate(arrays)
        for index, ids in array.tasks.items()
        for id in ids
    }
    assert place.keys() == by_id.keys()
    assert sum(len(ids) for array in arrays for ids in array.tasks.values()) == len(items)
    for number, array in enumerate(arrays):
        for index, ids in array.tasks.items():
            assert 0 <= index < size
            assert 1 <= len(ids) <= members
            parents = {place[parent] for id in ids for parent in by_id[id].parents}
            queued = {task for id in ids for task in by_id[id].queued}
            assert waited_for(arrays, number, index) == parents | queued
        assert {by_id[id].kinds for ids in array.tasks.values() for id in ids} == {array.kinds}


def test_a_sweep_is_one_array_per_stage() -> None:
    """Fifteen points of four stages, two of which follow the same parent with the same kind."""
    items = []
    for point in range(15):
        items += [
            Item(f"t{point}", ("tokenizer",), resources(gpus=1)),
            Item(f"f{point}", ("finetune",), resources(gpus=1), (f"t{point}",)),
            Item(f"a{point}", ("reconstruct",), resources(), (f"f{point}",)),
            Item(f"b{point}", ("reconstruct",), resources(), (f"f{point}",)),
        ]
    arrays = group(items, 1001)
    assert [array.kinds[0] for array in arrays] == ["tokenizer", "finetune", *["reconstruct"] * 2]
    assert all(list(array.tasks) == list(range(15)) for array in arrays)
    ids = {0: "10", 1: "11", 2: "12"}
    assert [dependency(array, ids) for array in arrays] == [
        None, "aftercorr:10", "aftercorr:11", "aftercorr:11",
    ]  # fmt: skip


def test_a_child_of_parents_at_different_indices_names_their_tasks() -> None:
    items = [Item("a", ("tokenizer",), resources()), Item("b", ("tokenizer",), resources()),
             Item("c", ("floor",), resources(), ("a", "b"), (("7", 3),))]  # fmt: skip
    arrays = group(items, 10)
    assert dependency(arrays[1], {0: "5"}) == "afterok:5_0:5_1:7_3"


def test_a_child_of_a_task_in_the_queue_takes_its_index() -> None:
    items = [Item("c", ("reconstruct",), resources(), (), (("7", 3),))]
    (array,) = group(items, 10)
    assert list(array.tasks) == [3]
    assert dependency(array, {}) == "aftercorr:7"


def test_what_only_the_worker_cares_for_makes_no_array_of_its_own() -> None:
    items = [Item(str(n), ("tokenizer",), resources(micro_batch=n + 1)) for n in range(3)]
    assert len(group(items, 10)) == 1


@pytest.mark.parametrize(
    ("indices", "throttle", "text"),
    [((0,), None, "0"), ((0, 1, 2), 2, "0-2%2"), ((7, 0, 1, 3), None, "0-1,3,7")],
)
def test_index_lists(indices: tuple[int, ...], throttle: int | None, text: str) -> None:
    assert index_list(indices, throttle) == text
