"""Plain text with powers, indices and names of functions, as HTML."""

from __future__ import annotations

import html
import re

__all__ = ["rich", "signed"]

POWER = re.compile(r"\^(-?(?:\d+\.\d+|[^\W_]+))")
# Letter, underscore, up to three characters: w_k and ρ_S, but no name such as make_regression.
INDEX = re.compile(r"(?<![\w.])([^\W\d_])_(?:\{([^}]+)\}|([^\W_]{1,3}(?:[+-]1)?))(?!\w)")
FLOAT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?)0*(\d+)(?!\w)")
# Between a number and its sign or unit, and around the "=" of a short name.
JOINED = re.compile(r"(?<=\d) (?=%|°|s\b)|(?<=±) (?=\d)|(?<=\b\w) (?== )|(?<=\b\w =) ")
MINUS = re.compile(r"(?<= )-(?= )|(?<![\w^)])-(?=\d)")
TIMES = "\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}"
NAME = re.compile(r"(?<![\w.])(lg(?:\.\w+)+|--\w+(?:-\w+)*)")


def rich(text: str) -> str:
    r"""HTML of a plain text.

    ``10^-3`` and ``w_k`` become powers and indices, ``1e-12`` a power of ten, ``lg.run`` code.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> from localgd.reproducing.report.text import rich
    >>> rich("w_0 < 10^-3")
    'w<sub>0</sub> &lt; 10<sup>−3</sup>'
    >>> rich("lg.run gives 4.6e-05")
    '<code>lg.run</code> gives 4.6\xa0·\xa010<sup>−5</sup>'
    """
    text = JOINED.sub("\N{NO-BREAK SPACE}", html.escape(text, quote=False))
    text = NAME.sub(r"<code>\1</code>", MINUS.sub("−", text))
    text = FLOAT.sub(_power_of_ten, text)
    text = POWER.sub(lambda found: f"<sup>{signed(found[1])}</sup>", text)
    return INDEX.sub(lambda found: f"{found[1]}<sub>{found[2] or found[3]}</sub>", text)


def _power_of_ten(found: re.Match[str]) -> str:
    exponent = f"10<sup>{'−' if found[2] == '-' else ''}{found[3]}</sup>"
    return exponent if found[1] == "1" else f"{found[1]}{TIMES}{exponent}"


def signed(text: str) -> str:
    """A minus sign in place of a hyphen."""
    return text.replace("-", "−")
