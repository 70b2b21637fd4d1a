"""`import`: what a table may say, what is refused, and that the index can be made anew."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from journalled import Lab, line, rows
from stubbed import Bench

from sweep.importing import Imported, read_table
from sweep.store.check import check
from vitok_core.errors import UserError

TABLE = """\
name,variant,c,E,seed,dataset,protocol,rFID,rFID protocol,rPSNR,lr
one,S-B/16,16,4096,0,coco2017-val,N=5000,1.5,torch-fidelity N=5000,26.5,0.1
two,S-B/16,16,4096,1,coco2017-val,N=5000,1.6,,nan,0.1
"""


def read(folder: Path, text: str, name: str = "theirs", **options: Any) -> Imported:
    (folder / "t.csv").write_text(text)
    return read_table(folder / "t.csv", name, **options)


def test_a_table_becomes_numbers_with_their_sizes(tmp_path: Path) -> None:
    made = read(tmp_path, TABLE)
    assert made.unread == ("lr",)
    assert made.sha256 == hashlib.sha256((tmp_path / "t.csv").read_bytes()).hexdigest()
    told = [(row["slug"], row["metric"], row["value"], row["protocol"]) for row in made.rows]
    assert told == [
        ("one", "rFID", 1.5, "torch-fidelity N=5000"),
        ("one", "rPSNR", 26.5, "N=5000"),
        ("two", "rFID", 1.6, "N=5000"),
    ]
    first = made.rows[0]
    assert (first["p"], first["q"], first["L"], first["resolution"]) == (16, 1, 256, 256)
    # Table 3 of the paper: S-B/16 has 129.0 M parameters and 34.8 GFLOPs.
    assert (round(first["params_m"], 1), round(first["gflops"], 1)) == (129.0, 34.8)
    assert first["pixels_per_channel"] == 48
    assert first["config_id"] == made.rows[2]["config_id"]  # seeds of one configuration
    assert first["point_id"] != made.rows[2]["point_id"]


@pytest.mark.parametrize(
    ("head", "cells", "sizes"),
    [
        ("p,c,resolution", "8,4,64", (8, 1, 4, 64, 256, 64, 1)),
        ("patch,channels,L", "8,4,64", (8, 1, 4, 64, 256, 64, 1)),
        ("p,q,c,frames,E", "16,4,16,16,16384", (16, 4, 16, 1024, 16384, 256, 16)),
        ("p,c,L,resolution", "16,16,32,256", (16, 1, 16, 32, 512, 256, 1)),  # a latent code
    ],
)
def test_sizes_follow_from_each_other(
    tmp_path: Path, head: str, cells: str, sizes: tuple[int, ...]
) -> None:
    made = read(tmp_path, f"{head},rFID\n{cells},2\n", dataset="d", protocol="x")
    names = ("p", "q", "c", "L", "E", "resolution", "frames")
    assert tuple(made.rows[0][name] for name in names) == sizes


def test_a_guidance_scale_is_of_what_was_generated(tmp_path: Path) -> None:
    text = "p,c,resolution,cfg,rFID,gFID\n8,4,64,1.5,2,3\n8,4,64,,2,4\n8,8,64,1.5,2,5\n"
    made = read(tmp_path, text, dataset="d", protocol="x")
    assert [(row["c"], row["metric"], row["cfg_scale"]) for row in made.rows] == [
        (4, "rFID", None), (4, "gFID", 1.5), (4, "gFID", None), (8, "rFID", None), (8, "gFID", 1.5),
    ]  # fmt: skip


def test_what_a_latent_code_costs_is_not_guessed(tmp_path: Path) -> None:
    """Its towers see more tokens than it has."""
    text = "variant,c,L,resolution,rFID\nS-B/16,16,256,256,2\nS-B/16,16,64,256,2\n"
    simple, latent = read(tmp_path, text, dataset="d", protocol="x").rows
    assert (round(simple["params_m"], 1), latent["params_m"], latent["gflops"]) == (129, None, None)


def test_seeds_of_one_configuration_alone_are_one(tmp_path: Path) -> None:
    text = "p,c,resolution,seed,rFID\n8,4,64,0,2\n8,4,64,1,2\n8,8,64,0,2\n16,4,64,0,2\n8,4,64,,2\n"
    made = read(tmp_path, text, dataset="d", protocol="x")
    names = [row["config_id"] for row in made.rows]
    assert names[0] == names[1]
    assert len(set(names)) == 4, "without a seed a run is on its own"


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    text = "p,c,resolution,val/fid,g\n8,4,64,2,3\n"
    given = {"dataset": "d", "protocol": "x"}
    made = read(tmp_path, text, metrics=["val/fid=rFID", "g=gFID"], **given)
    assert [(row["metric"], row["kind"]) for row in made.rows] == [
        ("rFID", "reconstruct"), ("gFID", "generate"),
    ]  # fmt: skip
    with pytest.raises(UserError, match="no column is called as metrics"):
        read(tmp_path, text, **given)
    with pytest.raises(UserError, match="has no column 'val/fidd'; did you mean val/fid"):
        read(tmp_path, text, metrics=["val/fidd=rFID"], **given)
    with pytest.raises(UserError, match="g=rFID: another column is rFID already"):
        read(tmp_path, text, metrics=["val/fid=rFID", "g=rFID"], **given)
    with pytest.raises(UserError, match="g=: expected COLUMN or COLUMN=NAME"):
        read(tmp_path, text, metrics=["g="], **given)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p,c,resolution,rFID\n8,4,64,2\n", r"t\.csv:2: rFID has no protocol: add a column"),
        ("p,c,resolution,rFID,protocol\n8,4,64,2,x\n", "rFID has no dataset"),
        ("p,c,resolution,rFID\n8,x,64,2\n", r":2: c: expected a whole number above 0, got 'x'"),
        ("p,c,resolution,rFID\n8,4,64,good\n", r"rFID: expected a number, got 'good'"),
        ("p,c,rFID\n8,4,2\n", "one of E, L and resolution is needed"),
        ("c,E,rFID\n4,256,2\n", "p and c are needed"),
        ("p,c,resolution,rFID\n16,4,250,2\n", "p 16, q 1 do not divide resolution 250"),
        ("p,q,c,resolution,rFID\n16,4,4,64,2\n", "p 16, q 4 do not divide .* 1 frames"),
        ("p,c,E,L,rFID\n8,4,256,65,2\n", "L is 65, and 64 by the other columns"),
        ("p,c,E,rFID\n8,4,255,2\n", "E 255 is no multiple of c 4"),
        ("p,variant,c,E,rFID\n8,S-B/16,4,256,2\n", "p is 8, and 16 by"),
        ("variant,c,E,rFID\nSB16,4,256,2\n", "is not a variant such as"),
        ("p,c,E,rFID,rFID\n8,4,256,2,2\n", "two columns are called rFID"),
        ("p,c,E,rFID\n", "a line for each run"),
        ("p,c,E,rFID\n8,4,256,\n", "no row has a value of rFID"),
        ('p,c\n"8,4\n', "not CSV"),
        (
            "p,c,E,rFID\n8,4,256,1,23\n",
            ":2: expected 4 cells, as in the first line, got 5; a comma",
        ),
        ("p,c,E,rFID,rPSNR\n8,4,256,2\n", "expected 5 cells, as in the first line, got 4"),
        ("p,q,c,E,rFID\n8,0,4,256,2\n", "q: expected a whole number above 0, got '0'$"),
        ("p,c,resolution,rFID\n16,4,100,2\n", "resolution 100, 1 frames: no multiples of p 16"),
        ("p,c,resolution,rFID\n1,8,9e15,2\n", "expected a tokenizer's sizes"),
        ("variant,c,E,rFID\nS-B/99999999999999999999,4,256,2\n", "expected a tokenizer's sizes"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    given = {} if "has no" in words else {"dataset": "d", "protocol": "x"}
    with pytest.raises(UserError, match=words):
        read(tmp_path, text, **given)


def test_names_are_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected letters, digits"):
        read(tmp_path, TABLE, name="a b")
    with pytest.raises(UserError, match="--as paper: figures call other numbers so"):
        read(tmp_path, TABLE, name="paper")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_what_is_not_utf8_is_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE.replace("one", "M\u00fcller").encode(encoding))
    with pytest.raises(UserError, match=r"t\.csv: byte \d+ is not UTF-8; save the table"):
        read_table(tmp_path / "t.csv", "theirs")


def test_as_typed_again_and_rebuilt(bench: Bench) -> None:
    table = bench.root.path.parent / "t.csv"
    table.write_text(TABLE)
    done = bench.cli("import", str(table), "--as", "theirs")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "theirs: 2 runs, 3 numbers" in done.stderr
    assert "columns that say nothing here: lr" in done.stderr
    asked = "SELECT source, slug, metric, value FROM external_metrics ORDER BY slug, metric"
    found = json.loads(bench.cli("query", asked, "--json").stdout)
    assert [tuple(row.values()) for row in found] == [
        ("theirs", "one", "rFID", 1.5), ("theirs", "one", "rPSNR", 26.5),
        ("theirs", "two", "rFID", 1.6),
    ]  # fmt: skip
    table.write_text("\n".join(TABLE.splitlines()[:2]) + "\n")
    assert bench.cli("import", str(table), "--as", "theirs").returncode == 0
    assert len(json.loads(bench.cli("query", asked, "--json").stdout)) == 2  # the newest counts
    assert bench.cli("db", "check").returncode == 0
    assert bench.cli("db", "rebuild").returncode == 0
    assert len(json.loads(bench.cli("query", asked, "--json").stdout)) == 2
    assert json.loads(bench.cli("query", "SELECT * FROM points", "--json").stdout) == []
    bad = bench.cli("import", str(table), "--as", "theirs", "--metric", "nosuch")
    assert (bad.returncode, len(list(bench.root.launches.iterdir()))) == (2, 2)


def test_a_broken_record_is_taken_in_whole_or_not_at_all(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "results")
    (tmp_path / "t.csv").write_text(TABLE)
    good = read_table(tmp_path / "t.csv", "theirs").record()
    bad = {**good, "name": "bad", "rows": [*good["rows"], {**good["rows"][0], "p": "x"}]}
    lab.launch("u", line("import", 1.0, uid="u", **bad), line("import", 2.0, uid="u", **good))
    store = lab.synced()
    assert rows(store, "SELECT name FROM imports") == [("theirs",)]
    assert rows(store, "SELECT COUNT(*) FROM imported") == [(3,)]
    assert not check(store, lab.root)
