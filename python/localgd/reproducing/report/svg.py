"""Figures as SVG: the same bytes every time, and ids that do not clash on one page."""

from __future__ import annotations

import io
import re
from typing import Any

from ... import _validation as check

__all__ = ["inline", "render"]

REFERENCES = re.compile(r'(\bid="|url\(#|href="#)')


def render(figure: Any, name: str) -> str:
    """The SVG of a matplotlib Figure, letters as paths: it looks the same everywhere.

    Parameters
    ----------
    figure : matplotlib Figure
        It is closed.
    name : str
        Salts the ids, so that they are the same in every run.

    Returns
    -------
    str
    """
    matplotlib = check.require("matplotlib", "plot", "a report")
    pyplot = check.require("matplotlib.pyplot", "plot", "a report")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return buffer.getvalue()


def inline(svg: str, name: str) -> tuple[str, float, str]:
    """The same to stand inside HTML.

    Parameters
    ----------
    svg : str
        From :func:`render`.
    name : str
        Put before every id.

    Returns
    -------
    view_box : str
    width : float
        In CSS pixels.
    body : str
        What stands between ``<svg>`` and ``</svg>``.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would rule the whole page
    svg = REFERENCES.sub(rf"\g<1>{name}-", svg)
    head, body = svg.split(">", 1)
    width = re.search(r'width="([\d.]+)pt"', head)
    box = re.search(r'viewBox="([^"]+)"', head)
    if width is None or box is None:
        raise ValueError("svg: want the SVG of a matplotlib figure")
    return box[1], 1.5 * float(width[1]), body.strip().removesuffix("</svg>")
