"""``localgd info``: how this copy was built, and on what it runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from json import dumps
from typing import Annotated, Any

from cyclopts import Parameter

from .._backend import VARIABLE, available, core
from ..engines import usable_cores
from . import NEEDED
from .screen import Screen

__all__ = ["collect", "info"]

EXTRAS = {
    "data": ("scikit-learn", "mlxtend", "pandas", "pyarrow"),
    "plot": ("matplotlib",),
    "cli": NEEDED,
    "cluster": ("distributed",),
    "mpi": ("mpi4py",),
}


def collect() -> dict[str, Any]:
    """All that is shown, as plain values."""
    build = core.build_info()
    return {
        "version": build["version"],
        "compiler": build["compiler"],
        "build_type": build["build_type"],
        "flags": build["flags"],
        "eigen": build["eigen"],
        "openmp": build["openmp"],
        "instruction_set": build["instruction_set"],
        "instruction_sets": list(available()),
        "instruction_set_variable": os.environ.get(VARIABLE),
        "cores": usable_cores(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "scipy": _version("scipy"),
        "extras": {
            extra: {package: _version(package) for package in packages}
            for extra, packages in EXTRAS.items()
        },
    }


def info(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Show how this copy of localgd was built, and on what it runs; the exit code.

    Parameters
    ----------
    json
        For bug reports and programs.
    """
    found = collect()
    if json:
        print(dumps(found, indent=2))
    else:
        _show(found, Screen())
    return 0


def _show(found: dict[str, Any], screen: Screen) -> None:
    """For people."""
    others = [level for level in found["instruction_sets"] if level != found["instruction_set"]]
    forced = found["instruction_set_variable"]
    screen.line("localgd", found["version"])
    screen.line("Compiler", " ".join(filter(None, (found["compiler"], found["build_type"]))))
    screen.line("Flags", found["flags"] or "none")
    screen.line(
        "Processor",
        f"{found['instruction_set']} in use"
        + (f" ({VARIABLE}={forced})" if forced else "")
        + f"; also there: {', '.join(others) or 'none'}"
        + ("" if forced else f"; {VARIABLE} chooses"),
    )
    screen.line(
        "Threads",
        f"up to {found['cores']} (OpenMP)" if found["openmp"] else "1 (built without OpenMP)",
    )
    screen.line("Eigen", found["eigen"])
    screen.line(
        "Python", f"{found['python']}, NumPy {found['numpy']}, SciPy {found['scipy'] or 'missing'}"
    )
    screen.line("System", found["system"])
    for extra, packages in found["extras"].items():
        states = [f"{package} {version or 'missing'}" for package, version in packages.items()]
        lacking = not all(packages.values())
        hint = f"; pip install 'localgd[{extra}]'" if lacking else ""
        screen.line(f"[{extra}]", ", ".join(states) + hint)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
