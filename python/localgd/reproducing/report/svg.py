"""Figures as SVG: the same bytes every time, and ids that do not clash on one page."""

from __future__ import annotations

import html
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


def inline(svg: str, name: str, title: str) -> str:
    """The same to stand inside HTML.

    Parameters
    ----------
    svg : str
        From :func:`render`.
    name : str
        Put before every id.
    title : str
        Read aloud in place of the picture.

    Returns
    -------
    str
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would rule the whole page
    svg = REFERENCES.sub(rf"\g<1>{name}-", svg)
    head, rest = svg.split(">", 1)
    width = re.search(r'width="([\d.]+)pt"', head)
    box = re.search(r'viewBox="[^"]+"', head)
    if width is None or box is None:
        raise ValueError("svg: want the SVG of a matplotlib figure")
    points = float(width[1])
    return (
        f'<svg {box[0]} style="max-width:{1.5 * points:g}px" role="img" '
        f'aria-label="{html.escape(title)}">{rest}'
    ).strip()
