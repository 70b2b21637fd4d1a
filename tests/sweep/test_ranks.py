"""Jobs of several processes: who does what, and that one's end is everybody's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from stubbed import Bench, events, records, resources, wait_until

from sweep.claims import claim
from sweep.layout import JobFolder
from sweep.model import Resources
from sweep.ranks import crew as crews
from sweep.ranks.channel import Channel, accept, knock, listen
from sweep.ranks.crew import Crew, PeerDied, PeerFailed
from sweep.ranks.meeting import Spawned
from sweep.stopping import Signals
from vitok_core.errors import Stopped, UserError

Outside = Callable[[Channel, dict[str, Any]], None]


def given(bench: Bench, slug: str = "job", kind: str = "tokenizer", **fields: Any) -> JobFolder:
    folder = bench.job(slug, kind=kind)
    claim(folder, {"resources": resources(**fields).model_dump()})
    return folder


def start(bench: Bench, *folders: JobFolder) -> subprocess.Popen[str]:
    """Rank 0, which starts its peers."""
    return subprocess.Popen(
        [sys.executable, "-m", "sweep.worker", *(str(folder.path) for folder in folders)],
        env={**os.environ, "PYTHONPATH": str(bench.code), "PYTHONSAFEPATH": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def pids(bench: Bench) -> dict[int, int]:
    return {each["rank"]: each["pid"] for each in bench.trace("began")}


def all_gone(bench: Bench) -> bool:
    def alive(pid: int) -> bool:
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

    return not any(alive(pid) for pid in pids(bench).values())


def test_three_processes_one_attempt(bench: Bench) -> None:
    """Rank 0 alone reports; a job that runs as one process finds the others waiting."""
    first = given(bench, "first", processes=3)
    middle = given(bench, "middle", "floor", processes=3)
    last = given(bench, "last", processes=3)
    process = start(bench, first, middle, last)
    assert process.wait(60) == 0
    began = [(each["job"].partition("-")[0], each["rank"], each["size"], each["attempt"])
             for each in bench.trace("began")]  # fmt: skip
    assert sorted(began) == sorted(
        [(job, rank, 3, 1) for job in ("first", "last") for rank in range(3)]
        + [("middle", 0, 1, 1)]
    )
    assert [path.name for path in first.journals.iterdir()] == ["1.jsonl"]
    assert records(first)[0]["world"] == 3
    assert records(middle)[0]["world"] == 1
    assert events(first).count("metric") == 3
    assert len({each["pid"] for each in bench.trace()}) == 3
    wait_until(lambda: all_gone(bench), 10)


@pytest.mark.parametrize("user", [True, False])
def test_a_failing_peer_fails_the_job_with_its_own_words(bench: Bench, user: bool) -> None:
    bench.behave(all={"steps": 20}, rank1={"fail_at": 2, "message": "no room", "user": user})
    folder = given(bench, processes=2)
    process = start(bench, folder)
    assert process.wait(60) == 4
    failed = records(folder)[-1]
    assert failed["event"] == "failed"
    assert failed["class"] == ("UserError" if user else "RuntimeError")
    assert failed["message"] == f"rank 1 on {socket.gethostname()}: no room"
    assert failed["user"] is user
    assert "raise error(" in failed["traceback"]
    wait_until(lambda: all_gone(bench), 10)


def test_a_killed_peer_stops_the_job_which_may_go_on_later(bench: Bench) -> None:
    bench.behave(all={"steps": 60, "pause": 0.05})
    folder = given(bench, processes=3)
    process = start(bench, folder)
    wait_until(lambda: len(pids(bench)) == 3)
    os.kill(pids(bench)[2], signal.SIGKILL)
    assert process.wait(60) == 4
    assert records(folder)[-1]["event"] == "preempted"
    assert "rank 2 was killed" in records(folder)[-1]["reason"]
    wait_until(lambda: all_gone(bench), 10)


def test_peers_do_not_outlive_rank_0(bench: Bench) -> None:
    bench.behave(all={"steps": 1000, "pause": 0.1})
    process = start(bench, given(bench, processes=3))
    wait_until(lambda: len(pids(bench)) == 3)
    process.kill()
    wait_until(lambda: all_gone(bench), 10)


def test_another_number_of_processes_is_refused(bench: Bench) -> None:
    """Sums would round otherwise: what the first attempt fixed stays."""
    bench.behave(all={"steps": 100_000, "pause": 0.01})
    folder = given(bench, processes=2)
    process = start(bench, folder)
    wait_until(lambda: pids(bench).keys() == {0, 1} and "checkpoint" in events(folder))
    process.send_signal(signal.SIGTERM)
    for pid in pids(bench).values():
        os.kill(pid, signal.SIGTERM)
    assert process.wait(60) == 4
    claim(folder, {"resources": resources(processes=1).model_dump()})
    assert start(bench, folder).wait(60) == 4
    failed = records(folder, 2)[-1]
    assert (failed["event"], failed["class"]) == ("failed", "UserError")
    assert "began as 2 processes and would go on as 1" in failed["message"]


def test_several_nodes_need_a_scheduler(bench: Bench) -> None:
    folder = given(bench, nodes=2)
    process = start(bench, folder)
    assert process.wait(60) != 0
    assert process.stderr is not None
    assert "2 nodes, and this is one machine" in process.stderr.read()
    assert not folder.journals.exists()


class Played(Crew):
    """Rank 0 of two, whose peer is a thread of the test."""

    def __init__(self, signals: Signals, outside: Outside) -> None:
        super().__init__(signals)
        self._outside = outside

    def size(self, resources: Resources) -> int:
        return 2

    def _see_off(self) -> None:
        pass

    def _gather(self, size: int) -> None:
        with listen(only_here=True) as door:
            port = door.getsockname()[1]
            thread = threading.Thread(target=self._play, args=(port,), daemon=True)
            thread.start()
            came = accept(door, "word")
            assert came is not None
            self._welcome(1, came[0])

    def _play(self, port: int) -> None:
        channel = knock("127.0.0.1", port, "word", rank=1)
        assert channel is not None
        call = channel.receive()
        assert call is not None
        self._outside(channel, call)


def failing(channel: Channel, call: dict[str, Any]) -> None:
    channel.send(end="failed", host="n2", signals=[], message="bad", user=False, traceback="…",
                 **{"class": "ValueError"})  # fmt: skip
    channel.close()


def dying(channel: Channel, call: dict[str, Any]) -> None:
    channel.close()


def never(why: Exception) -> None:
    raise AssertionError(why)


@pytest.mark.parametrize(("outside", "raised"), [(failing, PeerFailed), (dying, PeerDied)])
def test_the_peers_trouble_is_the_cause(outside: Outside, raised: type[Exception]) -> None:
    """Rank 0 has only lost it, or has not even noticed."""
    with Played(Signals(), outside) as crew, pytest.raises(raised), crew.together(2, {}, never):
        raise RuntimeError("Connection closed by peer")
    with Played(Signals(), outside) as crew, pytest.raises(raised), crew.together(2, {}, never):
        pass


def test_an_error_that_all_come_to_is_rank_0s_own() -> None:
    with (
        pytest.raises(ValueError, match=r"^bad$"),
        Played(Signals(), failing) as crew,
        crew.together(2, {}, never),
    ):
        raise ValueError("bad")


def test_who_waits_for_a_dead_peer_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process in a sum over GPUs does."""
    monkeypatch.setattr(crews, "_GRACE", 0.1)
    given_up: list[Exception] = []
    with (
        pytest.raises(PeerDied),
        Played(Signals(), dying) as crew,
        crew.together(2, {}, given_up.append),
    ):
        wait_until(lambda: given_up, 10)
    assert isinstance(given_up[0], PeerDied)


