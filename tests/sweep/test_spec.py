"""What a sweep file may say, and what each mistake is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sweepfiles import SMALL, replaced, write

from sweep.model import Plan
from sweep.planning.plan import plan_file
from sweep.spec import read as spec
from sweep.spec.document import load
from sweep.spec.fields import field, fields, tower_name
from sweep.spec.problems import SpecError
from vitok_core.variants import SIZES, Tower


def planned(folder: Path, text: str, *sets: str) -> Plan:
    return plan_file(write(folder, text), sets)


def problem(folder: Path, text: str, *sets: str) -> str:
    with pytest.raises(SpecError) as caught:
        planned(folder, text, *sets)
    return str(caught.value)


def trained(plan: Plan, section: str, name: str) -> list[Any]:
    return [point.config[section].get(name) for point in plan.points]


@pytest.mark.parametrize(
    ("path", "given", "value"),
    [
        ("train.steps", 1e5, 100_000),
        ("train.base_lr", 1, 1.0),
        ("train.betas", [0, 0.5], (0.0, 0.5)),
        ("train.clip_norm", None, None),
        ("data.flip", "off", False),
        ("data.flip", "Yes", True),
        ("data.version", 2, "2"),
        ("evaluation.networks", [], ()),
        ("tokenizer.encoder", "S", SIZES["S"]),
        ("tokenizer.size", "S-L", (SIZES["S"], SIZES["L"])),
    ],
)
def test_values_are_converted_where_a_reader_would(path: str, given: Any, value: Any) -> None:
    checked = field(path).check(given, SIZES)
    assert checked == value
    assert path == "tokenizer.size" or type(checked) is type(value)


def test_names_of_a_list_stand_in_it_once(tmp_path: Path) -> None:
    """Twice, it would be another job, with every score twice."""
    said = problem(tmp_path, SMALL, "evaluation.scores=[kid, precision_recall, kid]")
    assert said.endswith("got ['kid', 'precision_recall', 'kid']; 'kid' stands twice")


def test_every_default_of_the_table_is_a_value_of_its_field() -> None:
    for path, each in fields().items():
        if not each.required and path not in ("tokenizer.size", "data.name"):
            assert each.check(each.default, SIZES) == each.default, path


def test_yes_is_text_where_text_is_due(tmp_path: Path) -> None:
    assert "unknown data set 'yes'" in problem(tmp_path, replaced("photos-train", "yes"))


def test_all_mistakes_are_told_at_once_in_order(tmp_path: Path) -> None:
    text = (
        "tokenizer: {size: T-T, chanels: 3}\n"
        "data: {name: photos-trian, resolution: 64}\n"
        "train: {steps: 0, batch: 4, precision: fp16}\n"
        "seeds: [0, 0]\n"
        "axes:\n"
        "  tokenizer.patch: [8, x]\n"
        "stages:\n"
        "  - train: stage3\n"
    )
    lines = problem(tmp_path, text).splitlines()
    places = [int(line.split(":")[1]) for line in lines]
    assert places == sorted(places) == [1, 1, 2, 3, 3, 4, 6, 8]
    assert all(line.startswith(str(tmp_path)) for line in lines)


def test_a_bad_value_hides_no_bad_patch(tmp_path: Path) -> None:
    text = replaced("steps: 20", "steps: none").replace("[8, 16]", "[8, 7]")
    said = problem(tmp_path, text)
    assert "sweep.yaml:5: train.steps: expected a whole number" in said
    assert "sweep.yaml:7: tokenizer.patch: patch 7 does not divide data.resolution 64" in said
    assert "missing" not in said


def test_equal_faults_of_many_points_are_one_line(tmp_path: Path) -> None:
    said = problem(tmp_path, replaced("[4, 8]", "1..1000").replace("[8, 16]", "[8, 7, 9]"))
    assert len(said.splitlines()) == 2
    assert "(1,000 points, first: tokenizer.patch 7, tokenizer.channels 1)" in said


def test_an_unreadable_override_says_so(tmp_path: Path) -> None:
    said = problem(tmp_path, SMALL, "train.steps=20kk")
    assert said.startswith("--set train.steps=20kk: train.steps: expected a whole number")


def test_size_is_shorthand_for_two_towers(tmp_path: Path) -> None:
    by_size = planned(tmp_path, SMALL)
    towers = "encoder: T, decoder: {width: 64, blocks: 1, heads: 2}"
    by_tower = planned(tmp_path, replaced("size: T-T", towers))
    assert [point.id for point in by_size.points] == [point.id for point in by_tower.points]
    assert {point.variant for point in by_tower.points} == {"T-T/8", "T-T/16"}


def test_names_of_sizes_are_not_in_identities(tmp_path: Path) -> None:
    renamed = SMALL.replace("T:", "Tiny:").replace("T-T", "Tiny-Tiny")
    first, second = planned(tmp_path, SMALL), planned(tmp_path, renamed)
    assert [job.spec() for job in first.jobs] == [job.spec() for job in second.jobs]
    assert first.points[0].encoder == "T"
    assert second.points[0].encoder == "Tiny"


def test_null_drops_the_size_of_a_base(tmp_path: Path) -> None:
    write(tmp_path, SMALL, "base.yaml")
    top = "extends: base.yaml\ntokenizer: {size: null, encoder: S, decoder: T}\n"
    assert planned(tmp_path, top).points[0].variant == "S-T/8"
    assert "as well as tokenizer.size" in problem(tmp_path, top.replace("size: null, ", ""))


def test_parts_of_a_tower_may_be_swept(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        replaced("  tokenizer.patch", "  tokenizer.decoder.blocks: [1, 3]\n  tokenizer.patch"),
    )
    assert {point.decoder for point in plan.points} == {"T", "w64b3h2"}
    assert {point.config["tokenizer"]["decoder"]["blocks"] for point in plan.points} == {1, 3}


def test_unnamed_towers_are_called_by_their_numbers() -> None:
    assert tower_name(Tower(width=64, blocks=3, heads=2)) == "w64b3h2"
    assert tower_name(SIZES["L"]) == "L"


def test_the_registered_version_is_in_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from vitok_core.data.sources import DATASETS

    first = planned(tmp_path, SMALL)
    newer = {**DATASETS, "photos-train": replace(DATASETS["photos-train"], version="2")}
    monkeypatch.setattr("vitok_core.data.sources.DATASETS", newer)
    second = planned(tmp_path, SMALL)
    assert trained(second, "data", "version") == ["2"] * 4
    assert {point.id for point in first.points}.isdisjoint(point.id for point in second.points)


def test_resources_merge_default_kind_and_point(tmp_path: Path) -> None:
    text = SMALL + (
        "  - reconstruct: photos-tune\n"
        "resources:\n  default: {threads: 2, hours: 3}\n  tokenizer: {hours: 5}\n"
        "include:\n  - {tokenizer.patch: 32, tokenizer.channels: 4, "
        "resources.tokenizer.micro_batch: 2}\n"
    )
    plan = planned(tmp_path, text)
    first, last = plan.jobs[0].resources, plan.jobs[-2].resources
    assert (first.threads, first.hours, first.micro_batch) == (2, 5.0, None)
    assert (last.threads, last.hours, last.micro_batch) == (2, 5.0, 2)
    assert (plan.jobs[1].kind, plan.jobs[1].resources.hours) == ("reconstruct", 3.0)


def test_resources_are_not_in_identities(tmp_path: Path) -> None:
    more = SMALL + "resources:\n  default: {gpus: 8, threads: 8, compile: on, chain: true}\n"
    ids = [[job.id for job in planned(tmp_path, text).jobs] for text in (SMALL, more)]
    assert ids[0] == ids[1]


def test_the_resolved_document_reads_back_as_the_same_plan(tmp_path: Path) -> None:
    import yaml

    for name in ("quickstart", "bottleneck_256p"):
        plan = plan_file(name)
        again = planned(tmp_path, yaml.safe_dump(dict(plan.document), sort_keys=False))
        assert [job.spec() for job in again.jobs] == [job.spec() for job in plan.jobs]
        assert again.document == plan.document


def test_a_grid_that_is_too_large_is_never_enumerated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enumerated(*_: object) -> None:
        raise AssertionError("a point was made")

    monkeypatch.setattr("sweep.planning.grid._joined", enumerated)
    axes = "".join(f"  train.{name}: 1..1000\n" for name in ("steps", "batch"))
    text = replaced("axes:\n", f"seeds: 0..999\naxes:\n{axes}")
    assert "the grid has 4,000,000,000 points; at most 100,000" in problem(tmp_path, text)


def test_a_spec_may_be_read_alone(tmp_path: Path) -> None:
    read = spec.read(load(write(tmp_path, SMALL)))
    assert [axis.path for axis in read.axes] == ["tokenizer.patch", "tokenizer.channels"]
    assert read.seeds == (0,)
