"""`query`, `export`, `sync`, `db`: reading out changes nothing and loses nothing."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import polars
import pytest
import typer
from databases import Databases
from journalled import Lab, contents, line
from typer.testing import CliRunner, Result

from sweep.cli import storing
from vitok_core.errors import UserError


@pytest.fixture
def lab(tmp_path: Path, databases: Databases) -> Lab:
    lab = Lab(tmp_path / "results", databases.new())
    lab.job("a", kind="reconstruct", dataset="d", resolution=64)
    lab.job("b", kind="reconstruct", dataset="d", resolution=64)
    lab.sweep("demo", {"p1": ["a"], "p2": ["b"]})
    for job, value in (("a", 20.5), ("b", "nan")):
        lab.write(job, 1, line("metric", step=1, name="loss", value="inf"))
        lab.write(job, 1, line("result", name="psnr, dB", value=value, protocol='says "so"'))
        lab.write(job, 1, line("finished"))
    return lab


def run(lab: Lab, *arguments: str) -> Result:
    app = typer.Typer()
    storing.register(app)
    where = ["--results", str(lab.root.path), *(["--db", lab.db] if lab.db else [])]
    result = CliRunner().invoke(app, [*arguments, *where])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


SELECT = "SELECT point_id, metric, protocol, value FROM point_metrics ORDER BY 1"


def test_query_formats(lab: Lab) -> None:
    assert run(lab, "query", SELECT, "--format", "csv").stdout.splitlines() == [
        "point_id,metric,protocol,value",
        'p1,"psnr, dB","says ""so""",20.5',
        'p2,"psnr, dB","says ""so""",',
    ]
    for option in (("--json",), ("--format", "json")):
        assert json.loads(run(lab, "query", SELECT, *option).stdout)[1] == {
            "point_id": "p2", "metric": "psnr, dB", "protocol": 'says "so"', "value": None,
        }  # fmt: skip
    assert (
        json.loads(run(lab, "query", "SELECT value FROM curves", "--json").stdout)
        == [{"value": "inf"}] * 2
    )
    assert "20.5" in run(lab, "query", SELECT).stdout


_READ_ONLY = "queries cannot change the index"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM poits", "views: points"),
        ("SELECT 1; SELECT 2", "one statement|multiple commands"),
        ("SELECT 1; COMMIT; DELETE FROM metrics", "one statement|multiple commands"),
        ("DELETE FROM metrics", _READ_ONLY),
        ("DROP VIEW points", _READ_ONLY),
        ("INSERT INTO meta VALUES ('a', 'b')", _READ_ONLY),
        ("CREATE TABLE x (y INTEGER)", _READ_ONLY),
        ("", "returns no rows"),
    ],
)
def test_query_reads_only_and_errors_are_one_line(lab: Lab, sql: str, said: str) -> None:
    store = lab.synced()
    before = contents(store)
    with pytest.raises(UserError, match=said) as caught:
        run(lab, "query", sql)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert contents(store) == before


def test_query_takes_sql_as_it_stands(lab: Lab) -> None:
    percent = "SELECT point_id FROM point_metrics WHERE metric LIKE 'psnr%' AND value > 1"
    assert json.loads(run(lab, "query", percent, "--json").stdout) == [{"point_id": "p1"}]
    mean = 'SELECT AVG("L") AS mean, COUNT(*) AS n FROM points'
    assert json.loads(run(lab, "query", mean, "--json").stdout) == [{"mean": 16.0, "n": 2}]


def test_query_of_an_unknown_format(lab: Lab) -> None:
    with pytest.raises(UserError, match="expected table, csv or json"):
        run(lab, "query", SELECT, "--format", "xml")


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_export_gives_the_views_in_every_format(lab: Lab, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    printed = run(lab, "export", "--format", form, "--out", str(out)).stdout.split()
    assert {Path(path).stem for path in printed} == {
        "points", "point_metrics", "curves", "sweep_members",
    }  # fmt: skip
    read = {"parquet": polars.read_parquet, "csv": polars.read_csv, "json": polars.read_json}[form]
    frame = read(out / f"point_metrics.{form}")
    assert frame["value"].to_list() == [20.5, None]
    assert frame["eval_E"].to_list() == [64, 64]
    assert read(out / f"points.{form}").shape == (2, 17)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_export_types_do_not_hang_on_the_rows(lab: Lab, tmp_path: Path) -> None:
    empty = Lab(tmp_path / "empty")
    for each, out in ((lab, "full"), (empty, "none")):
        run(each, "export", "--out", str(tmp_path / out))
    for view in ("points", "point_metrics", "curves"):
        full = polars.read_parquet(tmp_path / "full" / f"{view}.parquet")
        assert polars.read_parquet(tmp_path / "none" / f"{view}.parquet").schema == full.schema


def test_export_overwrites_only_when_asked(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(lab, "export", "--view", "points", "--format", "csv", "--out", str(out))
    (out / "points.csv").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        run(lab, "export", "--format", "csv", "--out", str(out))
    assert [path.name for path in out.iterdir()] == ["points.csv"]  # nothing beside it either
    assert (out / "points.csv").read_text() == "mine"
    run(lab, "export", "--format", "csv", "--out", str(out), "--overwrite")
    assert (out / "points.csv").read_text().startswith("point_id,")


@pytest.mark.parametrize("arguments", [("--view", "pints"), ("--format", "xlsx")])
def test_export_of_unknown_things(lab: Lab, arguments: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="there are: "):
        run(lab, "export", *arguments)
    assert not (lab.root.path / "export").exists()


def test_export_onto_a_full_disk_leaves_nothing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(frame: polars.DataFrame, path: Path, form: str) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sweep.store.export._write", full)
    (tmp_path / "mine").mkdir()
    for out in ("new/below", "mine"):
        with pytest.raises(UserError, match="No space left on device"):
            run(lab, "export", "--out", str(tmp_path / out))
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "mine").iterdir()) == []


def test_export_into_a_file(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file"):
        run(lab, "export", "--out", str(tmp_path / "file" / "below"))


def test_db_commands_and_their_codes(lab: Lab) -> None:
    assert run(lab, "sync").exit_code == 0
    assert run(lab, "db", "check").exit_code == 0
    (lab.folder("a").journals / "1.jsonl").unlink()
    result = run(lab, "db", "check")
    assert result.exit_code == 1
    assert "only in the index" in result.stdout
    assert run(lab, "db", "rebuild").exit_code == 0
    assert run(lab, "db", "check").exit_code == 0


@pytest.mark.parametrize("command", [("sync",), ("db", "check"), ("db", "rebuild"), ("export",)])
def test_commands_that_write_need_a_root(tmp_path: Path, command: tuple[str, ...]) -> None:
    missing = Lab(tmp_path / "x")
    missing.root.path.rmdir()
    with pytest.raises(UserError, match="no such results root"):
        run(missing, *command)
    assert not missing.root.path.exists()
