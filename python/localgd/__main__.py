"""``python -m localgd``: the same as the command ``localgd``."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
