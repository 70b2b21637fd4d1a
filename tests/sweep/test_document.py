"""YAML with line numbers, extends, --set, and finding sweep files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sweepfiles import SMALL, write

from sweep.spec.document import find, is_sweep_file, known_names, load, packaged_sweeps
from sweep.spec.problems import SpecError
from sweep.spec.yamlfile import parse


def plain(text: str) -> Any:
    return parse(text, "file").plain()


keys = st.text("abcxyz.", min_size=1, max_size=6)
leaves = st.integers(-1000, 1000) | st.booleans() | st.none() | st.text("ab c", max_size=5)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)


@given(st.dictionaries(keys, trees, min_size=1, max_size=5), st.booleans())
def test_reads_what_pyyaml_writes(tree: dict[str, Any], flow: bool) -> None:
    assert plain(yaml.safe_dump(tree, default_flow_style=flow)) == tree


def test_every_value_knows_its_line() -> None:
    top = parse("a: 1\nb:\n  c: [x,\n    y]\n  d:\n    e: 2\n", "f.yaml")
    b = top.value["b"]
    assert str(top.value["a"].mark) == "f.yaml:1"
    assert b.mark.line == 2, "a mapping is where its key is"
    assert [item.mark.line for item in b.value["c"].value] == [3, 4]
    assert b.value["d"].value["e"].mark.line == 6


def test_a_quoted_number_stays_text() -> None:
    assert plain("a: '20k'\nb: \"1\"\nc: 20k\n") == {"a": "20k", "b": "1", "c": 20_000}


def test_aliases_are_values_at_the_place_of_use() -> None:
    top = parse("a: &x [1, 2]\nb: *x\n", "f")
    assert top.plain() == {"a": [1, 2], "b": [1, 2]}
    assert top.value["b"].mark.line == 2


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "f.yaml"
    path.write_bytes(data)
    with contextlib.suppress(SpecError):
        load(str(path))


@given(st.text("[]{}:,-&*!#'\"|> \n\tab1", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(SpecError):
        parse(text, "f")


def test_extends_merges_mappings_and_replaces_lists(tmp_path: Path) -> None:
    write(tmp_path, "train: {steps: 1, batch: 2}\nseeds: [0, 1]\n", "low.yaml")
    write(tmp_path, "train: {steps: 10}\nloss: {kl: 1}\n", "parts/high.yaml")
    top = "extends: [low.yaml, parts/high.yaml]\ntrain: {batch: 20}\nseeds: [5]\n"
    document = load(write(tmp_path, top))
    assert document.root.plain() == {
        "train": {"steps": 10, "batch": 20},
        "seeds": [5],
        "loss": {"kl": 1},
    }
    marks = {name: node.mark for name, node in document.root.value["train"].value.items()}
    assert marks["steps"].place.endswith("high.yaml")
    assert marks["batch"].place.endswith("sweep.yaml")
    assert len(document.files) == 3


def test_a_base_may_be_extended_twice_but_not_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "loss: {kl: 1}\n", "base.yaml")
    write(tmp_path, "extends: base.yaml\n", "a.yaml")
    write(tmp_path, "extends: base.yaml\n", "b.yaml")
    assert load(write(tmp_path, "extends: [a.yaml, b.yaml]\n")).root.plain() == {"loss": {"kl": 1}}
    write(tmp_path, "extends: a.yaml\n", "base.yaml")
    with pytest.raises(SpecError, match="a cycle"):
        load(str(tmp_path / "sweep.yaml"))


def test_many_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    for n in range(40):
        write(tmp_path, f"extends: f{n + 1}.yaml\n", f"f{n}.yaml")
    with pytest.raises(SpecError, match="more than 32 files"):
        load(str(tmp_path / "f0.yaml"))


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml", "sweeps/quickstart.yaml"])
def test_packaged_sweeps_are_found_from_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(name) == packaged_sweeps() / "quickstart.yaml"
    assert is_sweep_file(name)
    assert load(name).name == "quickstart"


def test_a_file_here_comes_before_a_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SMALL, "sweeps/quickstart.yaml")
    assert load("sweeps/quickstart.yaml").root.value["data"].value["name"].value == "photos-train"
    assert find("sweeps/quickstart.yaml").resolve().parent.parent == tmp_path


@pytest.mark.parametrize("name", ["quickstrat", "sweeps/quikstart.yaml", "quickstart.yml"])
def test_a_missing_file_gets_the_nearest_name(name: str) -> None:
    with pytest.raises(SpecError, match="did you mean quickstart"):
        load(name)


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "é" * 200, "no/such/../thing"])
def test_odd_names_are_no_files(name: str) -> None:
    with pytest.raises(SpecError):
        load(name)


def test_known_names_leave_the_protocols_out() -> None:
    assert "quickstart" in known_names()
    assert not [name for name in known_names() if "protocol" in name]


def test_a_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is a directory"):
        load(str(tmp_path))


def test_a_file_of_a_megabyte_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="larger than 1,000,000 bytes"):
        load(write(tmp_path, "#" * 1_000_001))


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("train.steps=20k", ("train", "steps"), 20_000),
        ("train.betas=[0.9, 0.99]", ("train", "betas"), [0.9, 0.99]),
        ("train.clip_norm=null", ("train", "clip_norm"), None),
        ("seeds=0..2", ("seeds",), "0..2"),
        ("loss.kl=1e-4", ("loss", "kl"), 1e-4),
        ("axes.tokenizer.patch=[16]", ("axes", "tokenizer.patch"), [16]),
        ("tokenizer.patch=16", ("axes", "tokenizer.patch"), [16]),
        ("tokenizer.patch=[4, 16]", ("axes", "tokenizer.patch"), [4, 16]),
        ("tokenizer.patch=4..16 x2", ("axes", "tokenizer.patch"), "4..16 x2"),
        ("resources.tokenizer.threads=2", ("resources", "tokenizer", "threads"), 2),
        ("data.name=a=b", ("data", "name"), "a=b"),
    ],
)
def test_set(tmp_path: Path, assignment: str, path: tuple[str, ...], value: Any) -> None:
    node = load(write(tmp_path, SMALL), [assignment]).root
    for key in path:
        node = node.value[key]
    assert node.plain() == value
    assert str(node.mark).startswith("--set ")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.steps", "expected FIELD=VALUE"),
        ("=3", "expected FIELD=VALUE"),
        ("train..steps=3", "expected FIELD=VALUE"),
        ("train.steps=[1", "is not YAML"),
        ("train.steps=!!python/name:os.system x", "tag"),
        ("extends=x.yaml", "is of a file"),
    ],
)
def test_bad_sets_name_the_option(tmp_path: Path, assignment: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load(write(tmp_path, SMALL), [assignment])
    assert str(caught.value).startswith(f"--set {assignment}")


@pytest.mark.parametrize(
    "extra", ["zip:\n  train.steps: [1, 2]\n", "include:\n  - {train.steps: 3}\n"]
)
def test_set_refuses_what_it_cannot_reach(tmp_path: Path, extra: str) -> None:
    with pytest.raises(SpecError, match="point by point"):
        load(write(tmp_path, SMALL + extra), ["train.steps=9"])
