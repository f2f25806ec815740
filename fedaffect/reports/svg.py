"""From a matplotlib figure to an SVG that is small, repeatable, accessible and follows the theme.

Colours are written as CSS variables with the light value as fallback, so that the same drawing is
legible on a light page, on a dark page and as a file of its own.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

# Okabe and Ito (2008), jfly.uni-koeln.de/color, for data; greys for everything else.
COLOURS = {
    "ink": "#1b1f24",
    "soft": "#57606a",
    "rule": "#d0d7de",
    "panel": "#ffffff",
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["soft"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.6,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "figure.facecolor": COLOURS["panel"],
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
}
_NAMESPACE = re.compile(r"^\{[^}]*\}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Drawing:
    """A figure with the table behind it.

    Args:
        name: Unique within a page; prefix of every id in the SVG.
        title: The finding, one sentence.
        description: What is drawn, for readers who cannot see it.
        svg: A complete SVG element, also valid as a file of its own.
        columns: Header of the table.
        rows: Cells of the table, already formatted, one tuple per row.
    """

    name: str
    title: str
    description: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def inline(self) -> str:
        """The SVG for use within HTML, which needs no namespace declaration."""
        return self.svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)


def label(text: object, longest: int = 18) -> str:
    """Return ``text`` without control characters, cut to ``longest`` characters."""
    clean = "".join("?" if unicodedata.category(c)[0] == "C" else c for c in str(text))
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


@contextmanager
def canvas(width_in: float, height_in: float) -> Iterator[Any]:
    """Yield an empty matplotlib figure in house style; sizes in inches. pyplot stays unused."""
    import matplotlib
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.rc_context(_STYLE):
        warnings.simplefilter("ignore")  # glyphs that the measuring font lacks
        yield Figure(figsize=(width_in, height_in), layout="constrained")


def to_svg(figure: Any, name: str, title: str, description: str) -> str:
    """Write ``figure`` as SVG text: equal figures give equal bytes.

    Args:
        figure: A matplotlib figure made within ``canvas``.
        name: Prefix of the ids.
        title: Content of ``<title>``.
        description: Content of ``<desc>``.
    """
    import matplotlib

    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
        element.attrib = {_NAMESPACE.sub("", k): v for k, v in element.attrib.items()}
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in ("style", "metadata")]:
            parent.remove(child)
    _rename_ids(root, name)
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _themed(element.attrib["style"]))
        if element.get("fill") in COLOURS.values():
            element.set("style", _themed(f"fill: {element.attrib.pop('fill')}"))
    return ElementTree.tostring(_titled(root, name, title, description), encoding="unicode")


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Prefix the ids that something refers to and drop the others."""
    used = set()
    for element in root.iter():
        for value in element.attrib.values():
            used.update(_REFERENCE.findall(value))
        if element.get("href", "").startswith("#"):
            used.add(element.attrib["href"][1:])
    for element in root.iter():
        if element.get("id") in used:
            element.set("id", f"{name}-{element.attrib['id']}")
        else:
            element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))


def _themed(style: str) -> str:
    for variable, colour in COLOURS.items():
        style = style.replace(colour, f"var(--{variable}, {colour})")
    style = re.sub(r"font: (\d[\d.]*px) 'DejaVu Sans'[^;]*", r"font-size: \1", style)
    style = re.sub(
        r"font: (\d+) (\d[\d.]*px) 'DejaVu Sans'[^;]*", r"font-size: \2; font-weight: \1", style
    )
    return re.sub(r"font-family: 'DejaVu Sans'[^;]*;? ?", "", style)


def _titled(
    root: ElementTree.Element, name: str, title: str, description: str
) -> ElementTree.Element:
    size = root.attrib["viewBox"]
    framed = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": size,
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
            "style": f"stroke-linejoin: round; stroke-linecap: butt; font-family: {FONT}",
        },
    )
    ElementTree.SubElement(framed, "title", {"id": f"{name}-title"}).text = label(title, 300)
    text = label(description, 600)
    ElementTree.SubElement(framed, "desc", {"id": f"{name}-desc"}).text = text
    framed.extend(list(root))
    return framed
