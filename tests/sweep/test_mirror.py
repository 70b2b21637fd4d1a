"""`mirror`: each number once whatever is killed, and journals that are only ever read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from journalled import Lab, line
from stubbed import PACKAGES, wait_until

from sweep.mirror.copying import Mirror, alone
from sweep.mirror.run import Ended, Reader, Scalars, Score, Shown
from vitok_core.errors import UserError


def metric(step: int, value: float | str = 1.0, name: str = "loss") -> bytes:
    return line("metric", float(step), step=step, name=name, value=value)


class Kept:
    """A run kept in a file, a line for each thing shown, durable when it is closed."""

    def __init__(self, path: Path, breaks: bool) -> None:
        self.path = path
        self.file = path.open("x")
        self.breaks = breaks

    def show(self, what: Shown) -> None:
        if self.breaks and isinstance(what, Ended):
            raise RuntimeError("tracker broke")
        self.file.write(json.dumps([type(what).__name__, *what]) + "\n")

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> str:
        self.file.close()
        return self.path.name


class Files:
    name = "files"

    def __init__(self) -> None:
        self.breaks = False
        self.opened = 0

    def open(self, spec: Mapping[str, Any], out: Path) -> Kept:
        self.opened += 1
        return Kept(out / spec["id"], self.breaks)

    def remove(self, job: str, out: Path) -> None:
        (out / job).unlink(missing_ok=True)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path / "results")
    lab.job("a")
    return lab


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def tracker() -> Files:
    return Files()


def shown(out: Path, job: str = "a") -> list[list[Any]]:
    return [json.loads(text) for text in (out / job).read_text().splitlines()]


def steps(out: Path) -> list[int]:
    return [what[1] for what in shown(out) if what[0] == "Scalars"]


def test_what_a_reader_makes_of_records() -> None:
    raw = [
        metric(1), metric(1, 2.0, "psnr"), metric(2, "nan"), line("result", 3.0, name="rFID",
        value=4.0, protocol="x"), line("metric", 1.0, step="?", name=1), line("finished", 9.0),
    ]  # fmt: skip
    found = list(Reader().read(json.loads(each) for each in raw))
    assert found[0] == Scalars(1, 1.0, {"loss": 1.0, "psnr": 2.0})
    assert isinstance(found[1], Scalars)
    assert found[1].values["loss"] != found[1].values["loss"]  # not a number
    assert found[2:] == [Score("rFID", 4.0, "x", 2, 3.0), Ended("finished", 9.0)]


def test_a_second_look_takes_what_is_new_and_a_third_nothing(
    lab: Lab, out: Path, tracker: Files
) -> None:
    lab.write("a", 1, metric(1), metric(2)[:-4])  # torn
    assert Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=False) == 1
    assert steps(out) == [1]
    assert Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=False) == 0
    lab.write("a", 1, metric(2)[-4:], metric(3))
    assert Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=False) == 1
    assert steps(out) == [1, 2, 3]
    assert Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=False) == 0


def test_a_resumed_attempt_shows_no_step_twice(lab: Lab, out: Path, tracker: Files) -> None:
    lab.write("a", 1, *map(metric, range(1, 6)), line("preempted", 5.0))
    lab.write("a", 2, line("resumed", 6.0, step=2), *map(metric, range(3, 9)), line("finished"))
    Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=False)
    assert steps(out) == list(range(1, 9))


def test_a_killed_mirror_starts_again_without_duplicates(
    lab: Lab, out: Path, tracker: Files
) -> None:
    lab.write("a", 1, metric(1))
    killed = Mirror(lab.root, tracker, out, pytest.fail)
    killed.look(None, stay=True)
    lab.write("a", 1, metric(2))
    killed.look(None, stay=True)
    assert (steps(out), tracker.opened) == ([1, 2], 1)
    again = Mirror(lab.root, tracker, out, pytest.fail)  # nothing was noted of the open run
    again.look(None, stay=True)
    assert (steps(out), tracker.opened) == ([1, 2], 2)
    again.close()
    assert Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=True) == 0


def test_a_run_is_closed_with_its_job_and_opened_for_a_retry(
    lab: Lab, out: Path, tracker: Files
) -> None:
    copies = Mirror(lab.root, tracker, out, pytest.fail)
    lab.write("a", 1, metric(1), line("failed", 2.0))
    copies.look(None, stay=True)
    assert json.loads((out / "mirror.json").read_bytes())["jobs"].keys() == {"a"}
    lab.write("a", 2, metric(2), line("finished", 3.0))
    copies.look(None, stay=True)
    assert [what[0] for what in shown(out)] == ["Scalars", "Ended", "Scalars", "Ended"]


def test_a_broken_tracker_harms_one_run_and_no_journal(lab: Lab, out: Path, tracker: Files) -> None:
    journal = lab.write("a", 1, metric(1), line("finished", 2.0))
    lab.job("b")
    lab.write("b", 1, metric(1))
    before, said = journal.read_bytes(), list[str]()
    copies = Mirror(lab.root, tracker, out, said.append)
    tracker.breaks = True
    copies.look(None, stay=False)
    assert said == ["p16-c4-a: not mirrored: RuntimeError: tracker broke"]
    assert copies.refused == {"a"}
    assert [what[0] for what in shown(out, "b")] == ["Scalars"]
    tracker.breaks = False
    copies.look(None, stay=False)
    assert [what[0] for what in shown(out)] == ["Scalars", "Ended"]
    assert journal.read_bytes() == before
    assert not copies.refused


@pytest.mark.parametrize("notes", ["", "[]", '{"tracker": "files", "jobs": {"a": 1}}'])
def test_notes_of_nobody_are_refused(lab: Lab, out: Path, tracker: Files, notes: str) -> None:
    (out / "mirror.json").write_text(notes)
    with pytest.raises(UserError, match=r"mirror\.json: not a mirror's notes; remove the folder"):
        Mirror(lab.root, tracker, out, pytest.fail)


def test_one_folder_has_one_mirror_of_one_kind(lab: Lab, out: Path, tracker: Files) -> None:
    with alone(out), pytest.raises(UserError, match="another mirror writes there"), alone(out):
        pass
    lab.write("a", 1, metric(1))
    Mirror(lab.root, tracker, out, pytest.fail).look(None, stay=False)
    tracker.name = "others"
    with pytest.raises(UserError, match="mirrors to files"):
        Mirror(lab.root, tracker, out, pytest.fail)


def command(lab: Lab, *arguments: str) -> subprocess.Popen[str]:
    code = "from sweep.cli.app import main; main()"
    given = [sys.executable, "-c", code, "mirror", *arguments, "--results", str(lab.root.path)]
    path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        given, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )


def read_events(folder: Path) -> Iterator[tuple[int, str, float]]:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = loader.EventAccumulator(str(folder))
    events.Reload()
    for tag in events.Tags()["tensors"]:
        yield -1, tag, len(events.Tensors(tag))
    for tag in events.Tags()["scalars"]:
        yield from ((one.step, tag, one.value) for one in events.Scalars(tag))


def test_tensorboard_follows_and_is_stopped(lab: Lab) -> None:
    pytest.importorskip("tensorboard")
    lab.write("a", 1, metric(1, 0.5))
    folder = lab.root.mirrors / "tensorboard" / "p16-c4-a"
    process = command(lab, "tensorboard", "--follow", "--every", "0.1")
    wait_until(lambda: folder.exists() and any(folder.iterdir()))
    lab.write("a", 1, metric(2, 0.25), line("result", 3.0, name="rFID", value=4.0, protocol="x"))
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert (process.wait(30), "Traceback" in process.stderr.read()) == (0, False)  # type: ignore[union-attr]
    found = set(read_events(folder))
    assert {(1, "loss", 0.5), (2, "loss", 0.25), (2, "result/rFID", 4.0)} <= found
    assert command(lab, "tensorboard").wait(30) == 3
    lab.write("a", 1, metric(3, 0.125))
    assert command(lab, "tensorboard").wait(30) == 0
    assert len([one for one in read_events(folder) if one[1] == "loss"]) == 3


def test_a_folder_that_a_kill_left_empty_is_no_obstacle(lab: Lab) -> None:
    pytest.importorskip("tensorboard")
    lab.write("a", 1, metric(1))
    folder = lab.root.mirrors / "tensorboard" / "p16-c4-a"
    folder.mkdir(parents=True)
    assert command(lab, "tensorboard").wait(30) == 0
    assert (1, "loss", 1.0) in set(read_events(folder))
    lab.job("b").spec.write_text("[]")
    lab.write("b", 1, metric(1))
    assert command(lab, "tensorboard").wait(30) == 4, "one could not be written"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--every", "inf", "--follow"), "--every inf: expected seconds"),
        (("--out", "jobs/here"), "jobs live there; give the mirror a folder of its own"),
    ],
)
def test_what_is_refused(lab: Lab, arguments: tuple[str, ...], words: str) -> None:
    given = [str(lab.root.path / each) if "/" in each else each for each in arguments]
    process = command(lab, "tensorboard", *given)
    assert process.wait(30) == 2
    said = process.stderr.read()  # type: ignore[union-attr]
    assert said.startswith("error: ")
    assert words in said
    assert not any(lab.root.jobs.glob(".mirror*"))


@pytest.mark.slow
def test_wandb_writes_one_offline_run_for_each_job(lab: Lab) -> None:
    pytest.importorskip("wandb")
    lab.write("a", 1, metric(1, 0.5), metric(2, 0.25), line("preempted", 3.0))
    assert command(lab, "wandb").wait(60) == 0
    place = lab.root.mirrors / "wandb" / "wandb"
    (first,) = place.glob("offline-run-*-a")
    assert (first / "run-a.wandb").stat().st_size
    lab.write("a", 2, metric(2, 0.25), metric(3, 0.125), line("finished", 4.0))
    assert command(lab, "wandb").wait(60) == 0
    (second,) = place.glob("offline-run-*-a")
    assert history(second / "run-a.wandb") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert command(lab, "wandb").wait(60) == 3


def history(path: Path) -> list[tuple[int, float]]:
    """What `wandb sync` would send of the metric `loss`."""
    records = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    found = []
    for data in logged(path.read_bytes()):
        record = records.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = {
                (each.key or each.nested_key[0]): json.loads(each.value_json)
                for each in record.history.item
            }
            found.append((items["step"], items["loss"]))
    return found


def logged(data: bytes) -> Iterator[bytes]:
    """Records of a LevelDB log after W&B's header of 7 bytes: crc, length, type (1 whole, 2 first,
    4 last) and content, in blocks of 32 KiB."""
    at, part = 7, b""
    while at + 7 <= len(data):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield part
            part = b""
