"""Runs the bench from its folder: ``python bench/networks``."""

from __future__ import annotations

import sys
from pathlib import Path

# A folder given to Python is itself the import path; the packages are found from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from networks.command import main  # noqa: E402

if __name__ == "__main__":
    main()
