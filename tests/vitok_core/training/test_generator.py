"""Training a generator: it learns, it resumes bit by bit, and what it leaves can be sampled."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import together
from generating import CENTRES, context_of, generator_job, latents
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import GeneratorJob, SamplingConfig
from vitok_core.context import Machine, Parent, Ranks
from vitok_core.data.latents import LatentSet, latents_folder
from vitok_core.diffusion.sampling import sample
from vitok_core.errors import Stopped, UserError
from vitok_core.kinds import KINDS
from vitok_core.training import generator as module
from vitok_core.training.checkpoint import load_checkpoint, weights_hash
from vitok_core.training.generator import GeneratorStage, load_generator, train_generator
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.step import Diverged

New = Callable[..., RecordingContext]


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    return latents(tmp_path_factory.mktemp("latents"))


@pytest.fixture
def new(tmp_path: Path, of: Parent) -> New:
    return lambda name="job", attempt=1, **machine: context_of(
        tmp_path / name, of, attempt, **machine
    )


def final(context: RecordingContext) -> dict[str, Any]:
    return load_checkpoint(context.checkpoints / "final.pt")


def deterministic(context: RecordingContext) -> list[tuple[str, float, int]]:
    return [row for row in context.metrics if row[0] != THROUGHPUT]


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({}, set()),
        ({"learned_sigma": True}, {"loss_noise", "loss_bound"}),
        ({"objective": "v"}, set()),
        ({"objective": "flow"}, set()),
    ],
)
def test_from_end_to_end(new: New, fields: dict[str, Any], terms: set[str]) -> None:
    context, job = new(), generator_job(generator=fields, train={"milestones": (4,)})
    assert KINDS["generator"].config is GeneratorJob
    assert KINDS["generator"].several
    jobs.generator(job, context)
    assert {name for name, _, _ in context.metrics} == terms | {
        "loss", "grad_norm", "lr", THROUGHPUT,
    }  # fmt: skip
    assert context.curve("lr")[0] == (1, pytest.approx(2e-3))  # not scaled by the batch
    summary = json.loads((context.artifacts / "training.json").read_text())
    found = load_generator(context.folder)
    assert summary["weights_sha256"] == found.weights_sha256
    assert weights_hash(found.model.state_dict()) == found.weights_sha256
    assert (found.config, found.step, found.model.training) == (job, 10, False)
    assert load_generator(context.folder, 4).step == 4
    assert found.model.classes == 3
    codes = sample(found.model, torch.tensor([0, 1]), 1.5, SamplingConfig(steps=3), 0, [0, 1])
    assert codes.shape == (2, 4, 3)


def test_codes_are_normalised_by_the_latents_statistics(new: New, of: Parent) -> None:
    model = GeneratorStage(generator_job(), new()).model
    stored = LatentSet(latents_folder(of.folder))
    codes = torch.cat([stored.batch(range(k, k + 96), seed=3)[0] for k in (0, 96)])
    seen = model.normalise(codes).flatten(0, 1)
    assert float(seen.mean(0).abs().max()) < 0.1
    assert float((seen.std(0) - 1).abs().max()) < 0.1
    raw = GeneratorStage(generator_job(generator={"normalize": "none"}), new("raw")).model
    assert torch.equal(raw.normalise(codes), codes)


def test_a_code_of_latent_tokens_is_a_row(tmp_path: Path) -> None:
    of = latents(tmp_path / "latents", grid=(4,))
    context = context_of(tmp_path / "job", of)
    train_generator(generator_job(train={"steps": 1}), context)
    assert final(context)["code"] == {"channels": 3, "grid": [4], "classes": 3}
    assert load_generator(context.folder).model.code_shape == (4, 3)


@pytest.mark.parametrize(
    ("objective", "steps", "batch"),
    [("v", 150, 32), ("flow", 150, 32), pytest.param("noise", 500, 64, marks=pytest.mark.slow)],
)
def test_it_learns_a_mixture_class_by_class(
    new: New, objective: str, steps: int, batch: int
) -> None:
    """All of it: normalised codes, labels, averages, sampler.

    Noise takes longer, and medians: at its first times DDIM multiplies what the prediction is short
    of by 1/√ᾱ, up to 157, so that a short training has outliers; v and flow have hardly any.
    """
    train = {"steps": steps, "batch": batch, "base_lr": 5e-3, "ema": 0.95}
    context = new()
    train_generator(generator_job(generator={"objective": objective}, train=train), context)
    losses = [value for _, value in context.curve("loss")]
    assert sum(losses[-20:]) / 20 < 0.6 * losses[0]
    model, labels, centres = load_generator(context.folder).model, *toy_classes()
    codes = sample(model, labels, 1.0, SamplingConfig(steps=25), 0, range(90))
    values = codes[..., :-1].mean((1, 2))
    for label, centre in enumerate(CENTRES):
        assert float(values[labels == label].median()) == pytest.approx(centre, abs=1.0)
    assert float((nearest(values, centres) == labels).float().mean()) > 0.8
    assert 300 < float(codes[..., -1].abs().median()) < 1500  # of N(0, 1000²): 674
    # Without a class the label says nothing.
    codes = sample(model, labels, 0.0, SamplingConfig(steps=25), 0, range(90))
    found = nearest(codes[..., :-1].mean((1, 2)), centres)
    assert float((found == labels).float().mean()) < 0.6


def toy_classes() -> tuple[torch.Tensor, torch.Tensor]:
    """Labels of 90 samples, and the classes' centres."""
    return torch.arange(90) % 3, torch.tensor(CENTRES)