def test_a_signal_to_a_peer_counts_here() -> None:
    def warned(channel: Channel, call: dict[str, Any]) -> None:
        channel.send(end="stopped", host="n2", signals=[int(signal.SIGUSR2)])
        time.sleep(1)

    signals = Signals()
    with (
        pytest.raises(Stopped, match="limit or preemption"),
        Played(signals, warned) as crew,
        crew.together(2, {}, never),
    ):
        raise Stopped("another process of the job was asked to stop", 7)
    assert signals.warned


def test_strangers_are_not_let_in() -> None:
    with listen(only_here=True) as door:
        port = door.getsockname()[1]
        found: list[Channel | None] = []
        thread = threading.Thread(target=lambda: found.append(knock("127.0.0.1", port, "other")))
        thread.start()
        assert accept(door, "word") is None
        thread.join()
        assert found == [None]


@pytest.fixture
def spawned() -> Iterator[Spawned]:
    with Spawned(Signals()) as crew:
        yield crew


def test_a_peer_that_cannot_start_is_a_failure(
    spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    ended = pytest.raises(RuntimeError, match="ended with 1 before it began")
    with ended, spawned.together(2, {}, never):
        pass


def test_nodes_are_counted_by_the_scheduler_alone(spawned: Spawned) -> None:
    assert spawned.size(resources(processes=4)) == 4
    with pytest.raises(UserError, match="launch it on Slurm"):
        spawned.size(resources(nodes=2))
