"""The scheduler contract over the back-ends of one machine. Slurm's turn is in `tests/slurm/`."""

from __future__ import annotations

import os
import signal

import pytest
from schedulercontract import *  # noqa: F403  (the tests)
from schedulercontract import Driver
from stubbed import Bench, events

from sweep.schedulers import scheduler
from sweep.schedulers.local import LocalScheduler
from vitok_core.errors import UserError


@pytest.fixture(params=["local", "inline"])
def driver(request: pytest.FixtureRequest, here: Bench) -> Driver:
    if request.param == "local":
        return Driver(here, LocalScheduler(here.root, code=here.code))
    return Driver(here, scheduler(request.param, here.root))


def test_an_unknown_scheduler_is_a_user_error(bench: Bench) -> None:
    with pytest.raises(UserError, match="expected one of local, inline"):
        scheduler("slrum", bench.root)


def test_inline_stops_all_that_it_was_given(here: Bench) -> None:
    """One signal, and no later submission starts; the handlers come back."""
    here.behave(all={"steps": 10_000, "pause": 0.01})
    driver = Driver(here, scheduler("inline", here.root))
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)]
    first, second = here.job("first"), here.job("second")
    driver.meanwhile([here.submission(first), here.submission(second)],
                     lambda: os.kill(os.getpid(), signal.SIGINT))  # fmt: skip
    assert events(first)[-1] == "preempted"
    assert not second.journals.exists()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)] == before
