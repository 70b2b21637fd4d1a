"""What a site file says of its cluster: resources, Slurm, the database."""

from __future__ import annotations

from pathlib import Path

import pytest
from stubbed import Bench
from sweepfiles import SMALL, replaced, write

from sweep import site
from sweep.model import Resources
from sweep.planning.plan import plan_file
from sweep.site import Site
from sweep.spec.problems import SpecError

CLUSTER = """\
resources:
  default: {partition: gpu, account: lab, hours: 12, setup: [module load cuda], threads: 4}
  tokenizer: {gpus: 1, hours: 48, container: apptainer exec --nv $IMAGE}
slurm:
  throttle: 64
  node: {gpus: 8, threads: 96, memory_gb: 1000}
  options: {mail-type: FAIL, exclude: n7, nice: 100}
"""


def read(folder: Path, text: str) -> Site:
    return site.load(Path(write(folder, text, "site.yaml")))


def resources_of(found: Site, file: str) -> dict[str, Resources]:
    return {job.kind: job.resources for job in found.equip(plan_file(file)).jobs}


def test_resources_fill_what_the_sweep_file_leaves_open(tmp_path: Path) -> None:
    text = SMALL + "resources: {default: {threads: 2}, tokenizer: {hours: 3}}\n"
    given = resources_of(read(tmp_path, CLUSTER), write(tmp_path, text))
    tokenizer = given["tokenizer"]
    assert (tokenizer.threads, tokenizer.hours) == (2, 3)  # the sweep file's, wherever it says so
    assert (tokenizer.partition, tokenizer.account, tokenizer.gpus) == ("gpu", "lab", 1)
    assert tokenizer.setup == ("module load cuda",)
    assert tokenizer.container == "apptainer exec --nv $IMAGE"  # for the shell of the job
    assert tokenizer.memory_gb == Resources.model_validate({}).memory_gb  # nobody says: built in


def test_a_kind_of_the_site_goes_before_its_default(tmp_path: Path) -> None:
    text = SMALL + "  - floor: [photos-tune]\n"
    given = resources_of(read(tmp_path, CLUSTER), write(tmp_path, text))
    assert given["tokenizer"].hours == 48
    assert (given["floor"].hours, given["floor"].gpus) == (12, 0)


def test_an_axis_over_resources_stays_the_sweep_files(tmp_path: Path) -> None:
    axes = "axes:\n  tokenizer.patch: [8, 16]\n  tokenizer.channels: [4, 8]\n"
    zipped = "zip:\n  tokenizer.patch: [8, 16]\n  resources.tokenizer.threads: [1, 2]\n"
    text = replaced(axes, zipped).replace("{size: T-T}", "{size: T-T, channels: 4}")
    made = read(tmp_path, CLUSTER).equip(plan_file(write(tmp_path, text)))
    assert [job.resources.threads for job in made.jobs] == [1, 2]


def test_null_gives_a_field_back_to_the_cluster(tmp_path: Path) -> None:
    text = SMALL + "resources: {default: {partition: null}}\n"
    given = resources_of(read(tmp_path, CLUSTER), write(tmp_path, text))
    assert (given["tokenizer"].partition, given["tokenizer"].account) == (None, "lab")


def test_equipping_changes_no_job(tmp_path: Path) -> None:
    plan = plan_file(write(tmp_path, SMALL))
    equipped = read(tmp_path, CLUSTER).equip(plan)
    assert [job.id for job in equipped.jobs] == [job.id for job in plan.jobs]
    assert Site().equip(plan) == plan


def test_slurm_settings(tmp_path: Path) -> None:
    slurm = read(tmp_path, CLUSTER).slurm
    assert (slurm.throttle, slurm.signal_seconds) == (64, 90)
    assert slurm.node is not None
    assert (slurm.node.gpus, slurm.node.threads) == (8, 96)
    assert slurm.options == {"mail-type": "FAIL", "exclude": "n7", "nice": 100}


