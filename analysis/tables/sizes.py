"""Table 1: sizes of the towers; parameters and GFLOPs as printed and as our formulas count them."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.frames import Results
from analysis.published import PAPER, table
from analysis.tables.model import CITED, Cell, Column, Row, Table
from analysis.tables.printed import cell
from vitok_core.cost import Shape, encoder_macs, tower_parameters
from vitok_core.variants import SIZES, Tower

_COUNTS = {"params_m": "Params (M)", "gflops": "GFLOPs"}
_COLUMNS = (
    Column("name", "Model", numeric=False),
    Column("hidden", "Hidden dimension"),
    Column("blocks", "Blocks"),
    Column("heads", "Heads"),
    *(
        Column(f"{key}{suffix}", name, group)
        for key, group in _COUNTS.items()
        for suffix, name in (("", "printed"), ("_computed", "computed"), ("_residual", "residual"))
    ),
)


def sizes(results: Results, datasets: Sequence[str] = ()) -> Table:
    """The table, from formulas alone: the same whatever the results are."""
    rows = []
    for printed in table(1).to_dicts():
        cells = {one.key: cell(printed[one.key]) for one in _COLUMNS if one.key in printed}
        cells["name"] = Cell(f"{printed['name']} ({printed['size']})")
        for key, count in _counted(SIZES[printed["size"]]).items():
            residual = count - float(printed[key])
            cells[f"{key}_computed"] = Cell(f"{count:.3f}", count)
            cells[f"{key}_residual"] = Cell(_signed(residual), residual)
        rows.append(Row("published", tuple(cells[column.key] for column in _COLUMNS)))
    return Table(
        1,
        "Model sizes",
        f"Sizes of an encoder or decoder at 256 tokens. {CITED} cited: as printed in {PAPER}, "
        "Table 1. Computed: blocks, embedding of 16×16 patches, 256 positions and final norm of "
        "a plain ViT; residual: computed minus printed. GFLOPs are multiply-accumulates, as in "
        "the paper.",
        _COLUMNS,
        tuple(rows),
    )


def _signed(residual: float) -> str:
    return f"{residual:+.3f}".replace("-", "−")


def _counted(tower: Tower) -> dict[str, float]:
    """Parameters (millions) and multiply-accumulates (10⁹), without a code's linear layers."""
    alone = Shape(resolution=256, patch=16, channels=0)
    return {
        "params_m": tower_parameters(tower) / 1e6,
        "gflops": encoder_macs(tower, alone) / 1e9,
    }
