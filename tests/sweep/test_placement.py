"""Placing on a machine, without a machine."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubbed import resources

from sweep.model import Resources
from sweep.schedulers import machine
from sweep.schedulers.machine import available_gpus, capacity
from sweep.schedulers.placement import Capacity, Running, place, refusal
from sweep.schedulers.queue import Limits

ask = st.builds(
    lambda threads, memory_gb, gpus, processes: resources(
        threads=threads, memory_gb=memory_gb, gpus=gpus, processes=processes
    ),
    st.integers(1, 5), st.sampled_from([0.5, 2.0, 9.0]), st.integers(0, 3), st.integers(1, 2),
)  # fmt: skip
machines = st.builds(
    Capacity, st.integers(1, 4), st.sampled_from([1.0, 8.0]),
    st.sampled_from([(), (0,), (0, 1, 2), (7, 3)]), st.none() | st.integers(1, 4),
)  # fmt: skip


@given(st.lists(ask, max_size=12), machines, st.randoms(use_true_random=False))
def test_a_queue_is_worked_off_in_order_within_the_machine(
    asked: list[Resources], machine: Capacity, random: object
) -> None:
    """Jobs end in any order; at every moment the limits hold, and in the end none is left."""
    waiting = deque(enumerate(asked))
    running: dict[int, Running] = {}
    started: list[int] = []
    while waiting or running:
        for start in place(list(waiting), list(running.values()), machine):
            started.append(start.item)
            wanted = asked[start.item]
            assert len(start.gpus) == wanted.gpus
            running[start.item] = Running(wanted, start.gpus)
            waiting.remove((start.item, wanted))
        gpus = [gpu for each in running.values() for gpu in each.gpus]
        assert len(set(gpus)) == len(gpus)
        assert set(gpus) <= set(machine.gpus)
        assert sum(each.resources.memory_gb for each in running.values()) <= machine.memory_gb
        if machine.jobs is None:
            assert sum(each.resources.node_threads for each in running.values()) <= machine.threads
        else:
            assert len(running) <= machine.jobs
        if not running:
            break
        del running[random.choice(list(running))]  # type: ignore[attr-defined]
    fit = [number for number, each in enumerate(asked) if refusal(each, machine) is None]
    assert started == fit  # first come, first served; what never fits holds back nobody
    assert [number for number, _ in waiting] == sorted(set(range(len(asked))) - set(fit))


def test_a_large_job_is_not_overtaken() -> None:
    machine = Capacity(4, 100.0, ())
    waiting = [("large", resources(threads=4)), ("small", resources(threads=1))]
    assert place(waiting, [Running(resources(threads=1), ())], machine) == []
    assert [start.item for start in place(waiting, [], machine)] == ["large"]


def test_nor_is_one_that_waits_for_a_gpu() -> None:
    machine = Capacity(8, 100.0, (0,))
    waiting = [("gpu", resources(gpus=1)), ("cpu", resources())]
    assert place(waiting, [Running(resources(gpus=1), (0,))], machine) == []


def test_a_number_of_jobs_may_share_cores() -> None:
    waiting = [(name, resources(threads=2)) for name in "abc"]
    assert [s.item for s in place(waiting, [], Capacity(2, 9.0, (), 2))] == ["a", "b"]
    assert [s.item for s in place(waiting, [], Capacity(2, 9.0, ()))] == ["a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"threads": 9}, "asks for 9 threads, this machine has 4; lower resources.default.threads"),
        ({"threads": 2, "processes": 3}, "asks for 6 threads (3 processes), this machine has 4"),
        ({"nodes": 2}, "asks for 2 nodes, and this is one machine"),
        ({"memory_gb": 99}, "asks for 99 GB of memory, this machine has 8.0 GB"),
        ({"gpus": 2}, "asks for 2 GPU(s), 1 can be handed out; give their ids by --gpus"),
        ({"threads": 4, "memory_gb": 8, "gpus": 1}, None),
    ],
)
def test_what_could_never_run_is_refused_with_advice(
    given: dict[str, int], words: str | None
) -> None:
    reason = refusal(resources(**given), Capacity(4, 8.0, (5,), jobs=3))
    assert reason is None if words is None else words in str(reason)


@pytest.mark.parametrize(
    ("visible", "ids"),
    [("", ()), ("0,1,2", (0, 1, 2)), ("3, 1", (3, 1)), ("-1", ()), ("0,-1,2", (0,)),
     ("1,1", (1,)), ("GPU-8932f937", ())],
)  # fmt: skip
def test_visible_gpus(monkeypatch: pytest.MonkeyPatch, visible: str, ids: tuple[int, ...]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert available_gpus() == ids
    assert capacity(Limits()).gpus == ids
    assert capacity(Limits(gpus=(6,))).gpus == (6,)


def test_gpus_by_their_device_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path)
    assert available_gpus() == (0, 2, 10)
