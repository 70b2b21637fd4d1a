"""The tables of the index. Columns are described in docs/records.md; raise VERSION with any change.

Plain SQL that SQLite and PostgreSQL share. A row that came from one journal line is identified by
that line's byte offset (`at`): the database itself refuses to take a line twice. There are few
foreign keys on purpose: a journal is taken in even when a parent or a job.json is damaged or late.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 4

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

# One row per file that was read: journals by the offset after their last complete line, job.json
# and claims by their size.
offsets = Table(
    "offsets",
    metadata,
    Column("path", String, primary_key=True),  # below the results root, with "/"
    Column("offset", BigInteger, nullable=False),
)


def _registrations(name: str, column: Column) -> Table:  # type: ignore[type-arg]
    """What launchers register under names, of which the newest counts; its rows are elsewhere."""
    return Table(
        name,
        metadata,
        Column("registration", String, primary_key=True),  # "<launch>@<byte offset>"
        Column("launch", String, nullable=False),
        Column("uid", String, nullable=False),
        Column("name", String, nullable=False),
        Column("t", Float, nullable=False),
        Column("file", Text),
        column,
    )


sweeps = _registrations("sweeps", Column("document", Text))  # the resolved file, JSON

sweep_points = Table(
    "sweep_points",
    metadata,
    Column("registration", ForeignKey(sweeps.c.registration), primary_key=True),
    Column("position", Integer, primary_key=True),  # in the file's order, from 0
    Column("point_id", String, nullable=False, index=True),
    Column("config_id", String),
    Column("seed", BigInteger),
    Column("slug", String),
    Column("variant", String),
    Column("encoder", String),
    Column("decoder", String),
    Column("p", BigInteger),
    Column("q", BigInteger),
    Column("c", BigInteger),
    Column("L", BigInteger),
    Column("E", BigInteger),
    Column("resolution", BigInteger),
    Column("frames", BigInteger),
    Column("pixels_per_channel", Float),
    Column("params_m", Float),
    Column("gflops", Float),
)

sweep_jobs = Table(
    "sweep_jobs",
    metadata,
    Column("registration", ForeignKey(sweeps.c.registration), primary_key=True),
    Column("point_id", String, primary_key=True),
    Column("job_id", String, primary_key=True, index=True),
    Column("position", Integer, nullable=False),  # in the file's order, from 0
)

# What a registration calls its jobs: all that is known of one that was never launched.
registered_jobs = Table(
    "registered_jobs",
    metadata,
    Column("registration", ForeignKey(sweeps.c.registration), primary_key=True),
    Column("job_id", String, primary_key=True, index=True),
    Column("kind", String, nullable=False),
    Column("slug", String, nullable=False),
    Column("parents", Text, nullable=False),  # ids, a JSON list
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("revision", BigInteger),
    Column("slug", String, nullable=False),
    Column("folder", Text, nullable=False),  # below the results root
    Column("config", Text, nullable=False),  # canonical, JSON
    Column("dataset", String),  # these six are read out of config
    Column("cfg_scale", Float),
    Column("resolution", BigInteger),
    Column("frames", BigInteger),
    Column("length", BigInteger),  # latent tokens kept at evaluation, where the config says
    Column("step", BigInteger),  # the milestone that is scored; NULL: the final weights
)

edges = Table(
    "edges",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("parent_id", String, nullable=False, index=True),
)

claims = Table(
    "claims",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("claim", BigInteger, primary_key=True),
    Column("t", Float),  # NULL, as all below, while the claim's file is incomplete
    Column("submission", String),
    Column("scheduler", String),
    Column("host", String),
    Column("launch", String),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("attempt", BigInteger, primary_key=True),
    Column("started", Float),
    Column("host", String),
    Column("pid", BigInteger),
    Column("pid_start", Float),
    Column("scheduler", String),
    Column("scheduler_id", String),
    Column("submission", String),
    Column("code", String),
    Column("packages", Text),  # JSON
    Column("device", String),
    Column("threads", BigInteger),
    Column("precision", String),
    Column("resumed_step", BigInteger),
    Column("resumed_path", Text),
    Column("last_t", Float),
    Column("last_step", BigInteger),  # the highest step of a metric
    Column("progress_done", Float),
    Column("progress_total", Float),
    Column("progress_unit", String),
    Column("progress_t", Float),
    Column("progress_first_done", Float),  # the first record of this unit: what a rate starts from
    Column("progress_first_t", Float),
    Column("outcome", String),  # finished, failed, preempted; NULL: no end record
    Column("ended", Float),
    Column("seconds", Float),
    Column("error_class", String),
    Column("message", Text),
    Column("traceback", Text),
    Column("user_error", Integer),  # 0 or 1
    Column("preempted_step", BigInteger),
    Column("adopted", Text),  # where its weights come from, JSON; NULL: they were trained here
    Column("shown_to", BigInteger),  # steps above are hidden from `curves`; NULL: all are shown
)


def _lines(name: str, *columns: Column) -> Table:  # type: ignore[type-arg]
    """A table of journal lines, stored in the order of its key where the database can."""
    return Table(
        name,
        metadata,
        Column("job_id", String, primary_key=True),
        Column("attempt", BigInteger, primary_key=True),
        Column("at", BigInteger, primary_key=True),  # the line's byte offset in its journal
        Column("t", Float),
        *columns,
        sqlite_with_rowid=False,
    )


metrics = _lines(
    "metrics",
    Column("step", BigInteger, nullable=False),
    Column("name", String, nullable=False),
    Column("value", Float),  # NULL: not a number
)
results = _lines(
    "results",
    Column("name", String, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("value", Float),  # NULL: not a number
)
artifacts = _lines(
    "artifacts",
    Column("path", Text, nullable=False),
    Column("kind", String),
    Column("bytes", BigInteger),
)
checkpoints = _lines(
    "checkpoints",
    Column("step", BigInteger),
    Column("path", Text, nullable=False),
    Column("sha256", String),
)
data_sets = _lines(
    "data_sets",
    Column("name", String, nullable=False),
    Column("version", String),
    Column("fingerprint", String),
)

launcher_events = Table(
    "launcher_events",
    metadata,
    Column("launch", String, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("event", String, nullable=False),
    Column("t", Float, nullable=False),
    Column("job_id", String),
    Column("claim", BigInteger),
    Column("submission", String),
    Column("scheduler", String),
    Column("scheduler_id", String),
    Column("record", Text),  # the whole record, JSON; NULL for `sweep`, `import`
)

imports = _registrations("imports", Column("sha256", String))  # of the file

# Numbers of other people's runs, one a row; columns as in `points` and `point_metrics`.
imported = Table(
    "imported",
    metadata,
    Column("registration", ForeignKey(imports.c.registration), primary_key=True),
    Column("position", Integer, primary_key=True),  # in the table's order, from 0
    Column("point_id", String, nullable=False),
    Column("config_id", String, nullable=False),
    Column("seed", BigInteger),
    Column("slug", String),
    Column("variant", String),
    Column("encoder", String),
    Column("decoder", String),
    Column("p", BigInteger, nullable=False),
    Column("q", BigInteger, nullable=False),
    Column("c", BigInteger, nullable=False),
    Column("L", BigInteger, nullable=False),
    Column("E", BigInteger, nullable=False),
    Column("resolution", BigInteger, nullable=False),
    Column("frames", BigInteger, nullable=False),
    Column("pixels_per_channel", Float, nullable=False),
    Column("params_m", Float),
    Column("gflops", Float),
    Column("kind", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("cfg_scale", Float),
    Column("metric", String, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("value", Float),  # NULL: not a number
)

Index("launcher_events_event", launcher_events.c.event)
Index("launcher_events_submission", launcher_events.c.submission)
Index("results_name", results.c.name)
