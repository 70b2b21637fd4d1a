"""A launch that stays (`launch --watch`): later waves, and jobs that were lost on the way.

What the scheduler loses (a dead node, a preemption that it does not requeue) is submitted again,
after a pause that doubles and a few times at most. What failed by itself waits for the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sweep.launch import Launched
from sweep.reconcile import State
from sweep.schedulers.base import SchedulerUnreachableError, SubmissionError
from sweep.status import JobStatus
from sweep.watch import is_over

TRIES = 4  # on a cluster
_PAUSE = 10.0  # seconds before the first retry; each later one takes twice as long
_WAVE_EVERY = 15.0  # seconds between waves, and after a scheduler's silence


@dataclass
class _Lost:
    """What is known of a job that was lost under our eyes."""

    retries: int = 0
    since: float | None = None  # when it was seen lost; None: it is on its way again


@dataclass
class Tender:
    """One watching launch.

    Args:
        look: the jobs' status now.
        again: launches what is still to do, sparing the jobs that it is given.
        say: told what happens.
        launched: what the first launch of this command did.
        tries: submissions of one job by this launch, the first one counted; 1: what is lost waits
            for the user, who sees it on this very machine.
    """

    look: Callable[[], list[JobStatus]]
    again: Callable[[frozenset[str]], Launched]
    say: Callable[[str], None]
    launched: Launched
    tries: int = TRIES
    clock: Callable[[], float] = time.monotonic
    _ours: frozenset[str] = frozenset()
    _later: frozenset[str] = frozenset()
    _lost: dict[str, _Lost] = field(default_factory=dict)
    _quiet_until: float = 0.0
    _refusals: int = 0

    def __post_init__(self) -> None:
        self.note(self.launched)
        self._quiet_until = self.clock() + _WAVE_EVERY

    def __call__(self) -> list[JobStatus]:
        """Look, and launch again where something is due."""
        jobs = self.look()
        now = self.clock()
        self._note_lost(jobs, now)
        due = {job for job, lost in self._lost.items() if self._is_due(lost, now)}
        waiting = self._waiting(jobs)
        if now < self._quiet_until or not (due or waiting):
            return jobs
        self._launch(jobs, due, waiting)
        return self.look()

    def is_over(self, jobs: list[JobStatus]) -> bool:
        """Whether nothing of these runs, waits for a wave, or will be tried again."""
        lost = [self._lost[job.id] for job in jobs if job.id in self._lost]
        hoped = any(each.since is not None and each.retries < self.tries - 1 for each in lost)
        return is_over(jobs) and not hoped and not self._waiting(jobs)

    def _launch(self, jobs: list[JobStatus], due: set[str], waiting: set[str]) -> None:
        """Hand over what is due; whatever else `launch` would take up is somebody's decision."""
        spared = frozenset(job.id for job in jobs) - due - waiting - self._behind(jobs)
        try:
            done = self.again(spared)
        except SchedulerUnreachableError as error:
            self._wait(str(error), _WAVE_EVERY)
            return
        self.note(done)
        for job in due & done.submitted:
            self._lost[job].retries += 1
            self._lost[job].since = None
            self.say(f"submitted again: {job} (try {self._lost[job].retries + 1} of {self.tries})")
        if done.error is None or done.error.full:
            self._refusals = 0
            self._quiet_until = self.clock() + _WAVE_EVERY
        elif done.error.exit_code == SchedulerUnreachableError.exit_code:
            self._wait(str(done.error), _WAVE_EVERY)
        else:
            self._refused(done.error, due | waiting)

    def _refused(self, error: SubmissionError, jobs: set[str]) -> None:
        """What the scheduler refuses may be mended meanwhile; it is not tried for ever."""
        self._refusals += 1
        if self._refusals < TRIES:
            self._wait(str(error), _WAVE_EVERY * 2**self._refusals)
            return
        self.say(f"{error}; given up: launch again when that is mended")
        self._later -= jobs
        for job in jobs & set(self._lost):
            self._lost[job].retries = self.tries

    def _wait(self, why: str, seconds: float) -> None:
        self._quiet_until = self.clock() + seconds
        self.say(f"{why}; trying again in {seconds:.0f} s")

    def note(self, done: Launched) -> None:
        """Tend to what a launch handed over, or left for a later wave."""
        self._ours |= done.submitted | done.later
        self._later = (self._later | done.later) - done.submitted

    def _waiting(self, jobs: list[JobStatus]) -> set[str]:
        """Those for a later wave that nothing but room holds up now."""
        return {job.id for job in jobs if job.state is State.PLANNED and job.id in self._later}

    def _behind(self, jobs: list[JobStatus]) -> set[str]:
        """Ours that a lost parent holds up: they go with it."""
        return {job.id for job in jobs if job.state is State.BLOCKED and job.id in self._ours}

    def _note_lost(self, jobs: list[JobStatus], now: float) -> None:
        for job in jobs:
            if job.state in (State.CANCELLED, State.FAILED):
                # Decided, also when the scheduler has forgotten why it ended.
                self._ours -= {job.id}
                self._lost.pop(job.id, None)
            elif job.state is State.LOST and job.id in self._ours:
                lost = self._lost.setdefault(job.id, _Lost())
                lost.since = now if lost.since is None else lost.since
            elif job.id in self._lost:
                self._lost[job.id].since = None

    def _is_due(self, lost: _Lost, now: float) -> bool:
        if lost.since is None or lost.retries >= self.tries - 1:
            return False
        pause: float = _PAUSE * 2**lost.retries
        return now - lost.since >= pause
