"""Tables as Markdown, LaTeX, CSV and HTML: golden, escaped, readable by their own parsers."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from itertools import groupby
from xml.etree import ElementTree

import pytest
from synthetic import quickstart

import analysis
from analysis.tables import Cell, Column, Protocol, Row, Table, render, table
from vitok_core.errors import UserError

NASTY = r"a&b_<i>|$x^2$ {50%} #1 ~ \\ *c* `d` [e](f)"

# The paper's Table 3, by hand.
GOLDEN = """\
**Table 3: Image reconstruction, 256p.** Reconstruction of images up to 256 px, beside CNN \
tokenizers. † cited: as printed in ViTok, arXiv 2501.09755, Table 3. Bold: best of its column \
among rows of the same protocol.

| Name          | Params (M) | GFLOPs | ImageNet rFID ↓ | ImageNet rPSNR ↑ | ImageNet rSSIM ↑ | COCO rFID ↓ | COCO rPSNR ↑ | COCO rSSIM ↑ |
| ------------- | ---------: | -----: | --------------: | ---------------: | ---------------: | ----------: | -----------: | -----------: |
| SD-VAE†       |       59.3 |  162.2 |            0.78 |            25.08 |            0.705 |        4.63 |        24.82 |        0.720 |
| SDXL-VAE†     |          – |      – |            0.68 |            26.04 |        **0.834** |        4.07 |        25.76 |    **0.845** |
| OAI†          |          – |      – |            0.81 |            24.43 |            0.786 |        4.59 |        24.19 |        0.800 |
| Cosmos-CI†    |          – |      – |            2.02 |        **31.74** |            0.700 |         5.6 |    **31.74** |        0.703 |
| ViTok S-B/16† |      129.0 |   34.8 |            0.50 |            24.36 |            0.747 |        3.94 |        24.45 |        0.759 |
| ViTok S-L/16† |      426.8 |  113.4 |        **0.46** |            24.74 |            0.758 |    **3.87** |        24.82 |        0.771 |

- Note: the printed cost of SD-VAE is not its public configuration's, 83.7 M and 448.3 GFLOPs: \
docs/baselines.md
"""  # noqa: E501


@pytest.fixture(scope="module")
def mixed() -> Table:
    """The paper's rows and fifteen of ours, with their sd."""
    return table(3, quickstart(seeds=(0, 1)).with_published())


def nasty() -> Table:
    """Everything that a user may name, named badly."""
    return Table(
        3, NASTY, NASTY,
        (Column("name", NASTY, numeric=False), Column(NASTY, NASTY, NASTY, -1)),
        (Row("published", (Cell(NASTY), Cell("0.50", 0.5, protocol="p", best=True))),
         Row("db", (Cell(NASTY), Cell("0.61", 0.612, "0.02", 0.021, NASTY, 2, mark="a")))),
        (NASTY,), (Protocol("a", NASTY, NASTY, NASTY),),
    )  # fmt: skip


def test_table_3_in_markdown() -> None:
    assert render(table(3, analysis.load_published()), "md") == GOLDEN


def test_markdown_has_a_cell_for_every_column(mixed: Table) -> None:
    for made in (mixed, nasty()):
        lines = [line for line in render(made, "md").splitlines() if line.startswith("| ")]
        assert len(lines) == 2 + len(made.rows)
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(made.columns) + 1}
    text = render(mixed, "md")
    assert f"- {mixed.protocols[0]}" in text
    assert re.search(r"\| +\*\*\d+\.\d+\*\* \(\d+\.\d+\) \|", text)


def test_markdown_shows_what_is_written() -> None:
    text = render(nasty(), "md")
    shown = re.sub(r"\\([\\`*|<_$\]])", r"\1", text)
    assert f"Note: {NASTY}" in shown
    for raw in (r"<i>", r"\*c", r"`d", r"\$x", r"\]\("):
        assert not re.search(rf"(?<!\\)(\\\\)*{raw}", text), raw


@pytest.mark.parametrize("which", ["mixed", "nasty", "1", "2", "5", "6", "7"])
def test_latex_is_balanced(which: str, mixed: Table) -> None:
    known = {"mixed": mixed, "nasty": nasty()}
    made = known.get(which) or table(int(which), analysis.load_published())
    text = render(made, "latex")
    assert not re.search(r"[^\x00-\x7f]", text)
    plain = re.sub(r"\\[{}]", "", text)
    depth = 0
    for letter in plain:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert plain.replace(r"\$", "").count("$") % 2 == 0
    opened = []
    for verb, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if verb == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) >= len(made.rows) + 1
    for row in rows:
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
        cells = len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) - len(spans)
        assert cells == len(made.columns), row


