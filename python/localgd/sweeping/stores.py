"""Where a sweep keeps its runs."""

from __future__ import annotations

import os
from pathlib import Path

from .json_lines import read_lines
from .table import Sweep

__all__ = ["load_sweep"]


def load_sweep(path: str | os.PathLike[str]) -> Sweep:
    """The runs that a sweep with ``out=path`` has written so far.

    One JSON object per line

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Sweep
        The runs, in the order in which they finished.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is not the output of a sweep.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.load_sweep("nowhere.jsonl")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.jsonl'
    """
    return Sweep(list(read_lines(Path(path)).values()))
