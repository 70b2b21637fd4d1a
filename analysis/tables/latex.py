"""A table as LaTeX, for a document that loads `booktabs`."""

from __future__ import annotations

from itertools import groupby

from analysis.tables.model import Cell, Row, Table

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "†": r"\textsuperscript{\dag}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
    "…": r"\ldots{}", "×": r"$\times$", "·": r"$\cdot$", "²": r"\textsuperscript{2}",
    "−": "$-$", "σ": r"$\sigma$", "β": r"$\beta$", "η": r"$\eta$", "≤": r"$\leq$", "é": r"\'e",
}  # fmt: skip
_CROWDED = 10  # columns that still fit a page at the document's own size


def to_latex(table: Table) -> str:
    """A `table` environment: caption with the protocols, label, `tabular`, notes."""
    layout = "".join("r" if one.numeric else "l" for one in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(table)}}}",
        rf"\label{{tab:vitok-{table.number}}}",
        *([r"\footnotesize\setlength{\tabcolsep}{3pt}"] if len(layout) > _CROWDED else []),
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        *_groups(table),
        " & ".join(escape(one.heading) for one in table.columns) + r" \\",
    ]
    for _, rows in groupby(table.rows, key=lambda row: row.source):
        lines += [r"\midrule", *map(_row, rows)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines += ["", r"\smallskip"]
        lines += [rf"{{\footnotesize Note: {escape(note)}\par}}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def escape(text: str) -> str:
    """Text as LaTeX that prints it."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def _caption(table: Table) -> str:
    says = [f"{table.title}. {table.caption}"]
    if table.protocols:
        says.append(f"Protocols of our numbers: {'; '.join(map(str, table.protocols))}.")
    return escape(" ".join(says))


def _groups(table: Table) -> list[str]:
    """The line of group headings and the rules below it, where columns have groups."""
    cells, rules, at = [], [], 1
    for group, columns in groupby(table.columns, key=lambda column: column.group):
        width = len(list(columns))
        if group:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        else:
            cells += [""] * width
        at += width
    return [" & ".join(cells) + r" \\", " ".join(rules)] if rules else []


def _row(row: Row) -> str:
    first, *rest = map(_cell, row.cells)
    return " & ".join([first + (escape("†") if row.cited else ""), *rest]) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    text = rf"\textbf{{{text}}}" if cell.best else text
    spread = f" ({cell.spread})" if cell.spread else ""
    return text + spread + (rf"\textsuperscript{{{cell.mark}}}" if cell.mark else "")
