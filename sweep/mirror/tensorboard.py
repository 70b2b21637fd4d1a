"""TensorBoard event files: a folder for each job, `<slug>-<id>`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from sweep.mirror.run import Ended, Scalars, Score, Shown, config_text

_FILE = "events.out.tfevents.0.vitok-sweep"
_FORMAT = "brain.Event:2"


class TensorBoard:
    """Makes event files; wall times are the journals'."""

    name = "tensorboard"

    def open(self, spec: Mapping[str, Any], out: Path) -> EventFile:
        return EventFile(spec, out / f"{spec['slug']}-{spec['id']}")

    def remove(self, job: str, out: Path) -> None:
        for folder in out.glob(f"*-{job}"):
            if (folder / _FILE).exists():
                shutil.rmtree(folder)
            else:  # empty: killed before it wrote, or between the two steps of a removal
                with suppress(OSError):
                    folder.rmdir()


class EventFile:
    """One job's events. The file's first event is dated as its first metric is: the same journals
    make the same bytes."""

    def __init__(self, spec: Mapping[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._writer = RecordWriter((folder / _FILE).open("wb"))
        self._write(Event(file_version=_FORMAT))
        self._text("job", f"```\n{config_text(spec)}\n```", 0, 0.0)

    def show(self, what: Shown) -> None:
        if isinstance(what, Scalars):
            found = [Summary.Value(tag=tag, simple_value=v) for tag, v in what.values.items()]
            self._write(Event(wall_time=what.t, step=what.step, summary=Summary(value=found)))
        elif isinstance(what, Score):
            one = Summary.Value(tag=f"result/{what.name}", simple_value=what.value)
            self._write(Event(wall_time=what.t, step=what.step, summary=Summary(value=[one])))
            self._text(f"protocol/{what.name}", what.protocol, what.step, what.t)
        elif isinstance(what, Ended):
            self._text("state", what.outcome, 0, what.t)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> str:
        self._writer.close()
        return self._folder.name

    def _text(self, tag: str, text: str, step: int, t: float) -> None:
        value = Summary.Value(
            tag=tag,
            metadata=create_summary_metadata(display_name=tag, description=""),
            tensor=make_tensor_proto([text.encode()]),
        )
        self._write(Event(wall_time=t, step=step, summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())