def test_the_database_is_the_default_of_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "pass word")
    found = read(tmp_path, "db: postgresql+psycopg://lab:$SECRET@h/vitok\n")
    assert found.database(None) == "postgresql+psycopg://lab:pass word@h/vitok"
    assert found.database("sqlite:///x.db") == "sqlite:///x.db"
    assert "pass word" not in repr(found)
    assert read(tmp_path, "db: sqlite:///index/r.db\n").db == f"sqlite:///{tmp_path}/index/r.db"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "resources: {defalt: {}}",
            "1: resources: unknown job kind 'defalt'; did you mean default",
        ),
        (
            "resources:\n  floor:\n    gpu: 1",
            "3: resources.floor.gpu: unknown field 'gpu'; did you",
        ),
        (
            "resources: {default: {hours: 0}}",
            "1: resources.default.hours: expected a number, above",
        ),
        (
            "resources: {default: {gpus: true}}",
            "resources.default.gpus: expected a whole number, a",
        ),
        (
            "resources: {default: {setup: ls}}",
            "resources.default.setup: expected a list, each text",
        ),
        ("resources: [1]", "1: resources: expected a mapping, got [1]"),
        (
            "slurm: {throtle: 1}",
            "1: slurm.throtle: unknown field 'throtle'; did you mean throttle?",
        ),
        (
            "slurm:\n  node: {gpus: 8, threads: 4}",
            "2: slurm.node.memory_gb: missing: expected a num",
        ),
        ("slurm: {node: 8}", "1: slurm.node: expected a mapping, got 8"),
        ("slurm: {options: {nice: [1]}}", "1: slurm.options.nice: expected text, a whole number"),
        (
            'slurm:\n  options: {comment: "a\\ntouch x"}',
            "2: slurm.options.comment: expected text without control characters, got 'a\\ntouch x'",
        ),
        (
            'slurm: {options: {"nice\\ntouch x": 1}}',
            "1: slurm.options: expected the name of an sbatch option, got 'nice\\ntouch x'",
        ),
        (
            'resources: {default: {qos: "a b"}}',
            "1: resources.default.qos: expected one word, without spaces or control characters",
        ),
        ("slurm: {options: [1]}", "1: slurm.options: expected a mapping, got [1]"),
        ("db: results.db", "1: db: expected a database URL: sqlite:////"),
    ],
)
def test_mistakes_have_a_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text + "\n")
    assert len(str(caught.value).splitlines()) == 1
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["partition", "account", "qos", "gres", "constraint"])
@pytest.mark.parametrize("bad", ["gpu\\ntouch x", "gpu x", "gpu\\r", "gpu\\u0085x", "", "gpu\\n"])
def test_a_sweep_file_gives_the_script_no_second_line(tmp_path: Path, name: str, bad: str) -> None:
    file = write(tmp_path, SMALL + f'resources:\n  tokenizer:\n    {name}: "{bad}"\n')
    with pytest.raises(SpecError) as caught:
        plan_file(file)
    (line,) = str(caught.value).splitlines()
    where = f"sweep.yaml:{len(SMALL.splitlines()) + 3}: resources.tokenizer.{name}: "
    assert f"{where}expected one word, without spaces or control characters" in line


def test_words_of_a_cluster_may_have_signs(tmp_path: Path) -> None:
    text = "resources: {tokenizer: {constraint: '[a100|h100*2]&(nvlink),x=1', gres: 'gpu:a100:1'}}"
    (job, *_) = plan_file(write(tmp_path, f"{SMALL}{text}\n")).jobs
    assert job.resources.constraint == "[a100|h100*2]&(nvlink),x=1"
    assert job.resources.gres == "gpu:a100:1"


def test_a_password_is_never_said(tmp_path: Path) -> None:
    for url in ("postgers://lab:secret@h/x", "postgresql:lab:secret@h"):
        with pytest.raises(SpecError) as caught:
            read(tmp_path, f"db: {url}\n")
        assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_every_command_takes_the_sites_database(bench: Bench, tmp_path: Path) -> None:
    index = tmp_path / "local disk" / "index.db"
    index.parent.mkdir()
    text = f"scheduler: inline\ndb: sqlite:///{index}\n"
    here = {"VITOK_SITE": write(tmp_path, text, "site.yaml")}
    file = bench.sweep(chain=True)
    assert bench.cli("launch", file, **here).returncode == 0
    for command in (["status"], ["plan", file], ["sync"], ["db", "check"], ["db", "rebuild"]):
        assert bench.cli(*command, **here).returncode == 0, command
    assert index.exists()
    assert not (bench.root.path / "results.db").exists()
    other = f"sqlite:///{tmp_path}/other.db"
    assert bench.cli("sync", VITOK_DB=other, **here).returncode == 0
    assert (tmp_path / "other.db").exists()
