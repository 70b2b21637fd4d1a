"""The site's limits, from the words of scontrol and sacctmgr; what jobs share of a whole node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slurmfake import DOWN, Fake
from stubbed import resources

from sweep.schedulers.base import SchedulerUnreachableError
from sweep.schedulers.slurm import limits
from sweep.schedulers.slurm.asking import QueueRow
from sweep.schedulers.slurm.limits import Cluster, Policy, parse_config, parse_policy, room
from sweep.schedulers.slurm.packing import gpu_share, members_per_task
from sweep.schedulers.slurm.partitions import never_run, parse_partitions
from sweep.schedulers.slurm.settings import Node

CONFIG = """\
Configuration data as of 2026-01-01T00:00:00
MaxArraySize            = 5001
MaxJobCount             = 20000
MinJobAge               = 60 sec
"""
ASSOCIATIONS = "lab|normal|100|\nother|small||7\n"
QUALITIES = "normal|||\nsmall|10||DenyOnLimit\nlong|3|50|DenyOnLimit,PartitionTimeLimit\n"
PARTITIONS = """\
short*|4:00:00|16
short*|4:00:00|64
week|7-00:00:00|64
free|infinite|8
"""


def row(account: str, qos: str) -> QueueRow:
    return QueueRow("1", 0, "PENDING", "Priority", "", account, qos, "job")


def test_the_words_of_scontrol() -> None:
    assert parse_config(CONFIG) == Cluster(5001, 60.0)
    assert parse_config("") == Cluster(1001, 300.0)


@pytest.mark.parametrize(
    ("account", "qos", "queue", "fits"),
    [
        (None, None, [], 100),  # the default account's MaxSubmit
        (None, None, [row("lab", "normal")] * 30, 70),
        (None, None, [row("other", "normal")] * 30, 100),
        (None, "small", [row("other", "small")] * 4, 6),
        (None, "long", [row("lab", "long")] * 5, 0),
        ("other", "normal", [], 7),
        ("third", "normal", [], 200),
    ],
)
def test_room_is_what_every_limit_leaves(
    account: str | None, qos: str | None, queue: list[QueueRow], fits: int
) -> None:
    known = parse_policy(ASSOCIATIONS, QUALITIES, "lab\n")
    assert room([(account, qos, 1)] * 200, queue, known, None) == fits


def test_the_users_own_word_stands_above_the_clusters() -> None:
    known = parse_policy(ASSOCIATIONS, QUALITIES, "lab\n")
    assert room([(None, None, 1)] * 200, [row("x", "y")] * 5, known, 150) == 145
    assert room([(None, None, 1)] * 200, [], Policy(), None) == 200


def test_what_shares_a_task_takes_no_room_of_its_own() -> None:
    asked = [(None, None, int(number % 4 == 0)) for number in range(20)]
    assert room(asked, [], Policy(), 2) == 8


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"hours": 4}, None),
        ({"hours": 4.02}, "partition short allows 4"),  # 4 h 2 min
        ({"hours": 168, "partition": "week"}, None),
        ({"hours": 200, "partition": "week"}, "asks for 200 hours, and partition week allows 168"),
        ({"hours": 200, "partition": "short,week"}, "partition short,week allows 168"),
        ({"hours": 9999, "partition": "free"}, None),
        ({"hours": 9999, "partition": "short,free"}, None),
        ({"hours": 1, "partition": "weak"}, "no partition weak; did you mean week?"),
        ({"hours": 1, "threads": 64}, None),
        ({"hours": 1, "threads": 65}, "asks for 65 threads, and partition short has nodes of 64"),
        ({"hours": 1, "threads": 64, "partition": "free,week"}, None),
        ({"hours": 200, "qos": "long"}, None),
        ({"hours": 200, "qos": "small"}, "partition short allows 4"),
    ],
)
def test_what_no_partition_would_ever_run_is_refused(
    fields: dict[str, Any], refused: str | None
) -> None:
    known = parse_policy(ASSOCIATIONS, QUALITIES, "lab\n")
    reason = never_run([("tokenizer", resources(**fields))], parse_partitions(PARTITIONS), known)
    assert (reason is None) is (refused is None)
    assert refused is None or (refused in str(reason) and "tokenizer" in str(reason))


def test_all_kinds_that_would_never_run_are_named() -> None:
    large, long = resources(hours=1, threads=65), resources(hours=200)
    asked = [
        ("generate", large),
        ("floor", resources(hours=1)),
        ("latents", large),
        ("train", long),
    ]
    reason = str(never_run(asked, parse_partitions(PARTITIONS), Policy()))
    assert reason.startswith("generate, latents: asks for 65 threads")
    assert "; train: asks for 200 hours" in reason
    assert "floor" not in reason


def test_a_silence_is_not_taken_for_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slurmdbd is back a moment later, and its limits count."""
    fake = Fake(tmp_path / "slurm", monkeypatch)
    limits.policy.cache_clear()
    fake.plays("sacctmgr", DOWN)
    with pytest.raises(SchedulerUnreachableError):
        limits.policy()
    assert limits.policy_or_default() == Policy()
    fake.plays("sacctmgr", '[[ $* == *qos* ]] && echo "normal|3||"; true')
    assert [limit.most for limit in limits.policy().limits] == [3]
    asked = len(fake.calls("sacctmgr"))
    assert limits.policy_or_default() == limits.policy()
    assert len(fake.calls("sacctmgr")) == asked
    limits.policy.cache_clear()


def test_what_an_admin_changes_is_seen_by_who_watches_for_days() -> None:
    now, answers = [0.0], iter([Cluster(1001), Cluster(5001)])
    ask = limits.Remembered(lambda: next(answers), lambda: now[0])
    assert [ask(), ask()] == [Cluster(1001)] * 2
    now[0] = 3600.0
    assert ask() == Cluster(5001)


@pytest.mark.parametrize(
    ("fields", "members"),
    [({"gpus": 1}, 8), ({"gpus": 3}, 2), ({"threads": 12}, 5), ({"memory_gb": 200}, 2),
     ({"gpus": 8, "threads": 64, "memory_gb": 500}, 1)],
)  # fmt: skip
def test_as_many_share_a_node_as_fit(fields: dict[str, int], members: int) -> None:
    node = Node(gpus=8, threads=64, memory_gb=500)
    assert members_per_task(resources(**fields), node) == members
    assert members_per_task(resources(**fields), None) == 1


def test_members_never_share_a_gpu() -> None:
    visible = ["4", "5", "6", "7"]
    shares = [gpu_share(visible, resources(gpus=2), member) for member in range(2)]
    assert shares == [["4", "5"], ["6", "7"]]
    assert gpu_share(visible, resources(), 1) == []