def nearest(values: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    return (values[:, None] - centres).abs().argmin(1)


def test_some_labels_are_dropped_and_times_are_uniform(new: New) -> None:
    stage = GeneratorStage(generator_job(generator={"label_dropout": 0.25}), new())
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    stage.model.register_forward_hook(lambda module, args, output: seen.append(args[1:]))
    batch, _ = stage.run.data.batch(range(2000))
    stage.update(batch)
    times, labels = seen[0]
    dropped = labels == 3
    assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.04)
    assert torch.equal(labels[~dropped], batch.labels[~dropped])
    assert torch.equal(times, times.floor())
    assert (float(times.min()), float(times.max())) == (
        pytest.approx(0, abs=3),
        pytest.approx(999, abs=3),
    )
    assert float(times.mean()) == pytest.approx(499.5, abs=4 * 1000 / 12**0.5 / 2000**0.5)
    # Neither knows of the other.
    assert float(times[dropped].mean()) == pytest.approx(499.5, abs=60)


@pytest.mark.parametrize("fields", [{}, {"learned_sigma": True}, {"objective": "flow"}])
def test_micro_batches_change_nothing(new: New, fields: dict[str, Any]) -> None:
    job, states = generator_job(generator=fields, train={"steps": 3}), []
    for size in (None, 4, 1):
        context = new(str(size), micro_batch=size)
        train_generator(job, context)
        states.append((deterministic(context), final(context)["model"]))
    for metrics, state in states[1:]:
        for (name, value, _), (_, whole, _) in zip(metrics, states[0][0], strict=True):
            assert value == pytest.approx(whole, rel=1e-4), name
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, states[0][1][name], atol=1e-3, rtol=1e-3)


def test_loading_processes_bring_the_very_same_codes(new: New) -> None:
    here, there = new("here"), new("there", workers=1)
    for context in (here, there):
        train_generator(generator_job(train={"steps": 3}), context)
    assert deterministic(here) == deterministic(there)


def attempt(context: RecordingContext, stop: int | None = None) -> dict[str, Any]:
    """Train to that step, or to the end; what the last checkpoint holds."""
    context.stop = lambda step: "time" if step == stop else None
    job = generator_job(generator={"learned_sigma": True})
    if stop is None:
        train_generator(job, context)
    else:
        with pytest.raises(Stopped):
            train_generator(job, context)
    return load_checkpoint(context.saved[-1][0])


def test_stopped_and_resumed_is_bit_identical(new: New) -> None:
    """Averages and optimizer included: they are in the last checkpoint."""
    undisturbed, parts = new("undisturbed"), [new("parted", number) for number in (1, 2, 3)]
    whole, straight = attempt(undisturbed), attempt(new("straight"), 7)
    attempt(parts[0], 3)
    seven, end = attempt(parts[1], 7), attempt(parts[2])
    assert [step for step, _ in parts[1].resumes] == [3]
    assert set(seven) == {"model", "optimizer", "ema", "step", "config_sha256"}
    assert weights_hash(seven) == weights_hash(straight)
    assert weights_hash(end) == weights_hash(whole)
    assert weights_hash(end["model"]) != weights_hash(end["raw"])
    rows = [row for part in parts for row in deterministic(part)]
    assert rows == deterministic(undisturbed)


