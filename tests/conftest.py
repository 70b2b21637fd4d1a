"""What holds for every test: a site of its own, and the servers that some of them need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from databases import databases as databases
from databases import server as server
from hypothesis import settings

# Machines are shared: how long an example takes is no property of the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# A marker of tests that need a server or a browser: the variable that names it, and what sets it.
SERVERS = {
    "slurm": ("VITOK_TEST_SLURM", 'eval "$(tests/servers/slurm.sh up)"'),
    "postgres": ("VITOK_TEST_POSTGRES", 'eval "$(tests/servers/postgres.sh start)"'),
    "browser": ("VITOK_TEST_CHROMIUM", 'eval "$(tests/servers/chromium.sh)"'),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, (variable, command) in SERVERS.items():
            if item.get_closest_marker(marker) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=f"{variable} is not set; say {command}"))
        if item.get_closest_marker("slurm"):
            # On a busy machine the cluster's own timers may strike; all else must hold at once.
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="session", autouse=True)
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test depends on the user's site file, nor on whether this machine has a Slurm."""
    file = tmp_path_factory.mktemp("site") / "site.yaml"
    file.write_text("scheduler: local\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITOK_SITE", str(file))
        yield
