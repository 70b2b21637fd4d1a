"""Several processes of one job, forked from the test's: torch is imported once."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from vitok_core.context import Ranks

PATIENCE = 60  # seconds


def together(size: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What `work` returns in each process, or the exception that it raised, by rank."""
    context = multiprocessing.get_context("fork")
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        found, children = [], []
        for rank in range(size):
            receive, send = context.Pipe(duplex=False)
            listener = door.fileno() if rank == 0 else None
            ranks = Ranks(rank, size, rank, "127.0.0.1", port, listener)
            child = context.Process(target=_child, args=(work, ranks, send))
            child.start()
            send.close()
            found.append(receive)
            children.append(child)
    try:
        return [_outcome(receive) for receive in found]
    finally:
        for child in children:
            child.kill()
            child.join()


def _child(work: Callable[[Ranks], Any], ranks: Ranks, send: Connection) -> None:
    torch.set_num_threads(1)
    try:
        outcome = work(ranks)
    except BaseException as error:
        traceback.print_exc()
        outcome = error
    send.send_bytes(pickle.dumps(outcome))
    os._exit(0)  # as a peer does: nothing of pytest's is run here


def _outcome(receive: Connection) -> Any:
    assert receive.poll(PATIENCE), "a process hangs"
    return pickle.loads(receive.recv_bytes())
