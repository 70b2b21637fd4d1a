"""Shared by the tests of metrics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread() -> Iterator[None]:
    """Eigenvalues on one thread, as in a job: threads that share a busy core wait in loops."""
    with threadpool_limits(1):
        yield
