"""One look for every figure: type, colours, markers, axes; and files that come out byte-identical.

Figures are laid out in inches for a two-column page. Colours are Okabe and Ito's (jfly.uni-koeln.de
/color), told apart by every kind of colour vision; shape repeats what colour says.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

FORMATS = ("pdf", "svg", "png")

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"
FLOOR = "#7f7f7f"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BASE, SMALL, TINY = 8.5, 7.5, 7.0  # points

_PATCH = {8: ("o", COLOURS[0]), 16: ("s", COLOURS[1]), 32: ("^", COLOURS[2])}
_DATASETS = {
    "imagenet1k": COLOURS[1], "coco2017": COLOURS[0], "photos-heldout": COLOURS[2],
    "photos-tune": COLOURS[3], "ucf101": COLOURS[4], "kinetics700": COLOURS[5],
    "shutterstock": COLOURS[3],
}  # fmt: skip
_SPARE = (("D", COLOURS[3]), ("v", COLOURS[4]), ("P", COLOURS[5]), ("X", INK))

LOOKS = len(_PATCH) + len(_SPARE)  # different colours of marks

# seaborn's `axes_style("ticks")`, less what is set below and the map that no figure uses: to import
# seaborn itself takes as long as to draw a figure.
TICKS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": ".15",
    "axes.facecolor": "white",
    "axes.grid": False,
    "axes.labelcolor": ".15",
    "axes.spines.bottom": True,
    "axes.spines.left": True,
    "axes.spines.right": True,
    "axes.spines.top": True,
    "figure.facecolor": "white",
    "grid.color": ".8",
    "grid.linestyle": "-",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "text.color": ".15",
    "xtick.bottom": True,
    "xtick.color": ".15",
    "xtick.direction": "out",
    "xtick.top": False,
    "ytick.color": ".15",
    "ytick.direction": "out",
    "ytick.left": True,
    "ytick.right": False,
}
_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "mathtext.fontset": "dejavusans",
    "font.size": BASE,
    "axes.labelsize": BASE,
    "axes.titlesize": BASE + 1,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "svg.fonttype": "path",
    "svg.hashsalt": "vitok-sweep",
}


@contextmanager
def look() -> Iterator[None]:
    """Within it figures are built and saved in the project's look, whatever the user's own rc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        rc: Any = mpl.rcParams  # its stub knows keys as literals only
        rc.update(TICKS)
        rc.update(_RC)
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure in inches; never through pyplot, which keeps global state."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def patch_looks(patches: Sequence[int]) -> dict[Any, tuple[str, str]]:
    """Marker and colour of each patch size; the paper's three keep theirs in every figure."""
    spare = iter(_SPARE * len(patches))
    return {p: _PATCH[p] if p in _PATCH else next(spare) for p in sorted(set(patches))}


def dataset_colours(names: Sequence[str]) -> dict[str, str]:
    """Colour of each data set; a name that is known keeps its own in every figure and source,
    unless one before it on the page has the same."""
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda each: each not in _DATASETS):
        free = [colour for colour in COLOURS if colour not in found.values()] or COLOURS
        own = _DATASETS.get(name, free[0])
        found[name] = own if own in free else free[0]
    return {name: found[name] for name in names}


