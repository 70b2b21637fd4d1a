"""What rank 0 knows of its peers: it calls them to a job, and hears how each came out of it.

One process that fails, or dies, brings all down, with its own error: that of the others is only
that they lost it. Peers are torch-free until their job imports torch, and so is all of this.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from sweep.model import Resources
from sweep.ranks.channel import Channel, listen
from sweep.stopping import Signals
from vitok_core.context import Ranks
from vitok_core.errors import Stopped

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"  # how a peer's job ended

_FIRST_WORD = 2.0  # seconds in which the news of the peer that failed first may be under way
_LAST_WORD = 600.0  # seconds for the others to come to the end that rank 0 has reached
_GRACE = 20.0  # seconds after it for rank 0 to come out of a sum that will never be complete

Report = Mapping[str, Any]


class PeerFailed(Exception):  # noqa: N818  (named for what happened)
    """A peer's job raised an error. `report` has its class, message, traceback and `user`."""

    def __init__(self, rank: int, report: Report) -> None:
        super().__init__(f"rank {rank} on {report['host']}: {report['message']}")
        self.report = report


class PeerDied(Exception):  # noqa: N818
    """A peer ended without a word: killed, or its machine is gone. Not the job's fault."""


class Crew(ABC):
    """The peers of this process, for as long as the context is open. Needed by rank 0 alone.

    Args:
        signals: rank 0's own; those that a peer received count as received here.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._channels: dict[int, Channel] = {}
        self._news = threading.Condition()
        self._reports: dict[int, Report | None] = {}  # of this job, as they came; None: it died
        self._give_up: Callable[[Exception], object] | None = None  # while rank 0 is at work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    @abstractmethod
    def size(self, resources: Resources) -> int:
        """As how many processes a job with these resources runs here; UserError where it cannot."""

    @abstractmethod
    def _gather(self, size: int) -> None:
        """Have `size` - 1 peers at the other ends of `_channels`.

        Raises:
            PeerDied: they were there, and are gone.
        """

    @contextmanager
    def together(
        self, size: int, job: Mapping[str, Any], give_up: Callable[[Exception], object]
    ) -> Iterator[Ranks]:
        """Have the peers run this job while this process runs it inside of the context.

        Args:
            size: processes in all; 1: no peer is needed.
            job: what `sweep.ranks.peer` needs to run it.
            give_up: called from another thread, with what happened to a peer, when this process
                did not notice for `_GRACE` seconds; ends it.

        Raises:
            PeerFailed, PeerDied: instead of the error that this process had by that.
        """
        if size == 1:
            yield Ranks()
            return
        self._gather(size)
        ranks = self._call(size, job, give_up)
        try:
            try:
                yield ranks
            finally:
                self._give_up = None
        except Stopped as stop:
            self._hear_all(size)
            raise Stopped(self._signals.reason or stop.reason, stop.step) from None
        except Exception as error:
            cause = self._cause(error)
            self.end()
            if cause is None:
                raise
            raise cause from error
        except BaseException:
            self.end()
            raise
        trouble = self._hear_all(size)
        if trouble is not None:
            self.end()
            raise trouble

    def end(self) -> None:
        """Send the peers home; those that still work end at once."""
        with self._news:
            channels, self._channels = self._channels, {}
            self._reports.clear()
        for channel in channels.values():
            channel.send(end=True)
        self._see_off()
        for channel in channels.values():
            channel.close()

    @abstractmethod
    def _see_off(self) -> None:
        """Wait for processes that were started here."""

    def _welcome(self, rank: int, channel: Channel) -> None:
        """Take up a peer, and listen to it."""
        self._channels[rank] = channel
        threading.Thread(target=self._listen, args=(rank, channel), daemon=True).start()

    def _call(
        self, size: int, job: Mapping[str, Any], give_up: Callable[[Exception], object]
    ) -> Ranks:
        meeting = listen()
        port = meeting.getsockname()[1]
        with self._news:
            lost = [rank for rank, report in self._reports.items() if report is None]
            if lost:
                raise PeerDied(f"rank {lost[0]} ended before the job began")
            self._reports.clear()
            self._give_up = give_up
        for rank in range(1, size):
            self._channels[rank].send(job=job, size=size, port=port)
        return Ranks(size=size, host="localhost", port=port, listener=meeting.detach())

    def _listen(self, rank: int, channel: Channel) -> None:
        while True:
            report = channel.receive()
            with self._news:
                if self._channels.get(rank) is not channel:
                    return  # sent home
                if report is not None:
                    self._signals.heard(report["signals"])
                self._reports.setdefault(rank, report)
                self._news.notify_all()
                trouble = self._trouble()
            if trouble is not None and self._give_up is not None:
                timer = threading.Timer(_GRACE, self._insist, (self._give_up, trouble))
                timer.daemon = True
                timer.start()
            if report is None:
                return

    def _insist(self, asked: Callable[[Exception], object], trouble: Exception) -> None:
        if self._give_up is asked:
            asked(trouble)

    def _trouble(self) -> PeerFailed | PeerDied | None:
        """What befell the peer that failed or died first."""
        for rank, report in self._reports.items():
            if report is None:
                return PeerDied(f"rank {rank} was killed, or its machine is gone")
            if report["end"] == FAILED:
                return PeerFailed(rank, report)
        return None

    def _hear_all(self, size: int) -> PeerFailed | PeerDied | None:
        """Wait until all have reported, or one is in trouble, which is returned."""

        def missing() -> list[int]:
            return sorted(set(range(1, size)) - self._reports.keys())

        with self._news:
            self._news.wait_for(lambda: self._trouble() or not missing(), _LAST_WORD)
            if self._trouble() is None and missing():
                return PeerDied(f"ranks {missing()} did not come to the job's end")
            return self._trouble()

    def _cause(self, error: Exception) -> PeerFailed | PeerDied | None:
        """The trouble of a peer that led to rank 0's error; None: it is rank 0's own."""
        with self._news:
            self._news.wait_for(lambda: self._trouble() is not None, _FIRST_WORD)
            trouble = self._trouble()
        if isinstance(trouble, PeerFailed):
            report = trouble.report
            if (report["class"], report["message"]) == (type(error).__name__, str(error)):
                return None  # all have come to it
        return trouble