def test_a_run_killed_after_its_last_step_only_writes_the_end_again(new: New) -> None:
    first, again = new(), new(attempt=2)
    train_generator(generator_job(), first)
    train_generator(generator_job(), again)
    assert again.metrics == []
    for kind in ("model", "raw"):
        assert weights_hash(final(first)[kind]) == weights_hash(final(again)[kind])


def test_without_averaging_the_raw_weights_are_left(new: New) -> None:
    context, averaged = new(), new("averaged")
    train_generator(generator_job(train={"ema": 0.0}), context)
    train_generator(generator_job(), averaged)
    assert "raw" not in final(context)
    assert weights_hash(final(context)["model"]) == weights_hash(final(averaged)["raw"])


def test_the_averages_are_what_the_configuration_asks_for(new: New) -> None:
    stage = GeneratorStage(generator_job(train={"ema": 0.7}), new())
    wanted = {name: p.detach().double() for name, p in stage.model.named_parameters()}
    for step in range(4):
        stage.update(stage.run.data.batch(range(step * 6, step * 6 + 6))[0])
        stage.run.step += 1
        for name, p in stage.model.named_parameters():
            wanted[name] = 0.7 * wanted[name] + 0.3 * p.detach().double()
    for name, tensor in wanted.items():
        torch.testing.assert_close(stage.weights()["model"][name].double(), tensor, rtol=1e-5,
                                   atol=1e-6)  # fmt: skip


def test_two_processes_train_as_one(tmp_path: Path, of: Parent) -> None:
    job = generator_job(generator={"learned_sigma": True})

    def work(folder: Path, ranks: Ranks) -> RecordingContext:
        context = RecordingContext(folder, 1, Machine(ranks=ranks), parents=(of,))
        train_generator(job, context)
        context.stop = None  # type: ignore[assignment]  # a closure cannot be sent
        return context

    alone = work(tmp_path / "alone", Ranks())
    first, second = together(2, lambda ranks: work(tmp_path / "two", ranks))
    for name in ("loss", "loss_bound", "grad_norm", "lr"):
        values, expected = (
            [value for _, value in context.curve(name)] for context in (first, alone)
        )
        assert values == pytest.approx(expected, rel=1e-4), name
    assert second.saved == second.artifacts_made == []
    ours, theirs = (load_generator(tmp_path / name).model for name in ("two", "alone"))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-3, rtol=1e-3)


def test_divergence_stops_before_any_weights_are_touched(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new(checkpoint_every=2)
    original = module.learning_rate

    def explode(config: Any, frames: int, step: int) -> float:
        return math.inf if step == 6 else original(config, frames, step)

    monkeypatch.setattr(module, "learning_rate", explode)
    with pytest.raises(Diverged, match=r"nan at step 8.*Lower generator_train\.base_lr"):
        train_generator(generator_job(), context)
    kept = sorted(context.checkpoints.glob("*.pt"))
    assert [path.name for path in kept] == ["step-000000004.pt", "step-000000006.pt"]
    state = load_checkpoint(kept[-1])
    for part in (state["model"], state["ema"]):
        assert all(bool(tensor.isfinite().all()) for tensor in part.values())


def test_what_cannot_be_normalised_or_read_is_refused(new: New, tmp_path: Path) -> None:
    index = latents_folder(latents(tmp_path / "dead").folder) / "latents.json"
    about = json.loads(index.read_text())
    index.write_text(json.dumps({**about, "channel_std": [1.0, 0.0, 1.0]}))
    dead = context_of(tmp_path / "job", Parent("l1", "latents", {}, tmp_path / "dead"))
    with pytest.raises(UserError, match=r"channel 1 has the standard deviation 0: .*normalize"):
        train_generator(generator_job(), dead)
    train_generator(generator_job(generator={"normalize": "none"}, train={"steps": 1}), dead)
    with pytest.raises(UserError, match=r"no whole final\.pt"):
        load_generator(new("nothing").folder)


def test_damaged_latents_are_not_learned_from(tmp_path: Path) -> None:
    of = latents(tmp_path / "latents")
    (shard,) = latents_folder(of.folder).glob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"shard-00000\.safetensors: is damaged"):
        train_generator(generator_job(), context_of(tmp_path / "run", of))


def test_a_tokenizer_is_no_generator(trained: Parent) -> None:
    with pytest.raises(UserError, match="not a generator's of this release: generator: "):
        load_generator(trained.folder)
