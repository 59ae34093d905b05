"""Formulas as MathML: browsers show it without a script and without the network."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger


def mathml(node: nodes.Node, display: str) -> str:
    """The formula, with a warning where a command is not known."""
    made = convert(node.astext(), display=display)
    if "\\" in made:
        getLogger(__name__).warning("no MathML for %s", node.astext(), location=node)
    return made


def visit_inline(translator: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    translator.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """A formula by itself, which scrolls where it is wider than the page."""
    formula = mathml(node, "block")
    translator.body.append(f'<div class="formula" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
