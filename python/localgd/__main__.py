"""``python -m localgd``: the same as the command ``localgd``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":  # workers of MPI import this by another name
    sys.exit(main())
