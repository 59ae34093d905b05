"""Runs the bench from its folder: ``python bench/engine_choice``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# A folder given to Python is itself the import path; the package is found from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy makes problems alone; read at loading

from engine_choice.command import main  # noqa: E402

if __name__ == "__main__":
    main()
