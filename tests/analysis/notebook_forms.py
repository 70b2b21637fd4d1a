"""The notebooks in their two forms: text (jupytext's py:percent), and .ipynb with what they show.

The text is the one to edit; `make notebooks` makes the other from it, over the results in
`results/` (VITOK_RESULTS).
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(text: Path, **parameters: str) -> NotebookNode:
    """A text form run in a kernel of its own, in the notebooks' folder.

    Args:
        text: the .py file.
        parameters: expressions that replace what the cell tagged `parameters` sets.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    notebook = jupytext.read(text)
    notebook.metadata = nbformat.from_dict(_METADATA)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02}"  # not random: two runs differ in what they show only
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source += "".join(f"\n{name} = {value}" for name, value in parameters.items())
    place = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=300, record_timing=False, resources=place).execute()
    notebook.metadata = nbformat.from_dict(_METADATA)  # the kernel adds its own version
    return notebook


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """What its cells show, in order."""
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def printed(notebook: NotebookNode) -> str:
    """All that its cells print."""
    return "".join(each.text for each in outputs(notebook) if each.output_type == "stream")


def main() -> None:
    """Make every .ipynb anew."""
    for text in TEXTS:
        notebook = executed(text)
        for output in outputs(notebook):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _small(output.data["image/png"])
        nbformat.write(notebook, text.with_suffix(".ipynb"))


def _small(png: str) -> str:
    """A base64 PNG in 160 colours: plots need no more, and git keeps every version."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(160, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    main()
