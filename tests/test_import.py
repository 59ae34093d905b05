"""``import localgd`` takes a moment: NumPy and what every run needs, nothing else."""

from __future__ import annotations

import sys

SCRIPT = """
import sys
import numpy
before = set(sys.modules)
import localgd
print(*sorted(set(sys.modules) - before))
"""
AT_FIRST_USE = {
    *("analysis", "cli", "datasets", "evaluation", "extension", "fast_forwarding", "frames"),
    *("own_loss", "partitioning", "plot", "reference", "reproducing", "sklearn", "sweeping"),
}
SLOW = {
    "asyncio",
    "concurrent",
    "difflib",
    "email",
    "hashlib",
    "http",
    "multiprocessing",
    "secrets",
    "sqlite3",
    "unittest",
    "urllib",
}


def test_import_loads_what_every_run_needs(run_python):
    done = run_python(SCRIPT)
    assert done.returncode == 0, done.stderr
    names = [name.split(".") for name in done.stdout.split()]
    own = {path[1] for path in names if path[0] == "localgd" and len(path) > 1}
    others = {path[0] for path in names} - {"localgd"}
    assert "running" in own
    assert own & AT_FIRST_USE == set()
    assert others - sys.stdlib_module_names == set()
    assert others & SLOW == set()
