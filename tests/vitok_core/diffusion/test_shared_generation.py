"""Several processes encode and draw what one does, file by file and bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from chain import encoded, generator, latents_job, tokenizer
from forked import together
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import GenerateJob
from vitok_core.context import Context, Machine, Parent, Ranks
from vitok_core.data import sampler
from vitok_core.data.images import CorruptImage
from vitok_core.data.latents import latents_folder
from vitok_core.data.sampler import EvalCrops
from vitok_core.diffusion import encode
from vitok_core.diffusion import generate as module
from vitok_core.errors import Stopped

Stop = Callable[[Ranks], str | None]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Parent]:
    folder = tmp_path_factory.mktemp("chain")
    of = tokenizer(folder / "t")
    encoded(folder / "l", of, latents_job())
    return generator(folder / "g", folder / "l"), of


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """17 samples: four shards of 5, 5, 5 and 2 in batches of two, or six chunks of three."""
    monkeypatch.setattr(encode, "shard_samples", lambda *_: 5)
    monkeypatch.setattr(encode, "BATCH", 2)
    monkeypatch.setattr(module, "CHUNK", 3)


def run(
    size: int,
    folder: Path,
    job: Callable[[Context], None],
    parents: Sequence[Parent],
    stop: Stop = lambda _: None,
    **machine: Any,
) -> list[Any]:
    """What the context of each of so many processes heard, or what it raised."""

    def work(ranks: Ranks) -> RecordingContext:
        given = Machine(ranks=ranks, **machine)
        context = RecordingContext(
            folder, machine=given, parents=parents, stop=lambda _: stop(ranks)
        )
        job(context)
        context.stop = None  # type: ignore[assignment]  # a closure cannot be sent
        return context

    return together(size, work)


def files(folder: Path) -> Mapping[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def cached(context: Context) -> None:
    jobs.latents(latents_job(), context)


def made(context: Context) -> None:
    fields = {
        "cfg": 1.5, "reference": "photos-tune", "resolution": 32,
        "sampling": {"samples": 17, "steps": 2},
        "evaluation": {"samples": 4, "scores": ["kid"], "splits": 3},
    }  # fmt: skip
    jobs.generate(GenerateJob.model_validate(fields), context)


def test_shards_are_those_of_one_process(tmp_path: Path, chain: Sequence[Parent]) -> None:
    parents = chain[1:]
    run(1, tmp_path / "1", cached, parents)
    expected = files(latents_folder(tmp_path / "1"))
    assert len(expected) == 5
    for size in (2, 3):
        first, *others = run(size, tmp_path / str(size), cached, parents, workers=size % 2)
        assert files(latents_folder(tmp_path / str(size))) == expected
        assert first.progressed[-1] == (17, 17, "images")
        assert [path.name for path, _ in first.artifacts_made] == ["latents.json"]
        assert all(not other.artifacts_made for other in others)


def test_corrupt_files_of_all_processes_are_counted(
    tmp_path: Path, chain: Sequence[Parent], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = EvalCrops.read

    def broken(self: EvalCrops, i: int) -> Any:
        if i in (2, 5, 6, 16):  # of the first, second and fourth shard
            raise CorruptImage(f"photo {i}: is broken")
        return read(self, i)

    monkeypatch.setattr(sampler.EvalCrops, "read", broken)
    for size in (1, 2):
        (first, *_) = run(size, tmp_path / str(size), cached, chain[1:], corrupt_share=0.004)
        assert sum(value for _, value in first.curve("corrupt_samples")) == 4
    assert files(latents_folder(tmp_path / "1")) == files(latents_folder(tmp_path / "2"))
    one, *both = (
        str(error)
        for size in (1, 2)
        for error in run(size, tmp_path / "many", cached, chain[1:], corrupt_share=0.003)
    )
    assert one.startswith("4 of 17 samples were corrupt files")
    assert [each.partition("samples were")[2] for each in both] == [
        both[0].partition("samples were")[2]
    ] * 2


def test_a_cache_that_was_stopped_is_finished_by_another_number(
    tmp_path: Path, chain: Sequence[Parent]
) -> None:
    looked: list[int] = []

    def stop(ranks: Ranks) -> str | None:
        looked.append(0)
        return "preempted" if ranks.rank == 1 and len(looked) == 4 else None

    parents, folder = chain[1:], latents_folder(tmp_path / "stopped")
    outcomes = run(2, tmp_path / "stopped", cached, parents, stop)
    assert [type(each) for each in outcomes] == [Stopped] * 2
    whole = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(whole) == {"shard-00000.safetensors", "shard-00001.safetensors"}
    run(3, tmp_path / "stopped", cached, parents)
    run(1, tmp_path / "undisturbed", cached, parents)
    assert files(folder) == files(latents_folder(tmp_path / "undisturbed"))
    assert {name: (folder / name).stat().st_mtime_ns for name in whole} == whole


def test_samples_and_scores_are_those_of_one_process(
    tmp_path: Path, chain: Sequence[Parent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module._Drawn, "forget", lambda self: None)
    (alone,) = run(1, tmp_path / "1", made, chain)
    assert {name for name, _, _ in alone.results} == {
        f"g{kind}[efficientnet-lite0{layer}]" for kind in ("FD", "KD") for layer in ("", "-112")
    } | {"gIS[efficientnet-lite0]"}
    for size in (2, 4):
        first, *others = run(size, tmp_path / str(size), made, chain)
        assert first.results == alone.results
        assert first.progressed == alone.progressed
        assert files(tmp_path / str(size)) == files(tmp_path / "1")
        assert all(other.results == other.artifacts_made == [] for other in others)


def test_what_was_drawn_is_kept_for_another_number(
    tmp_path: Path, chain: Sequence[Parent], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def stop(ranks: Ranks) -> str | None:
        looked.append(0)
        return "preempted" if ranks.rank == 0 and len(looked) == 2 else None

    outcomes = run(2, tmp_path / "stopped", made, chain, stop)
    assert [type(each) for each in outcomes] == [Stopped] * 2
    chunks = tmp_path / "stopped/artifacts/chunks"
    assert sorted(path.name for path in chunks.iterdir()) == [
        "samples-0000000-0000003.npy", "samples-0000003-0000006.npy",
    ]  # fmt: skip
    drawn: list[range] = []
    draw = module._Drawn._draw

    def counted(self: Any, generator: Any, tokenizer: Any, indices: range) -> torch.Tensor:
        drawn.append(indices)
        return draw(self, generator, tokenizer, indices)

    monkeypatch.setattr(module._Drawn, "_draw", counted)

    def again(context: Context) -> None:
        made(context)
        context.metric("drawn", sum(map(len, drawn)), 0)

    resumed = run(3, tmp_path / "stopped", again, chain)
    assert [each.metrics[0][1] for each in resumed] == [3, 3, 5], "of chunks 2 to 5"
    (alone,) = run(1, tmp_path / "undisturbed", made, chain)
    assert resumed[0].results == alone.results
    assert not chunks.exists()
