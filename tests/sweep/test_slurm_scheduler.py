"""What the Slurm back-end hands over, refuses, previews and cancels, over played commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from slurmfake import DOWN, TAKES, Fake
from stubbed import Bench

from sweep.claims import claim
from sweep.layout import JobFolder, Root
from sweep.ranks.meeting import Spawned
from sweep.schedulers.base import (
    Liveness,
    SchedulerUnreachableError,
    Submission,
    SubmissionError,
)
from sweep.schedulers.local import LocalScheduler
from sweep.schedulers.slurm import limits
from sweep.schedulers.slurm.batches import log_of, read_batch
from sweep.schedulers.slurm.sbatch import Refused
from sweep.schedulers.slurm.scheduler import SlurmScheduler
from sweep.schedulers.slurm.settings import SlurmSettings
from sweep.schedulers.slurm.task import run_member
from sweep.stopping import Signals
from vitok_core.errors import UserError


def slurm(bench: Bench, **settings: Any) -> SlurmScheduler:
    return SlurmScheduler(bench.root, SlurmSettings.model_validate(settings), code=bench.code)


def claimed(*submissions: Submission) -> list[Submission]:
    for submission in submissions:
        for folder in submission.folders:
            claim(JobFolder(folder), {"submission": submission.id})
    return list(submissions)


def family(bench: Bench, size: int = 3, **fields: Any) -> tuple[list[Submission], list[Submission]]:
    """Parents and their children, one each."""
    parents, children = [], []
    for number in range(size):
        job = bench.job(f"parent{number}")
        child = bench.job(f"child{number}", job, kind="reconstruct")
        parents.append(bench.submission(job, **fields))
        children.append(bench.submission(child, after=(job,), memory_gb=0.2, **fields))
    return parents, children


def option(script: str, name: str) -> str | None:
    found = re.search(rf"^#SBATCH --{name}=(.*)$", script, re.MULTILINE)
    return found[1] if found else None


def test_children_are_tied_to_their_parents_index_by_index(bench: Bench, fake: Fake) -> None:
    parents, children = family(bench)
    ids = slurm(bench).submit(claimed(*parents, *children))
    assert [ids[each.id] for each in parents] == ["101_0", "101_1", "101_2"]
    assert [ids[each.id] for each in children] == ["102_0", "102_1", "102_2"]
    first, second = fake.scripts()
    assert option(first, "dependency") is None
    assert option(second, "dependency") == "aftercorr:101"
    assert option(second, "array") == "0-2"


def test_arrays_end_where_the_site_says(bench: Bench, fake: Fake) -> None:
    fake.plays("scontrol", "echo 'MaxArraySize = 2'")
    parents, children = family(bench)
    ids = slurm(bench).submit(claimed(*parents, *children))
    assert [option(script, "array") for script in fake.scripts()] == ["0-1", "0", "0-1", "0"]
    assert [ids[each.id] for each in children] == ["103_0", "103_1", "104_0"]
    assert option(fake.scripts()[3], "dependency") == "aftercorr:102"


def test_a_parent_of_an_earlier_launch_is_waited_for(bench: Bench, fake: Fake) -> None:
    parents, children = family(bench)
    slurm(bench).submit(claimed(*parents))
    ids = slurm(bench).submit(claimed(*children[1:]))
    assert set(ids.values()) == {"102_1", "102_2"}
    assert option(fake.scripts()[1], "dependency") == "aftercorr:101"


def test_a_parent_that_slurm_has_forgotten_holds_its_child_back(bench: Bench, fake: Fake) -> None:
    """Slurm would run at once what depends on an id that it does not know."""
    parents, children = family(bench, 2)
    slurm(bench).submit(claimed(*parents))
    rows = (fake.folder / "queue").read_text().splitlines()
    fake.queue(rows[1])
    child = JobFolder(children[0].folders[0])
    grandchild = bench.submission(bench.job("grandchild", child), after=(child,))
    with pytest.raises(SubmissionError, match=r"parent0.*neither done nor in Slurm") as error:
        slurm(bench).submit(claimed(*children, grandchild))
    assert error.value.refused == {children[0].id, grandchild.id}
    assert error.value.ids == {children[1].id: "102_1"}
    JobFolder(parents[0].folders[0]).journals.mkdir()
    (JobFolder(parents[0].folders[0]).journals / "1.jsonl").write_text('{"event":"finished"}\n')
    assert slurm(bench).submit(claimed(children[0])) == {children[0].id: "103_0"}
    assert option(fake.scripts()[2], "dependency") is None


def test_what_follows_a_refused_array_is_refused_and_the_rest_goes_on(
    bench: Bench, fake: Fake
) -> None:
    no = "echo 'Batch job submission failed: Invalid partition name specified' >&2; exit 1"
    fake.plays("sbatch", f'grep -q partition=nope "$2" && {{ {no}; }}\n{TAKES} echo $n')
    parents, children = family(bench, 1, partition="nope")
    last = bench.submission(bench.job("last", JobFolder(children[0].folders[0])),
                            after=(JobFolder(children[0].folders[0]),))  # fmt: skip
    other = bench.submission(bench.job("other"))
    with pytest.raises(SubmissionError, match="Invalid partition") as error:
        slurm(bench).submit(claimed(*parents, *children, last, other))
    assert error.value.exit_code == 2
    assert error.value.refused == {parents[0].id, children[0].id, last.id}
    assert error.value.ids == {other.id: "101_0"}


FULL = "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2"
POLICY = "echo 'Batch job submission failed: Job violates accounting/QOS policy (...)' >&2; exit 1"


def test_a_full_queue_is_no_error_of_the_user(bench: Bench, fake: Fake) -> None:
    """What it refused, and what follows that, fits later; what it took is told."""
    fake.plays("sbatch", f'grep -q mem=205M "$2" && {{ {FULL}; {POLICY}; }}\n{TAKES} echo $n')
    parents, children = family(bench, 2)
    after = JobFolder(children[0].folders[0])
    last = bench.submission(bench.job("last", after), after=(after,))
    with pytest.raises(SubmissionError, match=r"slurm\.max_submit") as error:
        slurm(bench).submit(claimed(*parents, *children, last))
    assert error.value.full
    assert error.value.refused == {children[0].id, children[1].id, last.id}
    assert set(error.value.ids) == {parents[0].id, parents[1].id}


@pytest.mark.parametrize("mem", ["103M", "205M"])
def test_full_is_said_only_where_all_that_was_refused_fits_later(
    bench: Bench, fake: Fake, mem: str
) -> None:
    fake.plays("sbatch", f'grep -q mem={mem} "$2" || {FULL}; {POLICY}')
    job, other = bench.job("one"), bench.job("two")
    with pytest.raises(SubmissionError) as error:
        slurm(bench).submit(claimed(bench.submission(job), bench.submission(other, memory_gb=0.2)))
    assert len(error.value.refused) == 2
    assert not error.value.full


def test_nothing_is_submitted_while_slurm_is_silent(bench: Bench, fake: Fake) -> None:
    fake.plays("scontrol", DOWN)
    parents, children = family(bench, 1)
    with pytest.raises(SubmissionError) as error:
        slurm(bench).submit(claimed(*parents, *children))
    assert error.value.exit_code == 5
    assert error.value.refused == {parents[0].id, children[0].id}
    assert not fake.calls("sbatch")


def test_whole_nodes_are_shared(bench: Bench, fake: Fake) -> None:
    parents, children = family(bench, 5, gpus=1)
    scheduler = slurm(bench, node={"gpus": 2, "threads": 8, "memory_gb": 16})
    ids = scheduler.submit(claimed(*parents, *children))
    assert [ids[each.id] for each in parents] == ["101_0", "101_0", "101_1", "101_1", "101_2"]
    assert [ids[each.id] for each in children] == ["102_0", "102_0", "102_1", "102_1", "102_2"]
    assert "#SBATCH --exclusive\n" in fake.scripts()[0]
    assert option(fake.scripts()[0], "gpus-per-node") == "2"
    assert log_of(bench.root, parents[3].id) == next(
        path / "101_1.1.out" for path in bench.root.slurm.iterdir()
        if (path / "id").read_text() == "101\n"
    )  # fmt: skip


def test_one_of_a_shared_task_is_cancelled_alone(bench: Bench, fake: Fake) -> None:
    parents, _ = family(bench, 2, gpus=1)
    scheduler = slurm(bench, node={"gpus": 2, "threads": 8, "memory_gb": 16})
    ids = scheduler.submit(claimed(*parents))
    scheduler.cancel({parents[0].id: "101_0"})
    assert not fake.calls("scancel")
    reports = scheduler.poll(ids)
    assert reports[parents[0].id].liveness is Liveness.GONE
    assert reports[parents[1].id].liveness is Liveness.WAITING
    scheduler.cancel({parents[1].id: ""})
    assert fake.calls("scancel") == ["scancel 101"]


def test_tasks_are_cancelled_by_their_ids(bench: Bench, fake: Fake) -> None:
    parents, children = family(bench)
    scheduler = slurm(bench)
    scheduler.submit(claimed(*parents, *children))
    scheduler.cancel({parents[0].id: "", children[2].id: "102_2"})
    assert fake.calls("scancel") == ["scancel 101_0 102_2"]
    fake.queue()
    scheduler.cancel({parents[0].id: "101_0"})  # gone already
    assert len(fake.calls("scancel")) == 1


def test_what_may_be_in_a_damaged_batch_is_not_said_to_be_cancelled(
    bench: Bench, fake: Fake
) -> None:
    """The others are."""
    parents, _ = family(bench, 2)
    slurm(bench).submit(claimed(parents[0]))
    (damaged,) = bench.root.slurm.iterdir()
    ids = slurm(bench).submit(claimed(parents[1]))
    (damaged / "batch.json").write_text("{")
    with pytest.raises(UserError, match=rf"{damaged.name}/batch.json: damaged"):
        slurm(bench).cancel({parents[0].id: "101_0", **ids})
    assert fake.calls("scancel") == ["scancel 102"]


@pytest.mark.parametrize("command", ["squeue", "scancel"])
def test_a_cancel_that_slurm_does_not_hear_is_said(bench: Bench, fake: Fake, command: str) -> None:
    parents, _ = family(bench, 1)
    scheduler = slurm(bench)
    ids = scheduler.submit(claimed(*parents))
    fake.plays(command, DOWN)
    with pytest.raises(SchedulerUnreachableError):
        scheduler.cancel(ids)


def test_a_preview_is_what_would_be_handed_over_and_changes_nothing(
    bench: Bench, fake: Fake
) -> None:
    parents, children = family(bench)
    scheduler = slurm(bench, throttle=2)
    before = sorted(bench.root.path.rglob("*"))
    shown = scheduler.preview([*parents, *children])
    assert sorted(bench.root.path.rglob("*")) == before
    assert not fake.calls("sbatch")
    scheduler.submit(claimed(*parents, *children))

    def alike(script: str) -> str:
        return re.sub(r"\d{13}-[0-9a-f]{8}", "BATCH", script)

    assert [alike(script.replace("ARRAY_1", "101")) for script in shown] == [
        alike(script) for script in fake.scripts()
    ]


def test_a_preview_needs_no_slurm(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    limits.cluster.cache_clear()
    parents, children = family(bench)
    assert len(slurm(bench).preview([*parents, *children])) == 2


def test_room_counts_what_is_queued_and_what_shares_a_task(bench: Bench, fake: Fake) -> None:
    parents, _ = family(bench, 6, gpus=1)
    fake.queue(*(f"9|{i}|{state}|None||lab|normal|x" for i, state in enumerate(
        ["PENDING", "RUNNING", "COMPLETED"])))  # fmt: skip
    assert slurm(bench, max_submit=5).room(parents) == 3
    node = {"gpus": 2, "threads": 8, "memory_gb": 16}
    assert slurm(bench, max_submit=4, node=node).room(parents) == 4
    fake.plays("sacctmgr", '[[ $* == *assoc* ]] && echo "lab|normal|4|"; [[ $* == *user\\ * ]] '
               '&& echo lab; true')  # fmt: skip
    assert slurm(bench).room(parents) == 2


def test_what_slurm_would_read_as_its_own_is_refused(
    bench: Bench, new_bench: Any, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents, _ = family(bench, 1, gpus=4)
    assert slurm(bench).refuse(parents) is None
    assert "%" in str(slurm(new_bench("at 5%")).refuse(parents))
    monkeypatch.setenv("SLURM_CLUSTERS", "far")
    assert "unset SLURM_CLUSTERS" in str(slurm(bench).refuse(parents))
    monkeypatch.delenv("SLURM_CLUSTERS")
    assert "slurm.options.array" in str(slurm(bench, options={"array": "0"}).refuse(parents))
    node = {"gpus": 2, "threads": 8, "memory_gb": 16}
    assert "slurm.node" in str(slurm(bench, node=node).refuse(parents))


def test_secrets_of_the_site_stay_in_the_script(bench: Bench, fake: Fake) -> None:
    """Its setup lines may hold tokens: they are in a file that the user alone can read."""
    job = bench.submission(bench.job("one"), setup=("export TOKEN=s3cret",), container="run s3cret")
    slurm(bench).submit(claimed(job))
    for path in bench.root.slurm.rglob("*"):
        if path.is_file() and "s3cret" in path.read_text():
            assert path.name == "script.sh"
            assert path.stat().st_mode & 0o077 == 0
    (batch,) = bench.root.slurm.iterdir()
    assert json.loads((batch / "batch.json").read_text())["resources"]["threads"] == 1


def test_every_job_of_the_user_takes_room(bench: Bench, fake: Fake) -> None:
    """Plain jobs, and arrays that share a name, as much as ours."""
    rows = [f"{n}|N/A|PENDING|Priority||lab|normal|wrap" for n in range(3)]
    rows += [f"{array}|{i}|RUNNING|None||lab|normal|foo.sh" for array in (8, 9) for i in range(2)]
    fake.queue(*rows, "7|N/A|COMPLETED|None||lab|normal|wrap")
    parents, _ = family(bench, 5)
    assert slurm(bench, max_submit=9).room(parents) == 2


def test_the_users_defaults_for_sbatch_count_before_it_is_asked(
    bench: Bench, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.plays("sinfo", "echo 'short*|1:00:00|8'; echo 'long|infinite|8'")
    parents, _ = family(bench, 1, hours=24)
    assert "partition short allows 1" in str(slurm(bench).refuse(parents))
    monkeypatch.setenv("SBATCH_PARTITION", "long")
    assert slurm(bench).refuse(parents) is None
    named, _ = family(bench, 1, hours=24, partition="short")
    assert "partition short allows 1" in str(slurm(bench).refuse(named))


def test_a_path_that_python_would_split_is_refused() -> None:
    for scheduler in (SlurmScheduler, LocalScheduler):
        assert "splits its search path" in str(scheduler(Root(Path("/run 10:30"))).refuse([]))


def test_an_array_that_comes_after_it_was_given_up_runs_nothing(
    bench: Bench, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sbatch failed, squeue had nothing for long, and a busy controller takes it all the same."""
    monkeypatch.setattr("sweep.schedulers.slurm.submitting.sbatch",
                        lambda *_, **__: Refused("Socket timed out", late=True))  # fmt: skip
    parents, _ = family(bench, 1)
    with pytest.raises(SubmissionError):
        slurm(bench).submit(claimed(*parents))
    (folder,) = bench.root.slurm.iterdir()
    batch = read_batch(folder)
    assert batch is not None
    assert batch.cancelled() == {parents[0].id}
    signals = Signals()
    run_member(batch, batch.tasks[0][0], signals, Spawned(signals))
    assert not list(parents[0].folders[0].glob("journal/*"))
