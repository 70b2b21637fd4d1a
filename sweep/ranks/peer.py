"""A process beside rank 0: `python -m sweep.ranks.peer`, a task of a Slurm job step, or torchrun's.

It runs the jobs that rank 0 calls it to, with a context that reports nothing, and ends with rank 0,
whatever it is waiting for just then.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sweep.attempt import check_fingerprint, furthest_first
from sweep.layout import JobFolder
from sweep.perform import perform
from sweep.ranks.channel import Channel
from sweep.ranks.crew import FAILED, FINISHED, STOPPED
from sweep.ranks.meeting import PEER, find_rank0
from sweep.ranks.place import Place, of_torchrun
from sweep.stopping import Signals
from vitok_core.context import Machine, Parent, Paths, Ranks, Silent
from vitok_core.errors import Stopped, UserError


class PeerContext(Silent):
    """What the job function sees here (`vitok_core.context.Context`): rank 0 reports for all."""

    def __init__(self, call: Mapping[str, Any], ranks: Ranks, signals: Signals) -> None:
        job = call["job"]
        folder = JobFolder(Path(job["folder"]))
        self.folder = folder.path
        self.checkpoints = folder.checkpoints / str(job["attempt"])
        self.artifacts = folder.artifacts
        self.cache = folder.root.cache
        self.machine = Machine(**job["machine"], ranks=ranks)
        self.paths = Paths(**job["paths"])
        self.parents: Sequence[Parent] = [
            Parent(each["id"], each["kind"], each["config"], Path(each["folder"]))
            for each in job["parents"]
        ]
        self._data = folder.root.data
        self._signals = signals

    def earlier_checkpoints(self) -> Sequence[Path]:
        return furthest_first(JobFolder(self.folder))

    def data_fingerprint(self, name: str, version: str, fingerprint: str) -> None:
        # Data on a disk of this node may differ from rank 0's.
        check_fingerprint(self._data, name, version, fingerprint)

    def check_stop(self, step: int | None = None) -> str | None:
        return self._signals.reason


class Peer:
    """One peer, at its end of the channel."""

    def __init__(self, place: Place, channel: Channel, signals: Signals) -> None:
        self._place = place
        self._channel = channel
        self._signals = signals
        self._calls: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def follow(self) -> NoReturn:
        """Run what rank 0 calls for, until it says that all is over, or ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            self._run(self._calls.get())

    def _listen(self) -> NoReturn:
        while (message := self._channel.receive()) is not None:
            if "end" in message:
                _leave(0)
            self._calls.put(message)
        _leave(1)

    def _run(self, call: Mapping[str, Any]) -> None:
        rank, local = self._place.rank, self._place.local
        ranks = Ranks(rank, call["size"], local, self._channel.host, call["port"])
        try:
            perform(call["job"]["spec"], PeerContext(call, ranks, self._signals))
        except Stopped:
            self._report(end=STOPPED)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            self._report(
                end=FAILED,
                **{"class": type(error).__name__},
                message=str(error),
                traceback=traceback.format_exc(),
                user=isinstance(error, UserError),
            )
            # Only now may the others lose this one: rank 0 knows why. And not by a bad exit code:
            # Slurm would kill rank 0 before it has written that down.
            _leave(0)
        else:
            self._report(end=FINISHED)

    def _report(self, **words: Any) -> None:
        received = [int(number) for number in self._signals.received]
        self._channel.send(host=socket.gethostname(), signals=received, **words)


def _leave(code: int) -> NoReturn:
    """End from any thread: the main one may be in a sum that will never be complete."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(place: Place) -> NoReturn:
    """Be the peer at this place."""
    with Signals() as signals:
        Peer(place, find_rank0(place, signals), signals).follow()


def follow_torchrun() -> None:
    """Be a peer, and never return, where torchrun has started this process as one."""
    place = of_torchrun()
    if place and place.rank > 0:
        main(place)


if __name__ == "__main__":
    # Imported under its own name, as in a Slurm task.
    from sweep.ranks import peer

    peer.main(Place(**json.loads(os.environ[PEER])))
