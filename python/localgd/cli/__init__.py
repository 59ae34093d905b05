"""The shell command ``localgd``; it needs the extra ``cli``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from ..writing import Stream

__all__ = ["main"]

NEEDED = ("cyclopts", "pydantic", "rich", "jinja2", "threadpoolctl", "tomli-w")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``localgd``; the exit code.

    0 done, 1 diverged, or an experiment failed, 2 wrong input, or a file that could not be
    written, 130 stopped with Ctrl-C

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``localgd``; those of the shell if not given.

    Returns
    -------
    int

    Examples
    --------
    >>> from localgd.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    localgd ...
    0
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        print(
            f"localgd: the command needs {', '.join(missing)}: pip install 'localgd[cli]'",
            file=sys.stderr,
        )
        return 2
    try:
        from .app import call

        return call(arguments)
    except KeyboardInterrupt:
        print("localgd: interrupted", file=sys.stderr)
        return 130
    finally:
        Stream("stdout").flush()  # here a closed pipe is no error; when Python ends it is