def value_looks(values: Sequence[Any]) -> dict[Any, tuple[str, str]]:
    """Marker and colour of each value of some other column, in the order given; where there are
    more than LOOKS, both together tell them apart."""
    markers, colours = zip(*_PATCH.values(), *_SPARE, strict=True)
    return {
        value: (markers[index % LOOKS], colours[(index + index // LOOKS) % LOOKS])
        for index, value in enumerate(dict.fromkeys(values))
    }


def value_axis(axes: Axes, values: Sequence[float], *, log2: bool) -> None:
    """x takes a few values (model sizes, frames): a tick at each of them, log2 or linear."""
    low, high = min(values), max(values)
    if log2:
        pad = 2 ** max(0.08 * np.log2(high / low), 0.2)
        axes.set_xscale("log", base=2)
        axes.set_xlim(low / pad, high * pad)
    else:
        room = 0.06 * (high - low) or max(abs(high), 1) * 0.1
        axes.set_xlim(low - room, high + room)
    few: list[float] = []
    for value in sorted(set(values)):
        # Table 1's sizes as printed and as counted are one tick.
        if not few or value > few[-1] + 0.01 * abs(few[-1]):
            few.append(value)
    if len(few) > 8:
        few = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(few))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def widen(axes: Axes, which: Literal["x", "y"], before: float, after: float) -> None:
    """Let an axis show more at its ends: shares of the length that it shows now."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    scale = axis.get_transform()
    low, high = scale.transform(np.asarray(axis.get_view_interval()))
    ends = np.asarray([low - before * (high - low), high + after * (high - low)])
    axes.set(**{f"{which}lim": scale.inverted().transform(ends).tolist()})


def plain_axis(axes: Axes, values: Sequence[float], which: Literal["x", "y"] = "y") -> None:
    """A linear scale that holds `values`."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or max(abs(high), 1) * 0.05
    axes.set(**{f"{which}lim": (low - room, high + room)})


def size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """x is E: log2, with ticks 2^k over the range of `sizes`."""
    low, high = np.log2(min(sizes)), np.log2(max(sizes))
    pad = max(0.05 * (high - low), 0.35)
    axes.set_xscale("log", base=2)
    axes.set_xlim(2 ** (low - pad), 2 ** (high + pad))
    first, last = int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9))
    if last < first:  # one odd size between two powers
        first, last = int(np.floor(low)), int(np.ceil(high))
        axes.set_xlim(2.0 ** (first - pad), 2.0 ** (last + pad))
    step = 1 if last - first <= 6 else 2
    axes.xaxis.set_major_locator(FixedLocator([2.0**k for k in range(first, last + 1, step)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda E, _: _power(E)))
    axes.xaxis.set_minor_locator(NullLocator())


def log2_axis(axes: Axes, values: Sequence[float], which: Literal["x", "y"] = "y") -> None:
    """A metric that is fitted as log2 is drawn so. Ticks are plain numbers, where small ones are
    among them powers of two."""
    low, high = float(np.log2(min(values))), float(np.log2(max(values)))
    pad = max(0.06 * (high - low), 0.1)
    (axes.set_yscale if which == "y" else axes.set_xscale)("log", base=2)
    axes.set(**{f"{which}lim": (2 ** (low - pad), 2 ** (high + pad))})
    octaves = high - low + 2 * pad
    small = low - pad < np.log2(0.1)  # there plain numbers are long, or no longer powers of two
    step = 1 if octaves <= 6 else 2
    exponents = range(int(np.floor(low - pad)), int(np.ceil(high + pad)) + 1, step)
    parts = (1.0, 1.5) if octaves < 5 and not small else (1.0,)
    ticks = [2.0**k * part for k in exponents for part in parts]
    narrow = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])  # powers would leave one tick or none
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(narrow if octaves < 1.5 else FixedLocator(ticks))
    powers = small and octaves >= 1.5
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: _power(value) if powers else f"{value:.4g}")
    )
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _short(value: float) -> str:
    """A tick of three significant digits, thousands as k: 43.3, 384, 20k."""
    return f"{value / 1000:.3g}k" if abs(value) >= 10_000 else f"{value:.3g}"


def _power(value: float) -> str:
    """A power of two as such."""
    return f"$2^{{{np.log2(value):.0f}}}$"


@contextmanager
def lacking_glyphs(notes: list[str]) -> Iterator[None]:
    """Within it signs that the font lacks add one line to `notes`, instead of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "Glyph .* missing")
        yield
    missing: dict[str, None] = {}
    for one in caught:
        glyph = re.match(r"Glyph (\d+) ", str(one.message))
        if glyph is None:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        else:
            missing[chr(int(glyph[1]))] = None
    if missing:
        notes.append(f"the figures' font lacks {' '.join(missing)}: boxes stand for them")


def rendered(figure: Figure, suffix: str) -> bytes:
    """The figure as a file of this format, without dates."""
    metadata: dict[str, dict[str, str | None]] = {
        "pdf": {"CreationDate": None, "ModDate": None, "Creator": "vitok-sweep"},
        "svg": {"Date": None, "Creator": "vitok-sweep"},
        "png": {"Software": "vitok-sweep"},
    }
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format=suffix, dpi=200, metadata=metadata[suffix], facecolor="white")
    return buffer.getvalue()
