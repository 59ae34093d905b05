"""Picks the C++ core that suits the machine: the same sources, built once per instruction set."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

LEVELS = ("avx512", "avx2", "baseline")  # best first
VARIABLE = "LOCALGD_INSTRUCTION_SET"


def _load(level: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"._core_{level}", __package__)
    except ModuleNotFoundError:
        return None


def available() -> tuple[str, ...]:
    """The instruction sets that this installation has and this machine runs, best first."""
    # Every wheel has the baseline; a build of one instruction set alone may not.
    lowest = next(filter(None, map(_load, reversed(LEVELS))), None)
    if lowest is None:
        raise ImportError("localgd was installed without its C++ core: reinstall it")
    return tuple(
        level for level in LEVELS if lowest.machine_supports(level) and _load(level) is not None
    )


def pick() -> ModuleType:
    """The module of the best level, or of the one that LOCALGD_INSTRUCTION_SET names."""
    levels = available()
    wanted = os.environ.get(VARIABLE, "").strip().lower()
    if wanted and wanted not in levels:
        raise ImportError(
            f"{VARIABLE}={wanted}: this machine and build have {', '.join(levels)}; "
            "choose one of these or unset the variable"
        )
    return importlib.import_module(f"._core_{wanted or levels[0]}", __package__)


core = pick()
