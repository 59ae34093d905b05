"""Tables as text: for pages in Markdown, and for papers in LaTeX without packages."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["escaped_latex", "latex_table", "markdown_table"]

LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
}


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """A table whose first columns, ``texts`` of them, are texts, and the others numbers."""
    align = [*["--"] * texts, *["--:"] * (len(titles) - texts)]
    cells = ([cell.replace("|", "\\|") for cell in row] for row in (titles, *rows))
    head, *body = (f"| {' | '.join(row)} |" for row in cells)
    return "\n".join([head, f"| {' | '.join(align)} |", *body])


def latex_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """The same as a ``tabular``, of cells that are LaTeX already."""
    head, *body = (" & ".join(row) + r" \\" for row in (titles, *rows))
    begin = rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(titles) - texts)}}}"
    return "\n".join([begin, r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"])


def escaped_latex(text: str) -> str:
    """Text in which LaTeX has no commands."""
    return "".join(LATEX.get(letter, letter) for letter in text)
