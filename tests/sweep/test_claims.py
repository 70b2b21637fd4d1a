"""Claims: one winner per number, whole or absent."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from sweep.claims import claim, newest_claim
from sweep.layout import JobFolder
from sweep.model import Resources


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    path = tmp_path / "jobs" / "slug-0123"
    path.mkdir(parents=True)
    return JobFolder(path)


def _race(path: str) -> int | None:
    return claim(JobFolder(Path(path)), {"submission": f"s{os.getpid()}"})


def test_numbers_rise_and_the_newest_counts(folder: JobFolder) -> None:
    for number in range(1, 12):  # past ten: 10 is more than 9
        threads = {"resources": {"threads": number}}
        paths = {"paths": {"data": {"photos": f"/{number}"}, "weights": {}}}
        assert claim(folder, {"submission": f"s{number}", **threads, **paths}) == number
    newest = newest_claim(folder)
    assert newest.submission == "s11"
    assert newest.resources.threads == 11
    assert newest.paths.data == {"photos": "/11"}
    record = json.loads((folder.claims / "3.json").read_text())
    assert (record["claim"], record["submission"]) == (3, "s3")


def test_a_job_that_was_never_claimed_has_the_defaults(folder: JobFolder) -> None:
    newest = newest_claim(folder)
    assert newest.resources == Resources.model_validate({})
    assert (newest.submission, dict(newest.paths.data)) == (None, {})


def test_of_many_at_once_each_number_has_one_winner(folder: JobFolder) -> None:
    with get_context("fork").Pool(8) as pool:
        won = pool.map(_race, [str(folder.path)] * 40, chunksize=1)
    numbers = [number for number in won if number is not None]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    names = {path.name for path in folder.claims.iterdir()}
    assert names == {f"{number}.json" for number in numbers}


def test_a_claim_is_never_seen_half_written(folder: JobFolder) -> None:
    content = {"submission": "s", "filler": "x" * 50_000}

    def look(_: int) -> None:
        for path in folder.claims.glob("*.json"):
            assert json.loads(path.read_text())["submission"] == "s"

    folder.claims.mkdir()
    with ThreadPoolExecutor(3) as pool:
        looks = pool.map(look, range(60))
        claims = pool.map(lambda _: claim(folder, content), range(20))
        assert any(claims)
        assert list(looks)


def test_the_losers_leave_nothing(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Path.hardlink_to

    def beaten(path: Path, target: Path) -> None:
        path.write_text('{"submission": "other"}')
        link(path, target)

    monkeypatch.setattr(Path, "hardlink_to", beaten)
    assert claim(folder, {"submission": "mine"}) is None
    assert newest_claim(folder).submission == "other"
    assert [path.name for path in folder.claims.iterdir()] == ["1.json"]