def test_latex_escapes_and_uses_booktabs(mixed: Table) -> None:
    text = render(nasty(), "latex")
    assert (
        r"a\&b\_\textless{}i\textgreater{}\textbar{}\$x\textasciicircum{}2\$ \{50\%\} \#1 "
        r"\textasciitilde{} \textbackslash{}\textbackslash{} *c*"
    ) in text
    assert r"\textbf{0.50}" in text
    assert r"0.61 (0.02)\textsuperscript{a}" in text
    text = render(mixed, "latex")
    assert text.count(r"\midrule") == 2  # between headings and the paper's, theirs and ours
    assert r"\toprule" in text
    assert r"\bottomrule" in text
    assert r"\multicolumn{3}{c}{ImageNet}" in text
    assert r"\cmidrule(lr){4-6}" in text
    assert r"rFID $\downarrow$" in text
    assert r"SD-VAE\textsuperscript{\dag}" in text
    assert r"kl\_bits\_per\_pixel" in text


def test_csv_is_plain_numbers(mixed: Table) -> None:
    rows = list(csv.DictReader(io.StringIO(render(mixed, "csv"))))
    assert [row["source"] for row in rows] == ["published"] * 6 + ["db"] * 15
    assert rows[4]["imagenet1k/rFID"] == "0.50"
    assert rows[1]["gflops"] == ""
    assert rows[4]["protocol"] == "published: ViTok, arXiv 2501.09755, Table 3"
    for row in rows:
        for key, text in row.items():
            if key not in ("source", "name", "protocol") and text:
                float(text)
    at = [one.key for one in mixed.columns].index("photos-heldout/rPSNR")
    cell = mixed.rows[-1].cells[at]
    assert float(rows[-1]["photos-heldout/rPSNR"]) == pytest.approx(cell.value, rel=1e-9)
    assert float(rows[-1]["photos-heldout/rPSNR sd"]) == pytest.approx(cell.sd, rel=1e-9)
    assert f"photos-heldout/rPSNR: {cell.protocol}" in rows[-1]["protocol"]
    assert "imagenet1k/rFID sd" not in rows[0]
    residuals = csv.DictReader(io.StringIO(render(table(1, analysis.load_published()), "csv")))
    assert [float(row["gflops_residual"]) for row in residuals] == [0.038, 0.026, -0.034]


def test_csv_of_bad_names() -> None:
    (cited, ours) = csv.DictReader(io.StringIO(render(nasty(), "csv")))
    assert cited["name"] == NASTY
    assert (ours[NASTY], ours[f"{NASTY} sd"]) == ("0.612", "0.021")


def test_html_is_one_well_formed_section(mixed: Table) -> None:
    for made in (mixed, nasty(), table(1, analysis.load_published())):
        text = render(made, "html")
        assert text.isascii()
        section = ElementTree.fromstring(text)  # every tag closed, every attribute quoted
        assert (section.tag, section.get("id")) == ("section", f"table-{made.number}")
        (grid,) = section.findall("table")
        assert [child.tag for child in grid][:2] == ["caption", "thead"]
        bodies = grid.findall("tbody")
        sources = [source for source, _ in groupby(made.rows, lambda row: row.source)]
        assert [body.get("class") for body in bodies] == [
            {"published": "cited", "db": "ours"}[source] for source in sources
        ]
        lines = [line for body in bodies for line in body]
        assert [len(line) for line in lines] == [len(made.columns)] * len(made.rows)
        assert all(line[0].get("scope") == "row" for line in lines)
        upper, *lower = grid.findall("thead/tr")
        assert sum(int(th.get("colspan", 1)) for th in upper) == len(made.columns)
        assert len(lower[0]) == len([one for one in made.columns if one.group])
        caption = "".join(grid.findall("caption")[0].itertext())
        assert made.caption in caption
        assert all(str(one) in caption for one in made.protocols)


def test_html_marks_best_cited_and_direction() -> None:
    section = ElementTree.fromstring(render(table(3, analysis.load_published()), "html"))
    best = [strong.text for strong in section.findall(".//td/strong")]
    assert best == ["0.834", "0.845", "31.74", "31.74", "0.46", "3.87"]
    assert len(section.findall(".//tbody[@class='cited']/tr/th/sup")) == 6
    titles = [abbr.get("title") for abbr in section.findall(".//thead//abbr")]
    assert titles == ["lower is better", "higher is better", "higher is better"] * 2


def test_html_of_bad_names_is_text() -> None:
    section = ElementTree.fromstring(render(nasty(), "html"))
    assert section.findall(".//i") == []
    (first, second) = section.findall(".//tbody/tr/th")
    assert first.text == second.text == NASTY


def test_json_record(mixed: Table) -> None:
    record = mixed.record()
    assert record["table"] == 3
    assert record["rows"][4]["cells"][3] == {
        "text": "0.50", "value": 0.5, "sd": None, "seeds": None, "best": False,
        "protocol": "published: ViTok, arXiv 2501.09755, Table 3",
    }  # fmt: skip
    assert record["rows"][-1]["cells"][-1]["seeds"] == 2
    assert record["columns"][3] == {
        "key": "imagenet1k/rFID", "name": "rFID", "group": "ImageNet", "better": -1,
    }  # fmt: skip
    assert [one["column"] for one in record["protocols"]] == [one.key for one in mixed.protocols]


def test_an_unknown_format_names_what_there_is(mixed: Table) -> None:
    with pytest.raises(UserError, match=r"no format 'pdf' for tables \(there are: md, latex, csv"):
        render(replace(mixed), "pdf")
