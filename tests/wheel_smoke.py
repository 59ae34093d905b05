"""A wheel in a new environment without a compiler: ``python tests/wheel_smoke.py FOLDER``.

Installs the wheel of the folder that fits this Python, and runs it in each instruction set that the
machine has. What cannot be tried, since the machine lacks it, is named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")

# Local-GD of plain NumPy beside that of the wheel, in the three engines.
SCRIPT = """
import numpy as np
import localgd as lg
from localgd._backend import core

problem = lg.datasets.make_separable(n_clients=5, n_samples=[3, 17, 8, 33, 1], n_features=40)
Z = problem.y[:, None] * problem.X
clients = [Z[i:j] for i, j in zip(problem.offsets, problem.offsets[1:])]
w = np.zeros(40)
for _ in range(50):
    after = []
    for rows in clients:
        local = w.copy()
        for _ in range(10):
            local += 0.5 * rows.T @ np.exp(-rows @ local) / len(rows)
        after.append(local)
    w = problem.weights @ after
for engine in ("gram", "hybrid", "primal"):
    run = lg.run(problem, lg.LocalGD(10, 0.5), rounds=50, engine=engine, loss="exponential")
    assert np.linalg.norm(run.weights - w) < 1e-12 * np.linalg.norm(w), engine
best = lg.reference.max_margin(problem)
assert best.kkt_residual < 1e-10
far = lg.fast_forward(problem, lg.LocalGD(10, 0.5), rounds=1e30, reference=best)
assert far.history["angle"][-1] < 0.1
print(core.build_info()["instruction_set"])
"""


def main() -> int:
    """0 if the wheel works in every instruction set that can be tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the wheel is")
    folder = parser.parse_args().folder.resolve()
    if not list(folder.glob("localgd-*.whl")):
        print(f"no wheel of localgd in {folder}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        venv.create(place / "venv", with_pip=True)
        python = place / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        nothing = place / "nothing"  # as PATH: there is no compiler, and no CMake
        nothing.mkdir()
        environment = {**os.environ, "PATH": str(nothing), "PYTHONPATH": ""}
        install = ["-m", "pip", "install", "-q", "--only-binary=:all:", "numpy", "scipy"]
        subprocess.run([python, *install], env=environment, check=True)
        # Of the wheels there, the one for this Python; none is looked for elsewhere.
        ours = [
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--find-links",
            str(folder),
        ]
        subprocess.run([python, *ours, "localgd"], env=environment, check=True)
        listed = [python, "-c", "from localgd import _backend; print(*_backend.available())"]
        found = subprocess.run(
            listed, env=environment, cwd=place, check=True, capture_output=True, text=True
        ).stdout.split()
        for level in found:
            chosen = {**environment, "LOCALGD_INSTRUCTION_SET": level}
            subprocess.run([python, "-c", SCRIPT], env=chosen, cwd=place, check=True)
        for level in sorted({*INSTRUCTION_SETS} - {*found}):
            print(f"{level}: not on this machine, or not in this wheel")
    return 0


if __name__ == "__main__":
    sys.exit(main())
